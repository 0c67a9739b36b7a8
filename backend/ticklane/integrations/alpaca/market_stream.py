"""Alpaca's streams of prices: one socket an endpoint, connected again whenever it is lost.

alpaca-py's own streams want an event loop of their own and know one time-out for all symbols; the
protocol is small, so it is spoken here. Bars, quotes and trades come as msgpack.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgpack  # type: ignore[import-untyped]
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ticklane.clock import SystemClock
from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import MINUTE, SECOND, Bar, Quote
from ticklane.core.prints import Amendment, MarketStatus, Print
from ticklane.core.secret import Secret
from ticklane.core.symbols import normal_symbol
from ticklane.integrations.alpaca.wire import to_instant
from ticklane.interfaces import Clock

_log = logging.getLogger("ticklane.data")
_HANDSHAKE_SECONDS = 10.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_TAKEN_WAIT = 10.0  # a dead connection is held for about 90 s; until then ours is refused
_STEADY_SECONDS = 30.0  # a connection that lived so long was a good one
_FRAMES_AT_ONCE = 32  # then the others of this loop have their turn
_SYMBOLS_AT_ONCE = 1_000
_FINAL = {
    402: "Alpaca refused the keys of the data stream; check ALPACA_API_KEY and ALPACA_API_SECRET.",
    405: "the subscription allows fewer symbols in the data stream; take fewer, or subscribe.",
    409: 'this account has no subscription for these prices of Alpaca; take data_feed = "iex".',
    410: "Alpaca does not stream this kind of prices here; take bars.",
}
_NOT_OFFERED = (400, 405, 409, 410)  # what a subscription to halts may be answered with
_TAKEN = 406
_HALTED = frozenset("2HP")  # halts and pauses; the codes of tapes A and B, and of C
_TRADING = frozenset("3T")
_LOST = "the connection was lost"


class Address(NamedTuple):
    """Where a stream is, and who asks."""

    url: str
    key: Secret
    secret: Secret


class Socket(Protocol):
    """What is used of a websocket."""

    async def send(self, message: bytes) -> None:
        """Send one message."""
        ...

    async def recv(self) -> Any:
        """The next message."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


