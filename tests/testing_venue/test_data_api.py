"""The data API, asked by alpaca-py's own clients and by plain requests."""

from datetime import UTC, datetime

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.data import requests as ask
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from market_serving import at, row_of_bars, served

from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, Quote, Timeframe
from ticklane.data.feeds import ReplayFeed, SimulatedFeed
from ticklane.testing.venue.data_access import DataAccess
from ticklane.testing.venue.market import Market, Trade

START = at("2026-03-02 14:30")
KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
BAR, STOCK_QUOTE = {*"tohlcv", "n", "vw"}, {"t", "ax", "ap", "as", "bx", "bp", "bs", "c", "z"}
STOCK_TRADE, CRYPTO_TRADE = {"t", "x", "p", "s", "c", "i", "z"}, {"t", "p", "s", "tks", "i"}
CRYPTO_QUOTE = {"t", "bp", "bs", "ap", "as"}


def a_market():
    """Ten hours of minutes of two stocks, and a coin with quotes and trades by hand."""
    bars = {s: row_of_bars(s, START, MINUTE, 600, first) for s, first in (("MSFT", 1), ("AAPL", 2))}
    market = Market(ReplayFeed(bars, Timeframe(MINUTE)))
    market.set_time(START + 600 * MINUTE)
    now = market.now_ns()
    for number in range(5):
        price = 30_000.0 + number
        market.push(
            Quote("BTC/USD", now + number * SECOND, price - 1, price + 1, 0.5, 0.25),
            Trade("BTC/USD", now + number * SECOND + 7, price, 0.125),
        )
    market.advance(60)
    return market


@pytest.fixture(scope="module")
def venue():
    with served(a_market(), DataAccess(keys=("key", "secret"))) as one:
        yield one


@pytest.fixture(scope="module")
def stocks(venue):
    return StockHistoricalDataClient("key", "secret", url_override=venue.url)


@pytest.fixture(scope="module")
def coins(venue):
    return CryptoHistoricalDataClient("key", "secret", url_override=venue.url)


def get(venue, path, keys=KEYS, **params):
    """What the venue answers to a plain request: status and body."""
    answer = requests.get(f"{venue.url}{path}", params=params, headers=keys, timeout=10)
    return answer.status_code, answer.json()


def stock_bars(venue, **params):
    """Bars of the two stocks, as the venue shows them."""
    given = {"symbols": "MSFT,AAPL", "timeframe": "1Min", "feed": "iex", "start": "2026-03-01"}
    return get(venue, "/v2/stocks/bars", **{**given, **params})


def test_alpacas_client_gets_every_bar_over_many_pages(stocks):
    wanted = ask.StockBarsRequest(
        symbol_or_symbols=["MSFT", "AAPL"],
        timeframe=TimeFrame.Minute,
        start=datetime(2026, 3, 2, tzinfo=UTC),
        feed=DataFeed.IEX,
        adjustment=Adjustment.ALL,
    )

    found = stocks.get_stock_bars(wanted)

    assert {symbol: len(bars) for symbol, bars in found.data.items()} == {"AAPL": 600, "MSFT": 600}
    first, last = found["AAPL"][0], found["AAPL"][-1]
    assert (first.timestamp, first.open, first.close) == (
        datetime(2026, 3, 2, 14, 30, tzinfo=UTC),
        *(2.0, 3.0),
    )
    assert (last.open, last.high, last.low, last.close, last.volume) == (
        601,
        602.5,
        600.5,
        602,
        600,
    )


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 599, 600, 601])
def test_pages_follow_each_other_by_symbol_then_time(venue, sort, limit):
    _, whole = stock_bars(venue, sort=sort, limit=10_000)
    assert whole["next_page_token"] is None
    expected = [(s, row["t"]) for s in ("AAPL", "MSFT") for row in whole["bars"][s]]
    end = 40 * limit if limit < 10 else len(expected)
    found, token = [], None

    while len(found) < end:
        _, page = stock_bars(venue, sort=sort, limit=limit, page_token=token)
        rows = [(s, row["t"]) for s, bars in page["bars"].items() for row in bars]
        assert len(rows) == limit or page["next_page_token"] is None
        found, token = found + rows, page["next_page_token"]

    assert found == expected[: len(found)]
    assert token is not None or len(found) == len(expected)


