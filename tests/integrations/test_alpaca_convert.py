"""Our orders as Alpaca's requests (its own models take them), and Alpaca's answers as ours."""

import json
from decimal import Decimal

import pytest
from alpaca_builders import an_order

from ticklane.core.order import Side
from ticklane.integrations.alpaca.answers import Kind, judge, recognise
from ticklane.integrations.alpaca.client import Reply
from ticklane.integrations.alpaca.convert import (
    order_body,
    read_account_event,
    read_fill,
    read_instant,
    read_order,
    replacement_body,
)
from ticklane.testing.builders import a_bracket, a_pair

SHOWN = {
    "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
    "client_order_id": "o1",
    "created_at": "2021-03-16T18:38:01.942282Z",
    "updated_at": "2021-03-16T18:38:01.942282Z",
    "submitted_at": "2021-03-16T18:38:01.937734Z",
    "symbol": "BTCUSD",
    "qty": "1.5",
    "filled_qty": "0.5",
    "filled_avg_price": "100.25",
    "type": "limit",
    "side": "buy",
    "status": "partially_filled",
    "legs": None,
}
FULL = {"type": "stop_limit", "stop_price": "101.5", "limit_price": "102"}


@pytest.mark.parametrize(
    "order",
    [
        an_order("0.1"),
        an_order(0, notional=1000),
        an_order(1, **FULL),
        an_order(1, type="trailing_stop", trail_percent="1.5"),
        a_bracket(an_order(2), 110, 90),
        a_bracket(an_order(2), stop_loss=90),
        a_pair(2, 110, 90),
    ],
)
def test_alpacas_own_models_take_what_we_send(order):
    from alpaca.trading.requests import (
        LimitOrderRequest,
        MarketOrderRequest,
        StopLimitOrderRequest,
        TrailingStopOrderRequest,
    )

    kinds = {
        "market": MarketOrderRequest,
        "limit": LimitOrderRequest,
        "stop_limit": StopLimitOrderRequest,
        "trailing_stop": TrailingStopOrderRequest,
    }
    body = order_body(order)

    assert kinds[body["type"]](**body).client_order_id == order.client_order_id


def test_amounts_travel_as_text_with_every_digit():
    body = order_body(an_order("0.123456789", type="limit", limit_price="0.1001"))

    assert (body["qty"], body["limit_price"]) == ("0.123456789", "0.1001")
    assert json.loads(json.dumps(body)) == body


def test_exits_of_a_market_entry_outlive_the_day():
    entry = a_bracket(an_order(2, time_in_force="day"), 110, 90)

    assert order_body(entry)["time_in_force"] == "gtc"


def test_extended_hours_are_for_day_limit_orders():
    day = an_order(1, type="limit", limit_price=9, time_in_force="day")
    gtc = an_order(1, type="limit", limit_price=9, time_in_force="gtc")

    assert order_body(day, extended_hours=True)["extended_hours"] is True
    assert order_body(gtc, extended_hours=True)["extended_hours"] is False
    assert "extended_hours" not in order_body(day)


def test_a_replacement_names_only_what_is_different():
    old = an_order(3, type="limit", limit_price=95)
    new = an_order(3, type="limit", limit_price=96, id="n1")
    smaller = an_order(2, type="limit", limit_price=95, id="n2")

    assert replacement_body(old, new, Decimal(0)) == {
        "client_order_id": "n1",
        "limit_price": "96",
    }
    assert replacement_body(old, smaller, Decimal(0)) == {"client_order_id": "n2", "qty": "2"}
    assert replacement_body(old, smaller, Decimal(1)) == {"client_order_id": "n2", "qty": "2"}


def test_an_order_is_read_as_it_is_shown():
    seen = read_order(SHOWN)

    assert (seen.symbol, seen.side, seen.quantity, seen.filled) == (
        "BTC/USD",
        Side.BUY,
        Decimal("1.5"),
        Decimal("0.5"),
    )
    assert seen.end is None


@pytest.mark.parametrize("missing", ["id", "client_order_id", "side", "status"])
def test_what_is_no_whole_order_is_none(missing):
    assert read_order({**SHOWN, missing: None}) is None
    assert read_order(None) is read_order([]) is read_order({}) is None


def test_instants_keep_their_nanoseconds():
    assert read_instant("2021-03-16T18:38:01.123456789Z") % 1_000_000_000 == 123456789
    assert read_instant("1970-01-01T00:00:01+00:00") == 1_000_000_000
    assert read_instant(None) == 0


def test_a_fill_of_the_activities_has_the_total_of_its_order():
    read = read_fill(
        {
            "id": "20210510100104650::88b5f678",
            "activity_type": "FILL",
            "transaction_time": "2021-05-10T14:01:04.650275Z",
            "price": "128.33",
            "qty": "2",
            "side": "sell_short",
            "symbol": "AAPL",
            "order_id": "fe06",
            "cum_qty": "5",
        }
    )

    assert (read.id, read.side, read.quantity, read.total) == ("88b5f678", Side.SELL, 2, 5)


def test_a_fee_in_coins_is_an_event_of_the_account():
    event = read_account_event(
        {
            "id": "x1",
            "activity_type": "CFEE",
            "date": "2021-05-10",
            "net_amount": "0",
            "symbol": "BTCUSD",
            "qty": "-0.0001",
        }
    )

    assert (event.kind, event.symbol, event.quantity) == ("CFEE", "BTC/USD", Decimal("-0.0001"))


ACCEPTED = {**SHOWN, "client_order_id": "mine"}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, ACCEPTED), Kind.ACCEPTED),
        (Reply(200, {**ACCEPTED, "client_order_id": "another"}), Kind.UNCLEAR),
        (Reply(200, None), Kind.UNCLEAR),
        (Reply(None, error="ReadTimeout"), Kind.UNCLEAR),
        (Reply(504, {"message": "gateway"}), Kind.UNCLEAR),
        (Reply(401, {"message": "unauthorized."}), Kind.UNCLEAR),
        (Reply(403, {"message": "forbidden."}), Kind.UNCLEAR),
        (Reply(403, {"code": 40310000, "message": "insufficient buying power"}), Kind.REFUSED),
        (
            Reply(422, {"code": 40010001, "message": "client_order_id must be unique"}),
            Kind.DUPLICATE,
        ),
        (Reply(429, {"message": "too many requests."}), Kind.RATE_LIMITED),
        (Reply(404, {"code": 40410000, "message": "order not found"}), Kind.ABSENT),
        (Reply(404, None), Kind.UNCLEAR),
    ],
)
def test_only_clear_answers_count(reply, kind):
    assert judge(reply, an_order(1, id="mine")).kind is kind


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({}, Kind.ACCEPTED),
        ({"symbol": "IBM"}, Kind.TAKEN),
        ({"side": "sell"}, Kind.TAKEN),
        ({"quantity": 7}, Kind.TAKEN),
        ({"quantity": 7, "replaces_id": "o1"}, Kind.ACCEPTED),
    ],
)
def test_what_is_found_under_our_id_is_ours_only_if_it_is_what_we_sent(terms, kind):
    found = {"symbol": "BTC/USD", "side": "buy", "quantity": ACCEPTED["qty"], **terms}

    assert recognise(Reply(200, ACCEPTED), an_order(**found, id="mine")).kind is kind
