"""What the venue does not take, in Alpaca's words."""

import pytest
from alpaca.common.exceptions import APIError
from venue_clients import message_of, order, raw, refused, wish

MALFORMED, INVALID, FORBIDDEN = (422, 40010001), (422, 42210000), (403, 40310000)
BRACKET = {
    "order_class": "bracket",
    "take_profit": {"limit_price": "110"},
    "stop_loss": {"stop_price": "90"},
}


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({}, MALFORMED, "qty or notional is required"),
        ({"qty": 1, "notional": 5}, MALFORMED, "only one of qty or notional is accepted"),
        ({"qty": 0}, MALFORMED, "qty must be > 0"),
        ({"qty": "many"}, MALFORMED, "qty is not a valid number"),
        ({"qty": 1, "side": None}, MALFORMED, "side is required"),
        ({"qty": 1, "side": "hold"}, MALFORMED, "invalid side"),
        ({"qty": 1, "type": "magic"}, MALFORMED, "invalid type"),
        ({"qty": 1, "time_in_force": "gtd"}, MALFORMED, "invalid time_in_force"),
        ({"qty": 1, "client_order_id": "x" * 129}, MALFORMED, "128 characters"),
        ({"qty": 1, "symbol": "NOPE"}, INVALID, 'asset "NOPE" not found'),
        ({"qty": 1, "type": "limit"}, INVALID, "limit orders require limit_price"),
        ({"qty": 1, "limit_price": 5}, INVALID, "market orders must not have limit_price"),
        ({"qty": 1, "type": "limit", "limit_price": "9.999"}, INVALID, "sub-penny"),
        ({"qty": 1, "type": "trailing_stop"}, INVALID, "one of trail_price or trail_percent"),
        ({"qty": 1.5, "time_in_force": "gtc"}, INVALID, "fractional orders must be DAY orders"),
        ({"qty": 1.5, **BRACKET}, INVALID, "fractional orders must be simple orders"),
        ({"qty": 1, "extended_hours": True}, INVALID, "extended hours order must be DAY limit"),
        ({"notional": "0.5"}, FORBIDDEN, "minimal amount of order 1"),
        ({"qty": 1, **BRACKET, "stop_loss": None}, INVALID, "require stop_loss.stop_price"),
        ({"qty": 1, **BRACKET, "time_in_force": "ioc"}, INVALID, "must be day or gtc orders"),
        (
            {"qty": 1, **BRACKET, "take_profit": {"limit_price": "99"}},
            INVALID,
            "take_profit.limit_price must be >= base_price + 0.01",
        ),
        (
            {"qty": 1, **BRACKET, "stop_loss": {"stop_price": "100"}},
            INVALID,
            "stop_loss.stop_price must be <= base_price - 0.01",
        ),
        ({"qty": 1, "symbol": "BTC/USD"}, INVALID, "invalid crypto time_in_force"),
        (
            {
                "qty": 1,
                "symbol": "BTC/USD",
                "time_in_force": "gtc",
                "type": "stop",
                "stop_price": 9,
            },
            INVALID,
            "invalid order type for crypto order",
        ),
        ({"qty": 10_000}, FORBIDDEN, "insufficient buying power"),
        ({"qty": 1, "side": "sell"}, FORBIDDEN, "account is not allowed to short"),
        ({"qty": 1, "symbol": "SPY"}, FORBIDDEN, "there is no price of SPY"),
        ({"qty": 1, "time_in_force": "opg"}, INVALID, "no sessions"),
    ],
)
def test_an_order_that_cannot_be_is_refused_with_its_reason(body, kind, words, venue):
    status, code, message = refused(venue, **body)

    assert (status, code) == kind
    assert words in message
    assert venue.ledger.orders == []


def test_too_little_buying_power_tells_both_amounts(venue):
    answer = raw(
        venue,
        "POST",
        "/v2/orders",
        json={
            "symbol": "AAPL",
            "qty": "1001",
            "side": "buy",
            "type": "market",
            "time_in_force": "day",
        },
    )

    assert answer.json() == {
        "buying_power": "100000",
        "code": 40310000,
        "cost_basis": "100100",
        "message": "insufficient buying power",
    }


