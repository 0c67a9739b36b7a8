"""What the simulated account can carry: cash, reservations, short sales, and who is refused."""

from datetime import timedelta
from decimal import Decimal

import pytest

from ticklane.brokers.paper import PaperBroker
from ticklane.core.costs import PercentCosts, PerOrderCosts, VolumeShareSlippage
from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.testing.builders import a_bracket, an_order


async def held(a_venue, quantity, **settings):
    """A bench that holds (or, below zero, is short of) so much, bought at 100."""
    bench = await a_venue(100, **{"cash": 10_000, **settings})
    side = "buy" if quantity > 0 else "sell"
    await bench.submit(an_order(abs(quantity), side=side))
    await bench.bar(100, volume=1e9)
    return bench


async def states(bench, *orders):
    for order in orders:
        await bench.submit(order)
    return [bench.journey(order) for order in orders]


# --- cash at acceptance -------------------------------------------------------------------------


async def test_a_buy_beyond_the_cash_is_rejected_with_both_numbers(a_venue):
    bench = await a_venue(100, cash=1000)

    order = await bench.submit(an_order("10.5"))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", "insufficient_cash")
    assert order.reason == "buying 10.5 AAPL needs about 1,050.00, but only 1,000.00 is free."


async def test_a_buy_for_all_the_cash_is_taken(a_venue):
    bench = await a_venue(100, cash=1000)

    assert await states(bench, an_order(10)) == ["ACKED"]


async def test_costs_count_at_acceptance(a_venue):
    bench = await a_venue(100, cash=1000, costs=PerOrderCosts(1))

    assert await states(bench, an_order(10), an_order("9.99")) == ["REJECTED", "ACKED"]


async def test_open_buys_keep_their_cash_reserved(a_venue):
    bench = await a_venue(100, cash=1000)
    first, second = an_order(6, type="limit", limit_price=99), an_order(6)

    assert await states(bench, first, second) == ["ACKED", "REJECTED"]
    await bench.cancel(first)
    assert await states(bench, an_order(6)) == ["ACKED"]


async def test_a_limit_order_reserves_at_its_limit_and_a_stop_at_the_worse_price(a_venue):
    bench = await a_venue(100, cash=1000)
    limit, stop = {"type": "limit", "limit_price": 50}, {"type": "stop", "stop_price": 125}

    assert await states(bench, an_order(10, **limit), an_order(4, **stop)) == ["ACKED", "ACKED"]
    assert await states(bench, an_order("0.01")) == ["REJECTED"]


async def test_an_amount_of_money_reserves_itself(a_venue):
    bench = await a_venue(100, cash=1000)

    assert await states(bench, an_order(notional=600), an_order(notional=600)) == [
        "ACKED",
        "REJECTED",
    ]


async def test_a_partial_fill_frees_its_part_of_the_reservation(a_venue):
    slippage = VolumeShareSlippage(cap=1, impact=0)
    bench = await a_venue(100, cash=1000, slippage=slippage)
    await bench.submit(an_order(10, type="limit", limit_price=100))

    await bench.bar(50, volume=5)  # 250 is spent, 500 still reserved for the other five

    assert await states(bench, an_order(5), an_order("0.01")) == ["ACKED", "REJECTED"]


# --- cash at the fill ---------------------------------------------------------------------------


async def test_a_buy_that_no_longer_fits_at_the_fill_is_rejected(a_venue):
    bench = await a_venue(100, cash=1000)
    order = await bench.submit(an_order(10))

    await bench.bar(101)

    assert (bench.fills, bench.journey(order)) == ([], "ACKED REJECTED")
    assert order.reason == "buying 10 AAPL costs 1,010.00 at the fill, but only 1,000.00 is there."
    assert order.reason_code == "insufficient_cash"


async def test_costs_count_at_the_fill(a_venue):
    bench = await a_venue(100, cash=1000, costs=PercentCosts(maker=0, taker=1))
    order = await bench.submit(an_order("9.9"))

    await bench.bar(100.02)

    assert bench.journey(order) == "ACKED REJECTED"


