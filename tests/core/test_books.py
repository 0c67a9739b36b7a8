"""Books: round trips by hand, and a machine that shows that the money always adds up.

The machine books any sequence of fills and deposits in several books at once. Beside them it
keeps the plain list of what happened and works everything out again in fractions, without
looking at a Position.
"""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ticklane.core.market import MINUTE
from ticklane.core.order import Fill, Side
from ticklane.core.portfolio import Book, BookView, Portfolio

STRATEGIES, SYMBOLS = ("One", "Two"), ("AAPL", "BTC")
CENT8 = Fraction(1, 10**8)


def a_fill(quantity, price, fee="0", *, number=1, symbol="AAPL", strategy="One"):
    at_ns = number * MINUTE
    numbers = Decimal(quantity), Decimal(price), Decimal(fee)
    return Fill(f"o{number}", f"x{number}", strategy, symbol, *numbers, at_ns, "test", at_ns)


def a_book(*fills, cash="1000"):
    """A book after some fills given as texts (quantity, price, fee), and the trades they closed."""
    book = Book("One", Decimal(cash))
    trades = [book.apply(a_fill(*fill, number=n)) for n, fill in enumerate(fills, 1)]
    return book, [trade for trade in trades if trade is not None]


# By hand


def test_a_long_trip_realises_what_it_gained_less_fees():
    book, [trade] = a_book(("10", "20", "1"), ("-10", "23", "1.5"))

    assert book.cash == Decimal("1027.5")
    assert (trade.side, trade.quantity) == (Side.BUY, 10)
    assert (trade.entry_price, trade.exit_price) == (20, 23)
    assert (trade.profit, trade.fees) == (Decimal("27.5"), Decimal("2.5"))
    assert (trade.opened_ns, trade.closed_ns, trade.is_open) == (MINUTE, 2 * MINUTE, False)


def test_a_short_trip_realises_what_it_fell():
    book, [trade] = a_book(("-10", "20"), ("10", "17"))

    assert (trade.side, trade.quantity, trade.profit) == (Side.SELL, 10, 30)
    assert (trade.entry_price, trade.exit_price) == (20, 17)
    assert (book.cash, book.quantity("AAPL")) == (1030, 0)


def test_entries_average_and_partial_exits_keep_the_average():
    book, trades = a_book(("10", "20"), ("30", "24"), ("-15", "30"))
    position = book.positions["AAPL"]

    assert trades == []
    assert (position.quantity, position.average_price) == (25, 23)
    assert (position.cost, position.realised_profit) == (575, 105)
    assert position.unrealised_profit(Decimal(22)) == -25


def test_a_trip_with_several_exits_is_one_trade():
    _, [trade] = a_book(("10", "20", "1"), ("-4", "25", "1"), ("-6", "30", "1"))

    assert (trade.entry_price, trade.exit_price) == (20, 28)
    assert (trade.quantity, trade.profit, trade.fees) == (10, 77, 3)


def test_a_flip_closes_one_trip_and_opens_the_next_and_shares_its_fee():
    book, [trade] = a_book(("10", "20", "0"), ("-15", "24", "3"))
    position = book.positions["AAPL"]

    assert (trade.quantity, trade.profit, trade.fees) == (10, 38, 2)
    assert (position.quantity, position.cost) == (-5, -120)
    open_trade = position.open_trade(Decimal(22))
    assert (open_trade.side, open_trade.profit, open_trade.fees) == (Side.SELL, 9, 1)
    assert (open_trade.is_open, open_trade.opened_ns) == (True, 2 * MINUTE)


def test_thirds_leave_no_dust():
    book, [trade] = a_book(("3", "0.33333333"), *[("-1", "0.33333333")] * 3)

    assert (book.positions["AAPL"].cost, trade.profit, book.cash) == (0, 0, 1000)


