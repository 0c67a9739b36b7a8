"""The desk: changes to open orders, what a venue answers, and what a restart finds again."""

from decimal import Decimal

import pytest
from desk_builders import DeskBench

from ticklane.core.errors import IllegalStep
from ticklane.core.events import FillBooked
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.order import OrderStatus, OrderUpdate
from ticklane.interfaces import Cancelling, Replacing
from ticklane.testing.builders import a_fill, an_order

LIMIT = {"order_type": "limit", "limit_price": 90}


# --- cancel -------------------------------------------------------------------------------------


def test_a_strategy_cancels_its_own_order():
    bench = DeskBench()
    order = bench.ack(bench.buy(5, **LIMIT))
    bench.desk.outgoing.clear()

    bench.want(Cancelling(order))

    assert (bench.sent, order.status) == (["cancel buy 5 AAPL limit"], "ACKED")
    assert (order.is_cancel_pending, bench.steps(order)) == (True, "SENDING ACKED ACKED")


def test_a_second_cancel_is_not_sent():
    bench = DeskBench()
    order = bench.ack(bench.buy(5, **LIMIT))

    bench.want(Cancelling(order))
    bench.want(Cancelling(order))

    assert len([words for words in bench.sent if words.startswith("cancel")]) == 1


@pytest.mark.parametrize("change", [Cancelling, lambda order: Replacing(order, {"quantity": 1})])
def test_an_order_of_another_strategy_is_not_touched(change):
    bench = DeskBench("One", "Two")
    order = bench.ack(bench.buy(5, "One", **LIMIT))
    bench.desk.outgoing.clear()

    answer = bench.want(change(order), "Two")

    assert bench.sent == []
    assert (answer.status, answer.reason) == ("DENIED", "the order is not one of this strategy.")
    assert (answer.symbol, answer.strategy, bench.heard("Two")) == ("AAPL", "Two", ["DENIED"])


@pytest.mark.parametrize("change", [Cancelling, lambda order: Replacing(order, {"quantity": 1})])
def test_an_order_that_is_over_needs_no_change(change):
    bench = DeskBench()
    order = bench.fill(bench.ack(bench.buy(5)))
    bench.desk.outgoing.clear()

    bench.want(change(order))

    assert (bench.sent, len(bench.desk.tape.orders)) == ([], 1)


def test_an_operator_cancels_by_id():
    bench = DeskBench()
    order = bench.ack(bench.buy(5, **LIMIT))

    assert bench.desk.cancel(order.id, bench.now_ns)
    assert not bench.desk.cancel("r1-99", bench.now_ns)
    assert bench.sent[-1] == "cancel buy 5 AAPL limit"


# --- replace ------------------------------------------------------------------------------------


def replace(bench, order, strategy=None, **changes):
    """The order that came of the wish to replace one."""
    bench.want(Replacing(order, changes), strategy)
    return bench.desk.tape.orders[-1]


def test_a_strategy_replaces_its_own_order():
    bench = DeskBench()
    order = bench.ack(bench.buy(5, **LIMIT, time_in_force="day"))
    bench.desk.outgoing.clear()

    new = replace(bench, order, limit_price="91.5", quantity=4)

    assert bench.sent == ["replace buy 5 AAPL limit by buy 4 AAPL limit"]
    assert (new.limit_price, new.time_in_force, new.replaces_id) == (
        Decimal("91.5"),
        "day",
        order.id,
    )
    assert (new.status, bench.steps(new)) == ("SENDING", "SENDING")


def test_a_replacement_is_for_what_is_left():
    bench = DeskBench()
    order = bench.ack(bench.buy(10, **LIMIT))
    bench.fill(order, 4)

    assert replace(bench, order, limit_price=91).quantity == 6


def test_both_orders_take_their_steps_when_the_venue_has_replaced():
    bench = DeskBench()
    order = bench.ack(bench.buy(10, **LIMIT))
    new = replace(bench, order, limit_price=91)

    bench.end(order, "REPLACED")
    bench.fill(bench.ack(new))

    assert (bench.steps(order), bench.steps(new)) == (
        "SENDING ACKED REPLACED",
        "SENDING ACKED FILLED",
    )
    assert bench.held() == "10"


