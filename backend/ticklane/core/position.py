"""A position with its exact cost, and the trades (round trips) that come out of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from ticklane.core.market import to_datetime
from ticklane.core.money import CASH_STEP, ZERO
from ticklane.core.order import Fill, Side


class Trade(NamedTuple):
    """One round trip from flat to flat (or to the other side), or an open one marked so far.

    Prices are averages over the round trip; `profit` is after `fees`. An open trade has no
    `closed_ns` and its `exit_price` is the last mark.
    """

    strategy: str
    symbol: str
    side: Side  # of the entry
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    opened_ns: int
    closed_ns: int | None
    profit: Decimal
    fees: Decimal

    @property
    def opened_at(self) -> datetime:
        """The instant of the first fill, aware UTC."""
        return to_datetime(self.opened_ns)

    @property
    def closed_at(self) -> datetime | None:
        """The instant of the last fill, aware UTC; None while the trade is open."""
        return None if self.closed_ns is None else to_datetime(self.closed_ns)

    @property
    def is_open(self) -> bool:
        """True while the position has not been closed."""
        return self.closed_ns is None


class Position:
    """What is held of one symbol: signed quantity and total cost, from which averages derive.

    `cost` is signed like the quantity and excludes fees. A partial close takes
    cost x closed / held, rounded to 1e-8, and the remainder stays, so sums are exact.
    """

    __slots__ = (
        "cost",
        "entered",
        "entry_amount",
        "exit_amount",
        "exited",
        "opened_ns",
        "quantity",
        "realised_profit",
        "strategy",
        "symbol",
        "trip_fees",
        "trip_realised",
    )

    def __init__(self, symbol: str, strategy: str = "") -> None:
        self.symbol = symbol
        self.strategy = strategy
        self.quantity: Decimal = ZERO
        self.cost: Decimal = ZERO
        self.realised_profit: Decimal = ZERO  # of everything closed so far, before fees
        self._begin_trip(0)

    def _begin_trip(self, opened_ns: int) -> None:
        self.opened_ns = opened_ns
        self.entered: Decimal = ZERO
        self.entry_amount: Decimal = ZERO
        self.exited: Decimal = ZERO
        self.exit_amount: Decimal = ZERO
        self.trip_realised: Decimal = ZERO
        self.trip_fees: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        """Cost by unit; zero when flat."""
        return self.cost / self.quantity if self.quantity else ZERO

    def unrealised_profit(self, price: Decimal) -> Decimal:
        """What closing at `price` would realise, before fees."""
        return self.quantity * price - self.cost

    def apply(self, fill: Fill, amount: Decimal) -> Trade | None:
        """Book one fill whose value (signed, to 1e-8) is `amount`; return the trade it closes.

        A fill that goes through zero closes the old trip and opens a new one; its fee is shared
        by quantity.
        """
        quantity, held = fill.quantity, self.quantity
        if not held:
            self._begin_trip(fill.filled_ns)
            self._enter(quantity, amount, fill.fee)
            return None
        if (quantity > 0) is (held > 0):
            self._enter(quantity, amount, fill.fee)
            return None
        rest = held + quantity
        if rest and (rest > 0) is not (held > 0):
            return self._flip(fill, amount, rest)
        self._leave(quantity, amount, fill.fee)
        return None if rest else self._close_trip(fill.filled_ns)

    def _enter(self, quantity: Decimal, amount: Decimal, fee: Decimal) -> None:
        self.quantity += quantity
        self.cost += amount
        self.entered += quantity
        self.entry_amount += amount
        self.trip_fees += fee

    def _leave(self, quantity: Decimal, amount: Decimal, fee: Decimal) -> None:
        if quantity == -self.quantity:
            part = self.cost
        else:
            part = (self.cost * -quantity / self.quantity).quantize(CASH_STEP)
        profit = -amount - part
        self.quantity += quantity
        self.cost -= part
        self.exited -= quantity
        self.exit_amount -= amount
        self.realised_profit += profit
        self.trip_realised += profit
        self.trip_fees += fee

    def _flip(self, fill: Fill, amount: Decimal, rest: Decimal) -> Trade:
        closing = -self.quantity
        closing_amount = (amount * closing / fill.quantity).quantize(CASH_STEP)
        closing_fee = (fill.fee * closing / fill.quantity).quantize(CASH_STEP)
        self._leave(closing, closing_amount, closing_fee)
        trade = self._close_trip(fill.filled_ns)
        self._begin_trip(fill.filled_ns)
        self._enter(rest, amount - closing_amount, fill.fee - closing_fee)
        return trade

    def reduce_by_fee(self, fee: Decimal) -> None:
        """Take a fee charged in the base coin out of the quantity; the cost stays."""
        self.quantity -= fee

    def _close_trip(self, closed_ns: int) -> Trade:
        return self._trade(self.exit_amount / self.exited, closed_ns, self.trip_realised)

    def open_trade(self, price: Decimal) -> Trade | None:
        """The present round trip marked at `price`, or None when flat."""
        if not self.quantity:
            return None
        amount = self.exit_amount + self.quantity * price
        profit = self.trip_realised + self.unrealised_profit(price)
        return self._trade(amount / self.entered, None, profit)

    def _trade(self, exit_price: Decimal, closed_ns: int | None, profit: Decimal) -> Trade:
        entered = self.entered
        return Trade(
            self.strategy,
            self.symbol,
            Side.BUY if entered > 0 else Side.SELL,
            abs(entered),
            self.entry_amount / entered,
            exit_price,
            self.opened_ns,
            closed_ns,
            profit - self.trip_fees,
            self.trip_fees,
        )
