"""Protection: exits that ended with the day are put up again, so that no position is left bare.

Alpaca gives the exits of an entry the entry's time in force. Those of a market entry are sent good
till cancelled; those of a limit or stop entry for the day end with it, filled or not. When it is
asked for, they are put up again at once, good till cancelled, to work from the next open on. The
new order has an id made of the old one's, so that doing it twice makes one order.
"""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from typing import Final

from ticklane.core.money import ZERO
from ticklane.core.order import Order, OrderClass, OrderStatus, OrderType, Side, TimeInForce
from ticklane.integrations.alpaca.answers import Kind, back_off, judge
from ticklane.integrations.alpaca.api import Api, Unread
from ticklane.integrations.alpaca.convert import VenueOrder, order_body, read_positions
from ticklane.integrations.alpaca.sending import Sender
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import Track, Tracks

_log = logging.getLogger("ticklane.alpaca")
_AGAIN: Final = "-again"
_LOOKS: Final = 6  # that could be read, before an exit counts as one that goes on alone
_ENDED: Final = (OrderStatus.EXPIRED, OrderStatus.CANCELED)
_WITH_EXITS: Final = (OrderClass.BRACKET, OrderClass.OTO)


class Protection:
    """Puts exits up again that have expired while their position is still there."""

    def __init__(self, api: Api, tracks: Tracks, teller: Teller, sender: Sender) -> None:
        self._api, self._tracks, self._teller, self._sender = api, tracks, teller, sender
        self._at_work: set[str] = set()  # ids of entries
        teller.on_expiry = self.note_expiry

    def note_expiry(self, leg: Track) -> bool:
        """Whether an order that has expired, or was cancelled, is perhaps put up again."""
        entry = self._tracks.by_id.get(leg.order.parent_id or "")
        if entry is None or entry.order.order_class not in _WITH_EXITS:
            return False
        if leg.is_cancel_wanted or self._remaining(entry) <= ZERO:
            return False
        if entry.order.id not in self._at_work:
            self._at_work.add(entry.order.id)
            self._sender.spawn(self._arm(entry))
        return True

    async def _arm(self, entry: Track) -> None:
        try:
            legs = await self._ended(entry)
            if not all(map(_is_done, legs)):
                _log.error("some exits of order %s have ended, and some go on", entry.order.id)
            elif any(map(_has_expired, legs)):
                held = await self._held(entry)
                quantity = min(self._remaining(entry), held)
                if quantity > ZERO:
                    await self._put_up(legs, quantity)
            for leg in self._tracks.exits(entry):
                if not leg.is_over and not leg.missing:
                    self._teller.tell_end(leg)
        finally:
            self._at_work.discard(entry.order.id)

    async def _ended(self, entry: Track) -> list[Track]:
        """The exits that are left: they end together, whichever is heard of first."""
        attempt = looks = 0
        while True:
            await asyncio.sleep(back_off(attempt))
            attempt += 1
            exits = [one for one in self._tracks.exits(entry) if one.broker_id is not None]
            legs = [leg for leg in exits if not leg.is_over and not leg.is_cancel_wanted]
            waiting = [leg for leg in legs if not _is_done(leg)]
            if not waiting or looks == _LOOKS:
                return legs
            looks += all([await self._sender.refresh(leg) for leg in waiting])

    async def _held(self, entry: Track) -> Decimal:
        """How much there is to protect at the venue, whoever has changed it."""
        attempt = 0
        while True:
            try:
                held = read_positions(await self._api.read("/positions"))
            except Unread:
                await asyncio.sleep(back_off(attempt))
                attempt += 1
            else:
                signed = held.get(entry.order.symbol, ZERO)
                return signed if entry.order.side is Side.BUY else -signed

    async def _put_up(self, legs: list[Track], quantity: Decimal) -> None:
        seen = await self._send(_again(legs, quantity))
        if seen is None:
            _log.error("exits of order %s have expired and were refused", legs[0].order.parent_id)
            return
        self._take_over(legs, seen)
        for leg in legs:
            if leg.is_cancel_wanted:  # since it was sent
                self._sender.drop_late(leg)

    async def _send(self, again: Order) -> VenueOrder | None:
        """Post until it is clear what became of it; None when it was refused."""
        for attempt in range(1_000):
            answer = judge(await self._api.write("POST", "/orders", order_body(again)), again)
            if answer.kind is Kind.REFUSED:
                return None
            if answer.kind is not Kind.ACCEPTED:
                asked = {"client_order_id": again.client_order_id}
                reply = await self._api.look_up("/orders:by_client_order_id", asked)
                answer = judge(reply, again)
            seen = answer.order
            if seen is not None and len(seen.legs) < len(again.legs):  # not all answers have them
                reply = await self._api.look_up(f"/orders/{seen.id}", {"nested": "true"})
                seen = judge(reply, again).order
            if seen is not None and len(seen.legs) == len(again.legs):
                return seen
            await asyncio.sleep(back_off(attempt))
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

    def _remaining(self, entry: Track) -> Decimal:
        """What is left of the position by what the venue has spoken of, told or not."""
        exits = self._tracks.exits(entry)
        return self._tracks.bought(entry) - sum((one.filled for one in exits), ZERO)


def _is_done(leg: Track) -> bool:
    return leg.newest is not None and leg.newest.end in _ENDED and not leg.missing


def _has_expired(leg: Track) -> bool:
    return leg.newest is not None and leg.newest.end is OrderStatus.EXPIRED


def _is_same(leg: Track, seen: VenueOrder) -> bool:
    return (leg.order.type is OrderType.LIMIT) is (seen.type == OrderType.LIMIT)


def _again(legs: list[Track], quantity: Decimal) -> Order:
    """One order that does what these exits did: the target with the stop, or the only one."""
    ordered = sorted(legs, key=lambda leg: leg.order.type is not OrderType.LIMIT)
    first = ordered[0].order
    again = Order(first.id, first.strategy, first.symbol, first.side, quantity, first.created_ns)
    again.client_order_id = first.client_order_id + _AGAIN
    again.type, again.time_in_force = first.type, TimeInForce.GTC
    again.limit_price, again.stop_price = first.limit_price, first.stop_price
    if len(ordered) > 1:
        again.order_class = OrderClass.OCO
        again.legs = (ordered[1].order,)
    return again
