"""Orders through zero where the venue takes none: one closes, the next opens when that is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ticklane.core.money import exact
from ticklane.core.order import Order, OrderClass, OrderStatus, Refusal, Side

if TYPE_CHECKING:
    from ticklane.engine.desk import Desk

_S = OrderStatus
_NEVER_SENT = (_S.UNKNOWN, _S.QUARANTINED, _S.NOT_SENT)  # the legal way from SENDING


class Flips:
    """The second halves of orders through zero, each waiting for the order that closes.

    A second half is durable from the start, with the first; until it is sent it is SENDING and
    names the order it waits for as its parent, so that a restart finds it. When the position is
    closed it loses the parent and goes out; when that can no more be, it ends as NOT_SENT.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.waiting: dict[str, Order] = {}  # id of the order that closes -> the one after it

    def split(self, order: Order) -> Order | None:
        """Cut an order down to what closes the account's position; the rest is given back."""
        desk = self._desk
        net = desk.portfolio.net(order.symbol)
        is_closing = bool(net) and (net > 0) is (order.side is Side.SELL)
        last = desk.price(order.symbol)
        if not is_closing or last is None or order.order_class is OrderClass.OCO:
            return None
        price = exact(last)
        quantity = order.quantity if order.notional is None else order.notional / price
        if quantity <= abs(net):
            return None
        second = desk.maker.second_half(order, abs(net), price)
        self.waiting[order.id] = second
        return second

    def waiting_with(self, order: Order) -> Order | None:
        """The second half that waits and that this order is, or is an exit of."""
        for second in self.waiting.values():
            if order is second or order in second.legs:
                return second
        return None

    def note_end(self, order: Order, at_ns: int) -> None:
        """Where an order that closes has ended: send what waits for it, or end that as well."""
        second = self.waiting.get(order.id)
        if second is None or order.is_open:
            return
        del self.waiting[order.id]
        if order.status is _S.FILLED:
            second.parent_id = None
            self._desk.journal(second, second.status, at_ns, f"{order.id} has closed the position")
            self._desk.outgoing.append(("submit", second, None))
        elif order.status is _S.REPLACED:
            lane = self._desk.open[order.symbol].values()
            heir = next(one for one in lane if one.replaces_id == order.id)
            second.parent_id = heir.id
            self.waiting[heir.id] = second
            self._desk.journal(second, second.status, at_ns, f"waits for {heir.id}")
        else:
            sentence = f"not sent, since {order.id}, which was to close first, is {order.status}."
            never_send(self._desk, second, Refusal("not_closed", sentence), at_ns)

    def cancel(self, second: Order, at_ns: int) -> None:
        """End an order that still waits; nothing has to be asked of the venue."""
        del self.waiting[second.parent_id or ""]
        never_send(self._desk, second, Refusal("canceled", "cancelled before it was sent."), at_ns)

    def restore(self, orders: Iterable[Order]) -> None:
        """Find what waited when the run was interrupted."""
        found = {order.id: order for order in orders}
        for order in found.values():
            first = found.get(order.parent_id or "")
            if first is not None and first.order_class is OrderClass.SIMPLE:
                first.legs = ()  # what names it as parent does not go with it
                self.waiting[first.id] = order


def never_send(desk: Desk, order: Order, reason: Refusal, at_ns: int) -> None:
    """End an order, and its exits, that was made but has not left the house."""
    for one in (order, *order.legs):
        for status in _NEVER_SENT:
            before = one.status
            one.advance(status, reason)
            desk.journal(one, before, at_ns, reason.sentence)
        desk.open[one.symbol].pop(one.id, None)
        desk.notify_order(one)