async def test_an_order_that_fills_in_parts_is_rejected_where_the_cash_ends(a_venue):
    slippage = VolumeShareSlippage(cap=1, impact=0)
    bench = await a_venue(100, cash=1000, slippage=slippage)
    order = await bench.submit(an_order(10))

    await bench.bar(100, volume=5)
    await bench.bar(101, volume=5)

    assert (order.filled_quantity, bench.journey(order)) == (5, "ACKED PARTIAL REJECTED")


async def test_a_sale_inside_a_bar_does_not_pay_for_a_buy_at_its_open(a_venue):
    bench = await a_venue(100, cash=1000)
    await bench.submit(a_bracket(an_order(5), 120, 90))
    buy = await bench.submit(an_order(5))

    await bench.bar(101, 125, 100, 121)  # 505 is spent at the open, 495 left; then the target

    assert bench.journey(buy) == "ACKED REJECTED"
    assert [fill.price for fill in bench.fills] == [101, 120]


# --- short sales --------------------------------------------------------------------------------


async def test_a_short_sale_is_refused_by_default(a_venue):
    bench = await a_venue(100)

    order = await bench.submit(an_order(3, side="sell"))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", "short_not_allowed")
    assert order.reason == (
        "selling 3 AAPL would go short, since only 0 can be sold; set allow_short to permit it."
    )


async def test_only_what_is_held_can_be_sold(a_venue):
    bench = await held(a_venue, 5)

    assert await states(bench, an_order(6, side="sell"), an_order(5, side="sell")) == [
        "REJECTED",
        "ACKED",
    ]


async def test_what_open_sales_will_take_cannot_be_sold_again(a_venue):
    bench = await held(a_venue, 5)
    waiting = {"side": "sell", "type": "limit", "limit_price": 200}

    answers = await states(
        bench, an_order(3, **waiting), an_order(3, **waiting), an_order(2, **waiting)
    )

    assert answers == ["ACKED", "REJECTED", "ACKED"]


async def test_a_sale_of_an_amount_on_its_way_counts_at_the_last_price(a_venue):
    bench = await held(a_venue, 5)

    answers = await states(bench, an_order(side="sell", notional=300), an_order(3, side="sell"))

    assert answers == ["ACKED", "REJECTED"]


async def test_a_sale_that_would_go_short_at_the_fill_is_rejected(a_venue):
    bench = await held(a_venue, 5)
    amount = await bench.submit(an_order(side="sell", notional=500))

    await bench.bar(99)

    assert (bench.journey(amount), amount.reason_code) == ("ACKED REJECTED", "short_not_allowed")


async def test_a_short_sale_fills_where_it_is_allowed(a_venue):
    bench = await held(a_venue, -5, allow_short=True)

    assert (bench.position, bench.broker.cash) == (-5, 10_500)
    assert bench.broker.positions == {"AAPL": -5}


async def test_a_short_sale_needs_cash_of_its_value(a_venue):
    bench = await a_venue(100, cash=1000, allow_short=True)

    order = await bench.submit(an_order(11, side="sell"))

    assert order.reason == "shorting 11 AAPL needs about 1,100.00, but only 1,000.00 is free."


async def test_a_short_locks_its_proceeds_and_as_much_again(a_venue):
    bench = await held(a_venue, -40, allow_short=True)  # cash 14,000, locked 8,000

    answers = await states(
        bench, an_order(61, symbol="AAPL", side="sell"), an_order(60, side="sell")
    )

    assert answers == ["REJECTED", "ACKED"]


async def test_a_short_that_rose_locks_more(a_venue):
    bench = await held(a_venue, -40, allow_short=True)
    await bench.bar(150)  # cash 14,000, locked 12,000

    assert await states(bench, an_order(14, side="sell"), an_order(13, side="sell")) == [
        "REJECTED",
        "ACKED",
    ]


async def test_covering_a_short_needs_no_free_cash(a_venue):
    bench = await held(a_venue, -100, allow_short=True)  # nothing is free

    order = await bench.submit(an_order(100))
    await bench.bar(150)

    assert (bench.journey(order), bench.position) == ("ACKED FILLED", 0)
    assert bench.broker.cash == 5_000


