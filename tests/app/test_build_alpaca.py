"""What the settings become where Alpaca is used: feeds, rules, schedules, refusals."""

import asyncio

import pytest

from ticklane.app.build import build_runner
from ticklane.app.settings import load_settings
from ticklane.core.errors import BrokerError, ConfigError
from ticklane.core.order import TimeInForce
from ticklane.data.polling import PollingFeed
from ticklane.data.streaming import StreamingFeed
from ticklane.testing.venue import LocalVenue
from ticklane.testing.venue.assets import Asset


@pytest.fixture(scope="module")
def _served():
    with LocalVenue() as venue:
        yield venue


@pytest.fixture(autouse=True)
def venue(_served, folder, monkeypatch):
    """A venue, and keys for it in the environment."""
    monkeypatch.setenv("ALPACA_API_KEY", "PKBUILD000000000")
    monkeypatch.setenv("ALPACA_API_SECRET", "build-secret-0000")
    monkeypatch.setenv("ALPACA_BASE_URL", _served.url)
    return _served


def built(*symbols, interval=None, **settings):
    hold = {"strategy": "buy_and_hold", "symbols": list(symbols), "interval": interval}
    return build_runner(load_settings(**{"feed": "alpaca", **settings}, strategy=[hold]))


@pytest.mark.parametrize(
    ("settings", "kind", "source"),
    [
        ({}, StreamingFeed, "bars"),
        ({"timeframe": "5m"}, StreamingFeed, "bars"),
        ({"timeframe": "5s"}, StreamingFeed, "trades"),
        ({"timeframe": "1d"}, PollingFeed, None),
        ({"feed": "alpaca:polling"}, PollingFeed, None),
    ],
)
def test_prices_come_by_stream_where_there_is_one(settings, kind, source):
    feed = built("AAPL", **settings).feed

    assert type(feed) is kind
    assert getattr(feed, "_source", None) == source
    assert feed.label == "ALPACA IEX"


async def test_quotes_are_ticks_where_that_is_wanted(venue):
    feed = built("BTC/USD", quotes=True).feed
    stop = asyncio.ensure_future(_quote_again(venue))

    async with asyncio.timeout(20):
        tick = await anext(feed.stream(None))
    stop.cancel()
    await feed.close()

    assert (tick.symbols, tick.observed[0].bid, tick.observed[0].ask) == (("BTC/USD",), 10.0, 10.5)


async def _quote_again(venue):
    """A quote that comes before the subscription is not told: show it until it is."""
    while True:
        venue.quote("BTC/USD", 10.0, 10.5)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("feed", ["simulated", "sample:AAPL", "alpaca:polling"])
def test_quotes_of_a_feed_without_any_are_refused(feed):
    with pytest.raises(ConfigError) as caught:
        built("AAPL", feed=feed, quotes=True)

    said = f'quotes is true, but feed is "{feed}", which has bars only; take feed = "alpaca", '
    assert str(caught.value) == f"{said}or leave quotes out."


def test_quotes_beside_bars_of_days_are_refused():
    with pytest.raises(ConfigError, match="timeframe is 1d, and days are not streamed"):
        built("AAPL", timeframe="1d", quotes=True)


def test_bars_are_minutes_unless_told_otherwise():
    assert str(built("AAPL").feed.timeframe) == "1m"
    assert str(built("AAPL", timeframe="5m").feed.timeframe) == "5m"


def test_a_pair_is_one_instrument_however_it_is_written():
    runner = built("BTCUSD", "btc/usd", "AAPL")

    assert runner.feed.symbols == ("BTC/USD", "AAPL")


@pytest.mark.parametrize(
    ("symbols", "settings", "said"),
    [
        (["AAPL"], {}, "every 1m in the sessions of XNYS"),
        (["BTC/USD"], {}, "every 1m"),
        (["AAPL", "BTC/USD"], {}, "every 1m"),
        (["AAPL"], {"calendar": "24/7"}, "every 1m in the sessions of 24/7"),
    ],
)
def test_stocks_are_asked_about_in_their_sessions(symbols, settings, said):
    runner = built(*symbols, interval="1m", **settings)

    [host] = runner.hosts.values()
    assert host.status.schedule == said


def test_paper_has_the_rules_of_the_account():
    broker = built("AAPL", "BTC/USD").broker

    stock, coin = broker.instrument("AAPL"), broker.instrument("BTC/USD")
    assert (stock.calendar, coin.calendar) == ("XNYS", "24/7")
    assert stock.rules.fraction_times_in_force == {TimeInForce.DAY}
    assert coin.rules.times_in_force == {TimeInForce.GTC, TimeInForce.IOC}


def test_many_symbols_on_paper_cost_few_requests(monkeypatch):
    symbols = [f"T{number}" for number in range(500)]
    with LocalVenue(assets=[Asset(symbol=symbol) for symbol in symbols], rate_limit=200) as many:
        monkeypatch.setenv("ALPACA_BASE_URL", many.url)
        broker = built(*symbols).broker

        assert broker.instrument("T499").calendar == "XNYS"
        assert len(many.ledger.requests) == 1
        with pytest.raises(BrokerError, match="does not know the symbol NOSUCH"):
            built(*symbols, "NOSUCH")


def test_an_unknown_symbol_is_refused_at_the_start():
    with pytest.raises(BrokerError) as caught:
        built("AAPL", "NOSUCH")

    assert str(caught.value) == "Alpaca does not know the symbol NOSUCH; check how it is written."
