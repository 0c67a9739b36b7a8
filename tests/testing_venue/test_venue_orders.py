"""Orders of every type and class through alpaca-py's own client."""

from decimal import Decimal

import pytest
from venue_clients import a_bar_of, a_client, again, order, wish

from ticklane.testing.venue import LocalVenue


def test_a_market_order_is_taken_as_pending_new_and_filled_at_the_price(client):
    answer = client.submit_order(wish("market", qty=10, client_order_id="mine"))

    filled = client.get_order_by_client_id("mine")

    assert (answer.status, answer.filled_qty) == ("pending_new", "0")
    assert (filled.id, filled.status, filled.filled_qty) == (answer.id, "filled", "10")
    assert filled.filled_avg_price == "100"
    assert filled.filled_at is not None


def test_a_limit_order_waits_for_its_price(client, venue):
    waiting = order(client, "limit", limit_price=99)

    venue.price("AAPL", 98.5)

    assert waiting.status == "new"
    assert (again(client, waiting).status, again(client, waiting).filled_avg_price) == (
        "filled",
        "98.5",
    )


def test_a_stop_becomes_a_market_order_at_its_price(client, venue):
    order(client, qty=10)
    waiting = order(client, "stop", "sell", stop_price=95)

    venue.price("AAPL", 94)

    assert (waiting.status, again(client, waiting).filled_avg_price) == ("new", "94")


def test_a_stop_limit_keeps_its_limit(client, venue):
    waiting = order(client, "stop_limit", stop_price=105, limit_price=106)

    venue.price("AAPL", 107)
    triggered = again(client, waiting)
    venue.price("AAPL", 105.5)

    assert triggered.status == "new"
    assert again(client, waiting).filled_avg_price == "105.5"


def test_a_trailing_stop_shows_its_high_water_mark_and_stop(client, venue):
    order(client, qty=10)
    waiting = order(client, "trailing_stop", "sell", trail_percent=10)

    venue.price("AAPL", 120)
    trailed = again(client, waiting)
    venue.price("AAPL", 107)

    assert (trailed.hwm, trailed.stop_price) == ("120.0", "108")
    assert again(client, waiting).status == "filled"


def test_a_bracket_protects_what_its_entry_has_filled(client, venue):
    entry = order(client, qty=10, order_class="bracket", target=110, stop=95)

    target, stop = entry.legs
    venue.price("AAPL", 111)

    assert (entry.status, target.status, stop.status) == ("filled", "new", "held")
    assert (target.limit_price, stop.stop_price) == ("110", "95")
    assert [again(client, leg).status for leg in (target, stop)] == ["filled", "canceled"]


def test_the_legs_of_a_bracket_get_client_ids_from_the_venue(client):
    entry = order(client, qty=10, order_class="bracket", target=110, stop=95, client_order_id="me")

    found = {leg.client_order_id for leg in entry.legs}

    assert len(found) == 2
    assert "me" not in found


def test_a_bracket_that_is_cancelled_takes_its_legs_with_it(client):
    entry = order(client, "limit", limit_price=99, order_class="bracket", target=110, stop=95)

    client.cancel_order_by_id(entry.id)
    after = again(client, entry)

    assert [leg.status for leg in entry.legs] == ["held", "held"]
    assert [after.status, *(leg.status for leg in after.legs)] == ["canceled"] * 3


def test_an_oco_closes_by_its_target_or_its_stop(client, venue):
    order(client, qty=10)
    pair = order(client, "limit", "sell", order_class="oco", target=110, stop=(95, 94.5))

    venue.price("AAPL", 94.8)
    after = again(client, pair)

    assert (pair.status, pair.limit_price, pair.legs[0].status) == ("new", "110", "held")
    assert (after.status, after.legs[0].status) == ("canceled", "filled")


def test_an_oto_sends_its_one_exit_after_the_entry(client):
    entry = order(client, qty=10, order_class="oto", stop=95)

    assert [(leg.type, leg.status) for leg in entry.legs] == [("stop", "new")]


def test_an_amount_of_money_buys_a_fraction(client):
    bought = order(client, notional=55.5)

    assert (bought.qty, bought.notional, bought.filled_qty) == (None, "55.5", "0.555")
    assert bought.status == "filled"


