"""The data side of a whole LocalVenue: the addresses it gives, its keys, its feed."""

import asyncio
from datetime import UTC, datetime

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data import requests as ask
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.timeframe import TimeFrame
from market_serving import at, row_of_bars

from ticklane.core.market import MINUTE, Timeframe
from ticklane.data.feeds import ReplayFeed
from ticklane.testing.venue import LocalVenue

START = at("2026-03-02 14:30")


async def first_of(stream, subscribe, cause):
    """The first message of one of alpaca-py's streams after `cause` was called."""
    heard = asyncio.get_running_loop().create_future()

    async def handle(message):
        if not heard.done():
            heard.set_result(message)

    subscribe(handle)
    running = asyncio.create_task(stream._run_forever())
    try:
        async with asyncio.timeout(10):
            while not heard.done():
                cause()
                await asyncio.sleep(0.01)
        return heard.result()
    finally:
        await stream.stop_ws()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await stream.close()


async def test_a_scripted_price_reaches_both_streams():
    async with LocalVenue() as venue:
        stocks = StockDataStream("k", "s", url_override=venue.data_stream_url("iex"))
        coins = CryptoDataStream("k", "s", url_override=venue.crypto_stream_url)

        stock = await first_of(
            stocks,
            lambda handle: stocks.subscribe_trades(handle, "AAPL"),
            lambda: venue.price("AAPL", 101.5),
        )
        coin = await first_of(
            coins,
            lambda handle: coins.subscribe_quotes(handle, "BTC/USD"),
            lambda: venue.quote("BTC/USD", 30_000, 30_001),
        )

    assert (stock.symbol, stock.price) == ("AAPL", 101.5)
    assert (coin.symbol, coin.bid_price, coin.ask_price) == ("BTC/USD", 30_000.0, 30_001.0)


def test_the_bars_of_its_feed_are_its_history():
    bars = row_of_bars("AAPL", START, MINUTE, 300)
    wanted = ask.StockBarsRequest(
        symbol_or_symbols="AAPL",
        timeframe=TimeFrame.Minute,
        start=datetime(2026, 3, 2, tzinfo=UTC),
        feed="iex",
    )
    with LocalVenue(feed=ReplayFeed({"AAPL": bars}, Timeframe(MINUTE))) as venue:
        venue.set_time(int(bars.close_ns[-1]))
        client = StockHistoricalDataClient("k", "s", url_override=venue.url)

        found = client.get_stock_bars(wanted)["AAPL"]

    assert [bar.close for bar in found] == bars.close.tolist()


def test_its_keys_are_those_of_its_data_too():
    wanted = ask.StockLatestTradeRequest(symbol_or_symbols="AAPL")
    with LocalVenue(keys=("right", "secret")) as venue:
        venue.price("AAPL", 101.5)
        clients = (
            StockHistoricalDataClient(key, "secret", url_override=venue.url)
            for key in ("right", "wrong")
        )

        right, wrong = clients
        found = right.get_stock_latest_trade(wanted)
        with pytest.raises(APIError) as caught:
            wrong.get_stock_latest_trade(wanted)

    assert found["AAPL"].price == 101.5
    assert (caught.value.status_code, caught.value.message) == (403, "forbidden.")


def test_a_coin_has_prices_after_the_first_one_was_scripted():
    wanted = ask.CryptoLatestQuoteRequest(symbol_or_symbols=["BTC/USD", "ETH/USD"])
    with LocalVenue(spread=2.0) as venue:
        client = CryptoHistoricalDataClient(url_override=venue.url, api_key="k", secret_key="s")
        before = client.get_crypto_latest_quote(wanted)
        venue.price("BTCUSD", 30_000)
        after = client.get_crypto_latest_quote(wanted)

    assert before == {}
    assert (after["BTC/USD"].bid_price, after["BTC/USD"].ask_price) == (29_999.0, 30_001.0)
