"""Intents: every key a strategy may say, and every way to say it wrongly."""

from collections import UserDict
from decimal import Decimal

import numpy as np
import pytest

from ticklane.core.errors import ConfigError
from ticklane.core.order import OrderType, TimeInForce
from ticklane.core.signal import Intent, Signal, read_intent

BUY = {"symbol": "AAPL", "signal": Signal.BUY}


def a_wish(**terms):
    return {**BUY, **terms}


def test_the_shortest_wish_names_symbol_and_signal():
    intent = read_intent(BUY)

    assert intent == Intent("AAPL", Signal.BUY)
    assert (intent.quantity, intent.order_type) == (None, OrderType.MARKET)


@pytest.mark.parametrize("signal", ["BUY", "SELL", "HOLD", "CLOSE"])
def test_a_signal_may_be_text_in_capitals_or_small_letters(signal):
    for given in (Signal(signal), signal, signal.lower()):
        assert read_intent({"symbol": "AAPL", "signal": given}).signal is Signal(signal)


@pytest.mark.parametrize("kind", [dict, UserDict, lambda wish: Intent(**wish)])
def test_a_wish_may_be_a_mapping_or_an_intent(kind):
    intent = read_intent(kind(a_wish(quantity=5, reason="because")))

    assert intent == Intent("AAPL", Signal.BUY, Decimal(5), reason="because")


@pytest.mark.parametrize("quantity", [100, 100.0, "100", Decimal(100), np.int64(100)])
def test_a_quantity_may_be_any_kind_of_number(quantity):
    assert read_intent(a_wish(quantity=quantity)).quantity == 100


@pytest.mark.parametrize(
    ("terms", "field", "value"),
    [
        ({"notional": 5000}, "notional", Decimal(5000)),
        ({"fraction": "0.5"}, "fraction", Decimal("0.5")),
        ({"order_type": "limit", "limit_price": 9.9}, "limit_price", Decimal("9.9")),
        ({"order_type": "STOP", "stop_price": 11}, "stop_price", Decimal(11)),
        ({"order_type": "trailing_stop", "trail_percent": 2}, "trail_percent", Decimal(2)),
        ({"order_type": "trailing_stop", "trail_amount": 2}, "trail_amount", Decimal(2)),
        ({"order_type": OrderType.MARKET}, "order_type", OrderType.MARKET),
        ({"order_type": None}, "order_type", OrderType.MARKET),
        ({"time_in_force": "ioc"}, "time_in_force", TimeInForce.IOC),
        ({"time_in_force": TimeInForce.GTC}, "time_in_force", TimeInForce.GTC),
        ({"take_profit": 12}, "take_profit", Decimal(12)),
        ({"stop_loss": "8.5"}, "stop_loss", Decimal("8.5")),
        ({"leverage": 1}, "leverage", Decimal(1)),
        ({"reason": "because"}, "reason", "because"),
        ({"reason": None}, "reason", ""),
        ({"quantity": None, "limit_price": None}, "limit_price", None),
    ],
)
def test_every_term_is_read(terms, field, value):
    intent = read_intent(a_wish(**terms))

    assert getattr(intent, field) == value
    assert intent[field] == value


def test_a_stop_limit_order_has_both_prices():
    intent = read_intent(a_wish(order_type="stop_limit", stop_price=11, limit_price=12))

    assert (intent.stop_price, intent.limit_price) == (11, 12)


def test_an_exact_intent_stays_as_it_is():
    intent = read_intent(a_wish(quantity=5, order_type="limit", limit_price=9, time_in_force="day"))

    assert read_intent(intent) == intent


