"""Tracks: what the lane was told about each order, and by which ids the venue knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from ticklane.core.correction import INFERRED, TAKEN_BACK
from ticklane.core.money import ZERO
from ticklane.core.order import TERMINAL, Fill, Order, OrderClass, OrderStatus, OrderType
from ticklane.integrations.alpaca.convert import VenueOrder, is_of
from ticklane.integrations.alpaca.inferred import Inferred, broker_order_of

_S = OrderStatus
UNSURE: Final = (_S.SENDING, _S.UNKNOWN, _S.QUARANTINED)  # the venue has not spoken yet
NOT_THERE: Final = (*UNSURE, _S.NOT_SENT)


class Track:
    """One order of ours: what was told of it so far. The order itself is the lane's to change."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.told = order.status
        self.broker_id = order.broker_order_id
        self.size = order.quantity  # as told; zero while an amount of money has not filled
        self.booked = order.filled_quantity
        self.keys: set[str] = set()  # of the executions told
        self.filled = order.filled_quantity  # the most that the venue has spoken of
        self.value = ZERO  # what the executions told were worth
        self.past: dict[str, Decimal] = {}  # orders of the venue it was before -> inferred of them
        self.earlier = ZERO  # filled by those
        self.inferred: Inferred | None = None  # what was told without executions
        self.newest: VenueOrder | None = None
        self.legs: tuple[Track, ...] = ()
        self.replaces: Track | None = None
        self.is_cancel_wanted = order.is_cancel_pending
        self.asked_at: float | None = None  # loop time since when an answer or event is due
        self._changed: asyncio.Event | None = None  # made for whoever waits: most orders have none

    @property
    def is_over(self) -> bool:
        """True once the lane was told an end."""
        return self.told in TERMINAL

    @property
    def is_there(self) -> bool:
        """True while the order may be open at the venue, whatever the lane was told."""
        if self.newest is not None and self.newest.end is not None:
            return False
        return not self.is_over or self.told is _S.REJECTED

    def is_needed(self, before_ns: int) -> bool:
        """True while it is open, incomplete, or was so at the venue after this instant."""
        newest = self.newest
        if not self.is_over or not self.is_told:
            return True
        return newest is not None and (newest.end is None or newest.updated_ns > before_ns)

    @property
    def is_nameless(self) -> bool:
        """True for a leg as long as its entry's answer has not told what the venue calls it."""
        return self.broker_id is None and self.order.replaces_id is None

    @property
    def missing(self) -> Decimal:
        """What the venue has filled, but no execution that we know explains."""
        return max(self.filled - self.booked, ZERO)

    @property
    def is_told(self) -> bool:
        """True when every execution that the venue has spoken of is known."""
        return not self.missing and (self.inferred is None or not self.inferred.quantity)

    def is_past(self, seen: VenueOrder) -> bool:
        """True for a picture of an order of the venue that another one has taken over from."""
        is_other = self.broker_id not in (None, seen.id)
        return is_other and (seen.id in self.past or seen.end is not None)

    def infer(self, fill: Fill) -> None:
        """An inferred fill was booked; real executions are to take its place."""
        if self.inferred is None:
            self.inferred = Inferred()
        self.inferred.add(fill)

    def is_newer(self, seen: VenueOrder) -> bool:
        """False for a picture that was taken before what we know already."""
        last = self.newest
        if last is None:
            return True
        if seen.filled < last.filled or (last.end is not None and seen.end is None):
            return False
        return seen.updated_ns >= last.updated_ns or seen.end is not None

    def note(self, seen: VenueOrder) -> None:
        """Keep the newest picture of the order at the venue."""
        self.filled = max(self.filled, self.earlier + seen.filled)
        if self.is_newer(seen):
            self.newest = seen

    def note_change(self) -> None:
        """Let those go on that wait."""
        if self._changed is not None:
            self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait until something about it is told, at most so long."""
        if self._changed is None:
            self._changed = asyncio.Event()
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return


class Tracks:
    """All tracks, found by our id, by client order id and by the venue's id."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix  # of client order ids of this installation
        self.by_id: dict[str, Track] = {}
        self.by_client_id: dict[str, Track] = {}
        self.by_broker_id: dict[str, Track] = {}
        self._open: dict[str, Track] = {}  # and some that are over since it was asked for

    def add(self, order: Order) -> Track:
        """Follow an order with its legs; the same order again is the same track."""
        found = self.by_id.get(order.id)
        if found is not None:
            return found
        track = Track(order)
        self.by_id[order.id] = self.by_client_id[order.client_order_id] = track
        self._open[order.id] = track
        if track.broker_id is not None:
            self.by_broker_id[track.broker_id] = track
        track.legs = tuple(self.add(leg) for leg in order.legs)
        if order.replaces_id is not None:
            track.replaces = self.by_id.get(order.replaces_id)
        return track

    def remember(self, orders: Iterable[Order]) -> None:
        """Follow what the database knows, entries with their exits."""
        known = {order.id: order for order in orders}
        for order in known.values():
            _link(order, known)
        for order in known.values():
            if not _waits(order, known):
                self.add(order)

    def find(self, seen: VenueOrder) -> Track | None:
        """The track of an order that the venue shows."""
        known = self.by_broker_id.get(seen.id)
        if known is not None:
            return known
        named = self.by_client_id.get(seen.client_id)
        return named if named is not None and is_of(named.order, seen) else None

    def take_back(self, fill: Fill) -> None:
        """A fill that the database has."""
        track = self.by_id.get(fill.order_id)
        if track is not None:
            track.keys.add(fill.execution_id)
            size = abs(fill.quantity) if fill.rule != TAKEN_BACK else -abs(fill.quantity)
            track.value += size * fill.price
            of = broker_order_of(fill)
            if of and of != track.broker_id:
                is_real = fill.rule not in (INFERRED, TAKEN_BACK)
                self._retire(track, of, ZERO if is_real else size)
                track.earlier += size
            elif fill.rule == INFERRED:
                track.infer(fill)
            elif fill.rule == TAKEN_BACK and track.inferred is not None:
                track.inferred.restore(fill)

    def unbind(self, track: Track) -> None:
        """What the venue knew it by is over, and another order of the venue takes its place."""
        if track.broker_id is not None:
            inferred = ZERO if track.inferred is None else track.inferred.quantity
            self._retire(track, track.broker_id, inferred)
        track.broker_id, track.newest, track.earlier = None, None, track.booked
        track.inferred = None

    def _retire(self, track: Track, broker_id: str, inferred: Decimal) -> None:
        """Its executions may still be told, again or late."""
        track.past[broker_id] = track.past.get(broker_id, ZERO) + inferred
        self.by_broker_id[broker_id] = track

    def bind(self, track: Track, broker_id: str) -> None:
        """The venue knows it by this id."""
        track.broker_id = broker_id
        self.by_broker_id[broker_id] = track

    def is_ours(self, seen: VenueOrder) -> bool:
        """True for an order of this installation, also one that we do not know."""
        return self.find(seen) is not None or bool(
            self.prefix and seen.client_id.startswith(self.prefix)
        )

    def leg_for(self, track: Track, seen: VenueOrder) -> Track | None:
        """Which of our legs this one of the venue's is: legs carry no client order ids."""
        known = self.find(seen)
        if known is not None:
            return known
        is_target = seen.type == OrderType.LIMIT
        for leg in track.legs:
            if leg.broker_id is None and (leg.order.type is OrderType.LIMIT) is is_target:
                return leg
        return None

    def exits(self, entry: Track) -> list[Track]:
        """The legs of an entry, and what has replaced them."""
        return [one for one in self.by_id.values() if one.order.parent_id == entry.order.id]

    def bought(self, entry: Track) -> Decimal:
        """What an entry and whatever has replaced it have filled, told or not."""
        links = [entry]
        for one in self.by_id.values():  # what replaces is younger than what it replaces
            if any(one.replaces is link for link in links):
                links.append(one)
        return sum((link.filled for link in links), ZERO)

    def open(self) -> list[Track]:
        """Those the lane has not been told an end of."""
        for order_id in [id for id, track in self._open.items() if track.is_over]:
            del self._open[order_id]
        return list(self._open.values())

    def reopen(self, track: Track) -> None:
        """It was over, but has filled again."""
        self._open[track.order.id] = track

    def unnamed(self) -> list[Track]:
        """Entries that the venue knows, with exits of which we do not know what it calls them."""
        return [
            track
            for track in self.by_id.values()
            if track.broker_id is not None
            and any(leg.is_nameless and not leg.is_over for leg in track.legs)
        ]

    def unsure(self) -> list[Track]:
        """Those of which the venue has not spoken."""
        return [track for track in self.open() if track.told in UNSURE]

    def has_inferred(self, since_ns: int) -> bool:
        """True while something that was inferred lately waits for its executions."""
        found = (track.inferred for track in self.by_id.values() if track.inferred is not None)
        return any(one.since_ns > since_ns for one in found)

    def is_quarantined(self, symbol: str) -> bool:
        """True while an order in the symbol may or may not appear, and is not wanted any more."""
        found = (track for track in self.open() if track.order.symbol == symbol)
        return any(track.told is _S.QUARANTINED for track in found)

    def forget(self, family: Iterable[Order], before_ns: int) -> bool:
        """Let go of an entry and its exits; False when not all are over since before then."""
        tracks = [self.by_id[order.id] for order in family if order.id in self.by_id]
        if any(track.is_needed(before_ns) for track in tracks):
            return False
        self._drop(tracks)
        return True

    def _drop(self, tracks: Iterable[Track]) -> None:
        for track in tracks:
            del self.by_id[track.order.id]
            self._open.pop(track.order.id, None)
            self.by_client_id.pop(track.order.client_order_id, None)
            for broker_id in (track.broker_id or "", *track.past):
                self.by_broker_id.pop(broker_id, None)


def _waits(order: Order, known: Mapping[str, Order]) -> bool:
    """True for the second half of a flip that has not been sent: it is no leg."""
    first = known.get(order.parent_id or "")
    return first is not None and first.order_class is OrderClass.SIMPLE


def _link(order: Order, known: Mapping[str, Order]) -> None:
    """Give an entry this exit of it: the database does so only for those that are open."""
    if order.replaces_id is not None:
        return  # not an exit the entry was sent with
    entry = known.get(order.parent_id or "")
    is_exit = entry is not None and entry.order_class is not OrderClass.SIMPLE
    if entry is not None and is_exit and all(leg.id != order.id for leg in entry.legs):
        entry.legs = (*entry.legs, order)


def counts(tracks: Iterable[Track]) -> dict[str, Any]:
    """How many orders stand where, for `ticklane status`."""
    found: dict[str, int] = {}
    for track in tracks:
        found[str(track.told)] = found.get(str(track.told), 0) + 1
    return found