class Refused(Exception):
    """The server said no, with a code."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"{said} ({code})")
        self.code = code


class MarketStream:
    """A subscription to one endpoint; callbacks are called in the event loop and must be quick.

    `run` ends only when cancelled, or with DataError for what waiting does not mend.
    """

    def __init__(
        self,
        address: Address,
        symbols: Sequence[str],
        *,
        on_bar: Callable[[Bar], object] | None = None,
        on_correction: Callable[[Bar], object] | None = None,
        on_quote: Callable[[Quote], object] | None = None,
        on_trade: Callable[[Print], object] | None = None,
        on_amendment: Callable[[Amendment], object] | None = None,
        on_status: Callable[[MarketStatus], object] | None = None,
        on_state: Callable[[tuple[str, ...], bool, str], object] | None = None,
        merge_quotes: bool = False,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        connect: Callable[[str], Awaitable[Socket]] | None = None,
    ) -> None:
        self.symbols = tuple(symbols)
        self.is_up = False
        self.connections = 0
        self.last_error = ""
        self.heard_ns = 0  # when a message came last
        self.unreadable = 0  # messages without sense
        self.tells_halts = True  # as far as is known
        self._address = address
        self._on_bar, self._on_correction = on_bar, on_correction
        self._on_quote, self._on_trade, self._on_state = on_quote, on_trade, on_state
        self._on_amendment, self._on_status = on_amendment, on_status
        self._merge_quotes = merge_quotes
        self._clock, self._sleep, self._chance = clock or SystemClock(), sleep, chance
        self._connect = connect or _connect
        self._session: asyncio.Task[None] | None = None
        self._dropped_for = ""
        self._names: dict[str, str] = {}
        self._channels = {
            "bars": on_bar,
            "updatedBars": on_correction,
            "quotes": on_quote,
            "trades": on_trade,
        }

    async def run(self) -> None:
        """Connect, read, and connect again, until cancelled."""
        attempt = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            code, reason = await self._one_session()
            if self.is_up:
                self.is_up = False
                self._tell(False, reason)
            is_known_good = self.connections > 0
            if code in _FINAL and not (code == 402 and is_known_good):
                raise DataError(_FINAL[code])
            attempt = 1 if loop.time() - began > _STEADY_SECONDS else attempt + 1
            wait = self._wait(code, attempt)
            self.last_error = reason
            _log.warning("stream %s: %s; again in %.1f s", self._address.url, reason, wait)
            await self._sleep(wait)

    def reconnect(self, symbols: Sequence[str], reason: str) -> None:
        """Let go of the connection, which is mute, if it carries one of these symbols."""
        if self._session is not None and self.is_up and set(symbols) & set(self.symbols):
            self._dropped_for = reason
            self._session.cancel()

    def status(self) -> dict[str, Any]:
        """For `ticklane status`."""
        age = (self._clock.now_ns() - self.heard_ns) / SECOND if self.heard_ns else None
        return {
            "url": self._address.url,
            "is_up": self.is_up,
            "connections": self.connections,
            "last_message_seconds": None if age is None else round(age, 1),
            "last_error": self.last_error,
            "unreadable": self.unreadable,
        }

    # --- one connection --------------------------------------------------------------------------

    async def _one_session(self) -> tuple[int, str]:
        """Live as long as one connection does; returns a code (0: none) and why it ended."""
        self._dropped_for = ""
        self._session = asyncio.ensure_future(self._read_all())
        try:
            await self._session
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._dropped_for or (task is not None and task.cancelling()):
                raise
            return 0, self._dropped_for
        except Refused as error:
            return error.code, f"refused: {error}"
        except TimeoutError:
            return 0, "no answer in time"
        except (OSError, ValueError, WebSocketException) as error:
            return 0, f"{_LOST} ({type(error).__name__})"
        finally:
            self._session = None
        return 0, _LOST

    async def _read_all(self) -> None:
        socket = None
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                socket = await self._connect(self._address.url)
                rest = await self._shake_hands(socket)
            self.is_up = True
            self.connections += 1
            self._tell(True, "connected")
            self._take(rest)
            await self._read(socket)
        finally:
            if socket is not None:
                await _let_go(socket)

    async def _shake_hands(self, socket: Socket) -> list[Any]:
        """Connect, authenticate, subscribe; returns what came together with the last answer."""
        await _expect(socket, "success", "connected")
        address = self._address
        keys = {"key": address.key.reveal(), "secret": address.secret.reveal()}
        await socket.send(msgpack.packb({"action": "auth", **keys}))
        await _expect(socket, "success", "authenticated")
        wanted = [name for name, callback in self._channels.items() if callback is not None]
        rest = await self._ask_for_statuses(socket)
        for first in range(0, len(self.symbols), _SYMBOLS_AT_ONCE):
            part = list(self.symbols[first : first + _SYMBOLS_AT_ONCE])
            asked = {"action": "subscribe", **dict.fromkeys(wanted, part)}
            await socket.send(msgpack.packb(asked))
            rest += await _expect(socket, "subscription")
        return rest

    async def _ask_for_statuses(self, socket: Socket) -> list[Any]:
        """Halts as well, where they are told; prices come without them, too."""
        rest: list[Any] = []
        wanted = self.symbols if self._on_status is not None and self.tells_halts else ()
        try:
            for first in range(0, len(wanted), _SYMBOLS_AT_ONCE):
                part = list(wanted[first : first + _SYMBOLS_AT_ONCE])
                await socket.send(msgpack.packb({"action": "subscribe", "statuses": part}))
                rest += await _expect(socket, "subscription")
        except Refused as error:
            if error.code not in _NOT_OFFERED:
                raise
            self.tells_halts = False  # the next connection does not ask for them
            _log.info("stream %s tells no halts: %s", self._address.url, error)
        return rest

    async def _read(self, socket: Socket) -> None:
        frames = 0
        while True:
            frame = await socket.recv()
            self._take(_messages(frame))
            frames += 1
            if frames % _FRAMES_AT_ONCE == 0:  # recv does not wait while frames are there
                await asyncio.sleep(0)

    def _take(self, messages: Sequence[Any]) -> None:
        """Hand a frame's messages on: the hot path, 20,000 quotes a second and more."""
        on_quote, merged = self._on_quote, self._merge_quotes
        quotes: dict[str, Any] = {}
        for message in messages:
            kind = message.get("T")
            if kind == "q":
                if merged:
                    quotes[message.get("S")] = message
                else:
                    self._hand(on_quote, self._quote, message)
            else:
                self._take_other(kind, message)
        for message in quotes.values():
            self._hand(on_quote, self._quote, message)
        self.heard_ns = self._clock.now_ns()

    def _take_other(self, kind: str, message: Any) -> None:
        if kind == "b":
            self._hand(self._on_bar, self._bar, message)
        elif kind == "u":
            self._hand(self._on_correction, self._bar, message)
        elif kind == "t":
            self._hand(self._on_trade, self._print, message)
        elif kind == "s":
            self._hand(self._on_status, self._status, message)
        elif kind in ("c", "x"):
            self._hand(self._on_amendment, self._amendment, message)
        elif kind == "error":
            raise Refused(int(message.get("code", 0)), str(message.get("msg", "")))

    def _hand(
        self, callback: Callable[[Any], object] | None, read: Callable[[Any], Any], message: Any
    ) -> None:
        """Call back with what a message says; one that says nothing sensible is left out."""
        if callback is None:
            return
        try:
            told = read(message)
        except (KeyError, TypeError, ValueError, ConfigError):
            self.unreadable += 1
            return
        if told is not None:
            callback(told)

    def _name(self, symbol: str) -> str:
        name = self._names.get(symbol)
        if name is None:
            name = self._names[symbol] = normal_symbol(symbol)
        return name

    def _quote(self, m: Any) -> Quote:
        return Quote(
            self._name(m["S"]),
            to_instant(m["t"]),
            float(m["bp"]),
            float(m["ap"]),
            float(m["bs"]),
            float(m["as"]),
        )

    def _bar(self, m: Any) -> Bar:
        opened = to_instant(m["t"])
        prices = (float(m["o"]), float(m["h"]), float(m["l"]), float(m["c"]), float(m["v"]))
        return Bar(self._name(m["S"]), opened, opened + MINUTE, *prices)

    def _print(self, m: Any) -> Print:
        price, size = float(m["p"]), float(m["s"])
        return Print(self._name(m["S"]), to_instant(m["t"]), price, size, str(m.get("i", "")))

    def _amendment(self, m: Any) -> Amendment:
        """A correction names both trades, a cancel one; the instant is that of the news."""
        name, at = self._name(m["S"]), to_instant(m["t"])
        if m["T"] == "x":
            return Amendment(Print(name, at, float(m["p"]), float(m["s"]), str(m["i"])), None)
        before = Print(name, at, float(m["op"]), float(m["os"]), str(m["oi"]))
        return Amendment(before, Print(name, at, float(m["cp"]), float(m["cs"]), str(m["ci"])))

    def _status(self, m: Any) -> MarketStatus | None:
        """Halts, pauses and their end; None for a status that says nothing about that."""
        code = str(m["sc"])
        if code not in _HALTED and code not in _TRADING:
            return None
        words = str(m.get("rm") or m.get("sm") or "no reason was given").strip()
        is_trading = code in _TRADING
        return MarketStatus(self._name(m["S"]), to_instant(m["t"]), is_trading, words)

    # --- around it -------------------------------------------------------------------------------

    def _wait(self, code: int, attempt: int) -> float:
        spread = 0.5 + self._chance() / 2
        if code == _TAKEN:
            return _TAKEN_WAIT * spread
        return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (attempt - 1)) * spread

    def _tell(self, is_up: bool, reason: str) -> None:
        if self._on_state is not None:
            self._on_state(self.symbols, is_up, reason)


