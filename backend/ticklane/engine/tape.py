"""Tape: everything that happened in a replay, kept for its result."""

from __future__ import annotations

from array import array
from typing import Any

from ticklane.core.order import Fill, Order
from ticklane.core.portfolio import Book, Portfolio
from ticklane.core.position import Trade


class Tape:
    """Everything that happened in a run, kept for its result."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []
        self.cash: array[Any] = array("d")  # of all books after each fill: made while it is at hand
        self.held: array[Any] = array("d")  # of the fill's symbol, in all books

    def book(self, fill: Fill, trade: Trade | None, book: Book, portfolio: Portfolio) -> None:
        """Keep a fill that has just been booked, the trade it closed, and what they led to."""
        self.fills.append(fill)
        if trade is not None:
            self.trades.append(trade)
        cash, held = book.cash, book.positions[fill.symbol].quantity
        if len(portfolio.books) > 1:
            cash, held = portfolio.cash, portfolio.net(fill.symbol)
        self.cash.append(float(cash))  # append alone would convert it twice
        self.held.append(float(held))
