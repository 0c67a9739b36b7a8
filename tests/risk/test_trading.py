"""Trading states: what restricts, what may still be sent, and who lifts what."""

from decimal import Decimal

import pytest

from ticklane.core.portfolio import Book
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.risk.trading import TradingStates, only_reduces
from ticklane.testing.builders import START, a_bracket, a_fill, an_order

ACTIVE, REDUCE_ONLY, HALTED = TradingState


def a_restriction(code="stream_down", state=REDUCE_ONLY, sentence="why.", **fields):
    return Restriction(code, state, sentence, START, **fields)


def a_book(held=10):
    book = Book("One", Decimal(1000))
    if held:
        book.apply(a_fill(held, 0, order=an_order(strategy="One")))
    return book


def an_order_of_one(quantity=1, **terms):
    return an_order(quantity, strategy="One", **terms)


def code(states, order, held=10, *working):
    open_orders = {one.id: one for one in working}
    refusal = states.refusal(order, a_book(held), open_orders)
    return refusal and refusal.code


def some_states(*restrictions):
    states = TradingStates()
    for one in restrictions:
        states.restrict(one)
    return states


def test_without_a_restriction_there_is_nothing_to_ask():
    states = some_states()

    assert (states.is_guarded, states.state(), states.is_killed) == (False, ACTIVE, False)


def test_the_strictest_restriction_counts():
    states = some_states(
        a_restriction(), a_restriction("differs", HALTED, symbol="IBM"), a_restriction("skew")
    )

    assert states.is_guarded
    assert (states.state(), states.state("AAPL"), states.state("IBM")) == (
        REDUCE_ONLY,
        REDUCE_ONLY,
        HALTED,
    )


def test_halted_passes_nothing_and_tells_why():
    states = some_states(a_restriction("day_loss", HALTED, "three percent are lost."))

    refusal = states.refusal(an_order_of_one(side="sell"), a_book(), {})

    assert refusal == ("trading_halted", "trading is halted: three percent are lost.")


@pytest.mark.parametrize(
    ("side", "quantity", "held", "expected"),
    [
        ("sell", 10, 10, None),
        ("sell", 11, 10, "reduce_only"),
        ("buy", 1, 10, "reduce_only"),
        ("buy", 10, -10, None),
        ("buy", 11, -10, "reduce_only"),
        ("sell", 1, 0, "reduce_only"),
    ],
)
def test_reduce_only_passes_what_makes_a_position_smaller(side, quantity, held, expected):
    states = some_states(a_restriction())

    assert code(states, an_order_of_one(quantity, side=side), held) == expected


def test_what_is_on_its_way_counts_as_done():
    states = some_states(a_restriction())
    first, second = (an_order_of_one(6, side="sell") for _ in range(2))

    assert code(states, first) is None
    assert code(states, second, 10, first) == "reduce_only"
    first.is_cancel_pending = True
    assert code(states, second, 10, first) is None


def test_the_exits_of_a_bracket_pass_although_they_could_fill_twice():
    entry = a_bracket(an_order_of_one(), 110, 90)

    assert all(only_reduces(leg, a_book(), {}) for leg in entry.legs)


def test_a_restriction_of_a_symbol_leaves_the_others_alone():
    states = some_states(a_restriction(symbol="IBM"))

    assert code(states, an_order_of_one()) is None
    assert code(states, an_order_of_one(symbol="IBM")) == "reduce_only"


def test_what_an_operator_orders_passes_now_and_when_it_leaves():
    states = some_states(a_restriction("operator_halt", HALTED))
    order = an_order_of_one()

    states.is_operator = True
    assert code(states, order) is None
    states.is_operator = False

    assert states.late_refusal(order, a_book(), {order.id: order}) is None
    assert states.late_refusal(an_order_of_one(), a_book(), {}).code == "trading_halted"


def test_an_order_does_not_stand_in_its_own_way_when_it_leaves():
    states = some_states(a_restriction())
    order = an_order_of_one(10, side="sell")

    assert states.late_refusal(order, a_book(), {order.id: order}) is None


def test_only_a_latched_restriction_waits_for_an_operator():
    latched = a_restriction("overfill", HALTED, is_latched=True)
    states = some_states(a_restriction(), latched)

    states.lift("stream_down")
    states.lift("overfill")
    states.lift("never_set")

    assert list(states.restrictions.values()) == [latched]
    assert states.release("operator: fixed") == [latched]
    assert states.is_guarded is False


def test_a_renewed_restriction_keeps_the_instant_it_began_at():
    states = some_states(a_restriction(), a_restriction(sentence="still.")._replace(since_ns=9))

    [one] = states.restrictions.values()

    assert (one.sentence, one.since_ns) == ("still.", START)


def test_each_change_is_told_once():
    told = []
    states = TradingStates()
    states.on_change = lambda *change: told.append(change)

    states.restrict(a_restriction(), "broker")
    states.restrict(a_restriction(), "broker")
    states.lift("stream_down", by="broker")

    assert told == [(a_restriction(), True, "broker"), (a_restriction(), False, "broker")]


def test_a_look_from_outside_is_taken_before_each_order():
    states = TradingStates()
    states.watch(lambda: states.restrict(a_restriction("operator_halt", HALTED)))

    assert states.is_guarded
    assert code(states, an_order_of_one()) == "trading_halted"


@pytest.mark.parametrize(
    ("fields", "is_kill_switch"),
    [
        ({"state": HALTED, "is_latched": True}, True),
        ({"state": HALTED}, False),
        ({"state": HALTED, "is_latched": True, "symbol": "IBM"}, False),
        ({"state": REDUCE_ONLY, "is_latched": True}, False),
    ],
)
def test_the_kill_switch_is_what_halts_everything_until_released(fields, is_kill_switch):
    assert some_states(a_restriction(**fields)).is_killed is is_kill_switch
