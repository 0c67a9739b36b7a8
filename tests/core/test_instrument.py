"""A venue's rules as data: which orders they refuse, and with which words."""

from decimal import Decimal

import pytest

from ticklane.core.instrument import ANY_ORDER, Instrument, OrderRules
from ticklane.core.order import Order, OrderClass, OrderType, Side, TimeInForce


def an_order(quantity="10", **fields):
    order = Order("r1-1", "Trend", "AAPL", Side.BUY, Decimal(quantity), 0)
    for name, value in fields.items():
        setattr(order, name, value)
    return order


CENT = OrderRules(tick=Decimal("0.01"))
TENTH = OrderRules(lot=Decimal("0.1"))
AT_LEAST_TWO = OrderRules(minimum_quantity=Decimal(2))
CRYPTO = OrderRules(times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}))
SIMPLE = OrderRules(classes=frozenset({OrderClass.SIMPLE}))
NO_STOPS = OrderRules(types=frozenset({OrderType.MARKET, OrderType.LIMIT}))


@pytest.mark.parametrize(
    ("rules", "order", "code", "sentence"),
    [
        (TENTH, an_order("0.25"), "lot", "quantity 0.25 of AAPL is not a multiple of 0.1."),
        (AT_LEAST_TWO, an_order("1"), "minimum_quantity", "quantity 1 of AAPL is below 2."),
        (
            CRYPTO,
            an_order(time_in_force=TimeInForce.DAY),
            "time_in_force",
            "AAPL takes time_in_force gtc, ioc, not day.",
        ),
        (
            SIMPLE,
            an_order(order_class=OrderClass.BRACKET),
            "order_class",
            "AAPL takes order_class simple, not bracket.",
        ),
        (
            NO_STOPS,
            an_order(type=OrderType.STOP),
            "order_type",
            "AAPL takes order_type limit, market, not stop.",
        ),
        (
            CENT,
            an_order(limit_price=Decimal("9.999")),
            "tick",
            "limit_price 9.999 of AAPL is not a multiple of 0.01.",
        ),
        (
            CENT,
            an_order(stop_price=Decimal("9.999")),
            "tick",
            "stop_price 9.999 of AAPL is not a multiple of 0.01.",
        ),
    ],
)
def test_an_order_against_a_rule_is_refused_with_code_and_sentence(rules, order, code, sentence):
    assert rules.refusal(order) == (code, sentence)


@pytest.mark.parametrize(
    ("rules", "order"),
    [
        (TENTH, an_order("0.3")),
        (AT_LEAST_TWO, an_order("2")),
        (AT_LEAST_TWO, an_order("0", notional=Decimal(500))),  # its quantity is known at the fill
        (CENT, an_order(limit_price=Decimal("9.99"), stop_price=Decimal("9.98"))),
        (CRYPTO, an_order(time_in_force=TimeInForce.IOC)),
        (ANY_ORDER, an_order("0.123456789", limit_price=Decimal("0.1234567"))),
    ],
)
def test_an_order_within_the_rules_passes(rules, order):
    assert rules.refusal(order) is None


@pytest.mark.parametrize(
    ("calendar", "term"),
    [(None, TimeInForce.GTC), ("24/7", TimeInForce.GTC), ("XNYS", TimeInForce.DAY)],
)
def test_orders_live_a_day_where_there_are_sessions(calendar, term):
    assert Instrument(symbol="AAPL", calendar=calendar).default_time_in_force is term


def test_an_instrument_without_declarations_takes_everything():
    instrument = Instrument(symbol="AAPL")

    assert (instrument.rules, instrument.currency) == (ANY_ORDER, "USD")