def test_a_page_of_trades_may_end_within_an_instant(venue):
    market = Market()
    market.set_time(START)
    market.push(*(Trade("AAPL", START, float(number), 1.0) for number in range(1, 8)))
    with served(market) as one:
        found, token = [], None
        while token is not None or not found:
            _, page = get(
                one, "/v2/stocks/trades", symbols="AAPL", limit=3, feed="iex", page_token=token
            )
            found += [row["p"] for row in page["trades"]["AAPL"]]
            token = page["next_page_token"]

    assert found == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("timeframe", "stamps"),
    [
        ("30Min", ["14:30", "15:00", "15:30"]),
        ("2Hour", ["14:00", "16:00", "18:00"]),
        ("1Day", ["05:00"]),
        ("1Week", ["05:00"]),
    ],
)
def test_a_timeframe_is_gathered_from_the_minutes(venue, timeframe, stamps):
    start = "2026-03-02T05:00:00Z"

    _, found = stock_bars(venue, timeframe=timeframe, symbols="AAPL", limit=3, start=start)

    rows = found["bars"]["AAPL"]
    assert [row["t"] for row in rows] == [f"2026-03-02T{stamp}:00Z" for stamp in stamps]
    assert rows[0]["o"] == 2.0


def test_both_ends_are_inclusive_and_a_date_is_a_day_of_new_york(venue):
    ends = {"start": "2026-03-02T14:31:00Z", "end": "2026-03-02T09:33:00-05:00"}
    _, found = stock_bars(venue, symbols="AAPL", **ends)
    _, day = stock_bars(venue, symbols="AAPL", start="2026-03-02", end="2026-03-02")
    _, before = stock_bars(venue, symbols="AAPL", start="2026-03-01", end="2026-03-01")

    assert [row["t"][11:16] for row in found["bars"]["AAPL"]] == ["14:31", "14:32", "14:33"]
    assert len(day["bars"]["AAPL"]) == 600  # up to 00:29 UTC, still the same day there
    assert before == {"bars": {}, "next_page_token": None}


def test_without_a_start_bars_of_today_are_given(venue):
    status, found = stock_bars(venue, symbols="AAPL", start=None)

    assert status == 200
    assert found["bars"]["AAPL"][0]["t"] == "2026-03-02T14:30:00Z"


def test_a_single_symbol_has_its_own_path(venue):
    _, bars = get(venue, "/v2/stocks/AAPL/bars", timeframe="1Day", feed="iex")
    _, quote = get(venue, "/v2/stocks/AAPL/quotes/latest")
    _, snapshot = get(venue, "/v2/stocks/AAPL/snapshot")
    status, missing = get(venue, "/v2/stocks/NONE/trades/latest")

    assert (bars["symbol"], len(bars["bars"])) == ("AAPL", 1)
    assert (quote["symbol"], set(quote["quote"])) == ("AAPL", STOCK_QUOTE)
    assert snapshot["symbol"] == "AAPL"
    assert snapshot["dailyBar"]["c"] == 602.0
    assert (status, missing) == (404, {"message": "no trade found for NONE"})


def test_rows_have_the_fields_of_alpaca(venue):
    market = Market()
    market.set_time(START)
    market.price("AAPL", 101.0, size=250)
    market.price("ETH/USD", 3000.0, size=0.5)
    market.advance(60)
    crypto, now = "/v1beta3/crypto/us", {"start": "2026-03-02T14:00:00Z"}
    with served(market) as one:
        stock = {
            k: get(one, f"/v2/stocks/{k}", symbols="AAPL", feed="iex", **now)[1] for k in KINDS
        }
        coin = {k: get(one, f"{crypto}/{k}", symbols="ETH/USD", **now)[1] for k in KINDS}
        bars = get(one, "/v2/stocks/bars", symbols="AAPL", timeframe="1Min", feed="iex", **now)[1]
        whole = get(one, f"{crypto}/latest/orderbooks", symbols="ETH/USD")[1]

    assert [set(stock[k][k]["AAPL"][0]) for k in KINDS] == [STOCK_QUOTE, STOCK_TRADE]
    assert [set(coin[k][k]["ETH/USD"][0]) for k in KINDS] == [CRYPTO_QUOTE, CRYPTO_TRADE]
    assert bars["bars"]["AAPL"] == [
        {"t": "2026-03-02T14:30:00Z", "o": 101, "h": 101, "l": 101, "c": 101}
        | {"v": 250, "n": 3, "vw": 101}
    ]
    assert whole["orderbooks"]["ETH/USD"]["b"] == [{"p": 2999.99, "s": 0.5}]


KINDS = ("quotes", "trades")