def test_a_fraction_of_a_share_is_a_day_order(client):
    assert order(client, qty=0.25).filled_qty == "0.25"


@pytest.mark.parametrize("term", ["ioc", "fok"])
def test_what_cannot_trade_at_once_is_cancelled(term, client):
    assert order(client, "limit", limit_price=90, time_in_force=term).status == "canceled"


def test_coins_are_bought_by_name_with_or_without_a_slash(client):
    first = order(client, "limit", qty=0.1, symbol="BTC/USD", limit_price=51_000, **_GTC)
    second = order(client, qty=0.1, symbol="BTCUSD", **_GTC)

    assert [one.symbol for one in (first, second)] == ["BTC/USD", "BTC/USD"]
    assert client.get_open_position("BTCUSD").symbol == "BTCUSD"


_GTC = {"time_in_force": "gtc"}


def test_a_fee_in_coins_is_taken_from_the_coins_and_posted_later(client, venue):
    order(client, qty=1, symbol="BTC/USD", **_GTC)

    held = client.get_open_position("BTCUSD").qty
    before = client.get("/account/activities/CFEE")
    venue.post_fees()
    (posted,) = client.get("/account/activities/CFEE")

    assert (held, before) == ("0.9975", [])
    assert (posted["qty"], posted["net_amount"], posted["symbol"]) == ("-0.0025", "0", "BTCUSD")
    assert client.get_account().cash == "50000"


def test_the_fee_of_a_sale_of_coins_is_taken_from_the_money(client):
    order(client, qty=1, symbol="BTC/USD", **_GTC)

    order(client, "market", "sell", qty=0.5, symbol="BTC/USD", **_GTC)

    assert Decimal(client.get_account().cash) == 75_000 - Decimal("62.5")


# --- sessions ---------------------------------------------------------------------------------


@pytest.fixture
def exchange_hours():
    with LocalVenue(calendar="XNYS") as local:
        local.set_time(_at("2024-07-03T13:00:00+00:00"))  # a Wednesday that closes at 13:00
        local.price("AAPL", 100)
        yield local


def _at(text):
    return a_bar_of("AAPL", text, text, 1, 1, 1, 1).open_ns


def test_before_the_open_an_order_is_accepted_and_waits(exchange_hours):
    client = a_client(exchange_hours)

    early = order(client, qty=1)
    exchange_hours.set_time(_at("2024-07-03T13:30:00+00:00"))
    opened = again(client, early)
    exchange_hours.price("AAPL", 101)

    assert (early.status, opened.status) == ("accepted", "new")
    assert again(client, early).filled_avg_price == "101"


def test_a_day_order_expires_at_an_early_close(exchange_hours):
    client = a_client(exchange_hours)
    exchange_hours.set_time(_at("2024-07-03T14:00:00+00:00"))

    waiting = order(client, "limit", limit_price=90)
    exchange_hours.set_time(_at("2024-07-03T17:00:00+00:00"))

    assert waiting.expires_at.isoformat() == "2024-07-03T17:00:00+00:00"
    assert (waiting.status, again(client, waiting).status) == ("new", "expired")


def test_an_extended_hours_order_trades_before_the_open(exchange_hours):
    client = a_client(exchange_hours)

    usual = order(client, "limit", limit_price=101)
    early = order(client, "limit", limit_price=101, extended_hours=True)

    assert (usual.status, early.status, early.extended_hours) == ("accepted", "filled", True)


def test_an_order_for_the_opening_auction_trades_at_the_open(exchange_hours):
    client = a_client(exchange_hours)

    auction = order(client, qty=1, time_in_force="opg")
    bar = a_bar_of("AAPL", "2024-07-03T13:30:00Z", "2024-07-03T13:31:00Z", 102, 103, 101, 103)
    exchange_hours.bar(bar)

    assert again(client, auction).filled_avg_price == "102"


def test_a_gtc_order_lives_on_overnight(exchange_hours):
    client = a_client(exchange_hours)
    waiting = order(client, "limit", limit_price=90, **_GTC)

    exchange_hours.set_time(_at("2024-07-05T14:00:00+00:00"))
    exchange_hours.price("AAPL", 89)

    assert again(client, waiting).status == "filled"
