"""The last look at an order before it leaves: a decision may be older than what restricts it."""

from __future__ import annotations

from ticklane.core.order import Order
from ticklane.engine.desk import Desk
from ticklane.engine.flips import never_send


def is_held_back(desk: Desk, order: Order, at_ns: int) -> bool:
    """Ask the trading states once more; an order that may not leave now ends as NOT_SENT.

    Between decision and sending lie a commit, other strategies of the same instant (which may
    hang) and, for the second half of an order through zero, the first half's fill.
    """
    book = desk.portfolio.books.get(order.strategy)
    if book is None or not order.is_open:
        return False
    open_orders = desk.open.get(order.symbol) or {}
    refusal = desk.risk.trading.late_refusal(order, book, open_orders)
    if refusal is None:
        return False
    never_send(desk, order, refusal, at_ns)
    return True
