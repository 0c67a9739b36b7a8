"""The fill rules of semantics.md on bars made by hand: price, rule, instant and states of each."""

import pytest
from brokers_builders import told

from ticklane.core.costs import FixedSlippage
from ticklane.core.market import DAY, MINUTE, SECOND
from ticklane.testing.builders import START, a_bar, a_tick, an_order

# Last price 100. Terms of the order, the bars after it, what fills (quantity @ price, rule,
# bar number and part of the bar), the states. Columns of a bar: open, high, low, close.
RULES = {
    "a market order fills at the next open": (
        {},
        [(101, 103, 99, 102)],
        ["1 @ 101 market_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a market sale fills at the next open": (
        {"side": "sell"},
        [(99, 103, 98, 102)],
        ["-1 @ 99 market_at_open, open of 1"],
        "ACKED FILLED",
    ),
    # limit
    "a limit buy that the open beats fills at the open": (
        {"type": "limit", "limit_price": 99},
        [(98.5, 100, 98, 99)],
        ["1 @ 98.5 limit_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a limit buy equal to the open fills at the open": (
        {"type": "limit", "limit_price": 99},
        [(99, 100, 99, 99)],
        ["1 @ 99 limit_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a limit buy within the range fills at its limit": (
        {"type": "limit", "limit_price": 99},
        [(100, 101, 98, 100)],
        ["1 @ 99 limit_reached, close of 1"],
        "ACKED FILLED",
    ),
    "a limit buy touched by the low fills at its limit": (
        {"type": "limit", "limit_price": 99},
        [(100, 101, 99, 100)],
        ["1 @ 99 limit_reached, close of 1"],
        "ACKED FILLED",
    ),
    "a limit buy not touched waits": (
        {"type": "limit", "limit_price": 99},
        [(100, 101, 99.01, 100), (100, 100, 98.9, 99)],
        ["1 @ 99 limit_reached, close of 2"],
        "ACKED FILLED",
    ),
    "a limit sale that the open beats fills at the open": (
        {"side": "sell", "type": "limit", "limit_price": 101},
        [(102, 103, 100, 101)],
        ["-1 @ 102 limit_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a limit sale touched by the high fills at its limit": (
        {"side": "sell", "type": "limit", "limit_price": 101},
        [(100, 101, 99, 100)],
        ["-1 @ 101 limit_reached, close of 1"],
        "ACKED FILLED",
    ),
    "a limit sale not touched waits": (
        {"side": "sell", "type": "limit", "limit_price": 101},
        [(100, 100.99, 99, 100)],
        [],
        "ACKED",
    ),
    # stop
    "a stop buy reached fills at its stop": (
        {"type": "stop", "stop_price": 102},
        [(100, 102, 99, 101)],
        ["1 @ 102 stop_reached, close of 1"],
        "ACKED FILLED",
    ),
    "a stop buy with a gap over it fills at the open": (
        {"type": "stop", "stop_price": 102},
        [(103, 104, 101, 102)],
        ["1 @ 103 stop_gap_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a stop sale reached fills at its stop": (
        {"side": "sell", "type": "stop", "stop_price": 98},
        [(100, 101, 97, 99)],
        ["-1 @ 98 stop_reached, close of 1"],
        "ACKED FILLED",
    ),
    "a stop sale with a gap below it fills at the open": (
        {"side": "sell", "type": "stop", "stop_price": 98},
        [(97, 99, 96, 98)],
        ["-1 @ 97 stop_gap_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a stop sale at the open fills at the open": (
        {"side": "sell", "type": "stop", "stop_price": 98},
        [(98, 99, 96, 98)],
        ["-1 @ 98 stop_gap_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a stop sale not reached waits": (
        {"side": "sell", "type": "stop", "stop_price": 98},
        [(100, 101, 98.01, 99)],
        [],
        "ACKED",
    ),
    # stop-limit
    "a stop-limit triggered inside with the stop within its limit fills at the stop": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 103},
        [(100, 104, 99, 104)],
        ["1 @ 102 stop_limit_at_trigger, close of 1"],
        "ACKED FILLED",
    ),
    "a stop-limit triggered at the open within its limit fills at the open": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 103},
        [(102.5, 104, 99, 104)],
        ["1 @ 102.5 stop_limit_at_trigger, open of 1"],
        "ACKED FILLED",
    ),
    "a stop-limit triggered at an open beyond its limit fills at the limit by the close": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 103},
        [(104, 105, 102, 102.5)],
        ["1 @ 103 stop_limit_by_close, close of 1"],
        "ACKED FILLED",
    ),
    "a stop-limit triggered at an open beyond its limit waits when the close is beyond too": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 103},
        [(104, 105, 101, 103.5)],
        [],
        "ACKED",
    ),
    "a stop-limit triggered inside with the stop beyond its limit fills by the close": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 101},
        [(100, 103, 99, 100.5)],
        ["1 @ 101 stop_limit_by_close, close of 1"],
        "ACKED FILLED",
    ),
    "a stop-limit triggered inside does not count what came before the trigger": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 101},
        [(100, 103, 99, 102.5)],
        [],
        "ACKED",
    ),
    "a triggered stop-limit is a limit order in later bars, at the open": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 101},
        [(100, 103, 99, 102.5), (100.5, 101, 100, 101)],
        ["1 @ 100.5 limit_at_open, open of 2"],
        "ACKED FILLED",
    ),
    "a triggered stop-limit is a limit order in later bars, inside": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 101},
        [(100, 103, 99, 102.5), (102, 103, 100.9, 102)],
        ["1 @ 101 limit_reached, close of 2"],
        "ACKED FILLED",
    ),
    "a stop-limit not triggered does not fill at its limit": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 103},
        [(100, 101.9, 99, 101)],
        [],
        "ACKED",
    ),
    "a stop-limit sale triggered inside fills at its stop": (
        {"side": "sell", "type": "stop_limit", "stop_price": 98, "limit_price": 97},
        [(100, 101, 96, 96)],
        ["-1 @ 98 stop_limit_at_trigger, close of 1"],
        "ACKED FILLED",
    ),
    "a stop-limit sale triggered at an open beyond its limit fills by the close": (
        {"side": "sell", "type": "stop_limit", "stop_price": 98, "limit_price": 97},
        [(96, 98, 95, 97.5)],
        ["-1 @ 97 stop_limit_by_close, close of 1"],
        "ACKED FILLED",
    ),
    "a stop-limit sale triggered beyond its limit waits, then fills as a limit order": (
        {"side": "sell", "type": "stop_limit", "stop_price": 98, "limit_price": 97},
        [(96, 98, 95, 96), (96, 97, 95, 96)],
        ["-1 @ 97 limit_reached, close of 2"],
        "ACKED FILLED",
    ),
    # trailing stop, the first mark is the last price: 100
    "a trailing sale tests the old mark before the high moves it": (
        {"side": "sell", "type": "trailing_stop", "trail_amount": 2},
        [(100, 110, 98, 109)],
        ["-1 @ 98 trailing_stop_reached, close of 1"],
        "ACKED FILLED",
    ),
    "a trailing sale with a gap fills at the open": (
        {"side": "sell", "type": "trailing_stop", "trail_amount": 2},
        [(97, 99, 96, 98)],
        ["-1 @ 97 trailing_stop_gap_at_open, open of 1"],
        "ACKED FILLED",
    ),
    "a trailing sale's mark moves with the high and the close is tested against it": (
        {"side": "sell", "type": "trailing_stop", "trail_amount": 2},
        [(100, 104, 99, 101.5)],
        ["-1 @ 102 trailing_stop_by_close, close of 1"],
        "ACKED FILLED",
    ),
    "a trailing sale whose close holds waits with the new mark": (
        {"side": "sell", "type": "trailing_stop", "trail_amount": 2},
        [(100, 104, 99, 103), (103, 103, 101.5, 103)],
        ["-1 @ 102 trailing_stop_reached, close of 2"],
        "ACKED FILLED",
    ),
    "a trailing sale's mark never moves back": (
        {"side": "sell", "type": "trailing_stop", "trail_amount": 2},
        [(100, 104, 99, 103), (103, 103.5, 102.1, 102.2), (102.2, 102.3, 102, 102.1)],
        ["-1 @ 102 trailing_stop_reached, close of 3"],
        "ACKED FILLED",
    ),
    "a trailing sale by percent keeps its distance from the mark": (
        {"side": "sell", "type": "trailing_stop", "trail_percent": 5},
        [(100, 120, 99, 119), (119, 119, 113, 118)],
        ["-1 @ 114 trailing_stop_reached, close of 2"],
        "ACKED FILLED",
    ),
    "a trailing stop's level has no dust of floats": (
        {"side": "sell", "type": "trailing_stop", "trail_percent": "0.7"},
        [(100, 100.1, 99.5, 100), (100, 100, 99, 99)],
        ["-1 @ 99.3993 trailing_stop_reached, close of 2"],
        "ACKED FILLED",
    ),
    "a trailing buy tests the old mark before the low moves it": (
        {"type": "trailing_stop", "trail_amount": 2},
        [(100, 102, 90, 91)],
        ["1 @ 102 trailing_stop_reached, close of 1"],
        "ACKED FILLED",
    ),
    "a trailing buy's mark moves with the low and the close is tested against it": (
        {"type": "trailing_stop", "trail_amount": 2},
        [(100, 101, 96, 98.5)],
        ["1 @ 98 trailing_stop_by_close, close of 1"],
        "ACKED FILLED",
    ),
    "a trailing buy by percent follows the low": (
        {"type": "trailing_stop", "trail_percent": 5},
        [(100, 100, 80, 81), (81, 85, 80.5, 84)],
        ["1 @ 84 trailing_stop_reached, close of 2"],
        "ACKED FILLED",
    ),
}


