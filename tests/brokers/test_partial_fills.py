"""Fills in parts, costs and slippage, and sizes by money, at the venue."""

from datetime import timedelta
from decimal import Decimal

import pytest
from brokers_builders import told

from ticklane.core.costs import (
    FixedSlippage,
    HalfSpreadSlippage,
    PercentCosts,
    PercentSlippage,
    PerOrderCosts,
    PerShareCosts,
    VolumeShareSlippage,
)
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.market import MINUTE
from ticklane.testing.builders import an_order

A_QUARTER = VolumeShareSlippage(cap="0.25", impact=0)
CENTS = Instrument(symbol="AAPL", rules=OrderRules(tick=Decimal("0.01")))


def whole(**rules):
    return [Instrument(symbol="AAPL", rules=OrderRules(lot=Decimal(1), **rules))]


# --- a share of the volume ----------------------------------------------------------------------


async def test_a_large_order_fills_over_several_bars(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    order = await bench.submit(an_order(10))

    bars = [await bench.bar(price, volume=16) for price in (100, 101, 102)]

    assert told(bench, bars) == [
        "4 @ 100 market_at_open, open of 1",
        "4 @ 101 market_at_open, open of 2",
        "2 @ 102 market_at_open, open of 3",
    ]
    assert bench.journey(order) == "ACKED PARTIAL PARTIAL FILLED"


async def test_what_is_left_of_a_stop_goes_on_as_a_market_order(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    await bench.submit(an_order(10, type="stop", stop_price=102))

    bars = [await bench.bar(100, 103, 99, 100, volume=16), await bench.bar(98, volume=100)]

    assert told(bench, bars) == [
        "4 @ 102 stop_reached, close of 1",
        "6 @ 98 market_at_open, open of 2",
    ]


async def test_a_stop_reached_without_any_volume_is_a_market_order_too(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    order = await bench.submit(an_order(2, type="stop", stop_price=102))

    bars = [await bench.bar(102, volume=0), await bench.bar(99, volume=100)]

    assert told(bench, bars) == ["2 @ 99 market_at_open, open of 2"]
    assert bench.journey(order) == "ACKED FILLED"


async def test_what_is_left_of_a_trailing_stop_goes_on_as_a_market_order(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER, allow_short=True)
    await bench.submit(an_order(10, side="sell", type="trailing_stop", trail_amount=1))

    bars = [await bench.bar(100, 100, 98, 98, volume=16), await bench.bar(105, volume=100)]

    assert told(bench, bars) == [
        "-4 @ 99 trailing_stop_reached, close of 1",
        "-6 @ 105 market_at_open, open of 2",
    ]


async def test_what_is_left_of_a_limit_order_keeps_its_limit(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    await bench.submit(an_order(10, type="limit", limit_price=99))

    bars = [await bench.bar(99, volume=16), await bench.bar(105, 106, 98, 105, volume=100)]

    assert told(bench, bars) == [
        "4 @ 99 limit_at_open, open of 1",
        "6 @ 99 limit_reached, close of 2",
    ]


async def test_two_orders_share_the_volume_of_a_bar_first_come_first_served(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    first, second = an_order(3), an_order(3)
    await bench.submit(first, second)

    await bench.bar(100, volume=16)

    assert (first.filled_quantity, second.filled_quantity) == (3, 1)


async def test_buyers_and_sellers_share_one_volume(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER, allow_short=True)
    buy, sell = an_order(3), an_order(3, side="sell")
    await bench.submit(buy, sell)

    await bench.bar(100, volume=16)

    assert (buy.filled_quantity, sell.filled_quantity) == (3, 1)


async def test_ioc_takes_what_there_is_and_cancels_the_rest(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    order = await bench.submit(an_order(10, time_in_force="ioc"))

    await bench.bar(100, volume=16)

    assert (order.filled_quantity, bench.journey(order)) == (4, "ACKED PARTIAL CANCELED")


async def test_fok_takes_all_or_nothing(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    all_of_it, too_much = an_order(2, time_in_force="fok"), an_order(10, time_in_force="fok")
    await bench.submit(all_of_it, too_much)

    await bench.bar(100, volume=16)

    assert bench.journey(all_of_it) == "ACKED FILLED"
    assert (too_much.filled_quantity, bench.journey(too_much)) == (0, "ACKED CANCELED")


async def test_parts_are_whole_lots(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER, instruments=whole())
    await bench.submit(an_order(5))

    await bench.bar(100, volume=15)
    await bench.bar(100, volume=15)

    assert [fill.quantity for fill in bench.fills] == [3, 2]


async def test_a_larger_share_of_the_volume_costs_more(a_venue):
    bench = await a_venue(100, slippage=VolumeShareSlippage(cap="0.5", impact="0.1"))
    await bench.submit(an_order(50))

    await bench.bar(100, volume=100)

    assert [fill.price for fill in bench.fills] == [Decimal("102.5")]  # 100 x 0.1 x 0.5 squared


# --- slippage -----------------------------------------------------------------------------------

SLIPPED = {
    "fixed": (FixedSlippage("0.25"), "100.25", "99.75"),
    "percent": (PercentSlippage("0.5"), "100.5", "99.5"),
    "half spread": (HalfSpreadSlippage("0.4"), "100.2", "99.8"),
}


@pytest.mark.parametrize("model", SLIPPED)
@pytest.mark.parametrize("side", ["buy", "sell"])
async def test_slippage_makes_a_taker_pay(model, side, a_venue):
    slippage, bought, sold = SLIPPED[model]
    bench = await a_venue(100, slippage=slippage, allow_short=True)
    await bench.submit(an_order(side=side))

    await bench.bar(100)

    assert [fill.price for fill in bench.fills] == [Decimal(bought if side == "buy" else sold)]


@pytest.mark.parametrize(("side", "price"), [("buy", "100.04"), ("sell", "99.96")])
async def test_slippage_is_rounded_to_the_tick_against_us(side, price, a_venue):
    settings = {"slippage": FixedSlippage("0.031"), "instruments": [CENTS], "allow_short": True}
    bench = await a_venue(100, **settings)
    await bench.submit(an_order(side=side))

    await bench.bar(100)

    assert [fill.price for fill in bench.fills] == [Decimal(price)]


@pytest.mark.parametrize(("side", "price"), [("buy", "100.13"), ("sell", "100.12")])
async def test_a_price_between_two_ticks_is_rounded_against_us(side, price, a_venue):
    bench = await a_venue(100, instruments=[CENTS], allow_short=True)
    await bench.submit(an_order(side=side))

    await bench.bar(100.1234)

    assert [fill.price for fill in bench.fills] == [Decimal(price)]


@pytest.mark.parametrize(("side", "price"), [("buy", "101.11"), ("sell", "98.89")])
async def test_a_trailing_stop_fills_on_the_tick(side, price, a_venue):
    bench = await a_venue(100, instruments=[CENTS], allow_short=True)
    await bench.submit(an_order(side=side, type="trailing_stop", trail_percent="1.106"))

    await bench.bar(100, 105, 95, 100)

    assert [fill.price for fill in bench.fills] == [Decimal(price)]


@pytest.mark.parametrize(
    ("side", "limit", "opening", "price"),
    [("buy", "100.1", 100, "100.1"), ("sell", "99.9", 100, "99.9"), ("buy", "100.1", 99, "99.5")],
)
async def test_slippage_never_goes_beyond_the_limit(side, limit, opening, price, a_venue):
    bench = await a_venue(100, slippage=FixedSlippage("0.5"), allow_short=True)
    await bench.submit(an_order(side=side, type="limit", limit_price=limit))

    await bench.bar(opening)

    assert [fill.price for fill in bench.fills] == [Decimal(price)]


async def test_a_stop_limit_slips_at_its_trigger_but_not_beyond_its_limit(a_venue):
    bench = await a_venue(100, slippage=FixedSlippage(2))
    await bench.submit(an_order(type="stop_limit", stop_price=102, limit_price=103))

    await bench.bar(100, 104, 99, 104)

    assert [fill.price for fill in bench.fills] == [103]


async def test_a_resting_limit_order_does_not_slip(a_venue):
    bench = await a_venue(100, slippage=FixedSlippage(1))
    await bench.submit(an_order(type="limit", limit_price=99))

    await bench.bar(100, 101, 98, 100)

    assert [fill.price for fill in bench.fills] == [99]


# --- fees ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("costs", "fee"),
    [
        (PerShareCosts("0.005"), "0.05"),
        (PerOrderCosts(1), "1"),
        (PerOrderCosts(1, "0.01"), "10"),
        (PercentCosts(maker="0.1", taker="0.2"), "2"),
    ],
    ids=["per share", "per order", "rate with minimum", "percent"],
)
async def test_each_fill_pays_its_fee(costs, fee, a_venue):
    bench = await a_venue(100, costs=costs)
    await bench.submit(an_order(10))

    await bench.bar(100)

    assert [one.fee for one in bench.fills] == [Decimal(fee)]
    assert bench.broker.cash == 99_000 - Decimal(fee)


async def test_a_flat_fee_is_paid_once_an_order(a_venue):
    bench = await a_venue(100, costs=PerOrderCosts(1), slippage=A_QUARTER)
    await bench.submit(an_order(8))

    await bench.bar(100, volume=16)
    await bench.bar(100, volume=16)

    assert [one.fee for one in bench.fills] == [1, 0]


MAKERS = {
    "a limit order at the open takes": ({"type": "limit", "limit_price": 100}, (100,), 2),
    "a limit order reached inside rested": (
        {"type": "limit", "limit_price": 99},
        (100, 100, 99),
        1,
    ),
    "a stop takes": ({"type": "stop", "stop_price": 101}, (100, 101), 2),
    "a stop-limit at its trigger takes": (
        {"type": "stop_limit", "stop_price": 101, "limit_price": 102},
        (100, 102),
        2,
    ),
    "a stop-limit that waited for the close rested": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 101},
        (100, 103, 99, 100),
        1,
    ),
}


@pytest.mark.parametrize("case", MAKERS)
async def test_maker_and_taker_pay_their_own_rates(case, a_venue):
    terms, prices, percent = MAKERS[case]
    bench = await a_venue(100, costs=PercentCosts(maker=1, taker=2))
    await bench.submit(an_order(**terms))

    await bench.bar(*prices)

    [fill] = bench.fills
    assert fill.fee == fill.price * percent / 100


# --- orders sized by money ----------------------------------------------------------------------


async def test_an_order_of_an_amount_is_sized_at_the_fill_price(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order(notional=1000))
    before = order.quantity

    await bench.bar(80)

    assert (before, order.quantity, bench.journey(order)) == (0, Decimal("12.5"), "ACKED FILLED")
    assert bench.updates[-1].quantity == Decimal("12.5")


@pytest.mark.parametrize(("rules", "quantity"), [({}, 14), ({"tick": Decimal(5)}, 13)])
async def test_an_amount_buys_whole_lots_rounded_down(rules, quantity, a_venue):
    bench = await a_venue(100, instruments=whole(**rules))
    await bench.submit(an_order(notional=1000))

    await bench.bar(71)

    assert [fill.quantity for fill in bench.fills] == [quantity]


async def test_without_a_lot_an_amount_buys_to_a_hundred_millionth(a_venue):
    bench = await a_venue(100)
    await bench.submit(an_order(notional=1000))

    await bench.bar(3)

    assert [fill.quantity for fill in bench.fills] == [Decimal("333.33333333")]


async def test_an_amount_is_sized_after_slippage(a_venue):
    bench = await a_venue(100, slippage=PercentSlippage(25))
    await bench.submit(an_order(notional=1000))

    await bench.bar(80)

    assert [(fill.quantity, fill.price) for fill in bench.fills] == [(10, 100)]


async def test_a_sale_of_an_amount_leaves_no_rest_after_slippage(a_venue):
    bench = await a_venue(100, slippage=PercentSlippage(20), allow_short=True)
    order = await bench.submit(an_order(side="sell", notional=1000))

    await bench.bar(100)

    assert [(fill.quantity, fill.price) for fill in bench.fills] == [(Decimal("-12.5"), 80)]
    assert bench.journey(order) == "ACKED FILLED"


async def test_an_amount_larger_than_the_volume_is_sized_once_and_fills_in_parts(a_venue):
    bench = await a_venue(100, slippage=A_QUARTER)
    order = await bench.submit(an_order(notional=1000))

    await bench.bar(100, volume=16)
    await bench.bar(50, volume=100)

    assert [(fill.quantity, fill.price) for fill in bench.fills] == [(4, 100), (6, 50)]
    assert (order.quantity, bench.journey(order)) == (10, "ACKED PARTIAL FILLED")


@pytest.mark.parametrize("rules", [{}, {"minimum_quantity": Decimal(15)}])
async def test_an_amount_too_small_for_the_smallest_quantity_is_rejected(rules, a_venue):
    bench = await a_venue(100, instruments=whole(**rules))
    order = await bench.submit(an_order(notional=1000))

    await bench.bar(1001 if not rules else 100)

    assert (bench.journey(order), order.reason_code) == ("ACKED REJECTED", "too_small")
    assert order.reason == "1000 is less than the smallest quantity of AAPL."


async def test_a_limit_order_of_an_amount_is_sized_at_its_limit(a_venue):
    bench = await a_venue(100)
    await bench.submit(an_order(notional=990, type="limit", limit_price=99))

    bar = await bench.bar(100, 100, 98, 99)

    assert told(bench, [bar]) == ["10 @ 99 limit_reached, close of 1"]


# --- latency ------------------------------------------------------------------------------------


async def test_an_order_on_its_way_misses_the_bar_that_opens_before_it_arrives(a_venue):
    bench = await a_venue(100, latency=timedelta(milliseconds=200))
    order = await bench.submit(an_order())

    await bench.bar(101)
    on_its_way = bench.journey(order)
    await bench.bar(102)

    assert on_its_way == "ACKED"
    assert [(fill.price, fill.filled_ns) for fill in bench.fills] == [(102, bench.now_ns - MINUTE)]