def test_alpacas_client_gets_the_newest_of_everything(stocks):
    symbols = ["AAPL", "MSFT", "NONE"]

    bar = stocks.get_stock_latest_bar(ask.StockLatestBarRequest(symbol_or_symbols=symbols))
    quote = stocks.get_stock_latest_quote(ask.StockLatestQuoteRequest(symbol_or_symbols=symbols))
    trade = stocks.get_stock_latest_trade(ask.StockLatestTradeRequest(symbol_or_symbols=symbols))

    assert set(bar) == set(quote) == set(trade) == {"AAPL", "MSFT"}
    assert bar["AAPL"].timestamp == datetime(2026, 3, 3, 0, 29, tzinfo=UTC)
    assert quote["AAPL"].bid_price < trade["AAPL"].price == 602 < quote["AAPL"].ask_price


def test_alpacas_client_gets_snapshots(stocks, coins):
    [stock] = stocks.get_stock_snapshot(ask.StockSnapshotRequest(symbol_or_symbols="AAPL")).values()
    [coin] = coins.get_crypto_snapshot(
        ask.CryptoSnapshotRequest(symbol_or_symbols="BTC/USD")
    ).values()

    assert (stock.daily_bar.open, stock.daily_bar.close) == (2.0, 602.0)
    assert stock.minute_bar.close == stock.latest_trade.price == 602.0
    assert stock.previous_daily_bar is None
    assert coin.latest_trade.price == 30_004.0
    assert coin.minute_bar.trade_count == 1


def test_a_snapshot_shows_the_day_before_too():
    market = Market()
    for day in range(3):
        market.set_time(START + day * DAY)
        market.price("AAPL", 100.0 + day)
    market.advance(60)
    with served(market) as one:
        _, found = get(one, "/v2/stocks/snapshots", symbols="AAPL")

    assert (found["AAPL"]["dailyBar"]["c"], found["AAPL"]["prevDailyBar"]["c"]) == (102, 101)


def test_alpacas_client_gets_everything_of_a_coin(coins):
    start = datetime(2026, 3, 3, tzinfo=UTC)
    both = {"symbol_or_symbols": ["BTC/USD", "ETH/USD"], "start": start}

    bars = coins.get_crypto_bars(ask.CryptoBarsRequest(timeframe=TimeFrame.Minute, **both))
    quotes = coins.get_crypto_quotes(ask.CryptoQuoteRequest(**both))
    trades = coins.get_crypto_trades(ask.CryptoTradesRequest(limit=2, sort="desc", **both))
    latest = coins.get_crypto_latest_quote(
        ask.CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD")
    )
    book = coins.get_crypto_latest_orderbook(
        ask.CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD")
    )

    assert [(bar.open, bar.close, bar.volume) for bar in bars["BTC/USD"]] == [
        (30_000.0, 30_004.0, 0.625)
    ]
    assert [quote.bid_price for quote in quotes["BTC/USD"]][:2] == [29_999.0, 30_000.0]
    assert [(trade.id, trade.price) for trade in trades["BTC/USD"]] == [(5, 30_004), (4, 30_003)]
    assert latest["BTC/USD"].ask_price == book["BTC/USD"].asks[0].price == 30_005.0


def test_crypto_data_need_no_keys_but_refuse_wrong_ones(venue):
    path, wanted = "/v1beta3/crypto/us/latest/trades", {"symbols": "BTC/USD"}

    assert get(venue, path, keys={}, **wanted)[0] == 200
    assert get(venue, path, keys={**KEYS, "APCA-API-KEY-ID": "x"}, **wanted)[0] == 403


@pytest.mark.parametrize(
    ("keys", "status", "message"),
    [({}, 401, "unauthorized."), ({**KEYS, "APCA-API-SECRET-KEY": "x"}, 403, "forbidden.")],
)
def test_wrong_keys_are_refused(venue, keys, status, message):
    found = get(venue, "/v2/stocks/bars/latest", keys=keys, symbols="AAPL")

    assert found == (status, {"message": message})


def test_basic_authentication_is_taken_too(venue):
    client = StockHistoricalDataClient("key", "secret", use_basic_auth=True, url_override=venue.url)

    assert client.get_stock_latest_bar(ask.StockLatestBarRequest(symbol_or_symbols="AAPL"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timeframe": "5Parsec"}, "invalid timeframe: 5Parsec"),
        ({"timeframe": None}, "timeframe is required"),
        ({"symbols": None}, "symbols is required"),
        ({"symbols": "AAPL,aapl"}, "invalid symbol: aapl"),
        ({"limit": 10_001}, "invalid limit: 10001 is not between 1 and 10000"),
        ({"limit": 0}, "invalid limit: 0 is not between 1 and 10000"),
        ({"limit": "many"}, "Invalid format for parameter limit: 'many' is not a number"),
        ({"end": "2026-02-01"}, "end should not be before start"),
        ({"adjustment": "none"}, "invalid adjustment: none"),
        ({"sort": "up"}, "invalid sort: up"),
        ({"feed": "tape"}, "invalid feed: tape"),
        ({"page_token": "QUFQTA=="}, "invalid page_token"),
        ({"page_token": "%%%"}, "invalid page_token"),
    ],
)
def test_what_cannot_be_read_is_refused(venue, wrong, message):
    assert stock_bars(venue, **wrong) == (400, {"message": message})


