"""TradeStream: Alpaca's trade updates over one WebSocket, kept alive and opened again.

The protocol is small (authenticate, listen, events), so it is spoken here: alpaca-py's stream runs
an event loop of its own. A socket that does not answer pings is closed; a new one is opened after
a wait that grows and is spread by chance. The venue allows one socket a key and holds a dead one
for up to 90 seconds, so a refusal for that reason waits longer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from socket import gaierror
from typing import Any, Final, Protocol

from ticklane.core.secret import Secret

_log = logging.getLogger("ticklane.alpaca")
_ANSWER_SECONDS: Final = 10.0
_PING_SECONDS: Final = 10.0
_LONGEST_WAIT: Final = 30.0
_HOLD_WAIT: Final = 30.0  # at least, after the venue said that another socket is in the way
_STEADY_SECONDS: Final = 60.0  # a socket that lived so long makes the next wait short again


class Socket(Protocol):
    """What is needed of a WebSocket."""

    async def send(self, message: str) -> None:
        """Send a text."""
        ...

    async def recv(self) -> str | bytes:
        """Wait for a message; raises when the socket is closed."""
        ...


Connect = Callable[[str], AbstractAsyncContextManager[Socket]]


class StreamRefused(Exception):
    """The venue does not let us listen."""


class _Cut(Exception):
    """We have closed the socket ourselves."""


def connect_websocket(url: str) -> AbstractAsyncContextManager[Socket]:
    """A real socket with pings of its own: no pong within ten seconds closes it."""
    from websockets.asyncio.client import connect

    made: Any = connect(
        url,
        open_timeout=_ANSWER_SECONDS,
        ping_interval=_PING_SECONDS,
        ping_timeout=_PING_SECONDS,
        close_timeout=1.0,
        max_queue=1024,
        proxy=True if url.startswith("wss") else None,  # True: as the environment says
    )
    return made  # type: ignore[no-any-return]


class TradeStream:
    """Runs until it is cancelled; tells of events, and of being up and down."""

    def __init__(
        self,
        url: str,
        key: Secret,
        secret: Secret,
        *,
        connect: Connect = connect_websocket,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._url, self._key, self._secret = url, key, secret
        self._connect, self._jitter = connect, jitter
        self.is_up = False
        self.reconnects = 0
        self.events = 0
        self.heard_at: float | None = None  # loop time of the last event
        self.trouble = ""
        self._cut = asyncio.Event()
        self._attempt = 0
        self._up_at = 0.0

    @property
    def up_seconds(self) -> float:
        """How long it has been up."""
        return asyncio.get_running_loop().time() - self._up_at if self.is_up else 0.0

    async def run(
        self,
        on_event: Callable[[Mapping[str, Any]], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> None:
        """Listen for ever."""
        while True:
            began = asyncio.get_running_loop().time()
            wait = 0.0
            try:
                await self._listen(on_event, on_up)
            except asyncio.CancelledError:
                raise
            except StreamRefused as error:
                self.trouble, wait = str(error), _HOLD_WAIT
            except Exception as error:  # whatever a socket or its peer may raise
                self.trouble = _in_words(error)
            lived = asyncio.get_running_loop().time() - began
            was_up, self.is_up = self.is_up, False
            self._attempt = 0 if lived > _STEADY_SECONDS else self._attempt
            if was_up:
                on_down(self.trouble)
            _log.warning("the trade stream is down: %s", self.trouble)
            wait = max(wait, min(2.0**self._attempt, _LONGEST_WAIT))
            self._attempt += 1
            self.reconnects += 1
            await asyncio.sleep(wait * (0.5 + self._jitter()))

    def cut(self, why: str) -> None:
        """Close the socket and open another: it is open, but says nothing."""
        self.trouble = why
        self._cut.set()

    def status(self) -> dict[str, Any]:
        """For `ticklane status`."""
        now, heard = asyncio.get_running_loop().time(), self.heard_at
        return {
            "is_up": self.is_up,
            "reconnects": self.reconnects,
            "heard_seconds_ago": None if heard is None else round(now - heard, 3),
            "trouble": "" if self.is_up else self.trouble,
        }

    async def _listen(
        self, on_event: Callable[[Mapping[str, Any]], None], on_up: Callable[[], None]
    ) -> None:
        self._cut.clear()
        async with self._connect(self._url) as socket:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._begin(socket)
            self.is_up, self._up_at = True, asyncio.get_running_loop().time()
            on_up()
            reading = asyncio.ensure_future(self._read(socket, on_event))
            cut = asyncio.ensure_future(self._cut.wait())
            try:
                await asyncio.wait((reading, cut), return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
                raise _Cut(self.trouble)
            finally:
                for task in (reading, cut):
                    task.cancel()
                await asyncio.gather(reading, cut, return_exceptions=True)

    async def _begin(self, socket: Socket) -> None:
        await socket.send(
            json.dumps(
                {
                    "action": "auth",
                    "key": self._key.reveal(),
                    "secret": self._secret.reveal(),
                }
            )
        )
        said = await self._expect(socket, "authorization")
        if said.get("status") != "authorized":
            raise StreamRefused(f"the venue refused the keys ({said.get('status')})")
        listening = {"action": "listen", "data": {"streams": ["trade_updates"]}}
        await socket.send(json.dumps(listening))
        await self._expect(socket, "listening")

    async def _expect(self, socket: Socket, stream: str) -> Mapping[str, Any]:
        """The data of the next message of this stream."""
        while True:
            message = _read(await socket.recv())
            if message.get("stream") == stream:
                data = message.get("data")
                return data if isinstance(data, Mapping) else {}
            if message.get("stream") == "error" or "error" in message:
                raise StreamRefused(f"the venue said: {message.get('error', message.get('data'))}")

    async def _read(self, socket: Socket, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        while True:
            message = _read(await socket.recv())
            if message.get("stream") == "trade_updates":
                self.heard_at = asyncio.get_running_loop().time()
                data = message.get("data")
                if isinstance(data, Mapping):
                    on_event(data)
                self.events += 1


def _read(message: str | bytes) -> Mapping[str, Any]:
    """One message; frames are binary, but hold JSON. What is no JSON is passed over."""
    try:
        read = json.loads(message)
    except ValueError:
        return {}
    return read if isinstance(read, Mapping) else {}


def _in_words(error: Exception) -> str:
    """What went wrong, without anything that was sent."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the venue answered {status}"
    if isinstance(error, _Cut):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, gaierror):
        return "its name is not known here: no network?"
    return f"the connection was lost ({type(error).__name__})"