@pytest.mark.parametrize("rule", RULES)
async def test_the_rule_holds_that(rule, a_venue):
    terms, bars, fills, journey = RULES[rule]
    bench = await a_venue(100, allow_short=True)

    order = await bench.submit(an_order(**terms))
    shown = [await bench.bar(*prices) for prices in bars]

    assert told(bench, shown) == fills
    assert bench.journey(order) == journey


async def test_no_order_is_filled_by_being_submitted(a_venue):
    bench = await a_venue(100)

    order = await bench.submit(an_order())

    assert (bench.fills, bench.journey(order)) == ([], "ACKED")


async def test_an_order_does_not_fill_from_a_bar_that_opened_before_it_arrived(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order(at=START + MINUTE + SECOND))

    await bench.bar(101)
    early = bench.journey(order)
    await bench.bar(102)

    assert early == "ACKED"
    assert [fill.price for fill in bench.fills] == [102]


async def test_a_longer_bar_that_was_already_running_does_not_fill(a_venue):
    bench = await a_venue(100)
    await bench.submit(an_order())

    await bench.beat(a_tick(a_bar(105, at=START, length=5 * MINUTE)))
    await bench.bar(106)

    assert [(fill.price, fill.rule) for fill in bench.fills] == [(106, "market_at_open")]


