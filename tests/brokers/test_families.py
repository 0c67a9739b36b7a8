"""Brackets, OTO and OCO: when exits become active, and who ends whom."""

from decimal import Decimal

import pytest
from brokers_builders import told

from ticklane.core.costs import VolumeShareSlippage
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.market import DAY
from ticklane.testing.builders import a_bracket, a_pair, an_order

HALF_OF_VOLUME = VolumeShareSlippage(cap="0.5", impact=0)


def a_long(quantity=10, target=110, stop=90, **terms):
    return a_bracket(an_order(quantity, **terms), target, stop)


def journeys(bench, order):
    return [bench.journey(one) for one in (order, *order.legs)]


# --- when exits become active -------------------------------------------------------------------


async def test_exits_are_acknowledged_and_wait_for_their_entry(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(a_long(type="limit", limit_price=95))

    await bench.bar(100, 115, 96, 100)

    assert bench.fills == []
    assert journeys(bench, order) == ["ACKED", "ACKED", "ACKED"]


# An entry at the market (open 100) or with a limit at 99, target 110, stop 90; one bar.
SAME_BAR = {
    "after an entry at the open the target may fill in that bar": (
        {},
        (100, 111, 95, 105),
        ["10 @ 100 market_at_open, open of 1", "-10 @ 110 limit_reached, close of 1"],
        ["ACKED FILLED", "ACKED FILLED", "ACKED CANCELED"],
    ),
    "after an entry at the open the stop may fill in that bar": (
        {},
        (100, 105, 89, 95),
        ["10 @ 100 market_at_open, open of 1", "-10 @ 90 stop_reached, close of 1"],
        ["ACKED FILLED", "ACKED CANCELED", "ACKED FILLED"],
    ),
    "a bar that reaches stop and target fills the stop": (
        {},
        (100, 111, 89, 95),
        ["10 @ 100 market_at_open, open of 1", "-10 @ 90 stop_reached, close of 1"],
        ["ACKED FILLED", "ACKED CANCELED", "ACKED FILLED"],
    ),
    "an entry at an open beyond the stop is stopped out at that open": (
        {},
        (89, 95, 85, 90),
        ["10 @ 89 market_at_open, open of 1", "-10 @ 89 stop_gap_at_open, open of 1"],
        ["ACKED FILLED", "ACKED CANCELED", "ACKED FILLED"],
    ),
    "after an entry inside the bar the stop may fill in that bar": (
        {"type": "limit", "limit_price": 99},
        (100, 101, 89, 95),
        ["10 @ 99 limit_reached, close of 1", "-10 @ 90 stop_after_entry, close of 1"],
        ["ACKED FILLED", "ACKED CANCELED", "ACKED FILLED"],
    ),
    "after an entry inside the bar the target may not fill in that bar": (
        {"type": "limit", "limit_price": 99},
        (100, 111, 98, 111),
        ["10 @ 99 limit_reached, close of 1"],
        ["ACKED FILLED", "ACKED", "ACKED"],
    ),
    "after a stop entry inside the bar the stop may fill in that bar": (
        {"type": "stop", "stop_price": 101},
        (100, 111, 89, 95),
        ["10 @ 101 stop_reached, close of 1", "-10 @ 90 stop_after_entry, close of 1"],
        ["ACKED FILLED", "ACKED CANCELED", "ACKED FILLED"],
    ),
    "a stop that lies beyond an entry inside the bar fills at the entry's price": (
        {"type": "limit", "limit_price": 89},
        (95, 96, 88, 95),
        ["10 @ 89 limit_reached, close of 1", "-10 @ 89 stop_after_entry, close of 1"],
        ["ACKED FILLED", "ACKED CANCELED", "ACKED FILLED"],
    ),
    "after an entry at the close nothing more fills in that bar": (
        {"time_in_force": "cls"},
        (100, 111, 89, 100),
        ["10 @ 100 market_at_close, close of 1"],
        ["ACKED FILLED", "ACKED", "ACKED"],
    ),
}


@pytest.mark.parametrize("rule", SAME_BAR)
async def test_the_rule_holds_that(rule, a_venue):
    terms, prices, fills, states = SAME_BAR[rule]
    bench = await a_venue(100, length=DAY)
    order = await bench.submit(a_long(**terms))

    bar = await bench.bar(*prices)

    assert told(bench, [bar]) == fills
    assert journeys(bench, order) == states


async def test_the_target_can_be_configured_to_come_first(a_venue):
    bench = await a_venue(100, target_first=True)
    order = await bench.submit(a_long())

    bar = await bench.bar(100, 111, 89, 95)

    assert told(bench, [bar])[1] == "-10 @ 110 limit_reached, close of 1"
    assert journeys(bench, order) == ["ACKED FILLED", "ACKED FILLED", "ACKED CANCELED"]


async def test_in_later_bars_either_exit_fills_and_ends_the_other(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(a_long())
    first = await bench.bar(100)

    second = await bench.bar(112, 113, 111, 112)

    assert told(bench, [first, second])[1:] == ["-10 @ 112 limit_at_open, open of 2"]
    assert journeys(bench, order) == ["ACKED FILLED", "ACKED FILLED", "ACKED CANCELED"]
    assert order.legs[1].reason == "the other order of the pair was filled or has ended."


async def test_a_gap_over_the_target_comes_before_the_stop_inside(a_venue):
    bench = await a_venue(100)
    await bench.submit(a_long())
    first = await bench.bar(100)

    second = await bench.bar(112, 113, 89, 90)

    assert told(bench, [first, second])[1:] == ["-10 @ 112 limit_at_open, open of 2"]


async def test_a_short_bracket_is_the_mirror_image(a_venue):
    bench = await a_venue(100, allow_short=True)
    order = await bench.submit(a_long(side="sell", target=90, stop=110))

    bar = await bench.bar(100, 111, 89, 95)

    assert told(bench, [bar]) == [
        "-10 @ 100 market_at_open, open of 1",
        "10 @ 110 stop_reached, close of 1",
    ]
    assert journeys(bench, order) == ["ACKED FILLED", "ACKED CANCELED", "ACKED FILLED"]


@pytest.mark.parametrize(
    ("exits", "prices", "last"),
    [
        ({"stop": 90, "target": None}, (95, 95, 89, 89), "-10 @ 90 stop_reached, close of 2"),
        (
            {"target": 110, "stop": None},
            (105, 110, 105, 105),
            "-10 @ 110 limit_reached, close of 2",
        ),
    ],
    ids=["stop", "target"],
)
async def test_an_entry_may_have_one_exit_only(exits, prices, last, a_venue):
    bench = await a_venue(100)
    order = await bench.submit(a_long(**exits))

    bars = [await bench.bar(100), await bench.bar(*prices)]

    assert told(bench, bars)[1:] == [last]
    assert journeys(bench, order) == ["ACKED FILLED", "ACKED FILLED"]


async def test_on_quotes_exits_wait_for_the_quote_after_the_entry(a_venue):
    bench = await a_venue(100, has_quotes=True)
    order = await bench.submit(a_long())

    await bench.quote(88, 89)
    after_one = journeys(bench, order)
    await bench.quote(87, 88)

    assert after_one == ["ACKED FILLED", "ACKED", "ACKED"]
    assert [(fill.quantity, fill.price) for fill in bench.fills] == [(10, 89), (-10, 87)]


async def test_an_entry_sized_by_money_gives_its_exits_their_size(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(a_bracket(an_order(notional=1000), 110, 90))

    bar = await bench.bar(80, 111, 80, 100)

    assert told(bench, [bar]) == [
        "12.5 @ 80 market_at_open, open of 1",
        "-12.5 @ 80 stop_gap_at_open, open of 1",
    ]
    assert [leg.quantity for leg in order.legs] == [12.5, 12.5]


# --- who ends whom ------------------------------------------------------------------------------


async def test_cancelling_an_entry_before_it_fills_ends_its_exits(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(a_long(type="limit", limit_price=95))

    await bench.cancel(order)

    assert journeys(bench, order) == ["ACKED CANCELED"] * 3
    assert [one.reason_code for one in (order, *order.legs)] == [
        "canceled",
        "entry_gone",
        "entry_gone",
    ]


@pytest.mark.parametrize("number", [0, 1], ids=["target", "stop"])
async def test_cancelling_an_exit_ends_the_whole_family(number, a_venue):
    bench = await a_venue(100)
    order = await bench.submit(a_long(type="limit", limit_price=95))

    await bench.cancel(order.legs[number])
    await bench.bar(90, 115, 80, 100)

    assert (bench.fills, journeys(bench, order)) == ([], ["ACKED CANCELED"] * 3)
    assert (order.reason_code, order.legs[1 - number].reason_code) == ("exit_gone", "oco")


async def test_cancelling_an_exit_after_the_entry_ends_the_other(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(a_long())
    await bench.bar(100)

    await bench.cancel(order.legs[1])

    assert journeys(bench, order) == ["ACKED FILLED", "ACKED CANCELED", "ACKED CANCELED"]


async def test_an_entry_that_expires_ends_its_exits(a_venue):
    bench = await a_venue(100, length=DAY)
    order = await bench.submit(a_long(type="limit", limit_price=95, time_in_force="day"))

    await bench.bar(100)

    assert journeys(bench, order) == ["ACKED EXPIRED", "ACKED CANCELED", "ACKED CANCELED"]


async def test_an_entry_too_dear_at_the_fill_ends_its_exits(a_venue):
    bench = await a_venue(100, cash=1000)
    order = await bench.submit(a_long())

    await bench.bar(101)

    assert journeys(bench, order) == ["ACKED REJECTED", "ACKED CANCELED", "ACKED CANCELED"]


async def test_a_refused_entry_takes_its_exits_with_it(a_venue):
    bench = await a_venue(100, cash=10)

    order = await bench.submit(a_long())

    assert journeys(bench, order) == ["REJECTED"] * 3
    assert {one.reason_code for one in order.legs} == {"insufficient_cash"}


async def test_an_exit_that_breaks_the_rules_of_the_instrument_refuses_the_family(a_venue):
    instrument = Instrument(symbol="AAPL", rules=OrderRules(tick=Decimal("0.05")))
    bench = await a_venue(100, instruments=[instrument])

    order = await bench.submit(a_long(stop="90.01"))

    assert journeys(bench, order) == ["REJECTED"] * 3
    assert order.reason == "stop_price 90.01 of AAPL is not a multiple of 0.05."


# --- partial fills ------------------------------------------------------------------------------


async def test_exits_protect_the_part_of_the_entry_that_is_filled(a_venue):
    bench = await a_venue(100, slippage=HALF_OF_VOLUME)
    order = await bench.submit(a_long(10))

    bars = [await bench.bar(100, volume=8), await bench.bar(95, 95, 89, 90, volume=8)]

    assert told(bench, bars) == [
        "4 @ 100 market_at_open, open of 1",
        "4 @ 95 market_at_open, open of 2",
    ]
    assert bench.journey(order) == "ACKED PARTIAL PARTIAL"


async def test_the_stop_of_a_partly_filled_entry_sells_what_there_is(a_venue):
    bench = await a_venue(100, slippage=HALF_OF_VOLUME)
    order = await bench.submit(a_long(10, type="limit", limit_price=100))
    await bench.bar(100, volume=8)
    await bench.cancel(order)

    await bench.bar(89, volume=100)

    assert [fill.quantity for fill in bench.fills] == [4, -4]
    assert journeys(bench, order) == ["ACKED PARTIAL CANCELED", "ACKED CANCELED", "ACKED FILLED"]
    assert (order.legs[1].quantity, bench.position) == (4, 0)


async def test_an_entry_that_expires_half_filled_keeps_its_exits_for_that_half(a_venue):
    bench = await a_venue(100, slippage=HALF_OF_VOLUME, length=DAY)
    order = await bench.submit(a_long(10, time_in_force="day"))

    bars = [await bench.bar(100, volume=8), await bench.bar(112, volume=100)]

    assert told(bench, bars) == [
        "4 @ 100 market_at_open, open of 1",
        "-4 @ 112 limit_at_open, open of 2",
    ]
    assert journeys(bench, order) == ["ACKED PARTIAL EXPIRED", "ACKED FILLED", "ACKED CANCELED"]


async def test_what_one_exit_sells_in_parts_the_other_need_not_sell(a_venue):
    bench = await a_venue(100, slippage=HALF_OF_VOLUME)
    order = await bench.submit(a_long(10))
    await bench.bar(100, volume=100)

    await bench.bar(110, volume=8)
    await bench.bar(89, volume=100)

    assert [(fill.quantity, fill.price) for fill in bench.fills] == [(10, 100), (-4, 110), (-6, 89)]
    assert journeys(bench, order) == ["ACKED FILLED", "ACKED PARTIAL CANCELED", "ACKED FILLED"]
    assert (order.legs[1].quantity, order.legs[1].filled_quantity) == (6, 6)


async def test_an_exit_used_up_before_the_entry_ends_is_filled_with_that_size(a_venue):
    bench = await a_venue(100, slippage=HALF_OF_VOLUME)
    order = await bench.submit(a_long(10, type="limit", limit_price=100))
    await bench.bar(100, volume=8)
    await bench.bar(111, volume=100)
    before = journeys(bench, order)

    await bench.cancel(order)

    assert before == ["ACKED PARTIAL", "ACKED PARTIAL", "ACKED"]
    assert journeys(bench, order) == [
        "ACKED PARTIAL CANCELED",
        "ACKED PARTIAL FILLED",
        "ACKED CANCELED",
    ]
    assert (order.legs[0].quantity, bench.position) == (4, 0)


async def test_a_target_does_not_sell_what_was_bought_inside_the_same_bar(a_venue):
    bench = await a_venue(100, slippage=HALF_OF_VOLUME)
    await bench.submit(a_long(10, type="limit", limit_price=100, target=101))
    await bench.bar(100, volume=8)

    await bench.bar(100.5, 102, 99, 101, volume=100)

    sold = [fill.quantity for fill in bench.fills if fill.quantity < 0]
    assert sold == [-4]
    assert bench.position == 6


async def test_an_entry_sized_by_money_that_fills_in_parts_is_protected_in_parts(a_venue):
    bench = await a_venue(100, slippage=HALF_OF_VOLUME)
    order = await bench.submit(a_bracket(an_order(notional=1000), 110, 90))
    await bench.bar(100, volume=8)

    await bench.bar(111, volume=8)  # the target sells before the entry goes on
    await bench.bar(100, volume=100)
    await bench.bar(89, volume=100)

    assert bench.position == 0
    assert journeys(bench, order)[0].endswith("FILLED")
    assert all(not one.is_open for one in (order, *order.legs))


# --- pairs (OCO) --------------------------------------------------------------------------------


async def a_holder(a_venue, quantity=10, **settings):
    bench = await a_venue(100, **settings)
    await bench.submit(an_order(quantity))
    await bench.bar(100, volume=1e6)
    bench.fills.clear()
    return bench


PAIR = {
    "the target": ((110, 112, 105, 110), "-10 @ 110 limit_at_open, open of 1"),
    "the stop": ((95, 96, 89, 95), "-10 @ 90 stop_reached, close of 1"),
    "the stop of both": ((100, 111, 89, 95), "-10 @ 90 stop_reached, close of 1"),
}


@pytest.mark.parametrize("case", PAIR)
async def test_one_of_a_pair_fills_and_ends_the_other(case, a_venue):
    prices, fill = PAIR[case]
    bench = await a_holder(a_venue)
    order = await bench.submit(a_pair(10, 110, 90))

    bar = await bench.bar(*prices)

    assert told(bench, [bar]) == [fill]
    assert sorted(journeys(bench, order)) == ["ACKED CANCELED", "ACKED FILLED"]


@pytest.mark.parametrize("member", [0, 1], ids=["target", "stop"])
async def test_cancelling_one_of_a_pair_cancels_both(member, a_venue):
    bench = await a_holder(a_venue)
    order = await bench.submit(a_pair(10, 110, 90))

    await bench.cancel((order, *order.legs)[member])

    assert journeys(bench, order) == ["ACKED CANCELED", "ACKED CANCELED"]


async def test_a_pair_of_day_orders_expires_together(a_venue):
    bench = await a_holder(a_venue, length=DAY)
    order = a_pair(10, 110, 90, time_in_force="day")
    order.legs[0].time_in_force = order.time_in_force
    await bench.submit(order)

    await bench.bar(100)

    assert sorted(journeys(bench, order)) == ["ACKED CANCELED", "ACKED EXPIRED"]


async def test_a_pair_of_day_orders_missed_by_the_bars_expires_together(a_venue):
    bench = await a_holder(a_venue)
    order = a_pair(10, 110, 90, time_in_force="day")
    order.legs[0].time_in_force = order.time_in_force
    await bench.submit(order)
    await bench.bar(100)

    await bench.bar(111, at=bench.now_ns + DAY)

    assert bench.fills == []
    assert sorted(journeys(bench, order)) == ["ACKED CANCELED", "ACKED EXPIRED"]


async def test_a_pair_needs_what_it_sells_only_once(a_venue):
    bench = await a_holder(a_venue, 10)
    await bench.submit(a_pair(6, 110, 90))

    rest = await bench.submit(an_order(4, side="sell", type="limit", limit_price=120))
    more = await bench.submit(an_order(1, side="sell", type="limit", limit_price=120))

    assert (bench.journey(rest), bench.journey(more)) == ("ACKED", "REJECTED")
