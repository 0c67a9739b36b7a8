"""Account, positions, lists, activities, assets, clock and calendar, read by alpaca-py's models."""

from datetime import date, timedelta

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.models import NonTradeActivity, TradeActivity
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
)
from venue_clients import a_bar_of, a_client, again, order, raw

from ticklane.testing.venue import LocalVenue
from ticklane.testing.venue.assets import Asset

# --- the account ------------------------------------------------------------------------------


def test_the_account_tells_money_and_flags(client):
    order(client, qty=10)

    account = client.get_account()

    assert (account.status, account.account_number, account.currency) == (
        "ACTIVE",
        "PA0TICKLANE",
        "USD",
    )
    assert (account.cash, account.equity, account.long_market_value) == ("99000", "100000", "1000")
    assert (account.buying_power, account.multiplier) == ("99000", "1")
    assert (account.trading_blocked, account.shorting_enabled) == (False, False)


def test_open_orders_keep_buying_power(client):
    order(client, "limit", qty=10, limit_price=90)

    assert client.get_account().buying_power == "99100"


def test_margin_multiplies_buying_power():
    with LocalVenue(multiplier=4, allow_short=True) as venue:
        venue.price("AAPL", 100)
        client = a_client(venue)

        order(client, qty=2_000)
        account = client.get_account()

        assert (account.cash, account.buying_power) == ("-100000", "200000")


def test_configurations_are_read_and_written(client):
    changed = client.get_account_configurations().model_copy(update={"no_shorting": True})

    assert client.set_account_configurations(changed).no_shorting is True
    assert client.get_account_configurations().no_shorting is True


def test_wrong_keys_are_unauthorized():
    with LocalVenue(keys=("right", "one")) as venue, pytest.raises(APIError) as error:
        a_client(venue).get_account()

    assert error.value.status_code == 401
    assert "unauthorized" in error.value.message


def test_the_rate_limit_is_told_and_kept():
    with LocalVenue(rate_limit=2) as venue:
        answers = [raw(venue, "GET", "/v2/account") for _ in range(3)]

    left = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert left == ["1", "0", "0"]
    assert int(answers[2].headers["X-RateLimit-Reset"]) > 1_700_000_000


# --- positions --------------------------------------------------------------------------------


def test_a_position_tells_cost_and_profit(client, venue):
    order(client, qty=10)
    venue.price("AAPL", 110)
    order(client, qty=10)

    position = client.get_open_position("AAPL")

    assert (position.qty, position.avg_entry_price, position.cost_basis) == ("20", "105", "2100")
    assert (position.current_price, position.unrealized_pl) == ("110", "100")
    assert float(position.unrealized_plpc) == pytest.approx(100 / 2100)


def test_a_sale_leaves_the_average_price(client, venue):
    order(client, qty=10)
    venue.price("AAPL", 110)

    order(client, "market", "sell", 4)

    assert client.get_open_position("AAPL").avg_entry_price == "100"
    assert client.get_account().cash == "99440"


def test_no_position_is_not_found(client):
    with pytest.raises(APIError, match="position does not exist") as error:
        client.get_open_position("AAPL")

    assert error.value.status_code == 404


@pytest.mark.parametrize(
    ("how", "left"), [({}, None), ({"qty": "4"}, "6"), ({"percentage": "50"}, "5")]
)
def test_a_position_is_closed_wholly_or_in_part(how, left, client):
    order(client, qty=10)

    answer = client.close_position("AAPL", ClosePositionRequest(**how) if how else None)

    assert (answer.side, again(client, answer).status) == ("sell", "filled")
    assert [one.qty for one in client.get_all_positions()] == ([left] if left else [])


def test_all_positions_are_closed_with_their_orders(client):
    order(client, qty=10)
    order(client, "limit", "sell", limit_price=110)
    order(client, qty=1, symbol="BTC/USD", time_in_force="gtc")

    told = client.close_all_positions(cancel_orders=True)

    assert {one.symbol: one.status for one in told} == {"AAPL": 200, "BTCUSD": 200}
    assert client.get_all_positions() == []


def test_what_orders_hold_is_not_closed_by_the_way(client):
    order(client, qty=10)
    order(client, "limit", "sell", limit_price=110)

    (told,) = client.close_all_positions()

    assert (told.status, told.body.code, told.body.held_for_orders) == (403, 40310000, 10)


# --- lists of orders --------------------------------------------------------------------------


@pytest.fixture
def some(client):
    """A filled order, two open limits and a bracket of coinless shares."""
    return [
        order(client, qty=1, client_order_id="filled"),
        order(client, "limit", limit_price=90, client_order_id="first"),
        order(client, "limit", limit_price=91, client_order_id="second"),
        order(client, qty=1, symbol="BTC/USD", time_in_force="gtc", client_order_id="coin"),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["second", "first"]),
        ({"status": "closed"}, ["coin", "filled"]),
        ({"status": "all", "direction": "asc"}, ["filled", "first", "second", "coin"]),
        ({"status": "all", "limit": 2}, ["coin", "second"]),
        ({"status": "all", "symbols": ["BTCUSD"]}, ["coin"]),
        ({"status": "all", "side": "sell"}, []),
    ],
)
def test_orders_are_listed_as_they_are_asked_for(query, found, client, some):
    listed = client.get_orders(GetOrdersRequest(**query))

    assert [one.client_order_id for one in listed] == found