@pytest.mark.parametrize("start", ["yesterday", "2026-13-01", "2026-03-02T25:00:00Z"])
def test_an_instant_that_cannot_be_read_is_refused(venue, start):
    status, said = stock_bars(venue, start=start)

    assert status == 400
    assert said["message"].startswith(
        f"Invalid format for parameter start: error parsing '{start}'"
    )


def test_a_coin_without_a_slash_is_refused(coins):
    wanted = ask.CryptoLatestTradeRequest(symbol_or_symbols="BTCUSD")

    with pytest.raises(APIError) as caught:
        coins.get_crypto_latest_trade(wanted)

    assert caught.value.status_code == 400
    assert "invalid symbol: BTCUSD does not match" in str(caught.value)


def test_recent_sip_data_need_a_subscription(venue, stocks):
    now = datetime(2026, 3, 3, 0, 31, tzinfo=UTC)
    wanted = ask.StockBarsRequest(
        symbol_or_symbols="AAPL",
        timeframe=TimeFrame(1, TimeFrameUnit.Hour),
        end=now,
        feed=DataFeed.SIP,
    )

    with pytest.raises(APIError) as caught:
        stocks.get_stock_bars(wanted)

    said = {"message": "subscription does not permit querying recent SIP data"}
    assert (caught.value.status_code, get(venue, "/v2/stocks/quotes/latest", **LATEST)) == (
        *(403, (403, said)),
    )
    assert said["message"] in str(caught.value)
    assert stock_bars(venue, feed="sip", end="2026-03-02")[0] == 403  # the day is not over


LATEST = {"symbols": "AAPL", "feed": "sip"}


@pytest.mark.parametrize("feed", ["sip", "delayed_sip", None])
def test_without_a_subscription_sip_ends_fifteen_minutes_ago(venue, feed):
    _, found = stock_bars(venue, symbols="AAPL", feed=feed, sort="desc", limit=1)

    assert found["bars"]["AAPL"][0]["t"] == "2026-03-03T00:16:00Z"


def test_with_a_subscription_sip_is_as_new_as_any():
    with served(a_market(), DataAccess(has_sip=True)) as one:
        _, found = stock_bars(one, symbols="AAPL", feed="sip", sort="desc", limit=1)
        status, _ = get(one, "/v2/stocks/quotes/latest", **LATEST)

    assert (found["bars"]["AAPL"][0]["t"], status) == ("2026-03-03T00:29:00Z", 200)


def test_too_many_requests_are_refused_and_answers_tell_how_many_are_left():
    with served(a_market(), DataAccess(limit=2)) as one:
        answers = [
            requests.get(
                f"{one.url}/v2/stocks/bars/latest",
                params={"symbols": "AAPL"},
                headers=KEYS,
                timeout=10,
            )
            for _ in range(5)
        ]

    assert answers[0].headers["X-RateLimit-Limit"] == "2"
    assert answers[0].headers["X-RateLimit-Remaining"] == "1"
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json() == {"message": "too many requests."}


def test_a_simulated_market_has_a_history_without_beginning():
    class Noon:
        def now_ns(self):
            return START

    feed = SimulatedFeed(["AAPL"], clock=Noon(), timeframe=Timeframe(MINUTE), start_ns=START)
    market = Market(feed)
    with served(market) as one:
        wanted = {"symbols": "AAPL", "timeframe": "1Min", "feed": "iex", "limit": 10_000}
        _, old = get(one, "/v2/stocks/bars", start="2020-01-01", end="2026-03-02", **wanted)
        _, new = get(
            one, "/v2/stocks/bars", start="2020-01-01", sort="desc", **{**wanted, "limit": 5}
        )

    assert [len(old["bars"]["AAPL"]), old["bars"]["AAPL"][0]["t"]] == [
        *(10_000, "2020-01-01T05:00:00Z")
    ]
    assert new["bars"]["AAPL"][0]["t"] == "2026-03-02T14:29:00Z"
    assert START - market.bars("AAPL", "1Hour", START - HOUR, START).open_ns[-1] == 30 * MINUTE
