"""Configured sizes: what they give, and what makes no sense."""

from decimal import Decimal

import numpy as np
import pytest

from ticklane.core.errors import ConfigError
from ticklane.risk.sizing import FixedNotional, FixedQuantity, PercentOfEquity, read_sizing


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({"quantity": 10}, (10, None)),
        ({"quantity": "0.5"}, (Decimal("0.5"), None)),
        ({"notional": 2500.5}, (None, Decimal("2500.5"))),
        ({"percent": 20}, (None, 600)),
        ({"percent": 100}, (None, 3000)),
    ],
    ids=str,
)
def test_a_sizing_gives_a_quantity_or_an_amount(given, size):
    assert read_sizing(given).size(lambda: Decimal(3000)) == size


def test_a_percentage_is_rounded_to_what_money_is_kept_to():
    _, notional = PercentOfEquity(Decimal(33)).size(lambda: Decimal("0.00000010"))

    assert notional == Decimal("0.00000003")


def test_only_a_percentage_asks_for_the_equity():
    def nobody_asks():
        raise AssertionError("asked")

    FixedQuantity(1).size(nobody_asks)
    FixedNotional(1).size(nobody_asks)


def test_a_sizing_made_elsewhere_stays_what_it_is():
    made = FixedQuantity(3)

    assert (read_sizing(made), read_sizing(None)) == (made, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shares": 10}, "sizing is shares=10, but must be one of quantity, notional or"),
        ({"foo": Decimal("1.5")}, "sizing is foo=1.5, but must be one of quantity, notional or"),
        ({"quantity": 1, "percent": 5}, "sizing is quantity=1, percent=5, but must be"),
        ({}, "sizing is empty, but must be one of quantity"),
        ("x", "sizing is 'x', but must be one of quantity, notional or percent with its number"),
        (20, "sizing is 20, but must be one of quantity, notional or percent with its number"),
        (np.float64(20), "sizing is np.float64(20.0), but must be one of quantity, notional or"),
        ({"quantity": 0}, "quantity of sizing is 0, but must be above zero."),
        ({"quantity": "1e400"}, "quantity of sizing is 1E+400, but must be at most 1E+15."),
        ({"notional": -1}, "notional of sizing is -1, but must be above zero."),
        ({"percent": 101}, "percent of sizing is 101, but must be at most 100."),
        ({"percent": "much"}, "percent of sizing is 'much', but must be a number."),
    ],
    ids=str,
)
def test_a_sizing_that_makes_no_sense_is_refused_in_one_sentence(given, said):
    with pytest.raises(ConfigError) as caught:
        read_sizing(given)

    assert str(caught.value).startswith(said)
