"""The simulated venue at quotes: buys trade at the ask, sales at the bid."""

import math

import pytest

from ticklane.core.market import SECOND
from ticklane.testing.builders import a_quote, a_tick, an_order

# Last quote 100 / 100. Terms, quotes (bid, ask) after it, what fills: price, rule, number.
RULES = {
    "a market order buys at the ask": ({}, [(99, 101)], (101, "market_at_ask", 1)),
    "a market order sells at the bid": ({"side": "sell"}, [(99, 101)], (99, "market_at_bid", 1)),
    "a limit buy waits for the ask": (
        {"type": "limit", "limit_price": 99},
        [(98, 99.5), (97, 98.5)],
        (98.5, "limit_at_ask", 2),
    ),
    "a limit sale waits for the bid": (
        {"side": "sell", "type": "limit", "limit_price": 101},
        [(100.5, 102), (101, 103)],
        (101, "limit_at_bid", 2),
    ),
    "a stop buy waits for the ask": (
        {"type": "stop", "stop_price": 102},
        [(100, 101.9), (101, 103)],
        (103, "stop_at_ask", 2),
    ),
    "a stop sale waits for the bid": (
        {"side": "sell", "type": "stop", "stop_price": 98},
        [(98.5, 99), (97, 99)],
        (97, "stop_at_bid", 2),
    ),
    "a stop-limit buy triggers at the ask and waits for its limit": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 103},
        [(103, 104), (100, 101)],
        (101, "stop_limit_at_ask", 2),
    ),
    "a stop-limit buy triggers and fills at one quote": (
        {"type": "stop_limit", "stop_price": 102, "limit_price": 103},
        [(102, 102.5)],
        (102.5, "stop_limit_at_ask", 1),
    ),
    "a stop-limit sale triggers at the bid": (
        {"side": "sell", "type": "stop_limit", "stop_price": 98, "limit_price": 97},
        [(96, 99), (97.5, 99)],
        (97.5, "stop_limit_at_bid", 2),
    ),
    "a trailing sale follows the bid": (
        {"side": "sell", "type": "trailing_stop", "trail_amount": 2},
        [(105, 106), (103.5, 106), (102, 106)],
        (102, "trailing_stop_at_bid", 3),
    ),
    "a trailing buy follows the ask": (
        {"type": "trailing_stop", "trail_percent": 10},
        [(79, 80), (86, 87), (87, 88)],
        (88, "trailing_stop_at_ask", 3),
    ),
    "an ioc order is tested at the next quote": (
        {"type": "limit", "limit_price": 100, "time_in_force": "ioc"},
        [(99, 100)],
        (100, "limit_at_ask", 1),
    ),
}


@pytest.mark.parametrize("rule", RULES)
async def test_the_rule_holds_that(rule, a_venue):
    terms, quotes, (price, name, number) = RULES[rule]
    bench = await a_venue(100, has_quotes=True, allow_short=True)
    order = await bench.submit(an_order(**terms))

    shown = [await bench.quote(*prices) for prices in quotes]

    [fill] = bench.fills
    assert (fill.price, fill.rule, fill.source) == (price, name, shown[number - 1])
    assert fill.filled_ns == fill.seen_ns == shown[number - 1].time_ns
    assert bench.journey(order) == "ACKED FILLED"


async def test_an_ioc_order_not_filled_at_the_next_quote_is_cancelled(a_venue):
    bench = await a_venue(100, has_quotes=True)
    order = await bench.submit(an_order(type="limit", limit_price=99, time_in_force="ioc"))

    await bench.quote(98, 100)

    assert (bench.fills, bench.journey(order)) == ([], "ACKED CANCELED")


@pytest.mark.parametrize(("side", "sizes"), [("buy", (1000, 3)), ("sell", (3, 1000))])
async def test_a_quote_fills_at_most_its_size_when_that_is_configured(side, sizes, a_venue):
    settings = {"limit_to_quote_size": True, "allow_short": True}
    bench = await a_venue(100, has_quotes=True, **settings)
    order = await bench.submit(an_order(5, side=side))

    await bench.quote(100, 100, *sizes)
    await bench.quote(101, 101, *sizes)

    assert [(abs(fill.quantity), fill.price) for fill in bench.fills] == [(3, 100), (2, 101)]
    assert bench.journey(order) == "ACKED PARTIAL FILLED"


async def test_a_quote_fills_any_size_otherwise(a_venue):
    bench = await a_venue(100, has_quotes=True)
    await bench.submit(an_order(5))

    await bench.quote(100, 100, 0, 0)

    assert [fill.quantity for fill in bench.fills] == [5]


async def test_orders_share_the_size_of_a_quote_a_side(a_venue):
    bench = await a_venue(100, has_quotes=True, limit_to_quote_size=True, allow_short=True)
    buys, sale = [an_order(3), an_order(3)], an_order(3, side="sell")
    await bench.submit(*buys, sale)

    await bench.quote(99, 101, 3, 4)

    assert [one.filled_quantity for one in (*buys, sale)] == [3, 1, 3]


@pytest.mark.parametrize("unknown", [math.nan, math.inf, -1.0])
async def test_a_size_that_is_no_number_fills_nothing(unknown, a_venue):
    bench = await a_venue(100, has_quotes=True, limit_to_quote_size=True)
    order = await bench.submit(an_order())

    await bench.quote(99, 101, 5, unknown)

    assert (bench.fills, bench.journey(order)) == ([], "ACKED")


@pytest.mark.parametrize("missing", [0.0, math.nan, math.inf, -1.0])
async def test_a_side_without_a_price_fills_nothing(missing, a_venue):
    bench = await a_venue(100, has_quotes=True)
    order = await bench.submit(an_order())

    await bench.quote(99, missing)
    early = bench.journey(order)
    await bench.quote(99, 101)

    assert early == "ACKED"
    assert [fill.price for fill in bench.fills] == [101]


async def test_a_quote_before_the_order_arrives_does_not_fill(a_venue):
    bench = await a_venue(100, has_quotes=True)
    order = await bench.submit(an_order(at=bench.now_ns + 2 * SECOND))

    await bench.quote(100)
    early = bench.journey(order)
    await bench.quote(101)

    assert (early, bench.journey(order)) == ("ACKED", "ACKED FILLED")


async def test_bars_and_quotes_of_one_symbol_may_follow_each_other(a_venue):
    bench = await a_venue(100)
    await bench.submit(an_order(), an_order(type="limit", limit_price=90))

    await bench.quote(99, 101)
    await bench.bar(95, 96, 90, 91)

    assert [(fill.price, fill.rule) for fill in bench.fills] == [
        (101, "market_at_ask"),
        (90, "limit_reached"),
    ]


async def test_the_mid_of_a_quote_is_the_last_price(a_venue):
    bench = await a_venue(None, has_quotes=True, cash=1000)
    await bench.beat(a_tick(a_quote(90, 110)))

    affordable = await bench.submit(an_order(10))

    assert bench.journey(affordable) == "ACKED"
