"""Books: what each strategy has done with its part of the account, and the account's net.

All amounts are exact Decimals. For any sequence of fills, exactly:
cash + sum of position costs = deposits + realised profit - fees.

A fee in the base coin never touches the cash: the fill is booked as the quantity that was really
received (or given away), at its price, and the coins kept back count as a fee of their value at
that price. So `fees`, the profit of a trade and the line above hold for either kind of fee, and
cash = deposits - values of the fills - fees paid in cash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from ticklane.core.money import CASH_STEP, ZERO, exact
from ticklane.core.order import Fill
from ticklane.core.position import Position, Trade

PriceOf = Callable[[str], float | None]


class Holding(NamedTuple):
    """A position as a strategy sees it: a value that does not change any more."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    cost: Decimal
    realised_profit: Decimal
    market_value: Decimal
    unrealised_profit: Decimal


class Book:
    """One strategy's own cash and positions."""

    __slots__ = ("cash", "deposits", "fees", "positions", "strategy")

    def __init__(self, strategy: str, cash: Decimal) -> None:
        self.strategy = strategy
        self.deposits = cash
        self.cash = cash
        self.fees: Decimal = ZERO  # those in the base coin at the price of their fill
        self.positions: dict[str, Position] = {}

    def apply(self, fill: Fill) -> Trade | None:
        """Book one fill; return the trade it closed, if any."""
        position = self.positions.get(fill.symbol)
        if position is None:
            position = self.positions[fill.symbol] = Position(fill.symbol, self.strategy)
        amount = (fill.quantity * fill.price).quantize(CASH_STEP)
        self.cash -= amount
        fee = fill.fee
        if fee and fill.fee_asset is None:
            self.fees += fee
            self.cash -= fee
        elif fee:
            in_cash = (fee * fill.price).quantize(CASH_STEP)
            self.fees += in_cash
            amount -= in_cash
            fill = fill._replace(quantity=fill.quantity - fee, fee=in_cash)
        return position.apply(fill, amount)

    def quantity(self, symbol: str) -> Decimal:
        """The signed quantity held of a symbol; zero when flat."""
        position = self.positions.get(symbol)
        return position.quantity if position is not None else ZERO

    def deposit(self, amount: Decimal) -> None:
        """Put cash in (or, negative, take it out)."""
        self.deposits += amount
        self.cash += amount


class Portfolio:
    """The books of all strategies on one account; the net is derived from them."""

    def __init__(self, price_of: PriceOf) -> None:
        self.books: dict[str, Book] = {}
        self.price_of = price_of

    def open_book(self, strategy: str, cash: Decimal) -> Book:
        """Give a strategy its own book with `cash` in it."""
        book = self.books[strategy] = Book(strategy, cash)
        return book

    def value_of(self, position: Position) -> Decimal:
        """Quantity times the last price; at cost where no price is known yet."""
        price = self.price_of(position.symbol)
        return position.cost if price is None else position.quantity * exact(price)

    @property
    def cash(self) -> Decimal:
        """The cash of all books."""
        return sum((book.cash for book in self.books.values()), ZERO)

    def equity(self, books: Iterable[Book] | None = None) -> Decimal:
        """Cash plus positions at the last prices, of all books or of those given."""
        chosen = self.books.values() if books is None else books
        return sum(
            (
                book.cash
                + sum((self.value_of(p) for p in book.positions.values() if p.quantity), ZERO)
                for book in chosen
            ),
            ZERO,
        )

    def net(self, symbol: str) -> Decimal:
        """The signed quantity of a symbol over all books."""
        return sum((book.quantity(symbol) for book in self.books.values()), ZERO)

    def holding(self, symbol: str, books: Iterable[Book]) -> Holding:
        """A symbol's position summed over the given books."""
        found = [b.positions[symbol] for b in books if symbol in b.positions]
        quantity = sum((p.quantity for p in found), ZERO)
        cost = sum((p.cost for p in found), ZERO)
        value = sum((self.value_of(p) for p in found), ZERO)
        return Holding(
            symbol,
            quantity,
            cost / quantity if quantity else ZERO,
            cost,
            sum((p.realised_profit for p in found), ZERO),
            value,
            value - cost,
        )


class BookView:
    """What a strategy may read: its own book (`account` is the net of all strategies)."""

    __slots__ = ("_books", "_portfolio")

    def __init__(self, portfolio: Portfolio, books: Mapping[str, Book]) -> None:
        self._portfolio = portfolio
        self._books = books

    @property
    def cash(self) -> Decimal:
        """Cash not bound in positions."""
        return sum((book.cash for book in self._books.values()), ZERO)

    @property
    def equity(self) -> Decimal:
        """Cash plus positions at the last prices."""
        return self._portfolio.equity(self._books.values())

    @property
    def realised_profit(self) -> Decimal:
        """Profit of everything closed, before fees."""
        return sum((h.realised_profit for h in self.positions.values()), ZERO)

    @property
    def unrealised_profit(self) -> Decimal:
        """What closing everything at the last prices would add, before fees."""
        return sum((h.unrealised_profit for h in self.positions.values()), ZERO)

    @property
    def fees(self) -> Decimal:
        """Fees paid so far; those taken in coins at the price of their fill."""
        return sum((book.fees for book in self._books.values()), ZERO)

    @property
    def exposure(self) -> Decimal:
        """The absolute value of all positions over equity; zero when there is no equity."""
        equity = self.equity
        value = sum((abs(h.market_value) for h in self.positions.values()), ZERO)
        return value / equity if equity > 0 else ZERO

    def position(self, symbol: str) -> Holding:
        """The position in a symbol; quantity zero when flat."""
        return self._portfolio.holding(symbol, self._books.values())

    @property
    def positions(self) -> dict[str, Holding]:
        """Every symbol ever traded with its position, flat ones included."""
        symbols = {symbol for book in self._books.values() for symbol in book.positions}
        return {symbol: self.position(symbol) for symbol in sorted(symbols)}

    @property
    def account(self) -> BookView:
        """The net of all strategies on this account."""
        return BookView(self._portfolio, self._portfolio.books)
