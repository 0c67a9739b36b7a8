"""Reconciling: what the venue shows is compared with what we know, and what we missed is taken in.

REST is the truth, the stream is only speed. Nothing is corrected silently: what is ours and was
missed is told to the lane like any event, what is not ours is counted and shown, and what does
not add up restricts trading, with both numbers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from ticklane.core.account_event import AccountEvent
from ticklane.core.adoption import Adopted
from ticklane.core.errors import BrokerError
from ticklane.core.events import AccountBooked
from ticklane.core.market import DAY
from ticklane.core.money import ZERO, plain
from ticklane.core.order import Order
from ticklane.core.trading_state import TradingState
from ticklane.integrations.alpaca import account_state
from ticklane.integrations.alpaca.acceptance import adjustment
from ticklane.integrations.alpaca.adoption import adopted
from ticklane.integrations.alpaca.api import Api, Unread
from ticklane.integrations.alpaca.convert import (
    Execution,
    VenueOrder,
    read_account_event,
    read_fill,
    read_number,
    read_order,
    read_positions,
)
from ticklane.integrations.alpaca.ledger import KEPT_NS, Ledger
from ticklane.integrations.alpaca.report import Reconciliation
from ticklane.integrations.alpaca.restrictions import Restrictions
from ticklane.integrations.alpaca.sending import Sender
from ticklane.integrations.alpaca.strangers import Strangers
from ticklane.integrations.alpaca.teller import Teller, key_of
from ticklane.integrations.alpaca.tracks import Track, Tracks
from ticklane.interfaces import Clock, Recovered

_log = logging.getLogger("ticklane.alpaca")
_LOOKS: Final = 3  # at positions and cash, before a difference is one
_BETWEEN_LOOKS: Final = 1.0
_GAP_WAITS: Final = (0.5, 2.0, 5.0)
_OVERLAP_NS: Final = 600_000_000_000
_SWEEP_NS: Final = 3_600_000_000_000


class Reconciler:
    """Reads account, positions, orders and activities, and lays them over what we know."""

    def __init__(
        self,
        api: Api,
        tracks: Tracks,
        teller: Teller,
        ledger: Ledger,
        sender: Sender,
        restrictions: Restrictions,
        strangers: Strangers,
        clock: Clock,
        put: Callable[[Any], None],
    ) -> None:
        self._api, self._tracks, self._teller, self._ledger = api, tracks, teller, ledger
        self._sender, self._restrictions, self._clock = sender, restrictions, clock
        self._strangers, self._put = strangers, put
        self._run, self._order_count, self._symbols = "", 0, frozenset[str]()
        self.since_ns = 0  # activities and closed orders are asked for from here on
        self.known_keys: set[str] = set()  # of executions that the database has
        self.cash, self.positions = ZERO, dict[str, Decimal]()
        self.account: Mapping[str, Any] = {}
        self.last: Reconciliation | None = None
        self.on_positions: Callable[[Mapping[str, Decimal]], None] = _ignore
        self.orphans: dict[str, str] = {}  # open, ours, but not known -> what it is
        self._told_events: dict[str, int] = {}  # ids of account events -> their instants
        self._swept_ns = 0
        self._gaps: set[str] = set()
        self._lock = asyncio.Lock()
        teller.on_gap = self.note_gap

    def begin(self, recovered: Recovered, symbols: frozenset[str]) -> None:
        """Hear of which run it is, and what is traded in it."""
        self._tracks.prefix = f"tl-{recovered.installation}-"
        self._run, self._order_count = recovered.run_id, recovered.order_count
        self._symbols = symbols

    async def run(self, why: str) -> Reconciliation:
        """The whole comparison; never raises for a venue that does not answer."""
        report = Reconciliation(why, self._clock.now_ns())
        began = asyncio.get_running_loop().time()
        async with self._lock:
            try:
                await self._take_orders(report)
                await self._take_activities(report, is_whole=True)
                await self._close_gaps()
                await self._compare(report)
            except Unread as error:
                report.trouble = f"Alpaca could not be read ({error})."
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                _log.exception("what Alpaca answered could not be understood")
                report.trouble = f"Alpaca's answer could not be understood ({error!r})."
        report.seconds = asyncio.get_running_loop().time() - began
        self.last = report
        return report

    async def look(self, is_whole: bool = False) -> Reconciliation:
        """The minute's look at account, activities, positions and cash."""
        report = Reconciliation("running", self._clock.now_ns())
        async with self._lock:
            await self._take_activities(report, is_whole)
            await self._compare(report)
        if report.adopted or report.differs:
            self.last = report
        return report

    async def accept(self, what: str, reason: str) -> AccountEvent:
        """The entry that makes up for a difference, as it is now; raises BrokerError."""
        report = await self.run("accept")
        if not report.is_complete or not self._is_settled():
            raise BrokerError(
                report.trouble or "what Alpaca has filled is not known yet; try later."
            )
        now_ns = self._clock.now_ns()
        return adjustment(self._ledger, what, self.positions, self.cash, reason, now_ns)

    # --- orders ------------------------------------------------------------------------------

    async def _take_orders(self, report: Reconciliation) -> None:
        """Open orders and those closed lately; then each of ours that is in neither list."""
        asked_ns = self._clock.now_ns()
        local = {track.broker_id for track in self._tracks.open() if track.broker_id}
        seen_ids = await self.take_open_orders(report)
        if local - seen_ids:
            for row in await self._api.orders(
                "closed", min(self.since_ns or asked_ns, asked_ns) - DAY
            ):
                seen_ids |= await self._take(row, report)
        for broker_id in local - seen_ids:
            track = self._tracks.by_broker_id.get(broker_id)
            if track is not None and not track.is_over and not await self._sender.refresh(track):
                report.differs.append(
                    f"order {track.order.id} is open here, but Alpaca could not show it."
                )

    async def take_open_orders(self, report: Reconciliation) -> set[str]:
        """Every open order at the venue; gives their ids back, legs included."""
        seen_ids: set[str] = set()
        rows = await self._api.orders("open")
        orphans: dict[str, str] = {}
        for row in rows:
            seen_ids |= await self._take(row, report, orphans)
        self.orphans = orphans
        return seen_ids

    async def _take(
        self, row: Mapping[str, Any], report: Reconciliation, orphans: dict[str, str] | None = None
    ) -> set[str]:
        """One listed order; `orphans` are gathered where those are listed that are open."""
        seen = read_order(row)
        if seen is None:
            return set()
        known, is_strange = self._tracks.find(seen), self._is_strange(seen)
        if is_strange and orphans is not None:  # or is it over to us, and forgotten?
            known = await self._strangers.find(seen.id, self._strangers.name_of(seen))
        before = None if known is None else (known.told, known.booked)
        track = self._teller.take_order(seen)
        if track is not None and before != (track.told, track.booked):
            report.adopted.append(f"order {track.order.id} is {track.told} at Alpaca.")
        elif track is None and is_strange:
            # Only before strategies run: from then on their orders may have its number.
            is_at_start = orphans is not None and report.why == "start" and self.last is None
            if not (is_at_start and self._adopt(row, seen, report)):
                self._note_stranger(seen, report, orphans)
        return {seen.id, *(leg.id for leg in seen.legs)}

    def _is_strange(self, seen: VenueOrder) -> bool:
        return not any(self._tracks.find(one) for one in (seen, *seen.legs))

    def _adopt(self, row: Mapping[str, Any], seen: VenueOrder, report: Reconciliation) -> bool:
        order = adopted(row, seen, self._tracks.prefix, self._run)
        if order is None or seen.symbol not in self._symbols or self._is_numbered(order):
            return False
        self._put(Adopted(order))
        self._tracks.add(order)
        words = f"{plain(order.quantity)} {order.symbol}, {order.side}, as order {order.id}"
        report.adopted.append(f"an order of this run that its database did not know: {words}.")
        _log.error("an open order of this run that its database did not know is taken: %s", words)
        self._teller.take_order(seen)
        return True

    def _is_numbered(self, order: Order) -> bool:
        """True when the database has given this number away: what became of it is in there."""
        return int(order.id.rpartition("-")[2]) <= self._order_count

    def _note_stranger(
        self, seen: VenueOrder, report: Reconciliation, orphans: dict[str, str] | None
    ) -> None:
        self._strangers.note(seen)
        if orphans is None:
            return
        size = plain(seen.quantity) if seen.quantity is not None else "an amount of money of"
        words = f"{seen.side} {size} {seen.symbol} ({seen.client_id})"
        if not self._tracks.is_ours(seen):
            report.found.append(f"an order that is not ours: {words}; it is not touched.")
            return
        orphans[seen.id] = words
        if seen.id not in self.orphans:
            report.adopted.append(f"an order of ours that this run does not know: {words}.")
            _log.error("an order of ours that this run does not know is open: %s", words)

    # --- activities --------------------------------------------------------------------------

    async def _take_activities(self, report: Reconciliation, is_whole: bool) -> None:
        """Day and date is all that fees have, so now and then a whole day is read again."""
        now_ns = self._clock.now_ns()
        is_sweep = is_whole or now_ns - self._swept_ns > _SWEEP_NS
        is_sweep = is_sweep or self._tracks.has_inferred(now_ns - _SWEEP_NS)
        after_ns = min(self.since_ns, now_ns) - DAY if is_sweep else now_ns - _OVERLAP_NS
        for row in await self._api.activities(after_ns):
            if row.get("activity_type") == "FILL":
                await self._take_fill(row, report)
            else:
                self._take_event(row, report)
        if is_sweep:  # only now: what could not be read is asked for again
            self._swept_ns = self.since_ns = self._ledger.read_until_ns = now_ns
            told = self._told_events.items()
            self._told_events = {id: at for id, at in told if at > after_ns - KEPT_NS}

    async def _take_fill(self, row: Mapping[str, Any], report: Reconciliation) -> None:
        execution = read_fill(row)
        if execution is None or key_of(execution) in self.known_keys:
            return
        track = self._tracks.by_broker_id.get(execution.broker_order_id)
        if track is not None:
            self._take_own(track, execution, report)
        elif not self._ledger.has_base:
            self._ledger.skip(str(row["id"]), execution.at_ns)
        elif str(row["id"]) not in self._ledger.seen:
            await self._take_strange(str(row["id"]), execution, report)

    def _take_own(self, track: Track, execution: Execution, report: Reconciliation) -> None:
        before = track.booked
        self._teller.take_execution(execution, "activity")
        if track.booked != before:
            report.adopted.append(
                f"a fill of order {track.order.id}: {plain(execution.quantity)} "
                f"{execution.symbol} at {plain(execution.price)}."
            )

    async def _take_strange(self, id: str, execution: Execution, report: Reconciliation) -> None:
        """A fill of an order that we do not follow: somebody else's, or one we have forgotten."""
        order_id = execution.broker_order_id
        if await self._strangers.is_foreign(order_id):
            self._ledger.book_foreign(id, execution)
            report.found.append(
                f"a fill that is not ours: {execution.side} {plain(execution.quantity)} "
                f"{execution.symbol} at {plain(execution.price)}."
            )
        elif order_id in self._tracks.by_broker_id:
            self._take_own(self._tracks.by_broker_id[order_id], execution, report)

    def _take_event(self, row: Mapping[str, Any], report: Reconciliation) -> None:
        event = read_account_event(row)
        if event is None or event.id in self._told_events:
            return
        if not self._ledger.has_base:
            self._ledger.skip(event.id, event.at_ns)
            self._told_events[event.id] = event.at_ns
            return
        if self._ledger.book_event(event):
            report.adopted.append(
                f"{event.kind} of {plain(event.amount)}"
                + (f" and {plain(event.quantity)} {event.symbol}." if event.quantity else ".")
            )
        self._told_events[event.id] = event.at_ns
        self._put(AccountBooked(event))

    # --- executions that are missing ---------------------------------------------------------

    def note_gap(self, track: Track) -> None:
        """The venue has filled more than we know of: wait a little, then ask."""
        if track.order.id not in self._gaps:
            self._gaps.add(track.order.id)
            self._sender.spawn(self._close_gap_later(track))

    async def _close_gap_later(self, track: Track) -> None:
        try:
            for seconds in _GAP_WAITS:
                await asyncio.sleep(seconds)
                if track.missing:
                    await self._close_gap(track)
            if track.missing and track.newest is not None:
                self._teller.infer(track, track.newest)
        except Unread:
            return  # the next look finds it again
        finally:
            self._gaps.discard(track.order.id)

    async def _close_gap(self, track: Track) -> None:
        after_ns = (track.newest.submitted_ns if track.newest else self.since_ns) - _OVERLAP_NS
        for row in await self._api.activities(after_ns):
            execution = read_fill(row) if row.get("activity_type") == "FILL" else None
            if execution is not None and execution.broker_order_id == track.broker_id:
                self._teller.take_execution(execution, "activity")

    async def _close_gaps(self) -> None:
        """Ask once more for what is missing; only then is it inferred."""
        for track in [one for one in self._tracks.by_id.values() if one.missing]:
            await self._close_gap(track)
            if track.missing and track.newest is not None:
                self._teller.infer(track, track.newest)

    # --- positions and cash ------------------------------------------------------------------

    async def _compare(self, report: Reconciliation) -> None:
        quantities: dict[str, str] = {}
        cash: str | None = None
        for look in range(_LOOKS):
            before = self._version()
            positions = await self._read_account()
            if not self._ledger.has_base and self._is_settled():
                positions = await self._take_base(report, positions)
            quantities = self._ledger.quantity_differences(positions)
            cash = self._ledger.cash_difference(self.cash)
            is_still = before == self._version() and self._is_settled()
            if (is_still and not quantities and cash is None) or look + 1 == _LOOKS:
                break
            await asyncio.sleep(_BETWEEN_LOOKS)
            await self._take_activities(report, is_whole=look > 0)
        if not self._ledger.has_base or not self._is_settled():
            return  # what is not known yet cannot be compared
        self._judge(report, quantities, cash)
        self._describe(report, positions)

    def _is_settled(self) -> bool:
        """Nothing is perhaps at the venue, and every execution that it has spoken of is known."""
        tracks = self._tracks
        return not tracks.unsure() and not any(one.missing for one in tracks.by_id.values())

    def _version(self) -> tuple[int, int]:
        return self._ledger.told, len(self._ledger.seen)

    async def _read_account(self) -> dict[str, Decimal]:
        self.account = await self._api.read("/account", needs="cash")
        account_state.apply(self.account, self._restrictions)
        self.cash = read_number(self.account.get("cash") or 0)
        self.positions = read_positions(await self._api.read("/positions"))
        self.on_positions(self.positions)
        return self.positions

    async def _take_base(
        self, report: Reconciliation, positions: dict[str, Decimal]
    ) -> dict[str, Decimal]:
        """What happens between the reading of activities and account would be counted twice."""
        while True:
            known = self._version()
            await self._take_activities(report, is_whole=True)
            if known == self._version():
                self._ledger.begin(self.cash, positions)
                return positions
            positions = await self._read_account()

    def _judge(self, report: Reconciliation, quantities: dict[str, str], cash: str | None) -> None:
        report.differs += quantities.values()
        for symbol, sentence in quantities.items():
            self._restrictions.impose("quantity_differs", sentence, TradingState.HALTED, symbol)
        for code in ("quantity_differs", "trade_corrected"):
            self._restrictions.keep_only(code, set(quantities))
        if cash is not None:
            report.differs.append(cash)
            self._restrictions.impose("cash_differs", cash)
        else:
            self._restrictions.lift("cash_differs")

    def _describe(self, report: Reconciliation, positions: Mapping[str, Decimal]) -> None:
        number = self.account.get("account_number")
        report.found.insert(0, f"account {number} with {self.cash:,.2f} of cash.")
        for symbol, quantity in sorted(positions.items()):
            strange = self._ledger.foreign.get(symbol, ZERO)
            words = f", of which {plain(strange)} not ours" if strange else ""
            report.found.append(f"{plain(quantity)} {symbol}{words}.")
        for what, amount in self._ledger.fees_due().items():
            report.found.append(f"fees of up to {amount} {what} that are not posted yet.")


def _ignore(_: object) -> None:
    """Nobody wants to know."""
