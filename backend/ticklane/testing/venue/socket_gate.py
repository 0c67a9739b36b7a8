"""One WebSocket of the venue, whose frames faults may lose, double, delay, turn round or maim."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ticklane.testing.venue.faults import BEGINNING, FRAMES, Fault, Faults
from ticklane.testing.venue.lines import LINE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class SocketGate:
    """Stands between the application and one client."""

    def __init__(
        self,
        app: Callable[[Any, Receive, Send], Awaitable[None]],
        faults: Faults,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self._app, self._faults, self._scope = app, faults, scope
        self._receive, self._out = receive, send
        self.path: str = scope["path"]
        self.sent = 0  # frames
        self._kept: list[Message] = []  # turned round: they follow the next frame
        self._is_mute = self._is_frozen = self._is_broken = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve it until it ends."""
        fault = None
        if self._faults.ordered:
            fault = self._faults.take(f"CONNECT {self.path}", b"", BEGINNING)
        if fault is not None and not await self._may_begin(fault):
            return
        try:
            await self._app(self._scope, self._read, self._send)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _may_begin(self, fault: Fault) -> bool:
        """Strike the beginning of the connection; says whether there is one all the same."""
        kind = fault.kind
        if kind in ("refuse", "status"):
            await self._refuse(fault)
        elif kind == "mute":
            self._is_mute = True
        else:
            if kind in ("late", "hang"):
                await self._faults.wait(fault)
            if kind != "late":
                self.drop()
                await self._gone()
        return kind in ("mute", "late")

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "websocket.disconnect":
            pass

    async def _refuse(self, fault: Fault) -> None:
        await self._receive()
        headers = [(k.lower().encode(), v.encode()) for k, v in fault.headers.items()]
        await self._out(
            {"type": "websocket.http.response.start", "status": fault.status, "headers": headers}
        )
        await self._out({"type": "websocket.http.response.body", "body": b""})

    async def _read(self) -> Message:
        message = await self._receive()
        if self._is_frozen and message["type"] != "websocket.disconnect":
            await asyncio.Event().wait()
        return message

    def drop(self) -> None:
        """Break the connection."""
        self._is_broken = True
        self._scope[LINE].abort()

    async def _send(self, message: Message) -> None:
        if self._is_broken:
            return
        if message["type"] != "websocket.send" or not (
            self._faults.ordered or self._is_mute or self._kept
        ):
            await self._out(message)
            return
        if self._is_mute:
            return
        fault = self._faults.take(f"SEND {self.path}", _content(message), FRAMES)
        if fault is None:
            await self._pass(message)
        else:
            await self._strike(fault, message)

    async def _pass(self, message: Message) -> None:
        self.sent += 1
        await self._out(message)
        kept, self._kept = self._kept, []
        for one in kept:
            await self._out(one)

    async def _strike(self, fault: Fault, message: Message) -> None:
        kind = fault.kind
        if kind == "reorder":
            self._kept.append(message)
        elif kind == "late":
            task = asyncio.ensure_future(self._send_late(fault, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif kind in ("mute", "freeze"):
            self._is_mute = True
            self._is_frozen = kind == "freeze"
            if self._is_frozen:
                self._scope[LINE].pause_reading()
        elif kind == "close":
            await self._out({"type": "websocket.close", "code": _close_code(fault)})
            self._is_broken = True
        else:
            await self._maim(kind, fault, message)

    async def _maim(self, kind: str, fault: Fault, message: Message) -> None:
        if kind in ("duplicate", "drop_after"):
            await self._pass(message)
        if kind == "duplicate":
            await self._pass(message)
        elif kind in ("drop", "drop_before", "drop_after"):
            await asyncio.sleep(0)
            self.drop()
        elif kind == "half_frame":
            content = _content(message)
            await self._pass(_frame(message, content[: len(content) // 2]))
        elif kind == "wrong_frame":
            await self._pass(_frame(message, str(fault.body or "not json").encode()))

    async def _send_late(self, fault: Fault, message: Message) -> None:
        await self._faults.wait(fault)
        if not (self._is_broken or self._is_mute):
            await self._out(message)


def _content(message: Message) -> bytes:
    data = message.get("bytes")
    return data if data is not None else (message.get("text") or "").encode()


def _frame(like: Message, content: bytes) -> Message:
    if like.get("bytes") is not None:
        return {"type": "websocket.send", "bytes": content}
    return {"type": "websocket.send", "text": content.decode("utf-8", "replace")}


def _close_code(fault: Fault) -> int:
    return fault.status if fault.status >= 1000 else 1001
