"""History and newest prices at Alpaca, asked of the local venue with alpaca-py's own clients."""

import asyncio
import socket
import time

import pytest
from data_builders_alpaca import (
    KEYS,
    ONE_DAY,
    ONE_HOUR,
    ONE_MINUTE,
    NoSleep,
    a_market,
    an_account,
)

from ticklane.core.errors import BrokerError, ConfigError, DataError
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, Timeframe
from ticklane.data.catalog import BarCatalog
from ticklane.data.download import download
from ticklane.data.feeds import SimulatedFeed
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.crypto import AlpacaCryptoData
from ticklane.integrations.alpaca.market_data import AlpacaMarketData
from ticklane.integrations.alpaca.stocks import AlpacaStockData
from ticklane.integrations.alpaca.wire import to_instants, to_text, wire_timeframe

NEW_YEAR = 1_767_225_600 * SECOND  # 2026


@pytest.fixture(scope="module")
def market():
    with a_market(keys=KEYS) as venue:
        yield venue


@pytest.fixture
def venue(market):
    yield market
    market.clear_faults()


@pytest.fixture
async def stocks(venue):
    data = AlpacaStockData(an_account(venue), sleep=NoSleep())
    yield data
    await data.close()


@pytest.fixture
async def crypto(venue):
    data = AlpacaCryptoData(an_account(venue), sleep=NoSleep())
    yield data
    await data.close()


def told_by(symbol, start_ns, end_ns):
    """The bars that the venue's feed has between two instants."""
    feed = SimulatedFeed((symbol,), clock=None, timeframe=ONE_MINUTE)
    count = (end_ns - start_ns) // MINUTE
    return feed.history(symbol, count, end_ns)


# Bars


async def test_bars_are_those_of_the_market_over_several_pages(stocks):
    end = NEW_YEAR + 12_000 * MINUTE

    bars = await stocks.bars("AAPL", ONE_MINUTE, NEW_YEAR, end)

    expected = told_by("AAPL", NEW_YEAR, end)
    assert len(bars) == 12_000  # two pages
    for got, wanted in zip(bars.columns(), expected.columns(), strict=True):
        assert got.tolist() == wanted.tolist()


async def test_several_symbols_come_in_one_answer(stocks):
    found = await stocks.bars_of(["AAPL", "MSFT"], ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)

    assert {name: len(bars) for name, bars in found.items()} == {"AAPL": 60, "MSFT": 60}


async def test_a_bar_that_is_not_over_is_left_out(stocks):
    bars = await stocks.bars("AAPL", ONE_MINUTE, NEW_YEAR, NEW_YEAR + 90 * SECOND)

    assert bars.close_ns.tolist() == [NEW_YEAR + MINUTE]


@pytest.mark.parametrize(("text", "count"), [("15m", 96), ("1h", 24), ("90m", 16), ("4h", 6)])
async def test_any_length_of_bar_may_be_asked_for(stocks, text, count):
    step = Timeframe.parse(text)

    bars = await stocks.bars("AAPL", step, NEW_YEAR, NEW_YEAR + DAY)

    assert len(bars) == count
    assert (bars.close_ns - bars.open_ns == step.ns).all()
    minutes = told_by("AAPL", NEW_YEAR, NEW_YEAR + DAY)
    assert bars.high.max() == minutes.high.max()
    assert bars.volume.sum() == pytest.approx(minutes.volume.sum())


async def test_days_back_ends_now(stocks):
    bars = await stocks.bars_days_back("AAPL", ONE_HOUR, 3)

    assert 70 <= len(bars) <= 72
    assert time.time_ns() - int(bars.close_ns[-1]) < 2 * HOUR


async def test_daily_bars_with_a_calendar_are_sessions(venue):
    from ticklane.data.calendars import calendar_of

    data = AlpacaStockData(an_account(venue), calendar=calendar_of("XNYS"))
    bars = await data.bars("AAPL", ONE_DAY, NEW_YEAR + DAY, NEW_YEAR + 2 * DAY)
    await data.close()

    assert ((bars.close_ns - bars.open_ns) // MINUTE).tolist() == [390]


async def test_both_spellings_of_a_pair_give_the_same(crypto):
    one = await crypto.bars("BTC/USD", ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)
    other = await crypto.bars("btcusd", ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)

    assert one.symbol == other.symbol == "BTC/USD"
    assert len(one) == 60
    assert one.close.tolist() == other.close.tolist()


async def test_each_vendor_says_what_it_is_not_for(stocks, crypto):
    with pytest.raises(DataError, match="ask AlpacaCryptoData"):
        await stocks.bars("BTCUSD", ONE_MINUTE, 0, 1)
    with pytest.raises(DataError, match="ask AlpacaStockData"):
        await crypto.bars("AAPL", ONE_MINUTE, 0, 1)
    with pytest.raises(ConfigError, match="whole minutes"):
        await stocks.bars("AAPL", Timeframe.parse("10s"), 0, 1)


# Newest


async def test_newest_quote_trade_and_price(venue, stocks, crypto):
    venue.quote("AAPL", 101.0, 101.5)

    quote = await stocks.latest_quote("AAPL")
    trade = await stocks.latest_trade("AAPL")

    assert (quote.symbol, quote.bid, quote.ask) == ("AAPL", 101.0, 101.5)
    assert await stocks.latest_price("AAPL") == trade.price > 0
    assert await crypto.latest_price("BTCUSD") > 0


async def test_stocks_and_crypto_are_one_provider(venue):
    data = AlpacaMarketData(an_account(venue))
    symbols = ["BTCUSD", "AAPL"]

    bars = await data.bars_of(symbols, ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)
    quotes = await data.latest_quotes(symbols)
    await data.close()

    assert sorted(bars) == sorted(quotes) == ["AAPL", "BTC/USD"]


# Trouble


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "half_body", "wrong_body"])
async def test_a_broken_answer_is_asked_for_again(venue, stocks, kind):
    venue.fault("GET /v2/stocks/bars", kind)

    bars = await stocks.bars("AAPL", ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)

    assert len(bars) == 60


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_trouble_of_the_server_is_waited_for(venue, stocks, status):
    venue.fault("GET /v2/stocks/bars", "status", status=status, times=2)

    bars = await stocks.bars("AAPL", ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)

    assert len(bars) == 60
    assert len(stocks._options["sleep"].slept) == 2


