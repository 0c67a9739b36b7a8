"""Alpaca's data streams as the local venue speaks them: subscribed, watched, connected again."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import msgpack
import pytest
from data_builders_alpaca import KEYS, an_account

from ticklane.clock import SystemClock
from ticklane.core.errors import DataError
from ticklane.core.market import MINUTE, SECOND, Bar, Quote
from ticklane.core.prints import Print
from ticklane.data.calendars import AlwaysOpen
from ticklane.data.streaming import StreamingFeed
from ticklane.integrations.alpaca.market_data import AlpacaMarketData
from ticklane.testing.venue import LocalVenue

PATIENCE = 20.0


class Heard:
    """What the callbacks of a stream were called with, and a way to wait for it."""

    def __init__(self):
        self.all = []
        self._news = asyncio.Event()

    def __call__(self, *what):
        self.all.append(what if len(what) > 1 else what[0])
        self._news.set()

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition(self.all):
                self._news.clear()
                await self._news.wait()
        return self.all


async def no_wait(_seconds):
    """Waits for nothing, but lets the others run."""
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.02)


@pytest.fixture
def venue():
    with LocalVenue(keys=KEYS) as made:
        yield made


@asynccontextmanager
async def listening(venue, *symbols, feed="iex", account=None, **callbacks):
    """A provider's stream of these symbols, connected; yields (stream, states)."""
    states = Heard()
    data = AlpacaMarketData(account or an_account(venue), feed=feed, sleep=no_wait)
    stream = data.stream(symbols, on_state=states, **callbacks)
    running = asyncio.ensure_future(stream.run())
    try:
        await states.until(lambda all_of: any(is_up for _, is_up, _ in all_of))
        yield stream, states
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await data.close()


def a_minute(symbol="AAPL", close=100.0):
    now = time.time_ns() // MINUTE * MINUTE
    return Bar(symbol, now - MINUTE, now, 100.0, 110.0, 90.0, close, 5.0)


async def test_bars_quotes_and_trades_come_by_their_callbacks(venue):
    bars, quotes, trades, minute = Heard(), Heard(), Heard(), a_minute()
    async with listening(venue, "AAPL", on_bar=bars, on_quote=quotes, on_trade=trades):
        venue.bar(minute)
        venue.quote("AAPL", 101.0, 101.5)
        venue.price("AAPL", 102.0)

        assert await bars.until(bool) == [minute]
        await quotes.until(lambda all_of: any(quote.bid == 101.0 for quote in all_of))
        await trades.until(lambda all_of: any(trade.price == 102.0 for trade in all_of))

    assert {type(quote) for quote in quotes.all} == {Quote}
    assert {type(trade) for trade in trades.all} == {Print}
    assert abs(quotes.all[0].time_ns - time.time_ns()) < 60 * SECOND


async def test_crypto_comes_in_its_normal_form(venue):
    quotes = Heard()
    async with listening(venue, "BTCUSD", on_quote=quotes):
        venue.quote("BTC/USD", 50_000.0, 50_001.0)

        (quote, *_) = await quotes.until(bool)

    assert quote.symbol == "BTC/USD"


async def test_stocks_and_crypto_have_a_connection_each(venue):
    quotes = Heard()
    async with listening(venue, "AAPL", "BTC/USD", on_quote=quotes) as (stream, states):
        await states.until(lambda all_of: len(all_of) == 2)
        venue.quote("AAPL", 101.0, 101.5)
        venue.quote("BTC/USD", 50_000.0, 50_001.0)
        await quotes.until(lambda all_of: len({quote.symbol for quote in all_of}) == 2)

        assert [one["is_up"] for one in stream.status().values()] == [True, True]


async def test_a_corrected_bar_is_told_as_a_correction(venue):
    bars, corrections = Heard(), Heard()
    async with listening(venue, "AAPL", on_bar=bars, on_correction=corrections):
        venue.bar(a_minute())
        await bars.until(bool)
        venue.bar(a_minute(close=105.0))

        assert await corrections.until(bool) == [a_minute(close=105.0)]


async def test_halts_and_pauses_are_told_until_trading_goes_on(venue):
    statuses = Heard()
    async with listening(venue, "AAPL", "BTC/USD", on_quote=Heard(), on_status=statuses):
        for code, reason in [("H", "T12"), ("F", ""), ("P", "LUDP"), ("Q", ""), ("T", "")]:
            venue.status("AAPL", code, reason)
        await statuses.until(lambda all_of: len(all_of) == 3)

    told = [(one.symbol, one.is_trading, one.reason) for one in statuses.all]
    assert told == [
        ("AAPL", False, "Trading Halted; For information requested by NASDAQ"),
        ("AAPL", False, "Volatility Trading Pause"),
        ("AAPL", True, "Trading Resumption"),
    ]


async def test_where_no_halts_are_told_prices_are_all_the_same(venue):
    endpoint, quotes = venue.data_streams.endpoints["/v2/iex"], Heard()
    endpoint.channels = tuple(name for name in endpoint.channels if name != "statuses")
    callbacks = {"on_quote": quotes, "on_status": Heard()}
    async with listening(venue, "AAPL", **callbacks) as (stream, states):
        venue.quote("AAPL", 101.0, 101.5)
        await quotes.until(bool)
        stream.reconnect(["AAPL"], "mute")
        await states.until(lambda all_of: [is_up for _, is_up, _ in all_of] == [True, False, True])
        venue.quote("AAPL", 102.0, 102.5)
        await quotes.until(lambda all_of: any(quote.bid == 102.0 for quote in all_of))

        assert not stream._streams[0].tells_halts