CHANGES = {
    "a price the order does not have": (
        {"stop_price": 95},
        "stop_price=95 cannot be set on this open order; what can be changed is quantity, "
        "time_in_force, limit_price.",
    ),
    "the symbol": (
        {"symbol": "IBM"},
        "symbol='IBM' cannot be set on this open order; what can be changed is quantity, "
        "time_in_force, limit_price.",
    ),
    "zero": ({"quantity": 0}, "quantity is 0, but must be above zero."),
    "NaN": ({"limit_price": float("nan")}, "limit_price is nan, but must be a finite number."),
    "time in force": (
        {"time_in_force": ["day"]},
        "time_in_force is ['day'], but must be one of day, gtc, ioc, fok, opg, cls.",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_that_makes_no_sense_is_refused_and_the_order_stays(case):
    changes, sentence = CHANGES[case]
    bench = DeskBench()
    order = bench.ack(bench.buy(5, **LIMIT))
    bench.desk.outgoing.clear()

    answer = replace(bench, order, **changes)

    assert (answer.status, answer.reason_code, answer.reason) == ("DENIED", "malformed", sentence)
    assert (bench.sent, order.status) == ([], "ACKED")


def test_the_new_terms_are_asked_of_the_risk_manager():
    bench = DeskBench("One", "Two")
    bench.hold(5, "One")
    bench.hold(5, "Two")
    order = bench.ack(bench.sell(5, "One", order_type="limit", limit_price=110))
    bench.desk.outgoing.clear()

    answer = replace(bench, order, "One", quantity=6)

    assert (answer.status, answer.reason_code) == ("DENIED", "short_not_allowed")
    assert (bench.sent, order.is_open, bench.heard("One")[-1]) == ([], True, "DENIED")
    assert replace(bench, order, "One", quantity=5).status == "SENDING"


@pytest.mark.parametrize("number", [0, 1], ids=["target", "stop"])
def test_the_price_of_an_exit_may_be_changed_but_not_its_quantity(number):
    bench = DeskBench()
    entry = bench.buy(5, take_profit=110, stop_loss=90)
    bench.ack(entry, *entry.legs)
    leg = entry.legs[number]
    price = {"limit_price": 120} if number == 0 else {"stop_price": 95}

    new, refused = replace(bench, leg, **price), replace(bench, leg, quantity=3)

    assert (new.status, new.parent_id, new.order_class) == ("SENDING", entry.id, "bracket")
    assert refused.reason == (
        "quantity=3 cannot be set on an exit, which is for what it protects; change its price."
    )


def test_an_exit_off_the_tick_is_refused():
    rules = OrderRules(tick=Decimal("0.5"))
    bench = DeskBench(instruments=[Instrument(symbol="AAPL", rules=rules)])
    entry = bench.buy(5, stop_loss=90)
    bench.ack(entry, *entry.legs)

    assert replace(bench, entry.legs[0], stop_price="91.3").reason_code == "tick"


def test_a_trail_may_change_its_kind():
    bench = DeskBench(allow_short=True)
    order = bench.ack(bench.sell(5, order_type="trailing_stop", trail_amount=2))

    new = replace(bench, order, trail_percent=3)

    assert (new.trail_amount, new.trail_percent) == (None, 3)


def test_an_amount_of_money_stays_one_until_it_is_sized():
    bench = DeskBench()
    order = bench.ack(bench.buy(notional=500, **LIMIT))

    waiting, sized = replace(bench, order, limit_price=91), replace(bench, order, quantity=5)
    bench.fill(order, price=50)
    bench.say(order, OrderStatus.PARTIAL, quantity=Decimal(20))
    rest = replace(bench, order, limit_price=92)

    assert (waiting.notional, waiting.quantity) == (500, 0)
    assert (sized.notional, sized.quantity) == (None, 5)
    assert (rest.notional, rest.quantity) == (None, 10)


# --- what the venue says ------------------------------------------------------------------------


def test_an_order_goes_its_way_to_filled():
    bench = DeskBench()
    order = bench.ack(bench.buy(10))

    heard = bench.heard()
    for quantity, price in ((4, 100), (6, 110)):
        bench.fill(order, quantity, price)
        heard += bench.heard()

    assert bench.steps(order) == "SENDING ACKED PARTIAL FILLED"
    assert heard == ["ACKED", "fill 4", "PARTIAL", "fill 6", "FILLED"]
    assert (bench.held(), bench.book().cash) == ("10", 10_000 - 1_060)
    assert bench.desk.open["AAPL"] == {}


def test_a_closed_round_trip_is_told_with_its_fill():
    bench = DeskBench()
    bench.hold(10)

    bench.fill(bench.ack(bench.close()), price=110)

    booked = [one for one in bench.desk.events if isinstance(one, FillBooked)]
    assert [one.trade and one.trade.profit for one in booked] == [None, 100]
    assert len(bench.desk.tape.trades) == 1


def test_an_execution_told_twice_is_booked_once():
    bench = DeskBench()
    order = bench.ack(bench.buy(10))
    update = OrderUpdate(order.id, None, bench.now_ns, a_fill(4, order=order))

    bench.desk.take(update)
    bench.desk.take(update)

    assert (order.filled_quantity, bench.held(), order.status) == (4, "4", "PARTIAL")


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED", "REJECTED"])
def test_a_late_fill_is_booked_and_reopens_the_order(status):
    bench = DeskBench()
    order = bench.ack(bench.buy(10, **LIMIT))
    bench.want(Cancelling(order))
    bench.end(order, status)
    bench.desk.outgoing.clear()

    bench.fill(order, 4)

    assert (order.status, bench.held(), order.is_open) == ("PARTIAL", "4", True)
    assert order.id in bench.desk.open["AAPL"]
    bench.want(Cancelling(order))
    assert bench.sent == ["cancel buy 10 AAPL limit"]


def test_a_late_fill_of_all_of_it_fills_the_order():
    bench = DeskBench()
    order = bench.ack(bench.buy(10))
    bench.end(order, "CANCELED")

    bench.fill(order, 10)

    assert (bench.steps(order), bench.held()) == ("SENDING ACKED CANCELED FILLED", "10")
    assert bench.desk.open["AAPL"] == {}


def test_more_than_was_ordered_is_booked_as_it_is():
    bench = DeskBench()
    order = bench.ack(bench.buy(10))

    bench.fill(order, 10)
    bench.fill(order, 2)

    assert (bench.held(), order.status) == ("12", "FILLED")


def test_the_venue_may_say_the_size_alone():
    bench = DeskBench()
    entry = bench.buy(10, take_profit=110)
    bench.ack(entry, *entry.legs)
    [leg] = entry.legs

    bench.say(leg, quantity=Decimal(4))

    assert (leg.quantity, leg.status) == (4, "ACKED")
    assert bench.steps(leg) == "SENDING ACKED ACKED"  # the journal knows of it too


def test_a_size_that_is_filled_already_fills_the_order():
    bench = DeskBench()
    order = bench.ack(bench.buy(10))
    bench.fill(order, 4)

    bench.say(order, quantity=Decimal(4))

    assert bench.steps(order) == "SENDING ACKED PARTIAL FILLED"


def test_the_reason_of_the_venue_stays_with_the_order():
    bench = DeskBench()
    order = bench.buy(10)

    bench.end(order, "REJECTED")

    assert (order.reason_code, order.reason) == ("venue", "the venue said so.")


def test_what_the_venue_says_of_an_unknown_order_changes_nothing():
    bench = DeskBench()
    stranger = an_order(id="x9", strategy="Trend")

    bench.fill(stranger, 5)

    assert (bench.held(), bench.desk.events, bench.heard()) == ("0", [], [])


def test_a_step_that_is_not_legal_is_an_error():
    bench = DeskBench()
    order = bench.fill(bench.ack(bench.buy(10)))

    with pytest.raises(IllegalStep, match="cannot step from FILLED to ACKED"):
        bench.ack(order)


def test_who_does_not_listen_is_not_told():
    bench = DeskBench()
    bench.desk.order_listeners = bench.desk.fill_listeners = set()

    bench.fill(bench.ack(bench.buy(10)))

    assert bench.desk.notices == []


def test_without_a_tape_old_orders_are_forgotten_and_open_ones_are_not(monkeypatch):
    monkeypatch.setattr("ticklane.engine.desk._MANY", 10)
    bench = DeskBench()
    bench.desk.tape = None
    kept = bench.ack(bench.buy(1, **LIMIT))

    for _ in range(30):
        bench.fill(bench.ack(bench.buy(1)))

    assert len(bench.desk.orders) <= 11
    assert kept.id in bench.desk.orders
    assert bench.held() == "30"


# --- a restart ----------------------------------------------------------------------------------


def test_a_restart_finds_books_and_open_orders_again():
    bench = DeskBench()
    bench.hold(10)
    order = bench.ack(bench.sell(4, order_type="limit", limit_price=110))
    bench.fill(order, 1, 110)

    again = bench.restarted()

    assert (again.held(), again.book().cash) == ("9", bench.book().cash)
    assert list(again.desk.open["AAPL"]) == [order.id]
    assert (again.desk.orders[order.id].filled_quantity, again.sent) == (1, [])


def test_a_restart_sends_again_what_was_perhaps_not_sent():
    bench = DeskBench()
    answered = bench.ack(bench.buy(1, **LIMIT))
    bench.buy(2, **LIMIT)
    bench.want(Replacing(answered, {"limit_price": 91}))
    bench.buy(3, take_profit=110, stop_loss=90)

    assert bench.restarted().sent == [
        "submit buy 2 AAPL limit",
        "replace buy 1 AAPL limit by buy 1 AAPL limit",
        "submit buy 3 AAPL market",
    ]


def test_a_restart_asks_again_for_a_cancel_that_nobody_answered():
    bench = DeskBench()
    order = bench.ack(bench.buy(1, **LIMIT))
    bench.want(Cancelling(order))

    assert bench.restarted().sent == ["cancel buy 1 AAPL limit"]


def test_an_execution_booked_before_a_restart_is_not_booked_again():
    bench = DeskBench()
    order = bench.ack(bench.buy(10))
    update = OrderUpdate(order.id, None, bench.now_ns, a_fill(4, order=order))
    bench.desk.take(update)

    again = bench.restarted()
    again.desk.take(update)

    assert again.held() == "4"


def test_ids_go_on_after_a_restart():
    bench = DeskBench()
    bench.buy(1)

    assert bench.restarted().buy(1).id == "r1-2"


# --- what comes late, or too late -----------------------------------------------------------------


@pytest.mark.parametrize("given_up", ["QUARANTINED", "NOT_SENT"])
def test_an_order_that_appears_after_it_was_given_up_is_open_again_and_cancelled(given_up):
    bench = DeskBench()
    order = bench.buy(5, **LIMIT)
    for status in ("UNKNOWN", "QUARANTINED", "NOT_SENT"):
        if order.status != given_up:
            bench.end(order, status)
    bench.desk.outgoing.clear()

    bench.ack(order)

    assert bench.desk.open["AAPL"] == {order.id: order}
    assert bench.sent == ["cancel buy 5 AAPL limit"]
    assert bench.restarted().desk.outgoing[-1][0] == "cancel"


def test_an_exit_that_appears_after_it_was_given_up_goes_on_protecting():
    bench = DeskBench()
    entry = bench.buy(5, stop_loss=90)
    for one in (entry, *entry.legs):
        for status in ("UNKNOWN", "QUARANTINED"):
            bench.end(one, status)
    bench.desk.outgoing.clear()

    bench.ack(*entry.legs)

    assert bench.sent == []


def test_a_replacement_of_an_entry_is_not_sent_for_ever():
    bench = DeskBench()
    bench.desk.valid_until = lambda strategy, at_ns: at_ns + 60
    order = bench.ack(bench.buy(5, **LIMIT))

    bench.want(Replacing(order, {"limit_price": 91}))

    [new] = [by for _, _, by in bench.desk.outgoing if by is not None]
    assert new.valid_until_ns == bench.now_ns + 60