async def test_orders_in_one_symbol_do_not_fill_from_bars_of_another(a_venue):
    bench = await a_venue(100)
    await bench.bar(50, symbol="IBM")
    await bench.submit(an_order(symbol="AAPL"))

    await bench.bar(51, symbol="IBM")

    assert bench.fills == []


async def test_a_fill_keeps_why_it_has_this_price(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order(3, side="buy", strategy="Trend"))

    bar = await bench.bar(101, 103, 99, 102)

    [fill] = bench.fills
    assert fill.source == bar
    assert (fill.order_id, fill.strategy, fill.symbol) == (order.id, "Trend", "AAPL")
    assert (fill.quantity, fill.price, fill.fee) == (3, 101, 0)
    assert (fill.filled_ns, fill.seen_ns) == (bar.open_ns, bar.close_ns)


async def test_each_execution_has_an_id_of_its_own(a_venue):
    bench = await a_venue(100)
    await bench.submit(an_order(), an_order())

    await bench.bar(101)

    assert len({fill.execution_id for fill in bench.fills}) == 2


async def test_two_symbols_fill_at_one_instant(a_venue):
    bench = await a_venue(100)
    await bench.bar(50, symbol="IBM")
    await bench.submit(an_order(symbol="AAPL"), an_order(symbol="IBM"))
    at = bench.now_ns

    await bench.beat(a_tick(a_bar(101, at=at), a_bar(51, symbol="IBM", at=at)))

    assert {fill.symbol: fill.price for fill in bench.fills} == {"AAPL": 101, "IBM": 51}


async def test_daily_bars_follow_the_same_rules(a_venue):
    bench = await a_venue(100, length=DAY)
    await bench.submit(an_order(type="stop", stop_price=102))

    bar = await bench.bar(100, 103, 99, 101)

    assert told(bench, [bar]) == ["1 @ 102 stop_reached, close of 1"]


NUMBERS = {
    "market": ({}, (101,), ""),
    "limit": ({"type": "limit", "limit_price": "99.50"}, (99,), "limit 99.5"),
    "stop": ({"type": "stop", "stop_price": 101}, (102,), "stop 101"),
    "stop_limit": (
        {"type": "stop_limit", "stop_price": 101, "limit_price": 103},
        (102,),
        "stop 101, limit 103",
    ),
    "trailing_stop": (
        {"type": "trailing_stop", "trail_percent": 10},
        (100, 100, 80, 90),
        "mark 80.0, stop 88.0",
    ),
}


@pytest.mark.parametrize("kind", NUMBERS)
async def test_a_fill_keeps_the_numbers_behind_its_price(kind, a_venue):
    terms, prices, detail = NUMBERS[kind]
    bench = await a_venue(100)
    await bench.submit(an_order(**terms))

    await bench.bar(*prices)

    assert [fill.detail for fill in bench.fills] == [detail]


async def test_a_slipped_fill_keeps_the_price_of_its_rule(a_venue):
    bench = await a_venue(100, slippage=FixedSlippage("0.25"))
    await bench.submit(an_order())

    await bench.bar(101)

    assert [fill.detail for fill in bench.fills] == ["101.0 before slippage and rounding"]
