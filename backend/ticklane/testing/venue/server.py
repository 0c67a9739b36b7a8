"""LocalVenue: the local venue served on loopback, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ticklane.core.errors import ConfigError, TicklaneError
from ticklane.core.money import to_decimal
from ticklane.interfaces import Feed
from ticklane.testing.venue import control_api, data_api
from ticklane.testing.venue.assets import Asset
from ticklane.testing.venue.data_access import DataAccess, keys_of
from ticklane.testing.venue.data_stream import DataStreams
from ticklane.testing.venue.exchange import Exchange
from ticklane.testing.venue.faults import Fault
from ticklane.testing.venue.fees import CoinFees
from ticklane.testing.venue.gate import Gate
from ticklane.testing.venue.ledger import Ledger
from ticklane.testing.venue.lines import HttpLine, SocketLine
from ticklane.testing.venue.market import Market
from ticklane.testing.venue.rate import RateLimit
from ticklane.testing.venue.socket_gate import SocketGate
from ticklane.testing.venue.steered import PATIENCE, Steered
from ticklane.testing.venue.trade_stream import TradeStreams
from ticklane.testing.venue.trading_api import Answer, Call, TradingApi

_BEAT = 0.25  # seconds between two looks at the clock
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class LocalVenue(Steered):
    """An Alpaca-compatible paper exchange for this process and others.

    Use it in `with` or `async with`; every method may be called from any thread. Without a
    `calendar` ("XNYS") stocks trade around the clock; without a feed prices come by `price`.
    `keys` are the only ones that are let in (None: any). `control` opens the control side by
    HTTP. `rate_limit` is that of the trading API (None: none). `has_sip`: a subscription to SIP.
    With a `seed` the venue makes the same ids again.
    """

    def __init__(
        self,
        cash: Any = 100_000,
        *,
        feed: Feed | None = None,
        keys: tuple[str, str] | None = None,
        account_number: str | None = None,
        kind: str = "paper",
        host: str = "127.0.0.1",
        port: int = 0,
        calendar: str | None = None,
        control: bool = False,
        rate_limit: int | None = 200,
        spread: float = 0.0,
        multiplier: int = 1,
        allow_short: bool = False,
        assets: Iterable[Asset] = (),
        coin_fees: CoinFees | None = None,
        has_sip: bool = False,
        seed: int | None = None,
    ) -> None:
        self.market = Market(feed, spread=spread)
        exchange = Exchange(
            self.market,
            to_decimal(cash, "cash"),
            calendar=calendar,
            multiplier=multiplier,
            allow_short=allow_short,
            assets=assets,
            coin_fees=coin_fees,
            account_number=account_number or _NUMBERS.get(kind, "PA0TICKLANE"),
            seed=seed,
        )
        super().__init__(exchange)
        self.rate = RateLimit(rate_limit)
        self.api = TradingApi(self.exchange)
        self.access = DataAccess(keys, has_sip)
        self.data_streams = DataStreams(self.market, self.access)
        self.trade_streams = TradeStreams(self.exchange, self.access.knows)
        self.has_control = control
        self.trade_streams.on_change = self.notify
        app = Starlette(routes=self._routes())
        self._gate = Gate(app, self.faults, self.ledger, self.notify)
        self._host, self._wanted_port = host, port
        self.port = port
        self._is_up = threading.Event()
        self._server: uvicorn.Server | None = None
        self._error: BaseException | None = None
        self._outage: Fault | None = None

    # --- addresses ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The base url for TradingClient and the data clients."""
        return f"http://{self._host}:{self.port}"

    @property
    def stream_url(self) -> str:
        """The url for TradingStream."""
        return f"ws://{self._host}:{self.port}/stream"

    def data_stream_url(self, feed: str = "iex") -> str:
        """The url for StockDataStream."""
        return f"ws://{self._host}:{self.port}/v2/{feed}"

    @property
    def crypto_stream_url(self) -> str:
        """The url for CryptoDataStream."""
        return f"ws://{self._host}:{self.port}/v1beta3/crypto/us"

    @property
    def control_url(self) -> str:
        """Where the control side is, if it was asked for."""
        return f"{self.url}/control"

    @property
    def keys(self) -> tuple[str, str] | None:
        """The only keys that are let in; None: any that are not empty."""
        return self.access.keys

    @keys.setter
    def keys(self, keys: tuple[str, str] | None) -> None:
        self.access.keys = keys

    # --- life --------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    def start(self) -> None:
        """Serve, in a thread of its own; raises ConfigError when the port is taken."""
        try:
            listening = socket.create_server((self._host, self._wanted_port))
        except OSError as error:
            raise ConfigError(
                f"port {self._wanted_port} of {self._host} is not free ({error.strerror}); "
                "choose another one, or 0 for any."
            ) from None
        # asyncio sets it only where a socket names its protocol; without it each answer, which is
        # sent in two pieces, waits 40 ms for the client's delayed acknowledgement of the first.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listening.getsockname()[1]
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name="local-venue", daemon=True
        )
        self._thread.start()
        if not self._is_up.wait(PATIENCE) or self._error is not None:
            raise TicklaneError(f"the local venue did not start ({self._error}).")

    def stop(self) -> None:
        """End serving, and with it every connection."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
            self._thread.join(PATIENCE)
        self._loop = None

    def _end(self) -> None:
        self.faults.clear()
        self.drop_sockets()
        if self._server is not None:
            self._server.should_exit = True
            self._server.force_exit = True

    @property
    def is_serving(self) -> bool:
        """True from `start` to `stop`, unless an error has ended it."""
        return self._thread is not None and self._thread.is_alive()

    def _serve(self, listening: socket.socket) -> None:
        try:
            asyncio.run(self._run(listening))
        except BaseException as error:
            self._error = error
        finally:
            listening.close()
            self._is_up.set()

    async def _run(self, listening: socket.socket) -> None:
        config = uvicorn.Config(
            self._gate,
            http=HttpLine,
            ws=SocketLine,
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = server = _Server(config, self._is_up)
        self._loop = asyncio.get_running_loop()
        tasks = [asyncio.ensure_future(work) for work in (self.market.run(), self._beat())]
        try:
            await server.serve(sockets=[listening])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            self.exchange.beat()

    # --- requests ----------------------------------------------------------------------------

    def _routes(self) -> list[BaseRoute]:
        made: list[BaseRoute] = [
            *self.trade_streams.routes(),
            *self.data_streams.routes(),
            *data_api.routes(self.market, self.access),
        ]
        if self.has_control:
            made += control_api.routes(self)
        return [*made, Route("/{path:path}", self._trade, methods=_METHODS)]

    async def _trade(self, request: Request) -> Response:
        call = Call(
            request.method,
            request.url.path,
            {key: ",".join(request.query_params.getlist(key)) for key in request.query_params},
            await request.body(),
            dict(request.headers),
        )
        answer = self.answer(call)
        return Response(answer.encoded(), answer.status, dict(answer.headers), _media(answer))

    def answer(self, call: Call) -> Answer:
        """Answer a request to the trading API, without any network; in the venue's thread."""
        if not self.access.knows(*keys_of(call.headers)):
            return Answer(401, {"code": 40110000, "message": "unauthorized."})
        may_pass, headers = self.rate.take()
        if not may_pass:
            return Answer(429, {"code": 42910000, "message": "too many requests."}, headers)
        answer = self.api.answer(call)
        return Answer(answer.status, answer.body, {**headers, **answer.headers})

    # --- what there is -----------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """Every order, execution, request and event."""
        return self.exchange.ledger

    @property
    def sockets(self) -> tuple[SocketGate, ...]:
        """The WebSockets that are open."""
        return tuple(self._gate.sockets)

    def go_down(self) -> None:
        """Break every connection, and every one that is tried, until `come_back`."""
        self._outage = self.fault("*", "drop_before", times=None)
        self.drop_sockets()

    def come_back(self) -> None:
        """Serve again after `go_down`."""
        outage, self._outage = self._outage, None
        if outage is not None:
            self.do(lambda: self.faults.clear([outage]))

    def drop_sockets(self, path: str | None = None) -> int:
        """Break the WebSockets of a path, or all; says how many they were."""
        wanted = [one for one in self.sockets if path is None or one.path == path]

        def drop() -> None:
            for one in wanted:
                one.drop()

        self.do(drop)
        return len(wanted)


class _Server(uvicorn.Server):
    """Says when it has begun to listen, and leaves signals to the program."""

    def __init__(self, config: uvicorn.Config, is_up: threading.Event) -> None:
        super().__init__(config)
        self._is_up = is_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._is_up.set()


_NUMBERS = {"paper": "PA0TICKLANE", "live": "100TICKLANE"}


def _media(answer: Answer) -> str | None:
    return None if answer.body is None else "application/json"
