"""The desk: what becomes of wishes, what is refused and why, and how answers are booked."""

from decimal import Decimal

import pytest
from desk_builders import DeskBench

from ticklane.core.events import SignalGiven
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.order import OrderStatus, Refusal
from ticklane.core.signal import Intent, Signal
from ticklane.interfaces import Cancelling
from ticklane.testing.builders import START, a_fill, an_order

CENTS = Instrument(symbol="AAPL", rules=OrderRules(tick=Decimal("0.01"), lot=Decimal(1)))
BUY = {"symbol": "AAPL", "signal": "BUY"}
TARGET, STOP = ("limit", 110, None), ("stop", None, 90)  # type, limit and stop price of a leg


# --- wishes that become orders ------------------------------------------------------------------


def test_a_wish_becomes_an_order_that_is_journaled_before_it_is_sent():
    bench = DeskBench()

    order = bench.buy(10, reason="cheap")

    assert bench.sent == ["submit buy 10 AAPL market"]
    assert (order.strategy, order.status, order.tag) == ("Trend", "SENDING", "cheap")
    assert (order.id, order.client_order_id, order.created_ns) == ("r1-1", "r1-1", START)
    assert (bench.steps(order), bench.heard()) == ("SENDING", [])


def test_hold_is_heard_and_makes_no_order():
    bench = DeskBench()

    bench.want({"symbol": "AAPL", "signal": "HOLD"})

    [(strategy, intent, order)] = bench.decisions
    assert (strategy, intent.signal, order) == ("Trend", Signal.HOLD, None)
    assert bench.sent == bench.desk.events == []


def test_every_term_of_a_wish_reaches_the_order():
    bench = DeskBench()
    prices = {"stop_price": "101.5", "limit_price": 102}

    order = bench.buy("2.5", order_type="stop_limit", time_in_force="day", **prices)

    assert (order.type, order.time_in_force, order.quantity) == (
        "stop_limit",
        "day",
        Decimal("2.5"),
    )
    assert (order.stop_price, order.limit_price) == (Decimal("101.5"), 102)


@pytest.mark.parametrize(
    ("protection", "order_class", "legs"),
    [
        ({"take_profit": 110}, "oto", [("limit", 110, None)]),
        ({"stop_loss": 90}, "oto", [("stop", None, 90)]),
        (
            {"take_profit": 110, "stop_loss": 90},
            "bracket",
            [("limit", 110, None), ("stop", None, 90)],
        ),
    ],
    ids=["target", "stop", "both"],
)
def test_protection_becomes_legs_that_are_good_till_cancelled(protection, order_class, legs):
    bench = DeskBench(instruments=[Instrument(symbol="AAPL", calendar="XNYS")])

    order = bench.buy(10, **protection)

    assert (order.order_class, order.time_in_force) == (order_class, "day")
    assert [(leg.type, leg.limit_price, leg.stop_price) for leg in order.legs] == legs
    for leg in order.legs:
        assert (leg.side, leg.quantity, leg.parent_id) == ("sell", 10, order.id)
        assert (leg.time_in_force, bench.steps(leg)) == ("gtc", "SENDING")


def test_the_callback_hears_of_each_decision():
    bench = DeskBench()

    order = bench.buy(10)

    [(strategy, intent, heard)] = bench.decisions
    assert (strategy, intent["symbol"], intent["quantity"], heard) == ("Trend", "AAPL", 10, order)


# --- wishes that are malformed ------------------------------------------------------------------

