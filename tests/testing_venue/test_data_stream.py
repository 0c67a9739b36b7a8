"""The data streams, listened to by alpaca-py's own streams and by plain WebSockets."""

import asyncio
import json
from contextlib import asynccontextmanager

import msgpack
import pytest
from alpaca.data.live import CryptoDataStream, StockDataStream
from market_serving import PATIENCE, at, served
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK

from ticklane.core.errors import ConfigError
from ticklane.core.market import MINUTE, SECOND, Bar, Quote, to_datetime
from ticklane.testing.venue.data_access import DataAccess
from ticklane.testing.venue.market import Market, Trade
from ticklane.testing.venue.notices import Cancellation, Correction, Status
from ticklane.testing.venue.storm import blow

START = at("2026-03-02 14:30")
CRYPTO = "/v1beta3/crypto/us"
KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}


def a_market():
    market = Market()
    market.set_time(START)
    return market


@pytest.fixture
def venue():
    with served(a_market(), DataAccess(keys=("key", "secret"))) as one:
        yield one


@asynccontextmanager
async def streaming(stream):
    """Run one of alpaca-py's streams for as long as the block takes."""
    running = asyncio.create_task(stream._run_forever())
    try:
        yield
    finally:
        await stream.stop_ws()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await stream.close()


async def until(condition):
    """Wait until something holds that another thread brings about."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Client:
    """A WebSocket client that speaks JSON, or msgpack."""

    def __init__(self, socket, is_packed):
        self._socket, self._is_packed = socket, is_packed

    async def say(self, message):
        await self._socket.send(msgpack.packb(message) if self._is_packed else json.dumps(message))

    async def hear(self):
        async with asyncio.timeout(PATIENCE):
            data = await self._socket.recv()
        return msgpack.unpackb(data) if self._is_packed else json.loads(data)

    async def ask(self, message):
        await self.say(message)
        return await self.hear()

    async def ends_with(self):
        """The exception with which the connection ends; what comes before is let go."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed as closed:
            return type(closed)


@asynccontextmanager
async def client(venue, path="/v2/iex", *, is_packed=False, keys=None):
    """A connected client, after its welcome."""
    kind = "application/msgpack" if is_packed else "application/json"
    headers = {"Content-Type": kind, **(keys or {})}
    async with connect(venue.stream_url(path), additional_headers=headers) as socket:
        one = Client(socket, is_packed)
        assert await one.hear() == [{"T": "success", "msg": "connected"}]
        yield one


@asynccontextmanager
async def listener(venue, path="/v2/iex", is_packed=False, **channels):
    """A client that is authenticated and has subscribed."""
    async with client(venue, path, is_packed=is_packed, keys=KEYS) as one:
        assert await one.hear() == [{"T": "success", "msg": "authenticated"}]
        [answer] = await one.ask({"action": "subscribe", **channels})
        assert answer["T"] == "subscription"
        yield one


def error(code, message):
    return [{"T": "error", "code": code, "msg": message}]


async def test_alpacas_stock_stream_gets_everything(venue):
    heard = {}

    def into(name):
        async def handle(message):
            heard.setdefault(name, []).append(message)

        return handle

    stream = StockDataStream("key", "secret", url_override=venue.stream_url())
    stream.subscribe_quotes(into("quotes"), "AAPL")
    stream.subscribe_trades(into("trades"), "AAPL")
    stream.subscribe_bars(into("bars"), "*")
    stream.subscribe_updated_bars(into("updated"), "AAPL")
    stream.subscribe_daily_bars(into("days"), "AAPL")

    async with streaming(stream):
        await until(lambda: venue.streams.sessions and venue.streams.sessions[0].view)
        venue.do(lambda: venue.market.price("AAPL", 101.5, 300))
        venue.do(lambda: venue.market.advance(60))
        venue.push(Trade("AAPL", START + SECOND, 99.0, 7.0))
        await until(lambda: "updated" in heard)

    [quote], [bar], [day], [updated] = (heard[n] for n in ("quotes", "bars", "days", "updated"))
    assert (quote.bid_price, quote.ask_price, quote.bid_size) == (101.49, 101.51, 300.0)
    assert quote.timestamp == bar.timestamp == to_datetime(START)
    assert [trade.price for trade in heard["trades"]] == [101.5, 99.0]
    assert (bar.symbol, bar.open, bar.volume) == ("AAPL", 101.5, 300.0)
    assert day.timestamp == to_datetime(at("2026-03-02 05:00"))
    assert (updated.low, updated.volume) == (99.0, 307.0)


