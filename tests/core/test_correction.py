"""Real executions in the place of inferred ones: books and trades as if they had been first."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.correction import (
    INFERRED,
    TAKEN_BACK,
    ProvisionalPosition,
    book_again,
    revised_trades,
    standing,
)
from ticklane.core.order import Fill
from ticklane.core.portfolio import Book

CASH = Decimal(100_000)


def a_fill(quantity, price, id, rule="venue", fee=0, fee_asset=None, at_ns=1):
    numbers = Decimal(quantity), Decimal(price), Decimal(fee)
    return Fill("o1", id, "One", "AAPL", *numbers, at_ns, rule, at_ns, None, fee_asset)


def inferred(quantity, price, id="v1:2:inferred", **fields):
    return a_fill(quantity, price, id, INFERRED, **fields)


def taken_back(quantity, price, undone, id="v1:2:inferred", **fields):
    return a_fill(-Decimal(quantity), price, f"{id}:{undone}", TAKEN_BACK, **fields)


class Booked:
    """A book after some fills, and all trades as they stand."""

    def __init__(self, *fills):
        self.book, self.trades = Book("One", CASH), []
        for fill in fills:
            trade = book_again(self.book, fill)
            if trade is not None:
                self.trades.append(trade)
            for old, new in revised_trades(self.book, "AAPL"):
                self.trades[self.trades.index(old)] = new
        self.position = self.book.positions["AAPL"]

    @property
    def all(self):
        position = self.position
        numbers = position.quantity, position.cost, position.realised_profit, position.trip_fees
        return self.book.cash, self.book.fees, numbers, self.trades

    @property
    def residue(self):
        """What breaks the line: cash + cost = deposits + profit - fees."""
        position, book = self.position, self.book
        return book.cash + position.cost - (CASH + position.realised_profit - book.fees)


def test_an_open_position_has_the_cost_of_the_real_executions():
    booked = Booked(
        inferred(2, 100),
        a_fill(2, 110, "v2:2"),
        taken_back(1, 100, 1), a_fill(1, 101, "v1:1"),
        taken_back(1, 100, 2), a_fill(1, 103, "v1:2"),
    )  # fmt: skip

    assert booked.position.average_price == Decimal(424) / 4
    assert booked.book.cash == CASH - 424


def test_a_trade_that_was_closed_with_an_inferred_price_is_revised():
    real = Booked(a_fill(2, 101, "v1:2"), a_fill(-2, 105, "v2:2", at_ns=2))
    booked = Booked(
        inferred(2, 100), a_fill(-2, 105, "v2:2", at_ns=2),
        taken_back(2, 100, 2), a_fill(2, 101, "v1:2"),
    )  # fmt: skip

    assert [trade.profit for trade in booked.trades] == [8]
    assert booked.all == real.all


def test_what_came_after_the_trade_is_left_alone():
    booked = Booked(
        inferred(2, 100), a_fill(-2, 105, "v2:2"), a_fill(3, 90, "v3:3"),
        taken_back(2, 100, 2), a_fill(2, 101, "v1:2"),
    )  # fmt: skip

    assert (booked.position.quantity, booked.position.average_price) == (3, 90)


def test_an_inferred_fill_that_went_through_zero_is_replaced_in_parts():
    real = Booked(a_fill(2, 90, "v0:2"), a_fill(-1, 99, "v1:1"), a_fill(-4, 104, "v1:5"))
    booked = Booked(
        a_fill(2, 90, "v0:2"), inferred(-5, 103, "v1:5:inferred"),
        taken_back(-1, 103, 1, "v1:5:inferred"), a_fill(-1, 99, "v1:1"),
        taken_back(-4, 103, 5, "v1:5:inferred"), a_fill(-4, 104, "v1:5"),
    )  # fmt: skip

    assert booked.position.quantity == -3
    assert booked.all == real.all


def test_a_fee_in_coins_is_taken_once():
    fee = {"fee_asset": "BTC"}
    booked = Booked(
        inferred(2, 100, fee="0.005", **fee),
        taken_back(2, 100, 2, fee="-0.005", **fee),
        a_fill(2, 102, "v1:2", fee="0.005", **fee),
    )

    assert booked.position.quantity == Decimal("1.995")
    assert (booked.book.cash, booked.residue) == (CASH - 204, 0)


def test_nothing_is_kept_once_everything_is_real():
    booked = Booked(inferred(2, 100), taken_back(2, 100, 2), a_fill(2, 101, "v1:2"))

    assert isinstance(booked.position, ProvisionalPosition)
    assert booked.position._lines is None


def test_fills_that_stand_are_those_that_were_not_taken_back():
    fills = [
        inferred(5, 100), a_fill(1, 90, "v2:1"),
        taken_back(2, 100, 2), a_fill(2, 101, "v1:2"),
    ]  # fmt: skip

    assert [(f.quantity, f.price) for f in standing(fills)] == [(3, 100), (1, 90), (2, 101)]
    assert standing([*fills, taken_back(3, 100, 5)])[0].price == 90


sizes = st.integers(1, 40).map(lambda n: Decimal(n) / 8)
prices = st.integers(9_000, 11_000).map(lambda n: Decimal(n) / 100)
others = st.lists(st.tuples(sizes, prices, st.booleans()), max_size=4)


@given(
    parts=st.lists(st.tuples(sizes, prices), min_size=1, max_size=4),
    guess=prices, sign=st.sampled_from((1, -1)), before=others, between=others, after=others,
)  # fmt: skip
def test_whatever_happens_around_it_the_books_are_as_if_the_real_ones_had_been_first(
    parts, guess, sign, before, between, after
):
    def around(name, wished):
        return [
            a_fill(size if is_buy else -size, price, f"{name}:{n}", at_ns=len(name) * 100 + n)
            for n, (size, price, is_buy) in enumerate(wished)
        ]

    first, second, third = around("b", before), around("be", between), around("aft", after)
    reals = [a_fill(sign * q, p, f"v1:{n}", at_ns=50) for n, (q, p) in enumerate(parts)]
    whole = sum(q for q, _ in parts)
    told, undone = [*first, inferred(sign * whole, guess, at_ns=50), *second], Decimal(0)
    for number, real in enumerate(reals):
        undone += abs(real.quantity)
        told += [taken_back(real.quantity, guess, undone), real]
        told += third[number : number + 1]
    later = third[: len(reals)]
    rest = third[len(reals) :]

    booked = Booked(*told, *rest)
    wanted = Booked(*first, *reals, *second, *later, *rest)

    assert booked.all == wanted.all
    assert booked.residue == 0


@pytest.mark.parametrize("size", ["0.333333333", "7.77777"])
def test_roundings_do_not_get_lost_in_parts(size):
    size = Decimal(size)
    half = (size / 2).quantize(Decimal("0.000000001"))
    booked = Booked(
        inferred(size, "100.1234567"),
        taken_back(half, "100.1234567", half), a_fill(half, "100.7654321", "v1:1"),
        taken_back(size - half, "100.1234567", size), a_fill(size - half, "99.7654321", "v1:2"),
    )  # fmt: skip

    assert booked.residue == 0
    assert booked.position.quantity == size
