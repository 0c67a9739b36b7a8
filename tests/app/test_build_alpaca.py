"""What the settings become where Alpaca is used: feeds, rules, schedules, refusals."""

import pytest

from ticklane.app.build import build_runner
from ticklane.app.settings import load_settings
from ticklane.core.errors import BrokerError
from ticklane.core.order import TimeInForce
from ticklane.data.polling import PollingFeed
from ticklane.data.streaming import StreamingFeed
from ticklane.testing.venue import LocalVenue


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


def test_an_unknown_symbol_is_refused_at_the_start():
    with pytest.raises(BrokerError) as caught:
        built("AAPL", "NOSUCH")

    assert str(caught.value) == "Alpaca does not know the symbol NOSUCH; check how it is written."