async def test_alpacas_stock_stream_gets_halts_and_what_becomes_of_trades(venue):
    heard = []

    async def handle(message):
        heard.append(message)

    stream = StockDataStream("key", "secret", url_override=venue.stream_url())
    stream.subscribe_trading_statuses(handle, "AAPL")
    stream.subscribe_trades(handle, "AAPL")
    stream.register_trade_corrections(handle)
    stream.register_trade_cancels(handle)

    async with streaming(stream):
        await until(lambda: venue.streams.sessions and venue.streams.sessions[0].view)
        venue.do(lambda: venue.market.price("AAPL", 101.5, 300))
        venue.do(lambda: venue.market.announce("statuses", Status("AAPL", START, "H", "T12")))
        trade = Trade("AAPL", START, 101.5, 300.0, 1)
        mended = trade._replace(price=101.25, id=2)
        correction = Correction("AAPL", START + SECOND, trade, mended)
        venue.do(lambda: venue.market.announce("corrections", correction))
        cancelled = Cancellation("AAPL", START + SECOND, mended)
        venue.do(lambda: venue.market.announce("cancelErrors", cancelled))
        await until(lambda: len(heard) == 4)

    kinds = {type(one).__name__: one for one in heard}
    halt, changed, gone = (kinds[n] for n in ("TradingStatus", "TradeCorrection", "TradeCancel"))
    assert (halt.status_code, halt.status_message, halt.reason_code) == ("H", "Trading Halt", "T12")
    assert (changed.original_id, changed.original_price) == (1, 101.5)
    assert (changed.corrected_id, changed.corrected_price, changed.corrected_size) == (
        2,
        101.25,
        300.0,
    )
    assert (gone.id, gone.price, gone.action) == (2, 101.25, "C")
    assert gone.timestamp == to_datetime(START + SECOND)


async def test_alpacas_crypto_stream_gets_everything(venue):
    heard = []

    async def handle(message):
        heard.append(message)

    stream = CryptoDataStream("key", "secret", url_override=venue.stream_url(CRYPTO))
    stream.subscribe_quotes(handle, "BTC/USD")
    stream.subscribe_trades(handle, "BTC/USD")
    stream.subscribe_bars(handle, "BTC/USD")
    stream.subscribe_orderbooks(handle, "BTC/USD")

    async with streaming(stream):
        await until(lambda: venue.streams.sessions and venue.streams.sessions[0].view)
        venue.do(lambda: venue.market.price("BTC/USD", 30_000, 0.125))
        venue.do(lambda: venue.market.advance(60))
        await until(lambda: len(heard) == 4)

    quote, book, trade, bar = heard
    assert (quote.symbol, quote.bid_size, quote.ask_price) == ("BTC/USD", 0.125, 30_000.01)
    assert (book.bids[0].price, book.asks[0].price) == (quote.bid_price, quote.ask_price)
    assert (trade.price, trade.size, bar.close, bar.volume) == (30_000.0, 0.125, 30_000.0, 0.125)


async def test_alpacas_stream_may_ask_for_thousands_of_symbols(venue):
    """Its subscription comes in several WebSocket frames then."""

    async def handle(message):
        pass

    stream = StockDataStream("key", "secret", url_override=venue.stream_url())
    stream.subscribe_quotes(handle, *(f"S{number:05}" for number in range(6_000)))

    async with streaming(stream):
        await until(lambda: venue.streams.sessions and venue.streams.sessions[0].view)
        [session] = venue.streams.sessions

    assert len(session.wanted["quotes"]) == 6_000