def test_an_intent_has_no_other_keys():
    with pytest.raises(KeyError, match="count"):
        Intent("AAPL", Signal.BUY)["count"]
    assert Intent("AAPL", Signal.BUY)[0] == "AAPL"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (5, "an intent is 5, but must be an Intent or a mapping such as"),
        ("BUY AAPL", "an intent is 'BUY AAPL'"),
        (("AAPL", "BUY"), "an intent is ('AAPL', 'BUY')"),
        ({}, "the intent {} has no 'symbol'"),
        ({"signal": "BUY"}, "has no 'symbol'"),
        ({"symbol": "AAPL"}, "has no 'signal'"),
        ({"symbol": "AAPL", "signal": "LONG"}, "signal is 'LONG', but must be one of BUY, SELL,"),
        ({"symbol": "AAPL", "signal": None}, "signal is None"),
        ({"symbol": "AAPL", "signal": ["BUY"]}, "signal is ['BUY']"),
        ({"symbol": ["AAPL"], "signal": "BUY"}, "symbol is ['AAPL'], but must be a text"),
        ({"symbol": None, "signal": "BUY"}, "symbol is None, but must be a text"),
        (a_wish(qty=5), "the intent key 'qty' is unknown; the known ones are symbol, signal,"),
        ({**BUY, 5: 5}, "the intent key '5' is unknown"),
        (a_wish(quantity=0), "quantity is 0, but must be above zero"),
        (a_wish(quantity=-1), "quantity is -1, but must be above zero"),
        (a_wish(quantity=True), "quantity is True, but must be a number, not true or false"),
        (a_wish(quantity=float("nan")), "quantity is nan, but must be a finite number"),
        (a_wish(quantity="many"), "quantity is 'many', but must be a number"),
        (a_wish(quantity=10**40), "but must be at most 1E+15"),
        (a_wish(notional=0), "notional is 0, but must be above zero"),
        (a_wish(notional=1e300), "but must be at most 1E+15"),
        (a_wish(stop_loss=-1), "stop_loss is -1, but must be above zero"),
        (a_wish(fraction=1.01), "fraction is 1.01, but must be between 0 and 1"),
        (a_wish(leverage=2), "leverage is 2, but only 1 is possible"),
        (a_wish(quantity=1, notional=5), "gives both quantity and notional; give only one"),
        (a_wish(notional=5, fraction=1), "gives both notional and fraction; give only one"),
        (a_wish(order_type="iceberg"), "order_type is 'iceberg', but must be one of market,"),
        (a_wish(order_type=5), "order_type is 5, but must be one of"),
        (a_wish(time_in_force="gtd"), "time_in_force is 'gtd', but must be one of day,"),
        (a_wish(order_type="limit"), "a limit order needs limit_price"),
        (a_wish(order_type="stop"), "a stop order needs stop_price"),
        (a_wish(order_type="stop_limit", limit_price=5), "a stop_limit order needs stop_price"),
        (a_wish(order_type="stop_limit", stop_price=5), "a stop_limit order needs limit_price"),
        (a_wish(order_type="trailing_stop"), "needs either trail_amount or trail_percent"),
        (
            a_wish(order_type="trailing_stop", trail_amount=1, trail_percent=1),
            "needs either trail_amount or trail_percent",
        ),
        (
            a_wish(limit_price=9),
            "limit_price is 9, but a market order has no use for it; "
            "set order_type to limit or stop_limit",
        ),
        (a_wish(order_type="limit", limit_price=9, stop_price=8), "set order_type to stop or"),
        (a_wish(trail_amount=1), "set order_type to trailing_stop"),
    ],
)
def test_a_malformed_wish_is_refused_in_one_sentence(wish, said):
    with pytest.raises(ConfigError) as refused:
        read_intent(wish)

    message = str(refused.value)
    assert said in message
    assert message.endswith(".")
    assert ". " not in message
    assert "\n" not in message


def test_a_quantity_is_written_as_it_was_given_whatever_was_asked_before():
    asked = [Decimal("5.0"), 5, Decimal("5"), 5.0, Decimal("5.00")]

    given = [read_intent({"symbol": "A", "signal": "BUY", "quantity": q}).quantity for q in asked]

    assert list(map(str, given)) == ["5.0", "5", "5", "5.0", "5.00"]
