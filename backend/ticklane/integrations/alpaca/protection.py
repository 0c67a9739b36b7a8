"""Protection: exits that ended with the day are put up again, so that no position is left bare.

Alpaca gives the exits of an entry the entry's time in force. Those of a market entry are sent good
till cancelled; those of a limit or stop entry for the day end with it, filled or not. When it is
asked for, they are put up again at once, good till cancelled, to work from the next open on. The
new order has an id made of the old one's, so that doing it twice makes one order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ticklane.core.money import ZERO
from ticklane.core.order import Order, OrderClass, OrderStatus, OrderType, TimeInForce
from ticklane.integrations.alpaca.answers import Kind, judge
from ticklane.integrations.alpaca.api import Api
from ticklane.integrations.alpaca.convert import VenueOrder, order_body
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import Track, Tracks

_log = logging.getLogger("ticklane.alpaca")
_AGAIN: Final = "-again"
_WAITS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_ENDED: Final = (OrderStatus.EXPIRED, OrderStatus.CANCELED)


class Protection:
    """Puts exits up again that have expired while their position is still there."""

    def __init__(
        self,
        api: Api,
        tracks: Tracks,
        teller: Teller,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._api, self._tracks, self._teller, self._spawn = api, tracks, teller, spawn
        self._at_work: set[str] = set()  # ids of entries
        teller.on_expiry = self.note_expiry

    def note_expiry(self, leg: Track) -> bool:
        """Whether an order that has expired, or was cancelled with such a one, is put up again."""
        entry = self._tracks.by_id.get(leg.order.parent_id or "")
        if entry is None or not entry.booked or leg.is_cancel_wanted:
            return False
        if entry.order.order_class is OrderClass.OCO or _remaining(entry) <= ZERO:
            return False
        is_at_work = entry.order.id in self._at_work
        if leg.newest is not None and leg.newest.end is OrderStatus.CANCELED:
            return is_at_work  # with the other one, which has expired
        if not is_at_work:
            self._at_work.add(entry.order.id)
            self._spawn(self._arm(entry))
        return True

    async def _arm(self, entry: Track) -> None:
        try:
            await asyncio.sleep(_WAITS[0])  # the other exit ends at the same moment
            legs = [leg for leg in entry.legs if not leg.is_over and not leg.is_cancel_wanted]
            if not legs or _remaining(entry) <= ZERO or not all(map(_has_ended, legs)):
                self._give_up(legs)
                return
            again = _again(legs, entry)
            seen = await self._send(again)
            if seen is None:
                _log.error("exits of order %s have expired and were refused", entry.order.id)
                self._give_up(legs)
                return
            self._take_over(legs, seen)
        finally:
            self._at_work.discard(entry.order.id)

    async def _send(self, again: Order) -> VenueOrder | None:
        """Post until it is clear what became of it; None when it was refused."""
        for wait in (*_WAITS, *(_WAITS[-1:] * 1_000)):
            answer = judge(await self._api.write("POST", "/orders", order_body(again)), again)
            if answer.kind is Kind.REFUSED:
                return None
            if answer.kind is not Kind.ACCEPTED:
                asked = {"client_order_id": again.client_order_id}
                reply = await self._api.look_up("/orders:by_client_order_id", asked)
                answer = judge(reply, again)
            if answer.kind is Kind.ACCEPTED and answer.order is not None:
                return answer.order
            await asyncio.sleep(wait)
        return None

    def _take_over(self, legs: list[Track], seen: VenueOrder) -> None:
        """The new orders of the venue are our exits from now on."""
        targets = {leg: one for leg in legs for one in (seen, *seen.legs) if _is_same(leg, one)}
        for leg, one in targets.items():
            self._tracks.unbind(leg)
            self._tracks.bind(leg, one.id)
            self._teller.tell_broker_id(leg)
        for one in targets.values():
            self._teller.take_order(one._replace(legs=()))

    def _give_up(self, legs: list[Track]) -> None:
        for leg in legs:
            self._teller.tell_end(leg)


def _remaining(entry: Track) -> Any:
    return entry.booked - sum((leg.booked for leg in entry.legs), ZERO)


def _has_ended(leg: Track) -> bool:
    return leg.newest is not None and leg.newest.end in _ENDED


def _is_same(leg: Track, seen: VenueOrder) -> bool:
    return (leg.order.type is OrderType.LIMIT) is (seen.type == OrderType.LIMIT)


def _again(legs: list[Track], entry: Track) -> Order:
    """One order that does what these exits did: the target with the stop, or the only one."""
    ordered = sorted(legs, key=lambda leg: leg.order.type is not OrderType.LIMIT)
    first = ordered[0].order
    quantity = _remaining(entry)
    again = Order(first.id, first.strategy, first.symbol, first.side, quantity, first.created_ns)
    again.client_order_id = first.client_order_id + _AGAIN
    again.type, again.time_in_force = first.type, TimeInForce.GTC
    again.limit_price, again.stop_price = first.limit_price, first.stop_price
    if len(ordered) > 1:
        again.order_class = OrderClass.OCO
        again.legs = (ordered[1].order,)
    return again