async def test_alpacas_stream_comes_back_after_its_connection_broke(venue):
    heard = []

    async def handle(message):
        heard.append(message)

    stream = StockDataStream("key", "secret", url_override=venue.stream_url())
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01
    stream.subscribe_trades(handle, "AAPL")

    async with streaming(stream):
        await until(lambda: venue.streams.sessions and venue.streams.sessions[0].view)
        [first] = venue.streams.sessions
        assert venue.do(venue.streams.drop) == 1
        await until(lambda: any(s is not first and s.view for s in venue.streams.sessions))
        venue.do(lambda: venue.market.price("AAPL", 100.0))
        await until(lambda: heard)

    assert heard[0].price == 100.0


@pytest.mark.parametrize("is_packed", [False, True])
async def test_a_client_authenticates_by_message(venue, is_packed):
    async with client(venue, is_packed=is_packed) as one:
        found = await one.ask({"action": "auth", "key": "key", "secret": "secret"})

    assert found == [{"T": "success", "msg": "authenticated"}]


async def test_json_shows_what_alpaca_shows(venue):
    async with listener(venue, quotes=["AAPL"], trades=["AAPL"]) as one:
        venue.push(
            Quote("AAPL", START + 1, 1.5, 2.0, 100.0, 200.0), Trade("AAPL", START, 1.75, 10.0)
        )

        found = await one.hear()

    assert found == [
        {"T": "q", "S": "AAPL", "t": "2026-03-02T14:30:00.000000001Z"}
        | {"ax": "V", "ap": 2.0, "as": 200, "bx": "V", "bp": 1.5, "bs": 100, "c": ["R"], "z": "C"},
        {"T": "t", "S": "AAPL", "t": "2026-03-02T14:30:00Z"}
        | {"x": "V", "p": 1.75, "s": 10, "c": ["@"], "i": 1, "z": "C"},
    ]


@pytest.mark.parametrize(
    "quote",
    [
        Quote("AAPL", START + 123_456_789, 101.25, 101.5, 100.0, 2.0**32 - 1),
        Quote("BRK.B", START, 0.0, 1e9, 0.0, 0.0),
        Quote("AAPL", START, 1.0, 2.0, 0.5, 100.0),
        Quote("AAPL", START, 1.0, 2.0, 2.0**32, 100.0),
        Quote("BTC/USD", START, 1.0, 2.0, 0.5, 100.0),
    ],
)
def test_a_quote_is_packed_by_hand_as_msgpack_would(quote):
    from ticklane.testing.venue.data_packing import Msgpack
    from ticklane.testing.venue.data_rows import quote_row

    found = msgpack.unpackb(Msgpack.pack("quotes", quote))

    stamp = msgpack.Timestamp(*divmod(quote.time_ns, SECOND))
    assert found == {"T": "q", "S": quote.symbol, **quote_row(quote), "t": stamp}
    assert list(found) == ["T", "S", *quote_row(quote)]


async def test_subscriptions_grow_shrink_and_are_told(venue):
    none = {"statuses": [], "lulds": [], "quotes": [], "updatedBars": [], "dailyBars": []}
    async with client(venue, keys=KEYS) as one:
        await one.hear()
        more = await one.ask({"action": "subscribe", "trades": ["MSFT", "AAPL"], "bars": ["*"]})
        less = await one.ask({"action": "unsubscribe", "trades": ["MSFT"], "bars": ["*"]})

    both = ["AAPL", "MSFT"]
    assert more == [
        {"T": "subscription", "trades": both, "bars": ["*"], **none}
        | {"corrections": both, "cancelErrors": both}
    ]
    assert less == [
        {"T": "subscription", "trades": ["AAPL"], "bars": [], **none}
        | {"corrections": ["AAPL"], "cancelErrors": ["AAPL"]}
    ]


async def test_a_client_hears_of_nothing_it_did_not_ask_for(venue):
    async with listener(venue, bars=["AAPL"], quotes=["MSFT"]) as one:
        venue.do(lambda: venue.market.price("AAPL", 1.0))
        venue.do(lambda: venue.market.price("BTC/USD", 2.0))
        venue.do(lambda: venue.market.price("MSFT", 3.0))

        found = await one.hear()

    assert [(message["T"], message["S"]) for message in found] == [("q", "MSFT")]