def _messages(frame: Any) -> list[Any]:
    """The messages in a frame, instants as nanoseconds; raises ValueError for anything else."""
    if not isinstance(frame, bytes):
        raise ValueError("a frame of text")
    messages = msgpack.unpackb(frame, timestamp=2)
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise ValueError("a frame without messages")
    return messages


async def _expect(socket: Socket, kind: str, said: str | None = None) -> list[Any]:
    """Wait for one control message; returns what else came meanwhile. Raises Refused."""
    others: list[Any] = []
    while True:
        messages = _messages(await socket.recv())
        for number, message in enumerate(messages):
            if message.get("T") == "error":
                raise Refused(int(message.get("code", 0)), str(message.get("msg", "")))
            if message.get("T") == kind and said in (None, message.get("msg")):
                return [*others, *messages[number + 1 :]]
            others.append(message)


async def _connect(url: str) -> Socket:
    socket: Any = await connect(
        url,
        additional_headers={"Content-Type": "application/msgpack"},
        compression=None,  # it costs more time than it saves on a line like ours
        max_size=2**24,
        max_queue=256,
        ping_interval=10,
        ping_timeout=15,
        close_timeout=1,
    )
    return socket  # type: ignore[no-any-return]


async def _let_go(socket: Socket) -> None:
    """Close, but do not wait for a dead one; a cancelled reader has no time for it."""
    try:
        async with asyncio.timeout(2.0):
            await socket.close()
    except (TimeoutError, OSError, WebSocketException):
        _log.debug("the connection was not closed in order")
    finally:
        transport = getattr(socket, "transport", None)
        if transport is not None:  # also when we are cancelled while we close
            transport.abort()
