"""Money: which numbers may enter, how exactly, and how amounts are rounded."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.errors import ConfigError
from ticklane.core.money import (
    exact,
    is_multiple,
    plain,
    round_down,
    round_to,
    to_cash,
    to_decimal,
    to_positive,
)


class Cents(Decimal):
    """A stranger's own kind of Decimal."""


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, "3"),
        (10**30, "1" + "0" * 30),
        (0.1, "0.1"),
        (1e-7, "1e-7"),
        (Decimal("1.10"), "1.10"),
        (Cents("0.12345678901234567890123"), "0.12345678901234567890123"),
        ("2.5", "2.5"),
        (" 7 ", "7"),
        (np.float64(0.1), "0.1"),
        (np.float32(0.5), "0.5"),
        (np.int64(2**53 + 1), str(2**53 + 1)),
        (Fraction(1, 4), "0.25"),
    ],
)
def test_a_number_enters_as_its_reader_would_write_it(value, number):
    assert to_decimal(value, "quantity") == Decimal(number)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "not true or false"),
        (np.True_, "a number"),
        (float("nan"), "a finite number"),
        (float("-inf"), "a finite number"),
        (np.float64("nan"), "a finite number"),
        (Decimal("NaN"), "a finite number"),
        (Decimal("sNaN"), "a finite number"),
        ("Infinity", "a finite number"),
        ("ten", "a number"),
        ("", "a number"),
        ("1,000", "a number"),
        (b"12", "a number"),
        (None, "a number"),
        ([5], "a number"),
        (1 + 2j, "a number"),
        (object(), "a number"),
        (Fraction(10**400), "a number"),
        (np.array([1.0]), "a number"),
    ],
)
def test_what_is_no_usable_number_is_refused_in_one_sentence(value, said):
    with pytest.raises(ConfigError) as refused:
        to_decimal(value, "quantity")

    message = str(refused.value)
    assert message.startswith("quantity is ")
    assert said in message
    assert message.endswith(".")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_an_observed_price_keeps_every_digit(price):
    assert float(exact(price)) == price


@given(st.decimals(-(10**9), 10**9, places=12))
def test_cash_is_rounded_half_even_to_1e_8(amount):
    steps = Fraction(amount) * 10**8

    assert Fraction(to_cash(amount)) == Fraction(round(steps), 10**8)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "cash is 0, but must be above zero."),
        ("-1", "cash is -1, but must be above zero."),
        ("1e400", "cash is 1E+400, but must be at most 1E+15."),
        ("much", "cash is 'much', but must be a number."),
    ],
)
def test_an_amount_out_of_bounds_is_refused_in_one_sentence(value, said):
    with pytest.raises(ConfigError) as refused:
        to_positive(value, "cash")

    assert str(refused.value) == said


def test_the_largest_amount_is_still_taken():
    assert to_positive("1e15", "cash") == 10**15


def test_an_amount_beyond_all_means_is_still_an_amount():
    assert to_cash(Decimal(10) ** 30) == Decimal(10) ** 30


@pytest.mark.parametrize(
    ("value", "step", "down", "nearest"),
    [
        ("10.129", "0.01", "10.12", "10.13"),
        ("-10.129", "0.01", "-10.12", "-10.13"),
        ("7", "5", "5", "5"),
        ("7.5", "5", "5", "10"),
        ("0.3", "0.1", "0.3", "0.3"),
    ],
)
def test_rounding_to_a_lot_goes_towards_zero_and_to_a_tick_to_the_nearest(
    value, step, down, nearest
):
    assert round_down(Decimal(value), Decimal(step)) == Decimal(down)
    assert round_to(Decimal(value), Decimal(step)) == Decimal(nearest)


def test_a_grid_knows_its_points():
    assert is_multiple(Decimal("0.3"), Decimal("0.1"))
    assert not is_multiple(Decimal("0.35"), Decimal("0.1"))


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+2", "100"), ("1.500", "1.5"), ("-0.0", "0"), ("0E-8", "0"), ("1E-9", "0.000000001")],
)
def test_a_number_is_written_without_exponent_and_needless_zeros(value, text):
    assert plain(Decimal(value)) == text