async def test_several_clients_get_what_each_of_them_wants(venue):
    venue.streams.connections = 3
    async with (
        listener(venue, quotes=["*"]) as everything,
        listener(venue, quotes=["MSFT"], is_packed=True) as one_symbol,
        listener(venue, trades=["AAPL"]) as trades,
    ):
        venue.push(
            *(Quote(symbol, START, 1.0, 2.0) for symbol in ("AAPL", "MSFT")),
            Trade("AAPL", START, 1.5, 1.0),
        )
        found = [await one.hear() for one in (everything, one_symbol, trades)]

    assert [[(m["T"], m["S"]) for m in messages] for messages in found] == [
        [("q", "AAPL"), ("q", "MSFT")],
        [("q", "MSFT")],
        [("t", "AAPL")],
    ]


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        ({"action": "dance"}, 400, "invalid syntax"),
        ({"action": "subscribe"}, 400, "invalid syntax"),
        ({"action": "subscribe", "trades": "AAPL"}, 400, "invalid syntax"),
        ({"action": "subscribe", "trades": [1]}, 400, "invalid syntax"),
        ("nonsense", 400, "invalid syntax"),
        ({"action": "auth", "key": "key", "secret": "secret"}, 403, "already authenticated"),
        (
            {"action": "subscribe", "orderbooks": ["A"]},
            410,
            "invalid subscribe action for this feed",
        ),
    ],
)
async def test_what_the_venue_does_not_take_is_an_error_and_the_connection_stays(
    venue, message, code, said
):
    async with listener(venue, trades=["AAPL"]) as one:
        assert await one.ask(message) == error(code, said)

        venue.do(lambda: venue.market.price("AAPL", 1.0))

        assert (await one.hear())[0]["T"] == "t"


async def test_bytes_that_are_no_msgpack_are_an_error(venue):
    async with client(venue, is_packed=True, keys=KEYS) as one:
        await one.hear()
        await one._socket.send(b"\xc1")

        assert await one.hear() == error(400, "invalid syntax")


async def test_whoever_subscribes_first_is_not_authenticated(venue):
    async with client(venue) as one:
        assert await one.ask({"action": "subscribe", "bars": ["*"]}) == error(
            401, "not authenticated"
        )


async def test_wrong_keys_fail_and_end_the_connection(venue):
    async with client(venue) as one:
        found = await one.ask({"action": "auth", "key": "key", "secret": "guessed"})

        assert found == error(402, "auth failed")
        assert await one.ends_with() is ConnectionClosedOK


async def test_whoever_says_nothing_is_closed_after_a_while():
    with served(a_market(), auth_seconds=0.01) as venue:
        async with client(venue) as one:
            assert await one.hear() == error(404, "auth timeout")
            assert await one.ends_with() is ConnectionClosedOK


async def test_a_second_connection_of_the_same_key_is_refused(venue):
    async with listener(venue, trades=["AAPL"]) as first:
        async with client(venue, keys=KEYS) as second:
            assert await second.hear() == error(406, "connection limit exceeded")
        async with client(venue, CRYPTO, keys=KEYS) as other_feed:
            assert await other_feed.hear() == [{"T": "success", "msg": "authenticated"}]

        venue.do(lambda: venue.market.price("AAPL", 1.0))
        assert (await first.hear())[0]["T"] == "t"


async def test_a_place_is_free_again_after_its_client_has_gone(venue):
    async with listener(venue, trades=["AAPL"]):
        pass
    await until(lambda: not venue.streams.sessions)

    async with listener(venue, trades=["AAPL"]):
        assert len(venue.streams.sessions) == 1


async def test_the_sip_needs_a_subscription():
    said = {"action": "auth", "key": "key", "secret": "secret"}
    with served(a_market()) as venue:
        async with client(venue, "/v2/sip") as one:
            assert await one.ask(said) == error(409, "insufficient subscription")
    with served(a_market(), DataAccess(has_sip=True)) as venue:
        async with client(venue, "/v2/sip") as one:
            assert await one.ask(said) == [{"T": "success", "msg": "authenticated"}]


