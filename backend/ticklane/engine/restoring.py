"""Takes the orders and fills of an interrupted run back to a desk."""

from __future__ import annotations

from collections.abc import Sequence

from ticklane.core.correction import book_again
from ticklane.core.order import Order, OrderEvent, OrderStatus
from ticklane.engine.desk import CANCEL_REQUESTED, Desk
from ticklane.interfaces import Recovered

_SENDING = OrderStatus.SENDING


def restore(desk: Desk, recovered: Recovered) -> None:
    """Take open orders and all fills of an interrupted run back into the books.

    What was durable but perhaps not sent goes out again, in the order of the journal. Orders that
    are over are known again, since a venue may still speak of them.
    """
    for order in recovered.orders:
        desk.orders[order.id] = order
        lane = desk.open.setdefault(order.symbol, {})
        if order.is_open:
            lane[order.id] = order
    desk.flips.restore(desk.orders.values())
    _resend_all(desk, recovered.steps)
    for order in recovered.closed:
        desk.orders.setdefault(order.id, order)
        desk.open.setdefault(order.symbol, {})  # a late fill opens it again
    for fill in recovered.fills:
        owner = desk.orders.get(fill.order_id)
        if owner is not None and fill.execution_id not in owner.executions:
            owner.executions += (fill.execution_id,)
        book_again(desk.portfolio.books[fill.strategy], fill)


def _resend_all(desk: Desk, journal: Sequence[OrderEvent]) -> None:
    asked = {s.order_id: s for s in journal if s.to_status is _SENDING and not _cancels(s)}
    for step in journal:
        if _cancels(step) or asked.get(step.order_id) is step:
            _resend(desk, desk.orders[step.order_id], step)


def _resend(desk: Desk, order: Order, step: OrderEvent) -> None:
    """Ask again what this step of the journal asked and nobody has answered."""
    if _cancels(step):
        desk.outgoing.append(("cancel", order, None))
    elif order.status is not _SENDING:
        return
    elif order.replaces_id in desk.orders:
        desk.outgoing.append(("replace", desk.orders[order.replaces_id], order))
    elif order.parent_id is None:
        desk.outgoing.append(("submit", order, None))


def _cancels(step: OrderEvent) -> bool:
    """True for the step that asks for a cancel."""
    return step.evidence == CANCEL_REQUESTED
