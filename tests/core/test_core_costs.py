"""Costs by hand: each model's fee and slippage, and what they refuse."""

from decimal import Decimal

import pytest

from ticklane.core.costs import (
    NO_COSTS,
    NO_SLIPPAGE,
    FixedSlippage,
    HalfSpreadSlippage,
    PercentCosts,
    PercentSlippage,
    PerOrderCosts,
    PerShareCosts,
    VolumeShareSlippage,
    slipped,
)
from ticklane.core.errors import ConfigError
from ticklane.core.market import Bar, Quote

BAR = Bar("AAPL", 0, 60, 10.0, 11.0, 9.0, 10.0, 1000.0)
QUOTE = Quote("AAPL", 60, 9.9, 10.1)


@pytest.mark.parametrize(
    ("costs", "quantity", "price", "is_maker", "is_first", "fee"),
    [
        (NO_COSTS, "100", "10", False, True, "0"),
        (PerShareCosts("0.005"), "100", "10", False, True, "0.5"),
        (PerShareCosts("0.005"), "0.123", "10", False, False, "0.000615"),
        (PerOrderCosts(1), "100", "10", False, True, "1"),
        (PerOrderCosts(1), "100", "10", False, False, "0"),
        (PerOrderCosts(1, "0.002"), "100", "10", False, True, "2"),
        (PerOrderCosts(5, "0.002"), "100", "10", False, True, "5"),
        (PerOrderCosts(5, "0.002"), "100", "10", False, False, "2"),
        (PercentCosts("0.1", "0.2"), "100", "10", True, True, "1"),
        (PercentCosts("0.1", "0.2"), "100", "10", False, True, "2"),
        (PercentCosts("0.1", "0.1"), "1", "0.00001234", False, True, "0.00000001"),
    ],
)
def test_the_fee_of_a_fill(costs, quantity, price, is_maker, is_first, fee):
    assert costs.fee(Decimal(quantity), Decimal(price), is_maker, is_first) == Decimal(fee)


@pytest.mark.parametrize(
    ("slippage", "source", "shift", "room"),
    [
        (NO_SLIPPAGE, BAR, "0", None),
        (FixedSlippage("0.02"), BAR, "0.02", None),
        (PercentSlippage("0.5"), QUOTE, "0.05", None),
        (HalfSpreadSlippage(1), BAR, "0.05", None),
        (HalfSpreadSlippage(1), QUOTE, "0", None),
        (VolumeShareSlippage("0.1", "0.1"), BAR, "0.01", "100"),
        (VolumeShareSlippage(), BAR._replace(volume=0.0), "0", "0"),
        (VolumeShareSlippage(), QUOTE, "0", None),
    ],
)
def test_the_shift_and_the_room_of_a_hundred_at_ten(slippage, source, shift, room):
    assert slippage.shift(Decimal(100), Decimal(10), source) == Decimal(shift)
    assert slippage.room(source) == (room if room is None else Decimal(room))


@pytest.mark.parametrize(
    ("is_buy", "tick", "price"),
    [
        (True, "0.05", "10.05"),
        (False, "0.05", "9.95"),
        (True, None, "10.01"),
        (False, None, "9.99"),
    ],
)
def test_a_slipped_price_is_rounded_to_the_tick_against_us(is_buy, tick, price):
    step = tick and Decimal(tick)

    assert slipped(Decimal(10), Decimal("0.01"), is_buy, step) == Decimal(price)


def test_a_sale_never_slips_below_nothing():
    assert slipped(Decimal(1), Decimal(5), False, None) == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PerShareCosts(-1), "per_share of costs is -1, but must not be negative."),
        (
            lambda: PerShareCosts("1e400"),
            "per_share of costs is 1E+400, but must be at most 1E+15.",
        ),
        (lambda: PerOrderCosts(-1), "per_order of costs is -1, but must not be negative."),
        (lambda: PerOrderCosts(1, "x"), "rate of costs is 'x', but must be a number."),
        (lambda: PerOrderCosts(1, 1), "rate of costs is 1, but must be below 1."),
        (
            lambda: PercentCosts(True, 1),
            "maker of costs is True, but must be a number, not true or false.",
        ),
        (lambda: PercentCosts(0, 100), "taker of costs is 100, but must be below 100."),
        (
            lambda: FixedSlippage(float("nan")),
            "fixed of slippage is nan, but must be a finite number.",
        ),
        (lambda: FixedSlippage("2e15"), "fixed of slippage is 2E+15, but must be at most 1E+15."),
        (lambda: PercentSlippage(200), "percent of slippage is 200, but must be below 100."),
        (
            lambda: HalfSpreadSlippage(100),
            "spread_percent of slippage is 100, but must be below 100.",
        ),
        (
            lambda: VolumeShareSlippage(0),
            "cap of slippage is 0, but must be above 0 and at most 1.",
        ),
        (
            lambda: VolumeShareSlippage(2),
            "cap of slippage is 2, but must be above 0 and at most 1.",
        ),
        (
            lambda: VolumeShareSlippage("0.5", 4),
            "impact of slippage is 4 with a cap of 0.5, but impact x cap x cap must be below 1, "
            "else the largest sales fill at no price.",
        ),
        (
            lambda: VolumeShareSlippage("1e-20", "1e400"),
            "impact of slippage is 1E+400, but must be at most 1E+15.",
        ),
    ],
)
def test_a_model_that_makes_no_sense_is_refused_in_one_sentence(make, said):
    with pytest.raises(ConfigError) as refused:
        make()

    assert str(refused.value) == said
