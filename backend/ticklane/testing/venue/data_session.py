"""One client of a data stream: its authentication, its subscriptions, and what it is sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ticklane.testing.venue.data_access import keys_of
from ticklane.testing.venue.data_packing import Json, Msgpack, Packing

if TYPE_CHECKING:
    from ticklane.testing.venue.data_stream import Endpoint

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}
_FATAL = frozenset({402, 404, 406, 407, 409, 500})
_MOST_WAITING = 32 * 1024 * 1024  # bytes that wait for a client until it is called slow
_LAST_WORD = 2.0  # seconds
EVERYTHING = "*"


class DataSession:
    """The protocol of one connection; `put` queues frames, which a task of its own sends."""

    def __init__(self, websocket: WebSocket, endpoint: Endpoint) -> None:
        self._socket = websocket
        self.endpoint = endpoint
        self.packing: Packing = _packing_of(websocket.headers)
        self.wanted: dict[str, set[str]] = {name: set() for name in endpoint.channels}
        self.view: Any = ()  # equal for those that want the same: their frames are made once
        self.key: str | None = None
        self._out: deque[bytes] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._end = asyncio.Event()
        self._is_closing = False

    async def run(self) -> None:
        """Serve the client until it goes or is dropped."""
        await self._socket.accept()
        self._say({"T": "success", "msg": "connected"})
        tasks = [asyncio.ensure_future(w) for w in (self._read(), self._write(), self._end.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.endpoint.leave(self)

    def put(self, frames: list[bytes]) -> None:
        """Queue frames; a client that leaves too much waiting is closed as slow."""
        if self._is_closing:
            return
        self._out.extend(frames)
        self._waiting += sum(map(len, frames))
        if self._waiting > _MOST_WAITING:
            self._give_up()
        self._wake.set()

    def _give_up(self) -> None:
        """Tell a slow client so; it is dropped if it does not even take that."""
        self._out.clear()
        self._waiting = 0
        self.fail(407)
        asyncio.get_running_loop().call_later(_LAST_WORD, self.drop)

    def fail(self, code: int) -> None:
        """Send an error; the graver ones close the connection."""
        self._say({"T": "error", "code": code, "msg": ERRORS[code]})
        self._is_closing = self._is_closing or code in _FATAL

    def drop(self) -> None:
        """End the connection without a closing word, as a broken line does."""
        self._end.set()

    def _say(self, message: dict[str, Any]) -> None:
        self.put([self.packing.control(message)])

    async def _write(self) -> None:
        send: Any = self._socket.send_bytes if self.packing.is_binary else self._send_text
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._out:
                frame = self._out.popleft()
                self._waiting -= len(frame)
                await send(frame)
            if self._is_closing:
                await self._socket.close()
                return

    async def _send_text(self, frame: bytes) -> None:
        await self._socket.send_text(frame.decode())

    async def _read(self) -> None:
        try:
            if await self._authenticate():
                while True:
                    self._obey(await self._next())
            await self._end.wait()  # the writer sends the error, and closes
        except WebSocketDisconnect:
            return

    async def _authenticate(self) -> bool:
        """By the headers of the request, or by a message in time."""
        given = keys_of(self._socket.headers)
        if any(given):
            return self._admit(*given)
        try:
            async with asyncio.timeout(self.endpoint.auth_seconds):
                while (message := await self._next()).get("action") != "auth":
                    self.fail(401 if message else 400)
        except TimeoutError:
            self.fail(404)
            return False
        return self._admit(message.get("key"), message.get("secret"))

    def _admit(self, key: Any, secret: Any) -> bool:
        code = self.endpoint.admit(self, key, secret)
        if code is not None:
            self.fail(code)
            return False
        self._say({"T": "success", "msg": "authenticated"})
        return True

    async def _next(self) -> dict[str, Any]:
        """The next message of the client; an empty one for what cannot be read."""
        received = await self._socket.receive()
        if received["type"] != "websocket.receive":
            raise WebSocketDisconnect(received.get("code", 1006))
        data: Any = received.get("bytes") or received.get("text")
        try:
            message = self.packing.read(data)
        except ValueError:
            return {}
        return message if isinstance(message, dict) else {}

    def _obey(self, message: dict[str, Any]) -> None:
        action = message.pop("action", None)
        if action == "auth":
            self.fail(403)
        elif action not in ("subscribe", "unsubscribe") or not _is_well_formed(message):
            self.fail(400)
        elif not set(message) <= set(self.endpoint.channels):
            self.fail(410)
        else:
            self._change(message, is_more=action == "subscribe")

    def _change(self, message: Mapping[str, list[str]], is_more: bool) -> None:
        changed = dict(self.wanted)
        for name, symbols in message.items():
            for one in (name, *(other for other in _ALONG.get(name, ()) if other in changed)):
                had = changed[one]
                changed[one] = had.union(symbols) if is_more else had.difference(symbols)
        limit = self.endpoint.symbol_limit
        if is_more and limit is not None and _counted(changed) > limit:
            self.fail(405)
            return
        self.wanted = changed
        self.view = tuple(frozenset(symbols) for symbols in changed.values())
        self.endpoint.changed()
        self._say({"T": "subscription", **{name: sorted(s) for name, s in changed.items()}})


# A subscription to trades brings what may happen to them later.
_ALONG = {"trades": ("corrections", "cancelErrors")}


def _counted(wanted: Mapping[str, set[str]]) -> int:
    """What a plan's limit counts: trades and quotes."""
    return len(wanted["trades"]) + len(wanted["quotes"])


def _is_well_formed(message: Mapping[str, Any]) -> bool:
    """Whether every channel comes with a list of names."""
    return bool(message) and all(
        isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)
        for symbols in message.values()
    )


def _packing_of(headers: Mapping[str, str]) -> Packing:
    return Msgpack if "msgpack" in headers.get("content-type", "") else Json