async def test_what_becomes_of_a_trade_is_told(venue):
    trades, amendments = Heard(), Heard()
    async with listening(venue, "AAPL", on_trade=trades, on_amendment=amendments):
        venue.price("AAPL", 102.0)
        venue.price("AAPL", 103.0)
        first, second = await trades.until(lambda all_of: len(all_of) == 2)
        venue.correct_trade("AAPL", 101.0)
        venue.cancel_trade("AAPL", int(first.id))
        corrected, cancelled = await amendments.until(lambda all_of: len(all_of) == 2)

    assert (corrected.before[2:], corrected.after.price) == (second[2:], 101.0)
    assert corrected.after.size == second.size
    assert (cancelled.before[2:], cancelled.after) == (first[2:], None)


async def test_the_loss_of_a_connection_is_said_once(venue, caplog):
    data = AlpacaMarketData(an_account(venue), sleep=no_wait)
    feed = StreamingFeed(data, ["AAPL"], calendar=AlwaysOpen(), warmup=5)
    await feed.open()
    with caplog.at_level("INFO"):
        venue.do(venue.data_streams.drop)
        async with asyncio.timeout(PATIENCE):
            while not (feed.reconnects == 1 and feed.is_up):
                await no_wait(0)
    await feed.close()

    said = [record.getMessage() for record in caplog.records if record.name == "ticklane.data"]
    assert len(said) == 1
    assert said[0].startswith(f"stream {venue.data_stream_url('iex')}: the connection was lost")


@pytest.mark.parametrize("kind", ["drop", "close", "half_frame", "wrong_frame"])
async def test_a_lost_connection_is_made_again(venue, kind):
    quotes = Heard()
    async with listening(venue, "AAPL", on_quote=quotes) as (_, states):
        venue.fault("SEND /v2/iex", kind, status=1011)
        venue.quote("AAPL", 101.0, 101.5)
        await states.until(lambda all_of: [is_up for _, is_up, _ in all_of] == [True, False, True])
        venue.quote("AAPL", 102.0, 102.5)

        await quotes.until(lambda all_of: any(quote.bid == 102.0 for quote in all_of))


async def test_a_message_without_sense_is_left_out(venue):
    quotes = Heard()
    async with listening(venue, "AAPL", on_quote=quotes) as (stream, states):
        body = msgpack.packb([{"T": "q", "S": "AAPL"}, {"T": "q"}, {"S": 1}, {"T": "b", "t": "x"}])
        stream._streams[0]._take(msgpack.unpackb(body))
        venue.quote("AAPL", 101.0, 101.5)

        (quote, *_) = await quotes.until(bool)

    assert quote.bid == 101.0
    assert len([is_up for _, is_up, _ in states.all if not is_up]) == 0
    assert stream._streams[0].unreadable == 2


async def test_a_second_connection_is_refused_until_the_first_is_gone(venue):
    first, second, quotes = Heard(), Heard(), Heard()
    async with listening(venue, "AAPL", on_quote=first):
        data = AlpacaMarketData(an_account(venue), sleep=no_wait)
        stream = data.stream(["AAPL"], on_quote=quotes, on_state=second)
        running = asyncio.ensure_future(stream.run())
        async with asyncio.timeout(PATIENCE):
            while "406" not in str(stream.status()):
                await no_wait(0)
        assert second.all == []
    await second.until(bool)
    venue.quote("AAPL", 101.0, 101.5)
    await quotes.until(bool)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await data.close()


async def test_a_stream_without_the_right_keys_ends_with_one_sentence(venue):
    account = an_account(venue, secret="another-one")
    stream = AlpacaMarketData(account).stream(["AAPL"], on_quote=print)

    with pytest.raises(DataError, match="check ALPACA_API_KEY") as caught:
        await asyncio.wait_for(stream.run(), PATIENCE)

    assert "another-one" not in str(caught.value)


async def test_sip_without_a_subscription_ends_with_one_sentence(venue):
    stream = AlpacaMarketData(an_account(venue), feed="sip").stream(["AAPL"], on_quote=print)

    with pytest.raises(DataError, match="no subscription"):
        await asyncio.wait_for(stream.run(), PATIENCE)


async def test_a_mute_connection_is_let_go_when_asked_for(venue):
    quotes = Heard()
    async with listening(venue, "AAPL", on_quote=quotes) as (stream, states):
        venue.fault("SEND /v2/iex", "mute", times=None)
        venue.quote("AAPL", 101.0, 101.5)
        venue.clear_faults()
        stream.reconnect(["MSFT"], "mute")  # carries another symbol
        stream.reconnect(["AAPL"], "mute")
        await states.until(lambda all_of: [is_up for _, is_up, _ in all_of] == [True, False, True])

        assert states.all[1] == (("AAPL",), False, "mute")


async def test_a_feed_joins_the_history_of_the_venue_and_its_stream(venue):
    now = time.time_ns() // MINUTE * MINUTE
    minutes = [a_minute()._replace(open_ns=at - MINUTE, close_ns=at) for at in _last(now, 6)]
    for bar in minutes[:-1]:
        venue.bar(bar)
    data = AlpacaMarketData(an_account(venue))
    feed = StreamingFeed(
        data, ["AAPL"], timeframe="1m", clock=SystemClock(), calendar=AlwaysOpen(), warmup=50
    )
    await feed.open()
    feed.start_ns = now - MINUTE
    ticks = feed.stream(None)

    venue.bar(minutes[-1])
    async with asyncio.timeout(PATIENCE):
        tick = await anext(ticks)

    assert (tick.time_ns, tick.observed) == (now, (minutes[-1],))
    assert list(feed.history("AAPL", None, now).rows()) == minutes
    await ticks.aclose()


def _last(now, count):
    return [now - back * MINUTE for back in range(count - 1, -1, -1)]