async def test_too_many_requests_wait_for_the_reset(venue, stocks):
    reset = int(time.time()) + 20
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    venue.fault("GET /v2/stocks/bars", "status", status=429, headers=headers)

    await stocks.bars("AAPL", ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)

    assert 15 < max(stocks._options["sleep"].slept) < 22


async def refusal(data, symbol="AAPL"):
    """The sentence with which a request is refused; no key may stand in it."""
    with pytest.raises((BrokerError, DataError)) as caught:
        await data.bars(symbol, ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR)
    await data.close()
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert KEYS[1] not in sentence
    assert KEYS[0] not in sentence
    return sentence


async def test_a_server_in_lasting_trouble_is_named(venue, stocks):
    venue.fault("GET /v2/stocks/bars", "status", status=503, times=None)

    assert "in trouble (status 503)" in await refusal(stocks)


async def test_wrong_keys_are_named_and_not_shown(venue):
    data = AlpacaStockData(an_account(venue, secret="another-one"), sleep=NoSleep())

    assert "check ALPACA_API_KEY and ALPACA_API_SECRET" in await refusal(data)


async def test_no_network_is_named(venue):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    account = AlpacaAccount(key="PKX", secret="s", url=f"http://127.0.0.1:{port}")

    assert "cannot be reached" in await refusal(AlpacaStockData(account, sleep=NoSleep()))


async def test_the_history_of_the_delayed_feed_ends_a_quarter_of_an_hour_ago(venue):
    data = AlpacaStockData(an_account(venue), feed="delayed_sip", sleep=NoSleep())
    now = time.time_ns() // MINUTE * MINUTE

    bars = await data.bars("AAPL", ONE_MINUTE, now - HOUR, now)
    recent = await data.bars("AAPL", ONE_MINUTE, now - 10 * MINUTE, now)
    trades = await data.trades("AAPL", now - 10 * MINUTE, now)
    await data.close()

    assert now - 17 * MINUTE <= bars.close_ns[-1] <= now - 14 * MINUTE
    assert (len(recent), trades) == (0, [])


async def test_a_download_of_the_delayed_feed_leaves_what_is_not_told_yet_for_later(
    venue, tmp_path
):
    data = AlpacaMarketData(an_account(venue), feed="delayed_sip", sleep=NoSleep())
    catalog, now = BarCatalog(tmp_path), time.time_ns()

    [done] = await download(catalog, data, ["AAPL"], ONE_MINUTE, now - HOUR, now, now_ns=now)
    await data.close()

    [(start, end)] = catalog.missing(done.series, now - HOUR, now - 2 * MINUTE)
    assert now - 19 * MINUTE <= start <= now - 16 * MINUTE
    assert end == now - 2 * MINUTE


async def test_sip_without_a_subscription_is_named(venue):
    data = AlpacaStockData(an_account(venue), feed="sip", sleep=NoSleep())
    now = time.time_ns()

    with pytest.raises(BrokerError, match="no subscription"):
        await data.bars("AAPL", ONE_MINUTE, now - HOUR, now)
    await data.close()


async def test_what_alpaca_refuses_is_said_in_its_words(venue, stocks):
    body = {"message": "invalid symbol: AAPL"}
    venue.fault("GET /v2/stocks/bars", "status", status=400, body=body)

    assert await refusal(stocks) == "Alpaca refused the request: invalid symbol: AAPL."


async def test_a_server_that_hangs_does_not_hold_the_loop(venue, stocks):
    venue.fault("GET /v2/stocks/bars", "hang")
    asked = asyncio.ensure_future(stocks.bars("AAPL", ONE_MINUTE, NEW_YEAR, NEW_YEAR + HOUR))

    _, waiting = await asyncio.wait([asked], timeout=0.3)
    venue.release_faults()

    assert waiting == {asked}
    assert len(await asked) == 60


def test_adjustment_and_feed_are_checked(market):
    with pytest.raises(ConfigError, match="adjustment is 'none'"):
        AlpacaStockData(an_account(market), adjustment="none")
    with pytest.raises(ConfigError, match="feed is 'nyse'"):
        AlpacaStockData(an_account(market), feed="nyse")


# The wire


@pytest.mark.parametrize(
    ("text", "wire", "part"),
    [
        ("1m", "1Min", "1m"),
        ("59m", "59Min", "59m"),
        ("90m", "45Min", "45m"),
        ("23h", "23Hour", "23h"),
        ("48h", "1Day", "1d"),
        ("7d", "1Week", "7d"),
    ],
)
def test_timeframes_have_the_names_that_alpaca_knows(text, wire, part):
    assert wire_timeframe(Timeframe.parse(text)) == (wire, Timeframe.parse(part))


def test_instants_are_exact_to_the_nanosecond():
    texts = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.5Z"]

    instants = to_instants(texts).tolist()

    assert instants == [NEW_YEAR, NEW_YEAR + 123456789, NEW_YEAR + SECOND // 2]
    assert to_text(instants[1]) == texts[1]
