"""A position with its exact cost, and the trades (round trips) that come out of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from ticklane.core.market import to_datetime
from ticklane.core.money import CASH_STEP, ZERO
from ticklane.core.order import Fill, Side
from ticklane.core.plain_tuple import maker_of

_BUY, _SELL = Side.BUY, Side.SELL


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


_make_trade = maker_of(Trade)


class Position:
    """What is held of one symbol: signed quantity and total cost, from which averages derive.

    `cost` is signed like the quantity and excludes fees. A partial close takes
    cost x closed / held, rounded to 1e-8, and the remainder stays, so sums are exact.
    """

    __slots__ = (
        "cost",
        "entered",
        "entry_amount",
        "entry_price",
        "exit_amount",
        "opened_ns",
        "quantity",
        "realised_profit",
        "strategy",
        "symbol",
        "trip_fees",
    )

    def __init__(self, symbol: str, strategy: str = "") -> None:
        self.symbol = symbol
        self.strategy = strategy
        self.quantity: Decimal = ZERO
        self.cost: Decimal = ZERO
        self.realised_profit: Decimal = ZERO  # of everything closed so far, before fees
        self._open_trip(0, ZERO, ZERO, ZERO, ZERO)

    def _open_trip(
        self, opened_ns: int, price: Decimal, quantity: Decimal, amount: Decimal, fee: Decimal
    ) -> None:
        """Begin a round trip from flat; its amounts are signed like the quantity."""
        self.opened_ns = opened_ns
        self.entry_price: Decimal | None = price  # None: an average, to be reckoned
        self.quantity = self.entered = quantity
        self.cost = self.entry_amount = amount
        self.exit_amount = ZERO
        self.trip_fees = fee

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
            self._open_trip(fill.filled_ns, fill.price, quantity, amount, fill.fee)
            return None
        if fill.fee:
            self.trip_fees += fill.fee
        if (quantity > ZERO) is (held > ZERO):
            self.entry_price = None
            self.quantity += quantity
            self.cost += amount
            self.entered += quantity
            self.entry_amount += amount
            return None
        rest = held + quantity
        if not rest:
            return self._close_trip(fill, amount)
        if (rest > ZERO) is (held > ZERO):
            part = (self.cost * -quantity / held).quantize(CASH_STEP)
            self.realised_profit -= amount + part
            self.exit_amount -= amount
            self.quantity = rest
            self.cost -= part
            return None
        return self._flip(fill, amount, rest)

    def _flip(self, fill: Fill, amount: Decimal, rest: Decimal) -> Trade:
        share = -self.quantity / fill.quantity
        closing_amount = (amount * share).quantize(CASH_STEP)
        closing_fee = (fill.fee * share).quantize(CASH_STEP)
        opening_fee = fill.fee - closing_fee
        self.trip_fees -= opening_fee
        trade = self._close_trip(fill, closing_amount)
        self._open_trip(fill.filled_ns, fill.price, rest, amount - closing_amount, opening_fee)
        return trade

    def _close_trip(self, fill: Fill, amount: Decimal) -> Trade:
        """Sell (or buy back) all that is left for `amount`, signed like the fill."""
        self.realised_profit -= amount + self.cost
        price = None if self.exit_amount else fill.price  # else an average
        self.exit_amount -= amount
        self.quantity = self.cost = ZERO
        return self._trade(self.exit_amount, fill.filled_ns, price)

    def open_trade(self, price: Decimal) -> Trade | None:
        """The present round trip marked at `price`, or None when flat."""
        if not self.quantity:
            return None
        return self._trade(self.exit_amount + self.quantity * price, None, None)

    def _trade(
        self, exit_amount: Decimal, closed_ns: int | None, exit_price: Decimal | None
    ) -> Trade:
        entered, fees, entry_price = self.entered, self.trip_fees, self.entry_price
        is_long = entered > ZERO
        return _make_trade(
            (
                self.strategy,
                self.symbol,
                _BUY if is_long else _SELL,
                entered if is_long else -entered,
                self.entry_amount / entered if entry_price is None else entry_price,
                exit_amount / entered if exit_price is None else exit_price,
                self.opened_ns,
                closed_ns,
                exit_amount - self.entry_amount - fees,
                fees,
            )
        )
