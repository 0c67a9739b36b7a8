"""Watch: what is looked at while the broker runs, since the stream alone may miss something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ticklane.core.trading_state import TradingState
from ticklane.integrations.alpaca.api import Api, Unread
from ticklane.integrations.alpaca.convert import read_instant
from ticklane.integrations.alpaca.reconcile import Reconciler
from ticklane.integrations.alpaca.report import Reconciliation
from ticklane.integrations.alpaca.restrictions import Restrictions
from ticklane.integrations.alpaca.sending import Sender
from ticklane.integrations.alpaca.stream import TradeStream
from ticklane.integrations.alpaca.tracks import Track, Tracks
from ticklane.interfaces import Clock

_log = logging.getLogger("ticklane.alpaca")
_BEAT: Final = 1.0
_IN_FLIGHT_AGE: Final = 5.0
_IN_FLIGHT_EVERY: Final = 2.0
_ORDERS_EVERY: Final = 30.0
_ACCOUNT_EVERY: Final = 60.0
_SKEW_NS: Final = 2_000_000_000
_MUTE_NS: Final = 3_000_000_000  # REST may be so much ahead of the stream
_DEAF_AFTER: Final = 300.0  # so long nothing could be read


class Watch:
    """Looks after orders in flight, open orders, positions, cash, the account and the clocks."""

    def __init__(
        self,
        api: Api,
        tracks: Tracks,
        sender: Sender,
        reconciler: Reconciler,
        restrictions: Restrictions,
        stream: TradeStream,
        clock: Clock,
    ) -> None:
        self._api, self._tracks, self._sender = api, tracks, sender
        self._reconciler, self._restrictions = reconciler, restrictions
        self._stream, self._clock = stream, clock
        self.skew_seconds = 0.0

    async def run(self) -> None:
        """Until it is cancelled; a venue that does not answer is asked again at the next turn."""
        await asyncio.gather(
            self._every(_IN_FLIGHT_EVERY, self.look_in_flight),
            self._every(_ORDERS_EVERY, self.look_at_orders),
            self._every(_ACCOUNT_EVERY, self.look_at_account),
            self._watch_clock(),
        )

    async def _every(self, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await look()
            except Unread as error:
                _log.warning("Alpaca could not be read: %s", error)
            except Exception:  # one answer that makes no sense must not end the looking
                _log.exception("what Alpaca answered could not be understood")

    # --- orders ------------------------------------------------------------------------------

    async def look_in_flight(self) -> None:
        """Ask for every order that should have been heard of by now."""
        now = asyncio.get_running_loop().time()
        for track in self._tracks.open():
            if track.asked_at is None or now - track.asked_at < _IN_FLIGHT_AGE:
                continue
            if track.broker_id is not None and await self._refresh(track):
                track.asked_at = now if track.is_cancel_wanted and track.is_there else None

    async def _refresh(self, track: Track) -> bool:
        before = (track.told, track.booked)
        is_read = await self._sender.refresh(track)
        if track.missing or (track.told, track.booked) != before:
            self._note_mute(track)
        return is_read

    async def look_at_orders(self) -> None:
        """All open orders at the venue, then those of ours that it does not list."""
        report = Reconciliation("running", self._clock.now_ns())
        before = {track.order.id: (track.told, track.booked) for track in self._tracks.open()}
        local = [track for track in self._tracks.open() if track.broker_id is not None]
        listed = await self._reconciler.take_open_orders(report)
        for track in local:
            if track.broker_id not in listed and not track.is_over:
                await self._sender.refresh(track)
            if track.missing or before[track.order.id] != (track.told, track.booked):
                self._note_mute(track)

    def _note_mute(self, track: Track) -> None:
        """REST knew something for long that the stream has not told: it is open, but mute."""
        seen, stream = track.newest, self._stream
        if seen is None or not stream.is_up:
            return
        age_ns = self._clock.now_ns() - seen.updated_ns
        if age_ns > _MUTE_NS and stream.up_seconds * 1e9 > age_ns:
            stream.cut("the socket was open, but did not tell of an order")

    # --- account and clocks ------------------------------------------------------------------

    async def look_at_account(self) -> None:
        """Account, activities, positions, cash, and the venue's clock."""
        await self._reconciler.look()
        await self.compare_clocks()

    async def compare_clocks(self) -> None:
        """Restrict trading while the venue's clock and ours are apart."""
        before_ns = self._clock.now_ns()
        body = await self._api.read("/clock", needs="timestamp")
        after_ns = self._clock.now_ns()
        there_ns = _instant_of(body)
        if not there_ns:
            return
        skew_ns = (before_ns + after_ns) // 2 - there_ns
        slack_ns = abs(after_ns - before_ns) // 2
        self.skew_seconds = skew_ns / 1e9
        if abs(skew_ns) - slack_ns > _SKEW_NS:
            way = "ahead of" if skew_ns > 0 else "behind"
            self._restrictions.impose(
                "clock_skew",
                f"the clock of this machine is {abs(skew_ns) / 1e9:.0f} s {way} Alpaca's; let it "
                "be set by the network (ntp).",
                TradingState.REDUCE_ONLY,
            )
        else:
            self._restrictions.lift("clock_skew")

    async def _watch_clock(self) -> None:
        """A jump of the machine's clock counts until the venue's clock has been compared."""
        loop = asyncio.get_running_loop()
        was_ns, was = self._clock.now_ns(), loop.time()
        while True:
            await asyncio.sleep(_BEAT)
            now_ns, now = self._clock.now_ns(), loop.time()
            jump_ns = now_ns - was_ns - int((now - was) * 1e9)
            was_ns, was = now_ns, now
            if abs(jump_ns) <= _SKEW_NS:
                continue
            sentence = f"the clock of this machine has jumped by {jump_ns / 1e9:.0f} s."
            self._restrictions.impose("clock_skew", sentence)
            try:
                await self.compare_clocks()
            except Unread:
                continue


def _instant_of(body: Any) -> int:
    """The instant that the venue's clock shows; 0 where that cannot be read."""
    try:
        return read_instant(body.get("timestamp"))
    except (AttributeError, TypeError, ValueError):
        return 0
