"""Sending: each order reaches the venue at most once, and it becomes known what became of it.

The states are those of orders.md. One task a symbol sends that symbol's requests in order and
goes on only when it is known what became of the one before, so that a close never overtakes the
entry it closes; symbols do not wait for each other. A request is made once. When its answer is
not clear, the venue is asked by our own id; only what the venue does not know is sent again, with
the same id and body, and only while its signal is valid.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ticklane.core.crash import crash_point
from ticklane.core.order import Order, OrderStatus, Refusal
from ticklane.integrations.alpaca.answers import Answer, Kind, back_off, judge, not_open, recognise
from ticklane.integrations.alpaca.api import Api
from ticklane.integrations.alpaca.client import Reply
from ticklane.integrations.alpaca.convert import order_body, read_order, replacement_body
from ticklane.integrations.alpaca.legs import LegNames
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import NOT_THERE, Track, Tracks
from ticklane.interfaces import Clock

_S = OrderStatus
_log = logging.getLogger("ticklane.alpaca")
_LONGEST_WAIT: Final = back_off(9)
_GIVE_UP_SECONDS: Final = 300.0  # of look-ups that all said no
_CANCEL_SECONDS: Final = 5.0  # so long the next request of the symbol waits for a cancel
_CANCEL_TRIES: Final = 6
_UNANSWERED: Final = Refusal("unanswered", "no clear answer; Alpaca is asked what became of it.")
Notify = Callable[[Track], None]
Send = Callable[[], Coroutine[Any, Any, Reply | None]]  # None: not sent any more


class Sender:
    """Sends what the lane asks for, one symbol's requests after the other.

    `on_quarantine(track)` and `on_cleared(track)` frame the time in which it is not known whether
    an order that is not wanted any more may still appear; `bars(symbol)` tells whether no entries
    may leave.
    """

    def __init__(
        self,
        api: Api,
        tracks: Tracks,
        teller: Teller,
        clock: Clock,
        *,
        extended_hours: bool = False,
        on_quarantine: Notify,
        on_cleared: Notify,
        bars: Callable[[str], bool],
    ) -> None:
        self._api, self._tracks, self._teller, self._clock = api, tracks, teller, clock
        self._extended_hours = extended_hours
        self._on_quarantine, self._on_cleared = on_quarantine, on_cleared
        self._bars = bars
        self._lanes: dict[str, deque[Coroutine[Any, Any, None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._watched: set[str] = set()  # ids of orders in quarantine that are looked for
        self.legs = LegNames(teller, self.refresh, self.spawn, self.drop_late)
        teller.on_late = self.drop_late

    # --- what may be asked -------------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Send an order; one that is known already is looked after elsewhere."""
        if order.id in self._tracks.by_id:
            return
        track = self._tracks.add(order)
        self._queue(order.symbol, self._submit(track))

    def cancel(self, order: Order) -> None:
        """Cancel an order, once it is known where it is."""
        track = self._tracks.add(order)
        track.is_cancel_wanted = True
        self._queue(order.symbol, self._cancel(track))

    def replace(self, order: Order, by: Order) -> None:
        """Replace an order, once it is known where it is."""
        if by.id in self._tracks.by_id:
            return
        old, new = self._tracks.add(order), self._tracks.add(by)
        new.replaces = old
        self._queue(order.symbol, self._replace(old, new))

    def resolve(self, track: Track) -> None:
        """Find out what became of an order that was perhaps sent before a restart."""
        self._queue(track.order.symbol, self._resume(track))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something run beside the lanes until it is done or the broker closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    async def idle(self) -> None:
        """Wait until nothing is waiting to be sent or resolved."""
        await self._idle.wait()

    async def close(self) -> None:
        """Stop at once; what is under way stays as it was told."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for waiting in self._lanes.values():
            for work in waiting:
                work.close()
        self._lanes.clear()

    @property
    def waiting(self) -> int:
        """How many requests wait or are under way."""
        return sum(1 + len(lane) for lane in self._lanes.values())

    # --- lanes -------------------------------------------------------------------------------

    def _queue(self, symbol: str, work: Coroutine[Any, Any, None]) -> None:
        lane = self._lanes.get(symbol)
        if lane is not None:
            lane.append(work)
            return
        self._lanes[symbol] = deque([work])
        self._idle.clear()
        self.spawn(self._run(symbol))

    async def _run(self, symbol: str) -> None:
        lane = self._lanes[symbol]
        try:
            while lane:
                await lane.popleft()
        finally:
            if not lane and self._lanes.get(symbol) is lane:
                del self._lanes[symbol]
            if not self._lanes:
                self._idle.set()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("sending broke", exc_info=error)

    # --- submit ------------------------------------------------------------------------------

    async def _submit(self, track: Track) -> None:
        if not self._may_be_sent(track):
            self._give_up_unsent(track)
        else:
            await self._settle(track, self._posting(track))

    def _may_be_sent(self, track: Track) -> bool:
        return self._is_valid(track) and not self._is_barred(track)

    def _is_barred(self, track: Track) -> bool:
        """True for an entry that has waited until no entries may leave any more: behind an order
        that is in quarantine by now, or for the rate limit while the trade stream went down."""
        symbol = track.order.symbol
        is_entry = track.order.valid_until_ns is not None
        return is_entry and (self._tracks.is_quarantined(symbol) or self._bars(symbol))

    def _posting(self, track: Track) -> Send:
        body = order_body(track.order, self._extended_hours)

        async def post() -> Reply | None:
            await self._api.ready()
            if not self._may_be_sent(track):
                return None
            crash_point("submit.before_post")
            reply = await self._api.write("POST", "/orders", body, is_ready=True)
            crash_point("submit.after_post")
            return reply

        return post

    async def _resume(self, track: Track) -> None:
        """As `_submit` or `_replace`, but for a request that was perhaps made in another life."""
        old = track.replaces
        send = self._posting(track) if old is None else self._patching(old, track)
        if track.told is _S.QUARANTINED:
            self._quarantine(track)
            return
        self._teller.tell(track, _S.UNKNOWN, Refusal("unanswered", "sent or not before a restart."))
        await self._settle(track, send, was_unclear=True)

    async def _settle(self, track: Track, send: Send, was_unclear: bool = False) -> None:
        """Send, and go on until it is known what became of it, or nobody wants it any more."""
        sent, failed = 0, 0
        while True:
            if not was_unclear or sent < 0:
                sent = abs(sent) + 1
                track.asked_at = asyncio.get_running_loop().time()
                reply = await send()
                if reply is None:  # nobody wants it any more, and this time it has not left
                    drop = self._quarantine if was_unclear else self._give_up_unsent
                    drop(track)
                    return
                answer = judge(reply, track.order)
                if await self._is_settled(track, answer, was_unclear):
                    return
                if answer.kind is Kind.RATE_LIMITED:  # not taken; the budget waits for the reset
                    continue
                was_unclear = True
                self._teller.tell(track, _S.UNKNOWN, _UNANSWERED)
            answer = await self._look_up(track)
            if await self._is_settled(track, answer, was_unclear):
                return
            if answer.kind is Kind.ABSENT and not self._may_be_sent(track):
                self._quarantine(track)
                return
            if answer.kind is not Kind.ABSENT or sent > 1:
                await asyncio.sleep(back_off(failed))
                failed += 1
            if answer.kind is Kind.ABSENT and self._may_be_sent(track):
                self._teller.tell(track, _S.SENDING)
                sent = -max(sent, 1)  # once more

    async def _is_settled(self, track: Track, answer: Answer, was_unclear: bool) -> bool:
        """Take a clear answer in; the stream may have been faster."""
        if answer.kind is Kind.ACCEPTED and answer.order is not None:
            self._teller.take_order(answer.order)
            await self.legs.find(track)
            return True
        if track.told not in NOT_THERE:
            await self.legs.find(track)
            return True
        if answer.kind is Kind.REFUSED and was_unclear:
            self._quarantine(track, answer.reason)  # an earlier request may still be on its way
            return True
        if answer.kind in (Kind.REFUSED, Kind.TAKEN):
            self._teller.tell(track, _S.REJECTED, answer.reason)
            return True
        return False

    async def _look_up(self, track: Track) -> Answer:
        parameters = {"client_order_id": track.order.client_order_id}
        reply = await self._api.look_up("/orders:by_client_order_id", parameters)
        answer = recognise(reply, track.order)
        if answer.kind in (Kind.REFUSED, Kind.DUPLICATE):
            return Answer(Kind.UNCLEAR)  # it is no refusal of the order
        return answer

    def _is_valid(self, track: Track) -> bool:
        until_ns = track.order.valid_until_ns
        is_wanted = not (track.is_cancel_wanted or track.order.is_cancel_pending)
        return is_wanted and (until_ns is None or self._clock.now_ns() <= until_ns)

    def _give_up_unsent(self, track: Track) -> None:
        wanted = track.is_cancel_wanted or track.order.is_cancel_pending
        sentence = "cancelled before it was sent." if wanted else "its signal was too old to send."
        if self._is_barred(track):
            sentence = "no entries may be sent any more, for the reason that trading is restricted."
        self._teller.never_sent(track, Refusal("not_sent", sentence))

    # --- quarantine --------------------------------------------------------------------------

    def _quarantine(self, track: Track, reason: Refusal | None = None) -> None:
        sentence = "Alpaca does not know it, and its signal is no longer valid."
        for status in (_S.UNKNOWN, _S.QUARANTINED):
            self._teller.tell(track, status, reason or Refusal("quarantined", sentence))
        self._on_quarantine(track)
        if track.order.id not in self._watched:
            self._watched.add(track.order.id)
            self.spawn(self._look_for(track))

    async def _look_for(self, track: Track) -> None:
        """Five minutes of look-ups that all say no; what cannot be asked does not count."""
        clock, attempt, passed = asyncio.get_running_loop().time, 0, 0.0
        said_no_at = clock()
        try:
            while track.told is _S.QUARANTINED and passed < _GIVE_UP_SECONDS:
                await asyncio.sleep(back_off(attempt))
                attempt += 1
                answer = await self._look_up(track)
                if answer.kind is Kind.ACCEPTED and answer.order is not None:
                    self._teller.take_order(answer.order)
                    return
                if answer.kind in (Kind.ABSENT, Kind.TAKEN):
                    passed += min(clock() - said_no_at, _LONGEST_WAIT + 5.0)
                said_no_at = clock()
            sentence = "Alpaca has not known it for five minutes."
            self._teller.tell(track, _S.NOT_SENT, Refusal("not_sent", sentence))
        finally:
            self._watched.discard(track.order.id)
            self._on_cleared(track)

    def drop_late(self, track: Track) -> None:
        """An order that was given up has appeared: nobody wants it, so it is cancelled."""
        track.is_cancel_wanted = True
        self._queue(track.order.symbol, self._cancel(track))

    def cancel_orphan(self, broker_id: str) -> None:
        """Cancel an order of ours that this run does not know; while asked, not asked again."""
        if broker_id not in self._watched:
            self._watched.add(broker_id)
            self.spawn(self._cancel_orphan(broker_id))

    async def _cancel_orphan(self, broker_id: str) -> None:
        try:
            await self._api.write("DELETE", f"/orders/{broker_id}")
            await asyncio.sleep(_CANCEL_SECONDS)
        finally:
            self._watched.discard(broker_id)

    # --- cancel ------------------------------------------------------------------------------

    async def _cancel(self, track: Track) -> None:
        """Cancel, and give the venue a little time to do it before the symbol's next request."""
        for attempt in range(_CANCEL_TRIES):
            if track.broker_id is None or track.told in NOT_THERE or not track.is_there:
                return
            crash_point("cancel.before_delete")
            reply = await self._api.write("DELETE", f"/orders/{track.broker_id}")
            crash_point("cancel.after_delete")
            track.asked_at = asyncio.get_running_loop().time()
            if reply.is_ok:
                await self._await_end(track)
                return
            if reply.status == 429:
                continue  # the budget waits for the reset
            await self.refresh(track)  # 404, 422, or no clear answer: where is it now?
            if track.is_there:
                await asyncio.sleep(back_off(attempt - 1))
        if track.is_there:
            self.spawn(self._insist(track))

    async def _await_end(self, track: Track) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + _CANCEL_SECONDS
        while track.is_there and (left := until - clock()) > 0:
            await track.wait(min(left, 1.0))
            if track.is_there and until - clock() < _CANCEL_SECONDS - 0.9:
                await self.refresh(track)

    async def _insist(self, track: Track) -> None:
        """A cancel that the venue would not take yet is asked again, later."""
        await asyncio.sleep(_LONGEST_WAIT)
        if track.is_there:
            self._queue(track.order.symbol, self._cancel(track))

    async def refresh(self, track: Track) -> bool:
        """Ask the venue for one order, with its legs; False when it could not tell."""
        if track.broker_id is None:
            return False
        reply = await self._api.look_up(f"/orders/{track.broker_id}", {"nested": "true"})
        seen = read_order(reply.body) if reply.is_ok else None
        if seen is None or seen.id != track.broker_id:
            return False
        self._teller.take_order(seen)
        return True

    # --- replace -----------------------------------------------------------------------------

    async def _replace(self, old: Track, new: Track) -> None:
        if old.is_over or old.broker_id is None:
            self._refuse_replacement(old, new)
            return
        if not self._may_be_sent(new):
            self._give_up_unsent(new)
            return
        await self._settle(new, self._patching(old, new))
        if old.broker_id is not None and not old.is_over and new.told not in NOT_THERE:
            old.asked_at = asyncio.get_running_loop().time()

    def _patching(self, old: Track, new: Track) -> Send:
        async def patch() -> Reply | None:
            await self._api.ready()
            if not self._may_be_sent(new):
                return None
            if old.is_over or old.broker_id is None:
                await self.refresh(old)
                return not_open(old.order.id)
            body = replacement_body(old.order, new.order, old.booked)
            crash_point("replace.before_patch")
            reply = await self._api.write("PATCH", f"/orders/{old.broker_id}", body, is_ready=True)
            crash_point("replace.after_patch")
            if reply.status not in (404, 422):
                return reply
            await self.refresh(old)
            answer = await self._look_up(new)  # the same request may have arrived twice
            if answer.kind is Kind.ACCEPTED and answer.order is not None:
                self._teller.take_order(answer.order)
            return reply if reply.status != 404 else not_open(old.order.id)

        return patch

    def _refuse_replacement(self, old: Track, new: Track) -> None:
        sentence = f"order {old.order.id} is not open any more."
        self._teller.tell(new, _S.REJECTED, Refusal("not_open", sentence))