def test_a_client_order_id_is_never_taken_twice_even_after_a_cancel(client):
    first = order(client, "limit", limit_price=90, client_order_id="once")
    client.cancel_order_by_id(first.id)

    with pytest.raises(APIError) as error:
        client.submit_order(wish(client_order_id="once"))

    assert (error.value.status_code, error.value.code) == (422, 40010001)
    assert message_of(error.value) == "client_order_id must be unique"


def test_opposite_orders_that_might_meet_are_refused_as_a_wash_trade(client):
    order(client, qty=10)
    resting = order(client, "limit", "sell", limit_price=110)

    with pytest.raises(APIError) as error:
        client.submit_order(wish("market", "buy", 1))

    assert error.value.status_code == 403
    assert message_of(error.value) == "potential wash trade detected. use complex orders"
    assert error.value.response.json()["existing_order_id"] == str(resting.id)


def test_opposite_limits_that_cannot_meet_may_rest_side_by_side(client):
    order(client, qty=10)
    order(client, "limit", "sell", limit_price=110)

    assert order(client, "limit", "buy", limit_price=90).status == "new"


def test_without_a_position_an_opposite_order_is_not_opened(client):
    order(client, "limit", "buy", limit_price=90)

    with pytest.raises(APIError, match="cannot open a short sell while a long buy order is open"):
        client.submit_order(wish("limit", "sell", 1, limit_price=110))


def test_an_order_may_not_sell_more_than_other_orders_leave(client):
    order(client, qty=10)
    order(client, "limit", "sell", 6, limit_price=110)

    with pytest.raises(APIError) as error:
        client.submit_order(wish("limit", "sell", 5, limit_price=111))

    assert error.value.response.json() == {
        "available": "4",
        "code": 40310000,
        "existing_qty": "10",
        "held_for_orders": "6",
        "message": "insufficient qty available for order (requested: 5, available: 4)",
        "symbol": "AAPL",
    }


def test_the_pair_of_a_bracket_holds_its_quantity_once(client):
    order(client, qty=10, order_class="bracket", target=110, stop=90)

    assert client.get_open_position("AAPL").qty_available == "0"


def test_no_order_goes_through_zero(client):
    order(client, qty=10)

    with pytest.raises(APIError, match="insufficient qty available"):
        client.submit_order(wish("market", "sell", 15))


def test_more_coins_than_there_are_cannot_be_sold(client):
    order(client, qty=1, symbol="BTC/USD", time_in_force="gtc")

    with pytest.raises(APIError, match="insufficient balance for BTC"):
        client.submit_order(wish("market", "sell", 1, symbol="BTC/USD", time_in_force="gtc"))


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ({"trading_blocked": True}, "account is not authorized to trade"),
        ({"account_blocked": True}, "account is blocked"),
        ({"buying_power": 50}, "insufficient buying power"),
    ],
)
def test_an_account_with_a_flag_takes_no_order(flag, words, client, venue):
    venue.set_account(**flag)

    with pytest.raises(APIError, match=words):
        client.submit_order(wish())


def test_a_small_pattern_day_trader_may_not_close_what_it_opened_today(client, venue):
    venue.set_account(cash=20_000, pattern_day_trader=True)
    order(client, qty=10)

    with pytest.raises(APIError, match="pattern day trading protection") as error:
        client.submit_order(wish("market", "sell", 10))

    assert error.value.code == 40310100


def test_a_user_can_suspend_trading(client):
    changes = client.get_account_configurations().model_copy(update={"suspend_trade": True})
    client.set_account_configurations(changes)

    with pytest.raises(APIError, match="new orders are rejected by user request"):
        client.submit_order(wish())

    assert client.get_account().trade_suspended_by_user


def test_a_short_is_sold_where_the_account_may(client, venue):
    venue.set_account(shorting_enabled=True)

    order(client, "market", "sell", 10)

    position = client.get_open_position("AAPL")
    assert (position.qty, position.side, position.market_value) == ("-10", "short", "-1000")


def test_what_is_no_json_is_refused(venue):
    answer = raw(venue, "POST", "/v2/orders", data=b"{not json")

    assert (answer.status_code, answer.json()["code"]) == (400, 40010000)