def test_orders_are_listed_between_two_instants(client, some):
    listed = client.get_orders(
        GetOrdersRequest(
            status="all", after=some[0].submitted_at + timedelta(microseconds=1), direction="asc"
        )
    )
    until = client.get_orders(GetOrdersRequest(status="all", until=some[0].submitted_at))

    assert [one.client_order_id for one in listed][-1] == "coin"
    assert until == []


def test_legs_are_listed_with_their_order_or_by_themselves(client):
    entry = order(client, qty=1, order_class="bracket", target=110, stop=90)

    flat = client.get_orders(GetOrdersRequest(status="all"))
    (nested,) = client.get_orders(GetOrdersRequest(status="all", nested=True))
    alone = client.get_order_by_id(entry.legs[0].id, GetOrderByIdRequest(nested=True))

    assert (len(flat), [one.legs for one in flat]) == (3, [None] * 3)
    assert [leg.id for leg in nested.legs] == [leg.id for leg in entry.legs]
    assert alone.order_class == "bracket"


# --- activities -------------------------------------------------------------------------------


def test_fills_are_activities(client, venue):
    waiting = order(client, "limit", qty=10, limit_price=90)
    venue.fill(waiting.id, 4)
    venue.fill(waiting.id)

    last, first = client.get("/account/activities/FILL")

    told = [TradeActivity(**one) for one in (first, last)]
    assert [(t.type, t.qty, t.cum_qty, t.leaves_qty) for t in told] == [
        ("partial_fill", 4, 4, 6),
        ("fill", 6, 10, 0),
    ]
    assert {t.order_id for t in told} == {waiting.id}


def test_an_operator_books_fees_dividends_and_transfers(client, venue):
    order(client, qty=10)
    venue.activity("FEE", "-0.02", description="TAF fee")
    venue.activity("DIV", 2.4, symbol="AAPL", qty=10, per_share_amount="0.24")
    venue.activity("CSD", 500)
    venue.activity("SPLIT", symbol="AAPL", qty=30)

    told = [NonTradeActivity(**one) for one in client.get("/account/activities")[:4]]

    assert [one.activity_type for one in reversed(told)] == ["FEE", "DIV", "CSD", "SPLIT"]
    assert client.get_account().cash == "99502.38"
    position = client.get_open_position("AAPL")
    assert (position.qty, position.avg_entry_price) == ("40", "25")


def test_activities_are_paged_by_the_last_id(client, venue):
    for number in range(5):
        venue.activity("FEE", -number)

    pages, token = [], None
    while page := client.get(
        "/account/activities",
        {"page_size": 2, "direction": "asc", "activity_types": "FEE", "page_token": token},
    ):
        pages.append([one["net_amount"] for one in page])
        token = page[-1]["id"]

    assert pages == [["0", "-1"], ["-2", "-3"], ["-4"]]


# --- the market -------------------------------------------------------------------------------


def test_assets_are_found_by_symbol_and_by_id(client):
    apple = client.get_asset("AAPL")

    assert (apple.asset_class, apple.exchange, apple.fractionable) == ("us_equity", "NASDAQ", True)
    assert client.get_asset(str(apple.id)).symbol == "AAPL"
    assert client.get_asset("BTCUSD").symbol == "BTC/USD"


def test_whatever_has_a_price_is_an_asset(client, venue):
    venue.price("ZZZZ", 5)

    assert client.get_asset("ZZZZ").tradable
    with pytest.raises(APIError, match="asset not found for YYYY"):
        client.get_asset("YYYY")


def test_assets_are_listed_by_class(client):
    coins = client.get_all_assets(GetAssetsRequest(asset_class="crypto"))

    assert {"BTC/USD", "ETH/USD"} <= {one.symbol for one in coins}
    assert all(one.min_order_size for one in coins)


def test_an_asset_can_be_described():
    odd = Asset(symbol="ODD", is_fractionable=False, is_tradable=False)
    with LocalVenue(assets=[odd]) as venue:
        shown = a_client(venue).get_asset("ODD")

    assert (shown.fractionable, shown.tradable) == (False, False)


def test_the_clock_tells_sessions_in_new_york():
    with LocalVenue(calendar="XNYS") as venue:
        venue.set_time(a_bar_of("", "2024-07-03T14:00Z", "2024-07-03T14:00Z", 1, 1, 1, 1).open_ns)
        clock = a_client(venue).get_clock()

    assert clock.is_open
    assert clock.timestamp.isoformat() == "2024-07-03T10:00:00-04:00"
    assert clock.next_close.isoformat() == "2024-07-03T13:00:00-04:00"
    assert clock.next_open.isoformat() == "2024-07-05T09:30:00-04:00"


def test_the_calendar_lists_trading_days_and_early_closes(client):
    days = client.get_calendar(GetCalendarRequest(start=date(2024, 7, 2), end=date(2024, 7, 5)))

    assert [(day.date.day, day.close.hour) for day in days] == [(2, 16), (3, 13), (5, 16)]


def test_the_portfolio_history_ends_with_the_equity_of_now(client, venue):
    order(client, qty=10)
    venue.price("AAPL", 110)

    told = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1D", timeframe="5Min"))

    assert (told.equity[-1], told.profit_loss[-1], told.base_value) == (100_100, 100, 100_000)
    assert len(told.timestamp) == len(told.equity)


def test_an_unknown_endpoint_or_method_is_told(venue):
    assert raw(venue, "GET", "/v2/nothing").status_code == 404
    assert raw(venue, "PUT", "/v2/orders").status_code == 405
