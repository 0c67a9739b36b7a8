"""Numbers, money and instants as people read them."""

import math
from decimal import Decimal

import pytest

from ticklane.analytics import text
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, to_datetime


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        (Decimal("1234567.891"), "USD", "$1,234,567.89"),
        (-3, "EUR", "-€3.00"),
        (12.5, "USDT", "12.50 USDT"),
        (-0.001, "USD", "$0.00"),
        (math.nan, "USD", "–"),
    ],
)
def test_money_has_separators_and_its_currency(value, currency, shown):
    assert text.money(value, currency) == shown


@pytest.mark.parametrize(("value", "shown"), [(5, "+$5.00"), (-5, "-$5.00"), (0, "$0.00")])
def test_a_profit_shows_its_sign(value, shown):
    assert text.money(value, "USD", is_signed=True) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1234, "12.3%"),
        (-0.0123, "-1.23%"),
        (12.5, "1,250.0%"),
        (-0.000001, "0.00%"),
        (0, "0.00%"),
        (math.inf, "over 1,000,000%"),
        (math.nan, "–"),
    ],
)
def test_percent_shows_as_many_digits_as_mean_something(value, shown):
    assert text.percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("101.5"), "101.50"),
        (Decimal("10") / 3, "3.33333"),
        (65432.1, "65,432.10"),
        (0.00001234, "0.00001234"),
        (Decimal("1E-9"), "0.00"),
        (0.0, "0.00"),
        (Decimal("1234567"), "1,234,567.00"),
    ],
)
def test_a_price_shows_six_digits_that_count(value, shown):
    assert text.price(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1000", "1,000"), ("0.5", "0.5"), ("1E+3", "1,000"), ("12.300", "12.3"), ("0", "0")],
)
def test_a_quantity_has_no_needless_zeros(value, shown):
    assert text.quantity(Decimal(value)) == shown


def test_an_instant_shows_no_more_than_it_needs():
    assert text.instant(DAY) == "1970-01-02"
    assert text.instant(DAY + MINUTE) == "1970-01-02 00:01"
    assert text.instant(DAY + SECOND) == "1970-01-02 00:00:01"
    assert text.instant(DAY + 5_000_000) == "1970-01-02 00:00:00.005"


def test_a_close_at_midnight_shows_the_day_that_ends():
    assert text.closing(to_datetime(3 * DAY)) == "1970-01-03"
    assert text.closing(to_datetime(3 * DAY + HOUR)) == "1970-01-04 01:00"


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        (250, "250 days"),
        (3.5, "3.5 days"),
        (2, "2 days"),
        (1, "24 h"),
        (125 / 1440, "2 h 5 min"),
        (1.5 / 1440, "1.5 min"),
        (40 / 86400, "40 s"),
        (math.nan, "–"),
    ],
)
def test_a_duration_is_told_in_its_own_unit(days, shown):
    assert text.duration(days) == shown


def test_a_long_text_is_cut_with_an_ellipsis():
    assert text.shortened("abcdef", 4) == "abc…"
    assert text.shortened("abc", 3) == "abc"


def test_a_ratio_that_is_undefined_is_a_dash():
    assert (text.ratio(1.234), text.ratio(math.nan), text.ratio(math.inf)) == ("1.23", "–", "–")