async def test_a_short_is_covered_once(a_venue):
    bench = await held(a_venue, -100, allow_short=True)

    assert await states(bench, an_order(100), an_order(1)) == ["ACKED", "REJECTED"]


@pytest.mark.parametrize("held_first", [100, -100])
async def test_an_order_through_zero_pays_with_what_its_closing_part_frees(held_first, a_venue):
    bench = await held(a_venue, held_first, allow_short=True)  # all the cash is bound
    side = "sell" if held_first > 0 else "buy"

    answers = await states(bench, an_order(201, side=side), an_order(200, side=side))
    await bench.bar(100, volume=1e9)

    assert answers == ["REJECTED", "ACKED"]
    assert bench.position == -held_first


# --- who is refused -----------------------------------------------------------------------------


async def test_a_symbol_without_a_price_is_rejected(a_venue):
    bench = await a_venue(100)

    order = await bench.submit(an_order(symbol="NONE"))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", "no_price")
    assert order.reason == "there is no price of NONE yet."


BROKEN_RULES = {
    "lot": ({"lot": Decimal(1)}, {"quantity": "1.5"}),
    "minimum_quantity": ({"minimum_quantity": Decimal(5)}, {"quantity": 4}),
    "tick": ({"tick": Decimal("0.01")}, {"type": "limit", "limit_price": "99.999"}),
    "order_type": ({"types": frozenset({"market"})}, {"type": "stop", "stop_price": 101}),
    "time_in_force": ({"times_in_force": frozenset({"gtc"})}, {"time_in_force": "day"}),
}


@pytest.mark.parametrize("code", BROKEN_RULES)
async def test_an_order_against_the_rules_of_its_instrument_is_rejected(code, a_venue):
    rules, terms = BROKEN_RULES[code]
    instrument = Instrument(symbol="AAPL", rules=OrderRules(**rules))
    bench = await a_venue(100, instruments=[instrument])

    order = await bench.submit(an_order(**terms))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", code)


@pytest.mark.parametrize("size", [{"quantity": 11}, {"notional": 1100}])
async def test_where_no_order_may_go_through_zero_a_flip_is_rejected(size, a_venue):
    instrument = Instrument(symbol="AAPL", rules=OrderRules(can_flip=False))
    bench = await held(a_venue, 10, allow_short=True, instruments=[instrument])

    flip = await bench.submit(an_order(side="sell", **size))
    close = await bench.submit(an_order(10, side="sell"))

    assert (bench.journey(flip), flip.reason_code) == ("REJECTED", "flip")
    assert bench.journey(close) == "ACKED"


# --- the broker itself --------------------------------------------------------------------------


def test_the_starting_cash_has_two_names():
    assert (
        PaperBroker(500).starting_cash == PaperBroker(starting_balance="500").starting_cash == 500
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cash": 0}, "cash is 0, but must be above zero."),
        ({"starting_balance": -1}, "cash is -1, but must be above zero."),
        ({"cash": "1e20"}, r"cash is 1E\+20, but must be at most 1E\+15."),
        ({"latency": 5}, "latency is 5, but must be a timedelta."),
        ({"costs": 5}, "costs is 5, but must be a model"),
        ({"slippage": 0.1}, "slippage is 0.1, but must be a model"),
        ({"allow_short": "no"}, "allow_short is 'no', but must be true or false."),
        ({"latency": timedelta(seconds=-1)}, "latency is -1 day, 23:59:59, but must not be"),
        (
            {"instruments": [Instrument(symbol="SAP", currency="EUR")]},
            "currency of SAP is EUR, but the account is in USD.",
        ),
    ],
)
def test_a_broker_that_makes_no_sense_is_refused(settings, said):
    with pytest.raises(ConfigError, match=f"^{said}"):
        PaperBroker(**settings)


def test_an_undeclared_instrument_takes_everything():
    made = PaperBroker().instrument("NEW")

    assert (made.currency, made.calendar, made.rules) == ("USD", None, OrderRules())