async def test_a_plan_may_limit_the_symbols_of_trades_and_quotes():
    with served(a_market(), symbol_limit=3) as venue:
        async with listener(venue, trades=["A", "B"], bars=["C", "D", "E"]) as one:
            too_many = await one.ask({"action": "subscribe", "quotes": ["A", "B"]})
            [enough] = await one.ask({"action": "subscribe", "quotes": ["A"]})

    assert too_many == error(405, "symbol limit exceeded")
    assert (enough["trades"], enough["quotes"]) == (["A", "B"], ["A"])


async def test_a_mute_stream_stays_open_and_sends_nothing(venue):
    streams = venue.streams
    async with listener(venue, trades=["AAPL", "MSFT"]) as one:
        venue.do(lambda: streams.mute("AAPL"))
        venue.do(lambda: (venue.market.price("AAPL", 1.0), venue.market.price("MSFT", 2.0)))
        assert [message["S"] for message in await one.hear()] == ["MSFT"]

        venue.do(streams.mute)
        venue.do(lambda: venue.market.price("MSFT", 3.0))
        await (await one._socket.ping())
        venue.do(streams.unmute)
        venue.do(lambda: venue.market.price("AAPL", 4.0))

        assert [(m["S"], m["p"]) for m in await one.hear()] == [("AAPL", 4.0)]


async def test_a_dropped_connection_ends_without_a_word_and_may_keep_its_place(venue):
    async with listener(venue, trades=["AAPL"]) as one:
        assert venue.do(lambda: venue.streams.drop(hold_seconds=60)) == 1
        assert await one.ends_with() is ConnectionClosedError
    async with client(venue, keys=KEYS) as again:
        assert await again.hear() == error(406, "connection limit exceeded")


async def test_authentication_may_be_refused_for_a_while(venue):
    venue.do(lambda: venue.streams.refuse(406))
    async with client(venue, keys=KEYS) as one:
        assert await one.hear() == error(406, "connection limit exceeded")
    venue.do(lambda: venue.streams.refuse(None))
    async with client(venue, keys=KEYS) as one:
        assert await one.hear() == [{"T": "success", "msg": "authenticated"}]


def test_only_errors_that_exist_may_be_ordered(venue):
    with pytest.raises(ConfigError, match="code is 418, but must be one of 400, 401"):
        venue.streams.refuse(418)


async def test_a_slow_client_is_told_so_and_closed(venue, monkeypatch):
    monkeypatch.setattr("ticklane.testing.venue.data_session._MOST_WAITING", 10_000)
    async with listener(venue, quotes=["*"]) as one:
        venue.push(*(Quote("AAPL", START, 1.0, 2.0) for _ in range(1_000)))

        assert await one.hear() == error(407, "slow client")
        assert await one.ends_with() is ConnectionClosedOK


async def test_many_events_come_in_few_frames_and_all_of_them_in_order(venue):
    async with listener(venue, is_packed=True, quotes=["*"], bars=["*"]) as one:
        events = [Quote(f"S{n % 500:03}", START + n, 1.0 + n, 2.0 + n, 1, 1) for n in range(5_000)]
        bars = [Bar(f"S{n:03}", START - MINUTE, START, 1, 2, 1, 2, n + 1) for n in range(500)]
        venue.push(*events, *bars)
        found, frames = [], 0
        while len(found) < 6_000:  # bars bring quotes of their own
            found += await one.hear()
            frames += 1

    quotes = [message for message in found if message["T"] == "q"][:5_000]
    assert [message["bp"] for message in quotes] == [event.bid for event in events]
    assert sum(message["T"] == "b" for message in found) == 500
    assert frames < 20


async def test_twenty_thousand_quotes_a_second_all_arrive(venue):
    symbols = [f"S{number:03}" for number in range(500)]
    async with listener(venue, is_packed=True, quotes=["END", *symbols]) as one:
        storm = venue.start_task(blow(venue.market, symbols, 20_000, 0.5, trade_every=1_000_000))
        storm.add_done_callback(lambda _: venue.market.push(Quote("END", START, 1.0, 2.0)))
        found = [await one.hear()]
        while found[-1][-1]["S"] != "END":
            found.append(await one.hear())

    assert sum(map(len, found)) - 1 == storm.result() == 10_000
