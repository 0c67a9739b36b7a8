"""The data streams: prices as they come, packed once and sent to all who want them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from ticklane.core.errors import ConfigError
from ticklane.testing.venue.data_access import DataAccess
from ticklane.testing.venue.data_packing import Packing
from ticklane.testing.venue.data_rows import is_crypto
from ticklane.testing.venue.data_session import ERRORS, EVERYTHING, DataSession
from ticklane.testing.venue.market import CHANNELS, Channel, Market

STOCK_FEEDS = ("iex", "sip", "delayed_sip", "test")
_STOCK_CHANNELS = (
    *("trades", "quotes", "bars", "updatedBars", "dailyBars"),
    *("statuses", "lulds", "corrections", "cancelErrors"),
)
_CRYPTO_CHANNELS = ("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars")
_PAUSE = 0.005  # seconds between two frames to the same clients, in which messages are gathered

Waiting = list[tuple[str, Any]]  # channel and event


class DataStreams:
    """All data streams of a venue; gathers events, and sends them some milliseconds later at most.

    The first event after a pause is sent at once. `mute`, `drop` and `refuse` are for tests of
    what a client does about it. Everything must be called in the thread of the event loop.
    """

    def __init__(
        self,
        market: Market,
        access: DataAccess | None = None,
        *,
        connections: int = 1,
        symbol_limit: int | None = None,
        auth_seconds: float = 10.0,
    ) -> None:
        self.access = access or DataAccess()
        self.connections = connections
        self.symbol_limit = symbol_limit
        self.auth_seconds = auth_seconds
        self.refused: int | None = None  # the error for whoever authenticates
        self._is_mute = False
        self._muted: frozenset[str] = frozenset()
        self.endpoints = {
            **{f"/v2/{feed}": Endpoint(self, feed, _STOCK_CHANNELS) for feed in STOCK_FEEDS},
            "/v1beta3/crypto/us": Endpoint(self, "us", _CRYPTO_CHANNELS),
        }
        self._waiting: dict[bool, Waiting] = {False: [], True: []}  # by is_crypto
        self._is_due = False
        self._sent_at = 0.0
        self._wanted: dict[str, set[str]] = {}  # by anybody, so that the rest costs nothing
        for channel in CHANNELS:
            market.watch(channel, partial(self._hear, channel))

    def routes(self) -> list[WebSocketRoute]:
        """The WebSocket routes of the stock feeds and of crypto."""
        return [WebSocketRoute(path, one.serve) for path, one in self.endpoints.items()]

    @property
    def sessions(self) -> list[DataSession]:
        """Every client that is authenticated."""
        return [session for one in self.endpoints.values() for session in one.sessions]

    # faults

    def mute(self, *symbols: str) -> None:
        """Send no prices any more, of these symbols or of all; connections stay as they are."""
        self._is_mute = self._is_mute or not symbols
        self._muted = self._muted.union(symbols)

    def unmute(self) -> None:
        """Send prices again; what came in between is lost."""
        self._is_mute, self._muted = False, frozenset()

    def drop(self, hold_seconds: float = 0.0) -> int:
        """End all connections without a closing word; says how many.

        For so many seconds their places stay taken, as Alpaca does with lines that broke.
        """
        sessions = [(one, session) for one in self.endpoints.values() for session in one.connected]
        for endpoint, session in sessions:
            if hold_seconds and session.key is not None:
                endpoint.hold(session.key, hold_seconds)
            session.drop()
        return len(sessions)

    def refuse(self, code: int | None) -> None:
        """Answer every authentication with this error (402, 406, 409 ...); None ends it."""
        if code is not None and code not in ERRORS:
            raise ConfigError(f"code is {code}, but must be one of {', '.join(map(str, ERRORS))}.")
        self.refused = code

    # sending

    def recount(self) -> None:
        """Find out anew what is wanted by anybody."""
        self._wanted = {
            name: set().union(*(session.wanted.get(name, ()) for session in self.sessions))
            for name in (*CHANNELS, "orderbooks")
        }

    def _hear(self, channel: Channel, event: Any) -> None:
        wanted, symbol = self._wanted.get(channel), event.symbol
        if wanted and (symbol in wanted or EVERYTHING in wanted):
            self._queue(channel, event)
        books = self._wanted.get("orderbooks") if channel == "quotes" else None
        if books and (symbol in books or EVERYTHING in books):
            self._queue("orderbooks", event)

    def _queue(self, channel: str, event: Any) -> None:
        if self._is_mute or event.symbol in self._muted:
            return
        self._waiting[is_crypto(event.symbol)].append((channel, event))
        if not self._is_due:
            self._is_due = True
            loop = asyncio.get_running_loop()
            since = loop.time() - self._sent_at
            loop.call_later(max(0.0, _PAUSE - since), self._flush)

    def _flush(self) -> None:
        self._is_due = False
        self._sent_at = asyncio.get_running_loop().time()
        for crypto, waiting in self._waiting.items():
            if waiting:
                self._waiting[crypto] = []
                sessions = [s for s in self.sessions if s.endpoint.is_crypto is crypto]
                _send(waiting, sessions)


class Endpoint:
    """One URL: its channels and its clients."""

    def __init__(self, streams: DataStreams, feed: str, channels: tuple[str, ...]) -> None:
        self._streams = streams
        self.feed = feed
        self.channels = channels
        self.is_crypto = channels is _CRYPTO_CHANNELS
        self.connected: list[DataSession] = []
        self.sessions: list[DataSession] = []  # those that are authenticated
        self._held: list[tuple[str, float]] = []  # places of those that were dropped, until when

    @property
    def auth_seconds(self) -> float:
        """How long a client may take to authenticate."""
        return self._streams.auth_seconds

    @property
    def symbol_limit(self) -> int | None:
        """How many symbols of trades and quotes a client may want."""
        return self._streams.symbol_limit

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one client to its end."""
        session = DataSession(websocket, self)
        self.connected.append(session)
        await session.run()

    def admit(self, session: DataSession, key: Any, secret: Any) -> int | None:
        """Let a client in, or say with which error it is refused."""
        streams = self._streams
        if streams.refused is not None:
            return streams.refused
        if not streams.access.knows(key, secret):
            return 402
        if self.feed == "sip" and not streams.access.has_sip:
            return 409
        if self._taken(key) >= streams.connections:
            return 406
        session.key = key
        self.sessions.append(session)
        return None

    def changed(self) -> None:
        """A client wants something else now."""
        self._streams.recount()

    def hold(self, key: str, seconds: float) -> None:
        """Keep a place taken after its client has gone."""
        self._held.append((key, asyncio.get_running_loop().time() + seconds))

    def _taken(self, key: Any) -> int:
        now = asyncio.get_running_loop().time()
        self._held = [(held, until) for held, until in self._held if until > now]
        keys = [held for held, _ in self._held] + [session.key for session in self.sessions]
        return keys.count(key)

    def leave(self, session: DataSession) -> None:
        """Forget a client that has gone."""
        for clients in (self.connected, self.sessions):
            if session in clients:
                clients.remove(session)
        self._streams.recount()


def _send(waiting: Waiting, sessions: Iterable[DataSession]) -> None:
    """Pack each message once a format, and each frame once for all who want the same."""
    packed: dict[Packing, list[bytes]] = {}
    frames: dict[tuple[Packing, Any], list[bytes]] = {}
    for session in sessions:
        packing = session.packing
        known = (packing, session.view)
        if known not in frames:
            if packing not in packed:
                packed[packing] = [packing.pack(*message) for message in waiting]
            chosen = list(_chosen(waiting, packed[packing], session.wanted))
            frames[known] = packing.frames(chosen)
        session.put(frames[known])


def _chosen(waiting: Waiting, packed: list[bytes], wanted: dict[str, set[str]]) -> Iterator[bytes]:
    everything = {channel for channel, symbols in wanted.items() if EVERYTHING in symbols}
    for (channel, event), message in zip(waiting, packed, strict=True):
        if channel in everything or event.symbol in wanted.get(channel, ()):
            yield message