@pytest.mark.parametrize("price", [None, 21.0])
def test_an_account_adds_its_books_up(price):
    portfolio = Portfolio(lambda symbol: price)
    for name in STRATEGIES:
        portfolio.open_book(name, Decimal(500))
    portfolio.books["One"].apply(a_fill("10", "20", "1"))
    portfolio.books["Two"].apply(a_fill("-4", "20", strategy="Two"))
    own = BookView(portfolio, {"One": portfolio.books["One"]})

    assert (own.cash, own.account.cash, portfolio.cash) == (299, 879, 879)
    assert (own.position("AAPL").quantity, own.account.position("AAPL").quantity) == (10, 6)
    assert own.equity == (509 if price else 499)  # at cost where no price is known
    assert own.account.equity == (1005 if price else 999)
    assert own.unrealised_profit == (10 if price else 0)
    assert (portfolio.net("AAPL"), own.fees, own.realised_profit) == (6, 1, 0)
    assert own.position("IBM").quantity == own.position("IBM").average_price == 0


def test_exposure_is_what_is_held_either_way_over_equity():
    portfolio = Portfolio({"AAPL": 20.0, "BTC": 10.0}.get)
    book = portfolio.open_book("One", Decimal(100))
    view = BookView(portfolio, portfolio.books)
    assert view.exposure == 0

    book.apply(a_fill("2", "20"))
    book.apply(a_fill("-1", "10", symbol="BTC"))

    assert view.exposure == Decimal("0.5")
    assert sorted(view.positions) == ["AAPL", "BTC"]


# Any sequence


def rounded(amount):
    """To 1e-8, half-even, in fractions."""
    return Fraction(round(amount / CENT8)) * CENT8


class Plain:
    """One position worked out again: in fractions, never rounded, no shortcuts."""

    def __init__(self):
        self.quantity = self.cost = self.realised = self.steps = Fraction(0)
        self.trips = 0
        self.prices = []  # of the entries of the present trip

    def fill(self, quantity, price):
        self.steps += 2  # roundings at most: of the amount, and of a fee or a part of the cost
        if self.quantity * quantity < 0:
            closed = quantity if abs(quantity) < abs(self.quantity) else -self.quantity
            part = self.cost * -closed / self.quantity
            self.realised += -closed * price - part
            self.cost -= part
            self.quantity += closed
            quantity -= closed
            self.trips += self.quantity == 0
        if quantity:
            self.prices = [*(self.prices if self.quantity else []), price]
            self.quantity += quantity
            self.cost += quantity * price


sizes = st.decimals("0.0001", 1000, places=4)
prices = st.decimals("0.01", 5000, places=4)
fees = st.one_of(st.just(Decimal(0)), st.decimals(0, 5, places=8))
books, symbols = st.sampled_from(STRATEGIES), st.sampled_from(SYMBOLS)


