"""The stream of trade updates at `/stream`, as Alpaca speaks it: JSON in binary frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ticklane.testing.venue.exchange import Exchange

TRADE_UPDATES = "trade_updates"


class TradeStreams:
    """All connections to `/stream`; `is_known(key, secret)` decides who may listen."""

    def __init__(self, exchange: Exchange, is_known: Callable[[Any, Any], bool]) -> None:
        self.is_known = is_known
        self.on_change: Callable[[], object] = lambda: None  # somebody listens, or has gone
        self.sessions: list[_Session] = []
        exchange.teller.listen(self._tell)

    def routes(self) -> list[WebSocketRoute]:
        """The one route of the stream."""
        return [WebSocketRoute("/stream", self._serve)]

    @property
    def listeners(self) -> int:
        """How many connections hear trade updates now."""
        return sum(session.is_listening for session in self.sessions)

    async def _serve(self, websocket: WebSocket) -> None:
        session = _Session(websocket, self)
        self.sessions.append(session)
        try:
            await session.run()
        finally:
            self.sessions.remove(session)
            self.on_change()

    def _tell(self, data: dict[str, Any]) -> None:
        listening = [session for session in self.sessions if session.is_listening]
        if listening:
            frame = _packed(TRADE_UPDATES, data)
            for session in listening:
                session.out.put_nowait(frame)


class _Session:
    """One connection."""

    def __init__(self, websocket: WebSocket, streams: TradeStreams) -> None:
        self._socket, self._streams = websocket, streams
        self.out: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_authorized = self.is_listening = False

    async def run(self) -> None:
        """Serve it until the client has gone."""
        await self._socket.accept()
        writing = asyncio.ensure_future(self._write())
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                self._take(message.get("text") or message.get("bytes") or "")
        except (WebSocketDisconnect, RuntimeError):
            pass  # it went while it was being answered
        finally:
            self.is_listening = False
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            await self._socket.send_bytes(await self.out.get())

    def _take(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
            action, data = message.get("action"), message.get("data") or {}
        except (ValueError, AttributeError):
            self._say("error", {"error": "invalid message"})
            return
        if action in ("authenticate", "auth"):
            key = data.get("key_id", message.get("key"))
            self._authorize(key, data.get("secret_key", message.get("secret")), action)
        elif action == "listen":
            self._listen(data.get("streams") or [])
        else:
            self._say("error", {"error": f"unknown action {action}"})

    def _authorize(self, key: Any, secret: Any, action: str) -> None:
        self._is_authorized = self._streams.is_known(key, secret)
        status = "authorized" if self._is_authorized else "unauthorized"
        self._say("authorization", {"status": status, "action": action})

    def _listen(self, streams: list[str]) -> None:
        if not self._is_authorized:
            self._say("authorization", {"status": "unauthorized", "action": "listen"})
            return
        self.is_listening = TRADE_UPDATES in streams
        self._streams.on_change()
        self._say("listening", {"streams": [TRADE_UPDATES] if self.is_listening else []})

    def _say(self, stream: str, data: dict[str, Any]) -> None:
        self.out.put_nowait(_packed(stream, data))


def _packed(stream: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()