MALFORMED = {
    "no mapping": (17, "an intent is 17, but must be an Intent or a mapping"),
    "no symbol": ({"signal": "BUY"}, "has no 'symbol'; give it one."),
    "no signal": ({"symbol": "AAPL"}, "has no 'signal'; give it one."),
    "unknown signal": ({"symbol": "AAPL", "signal": "SHORT"}, "signal is 'SHORT', but must be"),
    "not subscribed": (
        {**BUY, "symbol": "MSFT"},
        "symbol is 'MSFT', but Trend has only AAPL, IBM.",
    ),
    "symbol no text": ({**BUY, "symbol": ["AAPL"]}, "symbol is ['AAPL'], but must be a text."),
    "unknown key": ({**BUY, "qty": 1}, "the intent key 'qty' is unknown; the known ones are"),
    "NaN": ({**BUY, "quantity": float("nan")}, "quantity is nan, but must be a finite number."),
    "bool": ({**BUY, "quantity": True}, "quantity is True, but must be a number, not true or"),
    "zero": ({**BUY, "quantity": 0}, "quantity is 0, but must be above"),
    "negative": ({**BUY, "quantity": -5}, "quantity is -5, but must be above"),
    "limit without price": ({**BUY, "order_type": "limit"}, "a limit order needs limit_price;"),
    "leverage": ({**BUY, "leverage": 2}, "leverage is 2, but only 1 is possible without margin"),
    "fraction": ({**BUY, "fraction": 1.5}, "fraction is 1.5, but must be between 0 and 1."),
    "two sizes": ({**BUY, "quantity": 1, "notional": 5}, "gives both quantity and notional;"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_wish_is_a_denied_order_of_nothing(case):
    wish, sentence = MALFORMED[case]
    bench = DeskBench()

    order = bench.want(wish)

    assert (order.status, order.reason_code, order.quantity) == ("DENIED", "malformed", 0)
    assert sentence in order.reason
    assert (bench.sent, bench.heard()) == ([], ["DENIED"])
    [given] = bench.desk.events
    assert (given.reason_code, given.reason, given.order) == ("malformed", order.reason, None)
    assert given.wish == repr(wish)


@pytest.mark.parametrize(
    "wish",
    [{"symbol": "IBM", "signal": "SELL", "quantity": 0}, Intent("IBM", Signal.SELL, quantity=0)],
    ids=["mapping", "Intent"],
)
def test_a_malformed_wish_keeps_what_could_be_read_of_it(wish):
    order = DeskBench().want(wish)

    assert (order.symbol, order.side, order.id) == ("IBM", "sell", "r1-0")


def test_a_malformed_wish_uses_up_no_order_id():
    bench = DeskBench()

    bench.buy(0)

    assert bench.buy(1).id == "r1-1"


# --- wishes that are refused --------------------------------------------------------------------


def refused(order, code, sentence):
    assert (order.status, order.reason_code, order.reason) == ("DENIED", code, sentence)


def test_a_refused_order_is_journaled_and_heard_and_not_sent():
    bench = DeskBench()

    order = bench.sell(5)

    assert (bench.sent, bench.steps(order), bench.heard()) == ([], "DENIED", ["DENIED"])
    given = next(one for one in bench.desk.events if isinstance(one, SignalGiven))
    assert (given.order, given.reason_code, given.reason) == (
        order,
        "short_not_allowed",
        order.reason,
    )
    assert bench.desk.open.get("AAPL", {}) == {}


def test_the_legs_of_a_refused_order_are_refused_with_it():
    order = DeskBench(instruments=[CENTS]).buy(10, take_profit="110.001", stop_loss=90)

    assert {one.status for one in (order, *order.legs)} == {OrderStatus.DENIED}
    refused(order, "tick", "limit_price 110.001 of AAPL is not a multiple of 0.01.")


def test_without_quantity_and_sizing_there_is_no_order():
    refused(
        DeskBench().buy(),
        "no_quantity",
        "the intent has no quantity and no sizing is configured; give it a quantity or set sizing.",
    )


def test_what_the_instrument_does_not_take_is_refused():
    refused(
        DeskBench(instruments=[CENTS]).buy("1.5"),
        "lot",
        "quantity 1.5 of AAPL is not a multiple of 1.",
    )


def test_a_short_sale_is_refused_by_default():
    bench = DeskBench()
    bench.hold(3)

    refused(
        bench.sell(5),
        "short_not_allowed",
        "selling 5 AAPL would go short, since Trend has only 3 to sell; set allow_short to permit "
        "it.",
    )


def test_a_short_sale_is_judged_on_the_own_book():
    bench = DeskBench("One", "Two")
    bench.hold(10, "One")

    assert bench.sell(1, "Two").reason_code == "short_not_allowed"
    assert bench.sell(10, "One").status == "SENDING"


@pytest.mark.parametrize(
    ("size", "answers"),
    [({"quantity": 3}, "SENDING DENIED"), ({"notional": 300}, "SENDING DENIED")],
    ids=["quantity", "notional"],
)
def test_open_sales_count_against_what_is_held(size, answers):
    bench = DeskBench()
    bench.hold(5)

    assert " ".join(bench.sell(**size).status for _ in range(2)) == answers


def at_limit(price):
    return {"order_type": "limit", "limit_price": price}


CROSSES = {
    "market against market": ({}, {}, True),
    "market against a limit it would reach": ({}, at_limit(99), True),
    "market against a limit far away": ({}, at_limit(101), False),
    "limit against limit": (at_limit(100), at_limit(99), True),
    "limits at one price": (at_limit(99), at_limit(99), True),
    "limits that do not meet": (at_limit(98), at_limit(99), False),
    "a stop that waits": ({"order_type": "stop", "stop_price": 101}, at_limit(99), False),
}


@pytest.mark.parametrize("case", CROSSES)
def test_an_order_that_could_trade_with_our_own_is_refused(case):
    buying, selling, is_refused = CROSSES[case]
    bench = DeskBench("One", "Two")
    bench.hold(5, "One")
    sale = bench.ack(bench.sell(5, "One", **selling))

    order = bench.buy(1, "Two", **buying)

    if not is_refused:
        assert order.status == "SENDING"
        return
    refused(
        order,
        "self_cross",
        f"this order could trade with our own open order {sale.id}; cancel that one first or wait "
        "until it is done.",
    )


def test_a_sale_may_not_meet_our_own_buy_either():
    bench = DeskBench()
    bench.hold(5)
    bench.ack(bench.buy(1, order_type="limit", limit_price=100))

    assert bench.sell(1).reason_code == "self_cross"
    assert bench.sell(1, order_type="limit", limit_price="100.01").status == "SENDING"


def test_an_order_about_to_be_cancelled_is_not_crossed():
    bench = DeskBench()
    bench.hold(5)
    bid = bench.ack(bench.buy(1, order_type="limit", limit_price=100))

    bench.want(Cancelling(bid))

    assert bench.sell(1).status == "SENDING"


def test_with_several_books_each_spends_its_own_cash():
    bench = DeskBench("One", "Two", cash=1000)
    bench.ack(bench.buy(6, "One", order_type="limit", limit_price=90))

    refused(
        bench.buy(5, "One"),
        "insufficient_cash",
        "buying 5 AAPL needs about 500.00, but the book of One has only 460.00 free.",
    )
    assert bench.buy(5, "Two").status == "SENDING"


def test_a_single_book_leaves_the_cash_to_the_venue():
    assert DeskBench(cash=1000).buy(500).status == "SENDING"


PROTECTION = {
    "target below a buy": ("buy", {"take_profit": 99}, "take_profit 99 must be above"),
    "target at a buy": ("buy", {"take_profit": 100}, "take_profit 100 must be above"),
    "stop above a buy": ("buy", {"stop_loss": 101}, "stop_loss 101 must be below"),
    "target above a sale": ("sell", {"take_profit": 101}, "take_profit 101 must be below"),
    "stop below a sale": ("sell", {"stop_loss": 99}, "stop_loss 99 must be above"),
}


@pytest.mark.parametrize("case", PROTECTION)
def test_protection_on_the_wrong_side_is_refused(case):
    side, terms, sentence = PROTECTION[case]
    bench = DeskBench(allow_short=True)

    order = getattr(bench, side)(1, **terms)

    assert order.reason == f"{sentence} the entry price of about 100.0 for a {side} order."
    assert (order.reason_code, order.status) == ("protection_price", "DENIED")


def test_protection_is_measured_from_the_price_of_the_entry():
    bench = DeskBench()
    limit = {"order_type": "limit", "limit_price": 90}

    assert bench.buy(1, take_profit=95, stop_loss=85, **limit).status == "SENDING"
    assert bench.buy(1, stop_loss=95, **limit).reason_code == "protection_price"


class NoTrading:
    """A limit that refuses every order it is asked about."""

    name = "no_trading"

    def refusal(self, order, situation):
        return Refusal("no_trading", f"{situation.book.strategy} may not trade.")


def test_limits_bind_orders_that_increase_exposure_only():
    bench = DeskBench(rules=[NoTrading()])
    bench.book().apply(a_fill(5, 100, order=an_order(strategy="Trend")))

    assert bench.buy(1).reason == "Trend may not trade."
    assert bench.sell(2).status == "SENDING"
    assert bench.close().status == "SENDING"


# --- sizing -------------------------------------------------------------------------------------

SIZES = {
    "quantity": ({"quantity": 7}, {}, (7, None)),
    "notional": ({"notional": 500}, {}, (0, 500)),
    "percent of the own equity": ({"percent": 20}, {}, (0, 2000)),
    "the intent's quantity first": ({"quantity": 7}, {"quantity": 2}, (2, None)),
    "the intent's notional first": ({"quantity": 7}, {"notional": 250}, (0, 250)),
    "a fraction of the own equity": ({"quantity": 7}, {"fraction": 0.25}, (0, 2500)),
}


@pytest.mark.parametrize("case", SIZES)
def test_an_entry_is_sized_by(case):
    sizing, size, (quantity, notional) = SIZES[case]
    bench = DeskBench("One", "Two", sizing=sizing)

    order = bench.buy(strategy="One", **size)

    assert (order.quantity, order.notional, order.status) == (quantity, notional, "SENDING")


@pytest.mark.parametrize(
    ("sizing", "size", "quantity"),
    [
        ({"percent": 20}, {}, 10),
        ({"quantity": 4}, {}, 4),
        ({"quantity": 40}, {}, 10),
        (None, {"fraction": 0.35}, Decimal("3.5")),
    ],
)
def test_a_sale_without_a_size_sells_what_is_there(sizing, size, quantity):
    bench = DeskBench(sizing=sizing)
    bench.hold(10)

    assert bench.sell(**size).quantity == quantity


def test_a_sale_without_a_size_and_a_position_is_refused():
    refused(
        DeskBench(sizing={"percent": 20}).sell(), "short_not_allowed", "there is no AAPL to sell."
    )


def test_where_shorts_are_allowed_a_sale_is_sized_as_an_entry():
    bench = DeskBench(sizing={"percent": 20}, allow_short=True)

    assert bench.sell().notional == 2000


def test_a_fraction_is_rounded_down_to_the_lot():
    bench = DeskBench(instruments=[CENTS])
    bench.hold(5)

    assert bench.sell(fraction=0.5).quantity == 2


@pytest.mark.parametrize("size", [{}, {"fraction": 0.5}])
def test_a_book_without_equity_sizes_no_order(size):
    bench = DeskBench(sizing={"percent": 10})
    bench.book().deposit(Decimal(-10_000))

    refused(
        bench.buy(**size), "no_equity", "the book of Trend has no equity to size an order with."
    )


# --- CLOSE --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "side"), [(10, "sell"), (-10, "buy")])
def test_close_closes_what_the_strategy_holds(held, side):
    bench = DeskBench("One", "Two", allow_short=True)
    bench.hold(held, "One")
    bench.hold(3, "Two")

    bench.close("One")

    assert bench.sent == [f"submit {side} 10 AAPL market"]


def test_close_does_nothing_when_flat():
    bench = DeskBench()

    assert (bench.close(), bench.sent, len(bench.decisions)) == (None, [], 1)


def test_close_cancels_the_working_orders_of_the_strategy_first():
    bench = DeskBench("One", "Two")
    bench.hold(10, "One")
    others = bench.ack(bench.buy(1, "Two", order_type="limit", limit_price=80))
    bench.ack(bench.buy(5, "One", order_type="limit", limit_price=90))
    bench.ack(bench.sell(10, "One", order_type="limit", limit_price=110))
    bench.desk.outgoing.clear()

    bench.close("One")

    assert bench.sent == [
        "cancel buy 5 AAPL limit",
        "cancel sell 10 AAPL limit",
        "submit sell 10 AAPL market",
    ]
    assert not others.is_cancel_pending


def test_close_cancels_the_working_orders_when_flat_as_well():
    bench = DeskBench()
    bench.ack(bench.buy(5, order_type="limit", limit_price=90))
    bench.desk.outgoing.clear()

    bench.close()

    assert bench.sent == ["cancel buy 5 AAPL limit"]


def test_close_cancels_an_entry_and_its_exits():
    bench = DeskBench()
    entry = bench.buy(5, order_type="limit", limit_price=90, take_profit=110, stop_loss=80)
    bench.ack(entry, *entry.legs)

    bench.close()

    assert [one.is_cancel_pending for one in (entry, *entry.legs)] == [True] * 3


def test_close_subtracts_closes_on_their_way():
    bench = DeskBench()
    bench.hold(10)
    bench.sell(4)

    first, again = bench.close(), bench.close()

    assert (first.quantity, again) == (6, None)


def test_close_after_a_partial_close_takes_the_rest():
    bench = DeskBench()
    bench.hold(10)
    first = bench.ack(bench.close())
    bench.fill(first, 4)

    assert bench.close() is None
    bench.end(first, "CANCELED")
    assert bench.close().quantity == 6


def test_a_market_sale_of_an_amount_is_no_close_whose_size_is_known():
    bench = DeskBench(allow_short=True)
    bench.hold(10)
    bench.ack(bench.sell(notional=300))
    bench.desk.outgoing.clear()

    bench.close()

    assert bench.sent == ["cancel sell 300 worth AAPL market", "submit sell 10 AAPL market"]


@pytest.mark.parametrize(
    ("terms", "quantity"),
    [({"fraction": 0.5}, 5), ({"quantity": 3}, 3), ({"quantity": 30}, 10), ({"notional": 250}, 2)],
    ids=str,
)
def test_a_part_may_be_closed(terms, quantity):
    bench = DeskBench(instruments=[CENTS])
    bench.hold(10)

    order = bench.want({"symbol": "AAPL", "signal": "CLOSE", **terms})

    assert order.quantity == quantity


def test_a_fraction_is_of_what_no_close_on_its_way_will_take():
    bench = DeskBench()
    bench.hold(10)
    bench.sell(4)

    assert bench.close(fraction=0.5).quantity == 3


def test_a_close_may_have_terms_of_its_own():
    bench = DeskBench()
    bench.hold(10)

    order = bench.close(order_type="limit", limit_price=105, time_in_force="day")

    assert (order.type, order.limit_price, order.time_in_force) == ("limit", 105, "day")


def test_a_close_with_protection_prices_waits_for_them_as_a_pair():
    bench = DeskBench()
    bench.hold(10)

    order = bench.close(take_profit=110, stop_loss=90)

    [stop] = order.legs
    assert (order.order_class, order.type, order.limit_price) == ("oco", "limit", 110)
    assert (stop.order_class, stop.type, stop.stop_price, stop.quantity) == ("oco", "stop", 90, 10)
    assert (order.side, stop.side, order.time_in_force, stop.time_in_force) == (
        "sell",
        "sell",
        "gtc",
        "gtc",
    )


@pytest.mark.parametrize(
    ("protection", "kind"), [({"take_profit": 110}, "limit"), ({"stop_loss": 90}, "stop")]
)
def test_a_close_with_one_protection_price_waits_for_it(protection, kind):
    bench = DeskBench()
    bench.hold(10)

    order = bench.close(**protection)

    assert (order.type, order.order_class, order.legs) == (kind, "simple", ())
