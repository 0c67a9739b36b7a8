"""A market served on loopback with nothing but its data, and what the tests of it share."""

import asyncio
import socket
import threading
from concurrent.futures import Future
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from ticklane.core.market import Bar, Bars, to_ns
from ticklane.testing.venue.data_api import routes
from ticklane.testing.venue.data_stream import DataStreams
from ticklane.testing.venue.market import Market

PATIENCE = 10.0


class ServedMarket:
    """The data side of a venue, in a thread of its own; `do` runs something there."""

    def __init__(self, market, access=None, **streams):
        self.market = market
        self.streams = DataStreams(market, access, **streams)
        app = Starlette(routes=[*routes(market, self.streams.access), *self.streams.routes()])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._is_up.set)
        await self._server.serve(sockets=[self._socket])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stream_url(self, path="/v2/iex"):
        return f"ws://127.0.0.1:{self.port}{path}"

    def do(self, action):
        done = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(action()))
        return done.result(PATIENCE)

    def start_task(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def push(self, *events):
        self.do(lambda: self.market.push(*events))

    def start(self):
        self._thread.start()
        assert self._is_up.wait(PATIENCE)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        self._socket.close()
        assert not self._thread.is_alive()


@contextmanager
def served(market=None, access=None, **streams):
    """Serve a market for as long as the block runs."""
    one = ServedMarket(Market() if market is None else market, access, **streams)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def at(text):
    """Nanoseconds of "2026-03-02 14:30", UTC."""
    from datetime import UTC, datetime

    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


def row_of_bars(symbol, start_ns, step_ns, count, first_price=100.0):
    """Bars that rise by one from close to close, with volumes 1, 2, 3 ..."""
    bars = []
    for number in range(count):
        opening, close = first_price + number, first_price + number + 1
        begin = start_ns + number * step_ns
        bars.append(
            Bar(
                symbol,
                begin,
                begin + step_ns,
                opening,
                close + 0.5,
                opening - 0.5,
                close,
                float(number + 1),
            )
        )
    return Bars.of(symbol, bars)
