"""Corrections: real executions in the place of fills that were inferred, booked at once."""

from __future__ import annotations

from decimal import Decimal

from ticklane.core.correction import (
    INFERRED,
    Correction,
    Told,
    expect_correction,
    revised_trades,
)
from ticklane.core.events import FillBooked, TradeRevised
from ticklane.core.money import ZERO
from ticklane.core.order import Fill, Order
from ticklane.core.position import Trade
from ticklane.engine.desk import Desk


def hear(desk: Desk, message: Told) -> None:
    """Book what the broker says of an order."""
    if isinstance(message, Correction):
        _correct(desk, message)
    else:
        desk.take(message)


def _correct(desk: Desk, correction: Correction) -> None:
    """Each execution once, and all of it in one go: what is recorded is the whole of it.

    A strategy has heard of the quantity when it was inferred, so it is not told again.
    """
    update, taken_back = correction
    fill, order = update.fill, desk.orders.get(update.order_id)
    if order is None and desk.on_stray is not None:
        desk.on_stray(correction)
    if order is None or fill is None or fill.execution_id in order.executions:
        return
    book = desk.portfolio.books[order.strategy]
    if fill.rule == INFERRED:
        expect_correction(book, order.symbol)
    for one in taken_back:
        _book(desk, order, one, -abs(one.quantity))
    if taken_back and not fill.quantity + sum((one.quantity for one in taken_back), ZERO):
        _book(desk, order, fill, abs(fill.quantity))
        words = f"{fill.execution_id} in place of {INFERRED}"
        desk.journal(order, order.status, update.at_ns, words)
    else:
        desk.take(update)
    for told, trade in revised_trades(book, order.symbol):
        if desk.events is not None:
            desk.events.append(TradeRevised(told, trade))


def _book(desk: Desk, order: Order, fill: Fill, filled: Decimal) -> None:
    order.executions = (*order.executions, fill.execution_id)
    order.filled_quantity += filled
    trade: Trade | None = desk.portfolio.books[order.strategy].apply(fill)
    if desk.events is not None:
        desk.events.append(FillBooked(fill, trade))