class MoneyAddsUp(RuleBasedStateMachine):
    """Fills of every kind, in several books and symbols, against plain lists and fractions."""

    @initialize(cash=st.decimals(0, 10**6, places=2))
    def open_books(self, cash):
        self.marks = {}
        self.portfolio = Portfolio(self.marks.get)
        for name in STRATEGIES:
            self.portfolio.open_book(name, cash)
        self.deposits = dict.fromkeys(STRATEGIES, Fraction(cash))
        self.spent, self.fees = defaultdict(Fraction), defaultdict(Fraction)
        self.plain = defaultdict(Plain)
        self.trades = []

    def book_fill(self, name, symbol, quantity, price, fee, fee_asset=None):
        fill = a_fill(quantity, price, fee, number=len(self.marks), symbol=symbol, strategy=name)
        trade = self.portfolio.books[name].apply(fill._replace(fee_asset=fee_asset))
        self.trades += [trade] if trade else []
        self.marks[symbol] = float(price)
        quantity, price, fee = Fraction(quantity), Fraction(price), Fraction(fee)
        self.spent[name] += rounded(quantity * price) + (0 if fee_asset else fee)
        self.fees[name] += rounded(fee * price) if fee_asset else fee
        self.plain[name, symbol].fill(quantity - (fee if fee_asset else 0), price)

    @rule(name=books, symbol=symbols, quantity=sizes, price=prices, fee=fees, buys=st.booleans())
    def trade(self, name, symbol, quantity, price, fee, buys):
        self.book_fill(name, symbol, quantity if buys else -quantity, price, fee)

    @rule(name=books, quantity=sizes, price=prices, percent=st.sampled_from(["0.1", "0.25"]))
    def buy_for_a_fee_in_coins(self, name, quantity, price, percent):
        fee = quantity * Decimal(percent) / 100
        self.book_fill(name, "BTC", quantity, price, fee, fee_asset="BTC")

    @precondition(lambda self: any(one.quantity for one in self.plain.values()))
    @rule(data=st.data(), price=prices, fee=fees, share=st.sampled_from(["0.25", "1", "1.5", "2"]))
    def close_a_part_or_all_or_flip(self, data, price, fee, share):
        held = sorted(key for key, one in self.plain.items() if one.quantity)
        name, symbol = data.draw(st.sampled_from(held))
        quantity = self.portfolio.books[name].quantity(symbol) * Decimal(share)
        self.book_fill(name, symbol, -quantity, price, fee)

    @rule(name=books, amount=st.decimals(-1000, 1000, places=2))
    def deposit(self, name, amount):
        self.portfolio.books[name].deposit(amount)
        self.deposits[name] += Fraction(amount)

    @rule(symbol=symbols, price=prices)
    def mark(self, symbol, price):
        self.marks[symbol] = float(price)

    @invariant()
    def cash_is_what_came_in_less_what_was_spent(self):
        for name, book in self.portfolio.books.items():
            assert Fraction(book.cash) == self.deposits[name] - self.spent[name]
            assert Fraction(book.fees) == self.fees[name]

    @invariant()
    def cash_and_costs_and_fees_are_deposits_and_profit(self):
        for book in self.portfolio.books.values():
            cost = sum(position.cost for position in book.positions.values())
            realised = sum(position.realised_profit for position in book.positions.values())
            assert book.cash + cost + book.fees == book.deposits + realised

    @invariant()
    def quantities_are_exact_and_costs_off_by_rounding_only(self):
        for (name, symbol), plain in self.plain.items():
            position = self.portfolio.books[name].positions[symbol]
            assert Fraction(position.quantity) == plain.quantity
            assert abs(Fraction(position.cost) - plain.cost) <= plain.steps * CENT8
            assert abs(Fraction(position.realised_profit) - plain.realised) <= plain.steps * CENT8
            assert position.quantity or not position.cost

    @invariant()
    def an_average_lies_between_the_prices_paid(self):
        for (name, symbol), plain in self.plain.items():
            if plain.quantity:
                average = Fraction(self.portfolio.books[name].positions[symbol].average_price)
                slack = plain.steps * CENT8 / abs(plain.quantity) + CENT8
                assert min(plain.prices) - slack <= average <= max(plain.prices) + slack

    @invariant()
    def trades_tell_the_whole_profit(self):
        trades = [*self.trades, *self.open_trades()]
        gained = self.portfolio.equity() - sum(b.deposits for b in self.portfolio.books.values())
        assert sum(trade.profit for trade in trades) == gained
        assert sum(trade.fees for trade in trades) == sum(self.fees.values())
        assert len(self.trades) == sum(plain.trips for plain in self.plain.values())

    @invariant()
    def the_account_is_the_sum_of_its_books(self):
        view = BookView(self.portfolio, self.portfolio.books)
        assert view.equity == sum(self.portfolio.equity([b]) for b in self.portfolio.books.values())
        for symbol in SYMBOLS:
            net = sum(one.quantity for key, one in self.plain.items() if key[1] == symbol)
            assert Fraction(self.portfolio.net(symbol)) == net

    def open_trades(self):
        for book in self.portfolio.books.values():
            for symbol, position in book.positions.items():
                trade = position.open_trade(Decimal(repr(self.marks[symbol])))
                assert (trade is None) is (position.quantity == 0)
                yield from [trade] if trade else []


MoneyAddsUp.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestMoneyAddsUp = MoneyAddsUp.TestCase
