"""Adoption: orders that no strategy knows of have a book of their own, without cash."""

from __future__ import annotations

from collections.abc import Iterable

from ticklane.core.adoption import ORPHAN
from ticklane.core.money import ZERO
from ticklane.core.order import Fill, Order
from ticklane.core.portfolio import Portfolio
from ticklane.engine.desk import Desk


def adopt(desk: Desk, order: Order) -> None:
    """Follow an order from now on; no later one will have its number."""
    if order.id in desk.orders:
        return
    open_orphan_book(desk.portfolio, [order])
    desk.orders[order.id] = order
    desk.open.setdefault(order.symbol, {})[order.id] = order
    desk.maker.number = max(desk.maker.number, int(order.id.rpartition("-")[2]))
    desk.journal(order, None, order.created_ns, "found at the venue")


def open_orphan_book(portfolio: Portfolio, found: Iterable[Order | Fill]) -> None:
    """Make the book where one of these belongs to no strategy."""
    if ORPHAN not in portfolio.books and any(one.strategy == ORPHAN for one in found):
        portfolio.open_book(ORPHAN, ZERO)
