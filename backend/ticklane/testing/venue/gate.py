"""What every request and frame goes through: the ledger of requests, and the ordered faults.

A request of which only a part arrives is none.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ticklane.testing.venue.faults import Fault, Faults
from ticklane.testing.venue.ledger import Ledger
from ticklane.testing.venue.lines import LINE
from ticklane.testing.venue.socket_gate import SocketGate

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
_UNHARMED = "/control"  # the control side is never struck
_NO_JSON = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Gate:
    """An ASGI application around another one."""

    def __init__(
        self, app: App, faults: Faults, ledger: Ledger, on_change: Callable[[], object]
    ) -> None:
        self._app, self._faults, self._ledger = app, faults, ledger
        self._on_change = on_change  # called after each request, done or not
        self.sockets: set[SocketGate] = set()
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        try:
            if scope["type"] == "websocket":
                await self._serve_socket(scope, receive, send)
            elif scope["path"].startswith(_UNHARMED):
                await self._app(scope, receive, send)
            else:
                await self._serve(scope, receive, send)
        finally:
            self._on_change()

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = SocketGate(self._app, self._faults, scope, receive, send)
        self.sockets.add(socket)
        entry = self._note("CONNECT", scope, b"")
        try:
            await socket.run()
        finally:
            entry["ended_at"] = time.time()
            self.sockets.discard(socket)

    def _note(self, method: str, scope: Scope, body: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "at": time.time(),
            "method": method,
            "path": scope["path"],
            "query": scope.get("query_string", b"").decode("latin-1"),
            "body": body.decode("utf-8", "replace"),
            "status": None,
            "fault": None,
        }
        self._ledger.note_request(entry)
        return entry

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        entry = self._note(scope["method"], scope, body)
        fault = None
        if self._faults.ordered:
            fault = self._faults.take(f"{scope['method']} {scope['path']}", body)
        if fault is None:
            await self._app(scope, _again(body, receive), _noting(send, entry))
            return
        entry["fault"] = fault.kind
        await _Struck(self._app, self._faults, fault, scope, body, receive, send, entry).run(
            self._later
        )

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._late.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        self._on_change()


class _Struck:
    """One request that a fault strikes."""

    def __init__(
        self,
        app: App,
        faults: Faults,
        fault: Fault,
        scope: Scope,
        body: bytes,
        receive: Receive,
        send: Send,
        entry: dict[str, Any],
    ) -> None:
        self._app, self._faults, self._fault, self._scope = app, faults, fault, scope
        self._body, self._receive, self._send, self._entry = body, receive, send, entry
        self._answer: list[Message] = []

    async def run(self, later: Callable[[Awaitable[None]], None]) -> None:
        """Do what the fault says."""
        fault = self._fault
        if fault.kind not in ("status", "drop_before", "hang", "late_request"):
            await self._do()
        if fault.kind == "double":
            await self._do()
        if fault.kind == "late_request":
            later(self._do_later())
        await self._reply(fault.kind)

    async def _reply(self, kind: str) -> None:
        if kind in ("status", "status_after"):
            await self._say(self._fault.status, _encoded(self._fault.body), self._fault.headers)
        elif kind in ("late", "double"):
            if kind == "late":
                await self._wait()
            for message in self._answer:
                await self._send(message)
        elif kind in ("half_body", "wrong_body", "empty_body"):
            await self._maim(kind)
        else:
            if kind in ("hang", "hang_after"):
                await self._wait()
            await self._break()

    async def _do(self) -> None:
        """Let the application do it, and keep its answer."""
        self._answer = answer = []

        async def keep(message: Message) -> None:
            answer.append(message)
            if message["type"] == "http.response.start":
                self._entry["status"] = message["status"]

        await self._app(self._scope, _again(self._body, self._receive), keep)

    async def _do_later(self) -> None:
        await self._faults.wait(self._fault)
        await self._do()
        self._entry["done_at"] = time.time()

    async def _wait(self) -> None:
        """Wait as long as the fault says, or until the client has gone."""
        waiting = [asyncio.ensure_future(w) for w in (self._faults.wait(self._fault), self._gone())]
        _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _break(self) -> None:
        self._scope[LINE].abort()
        await self._gone()

    async def _maim(self, kind: str) -> None:
        start = self._answer[0]
        whole = b"".join(one.get("body", b"") for one in self._answer[1:])
        if kind == "empty_body":
            await self._say(start["status"], b"", {})
            return
        if kind == "wrong_body":
            wrong = _NO_JSON if self._fault.body is None else _encoded(self._fault.body)
            await self._say(self._fault.status if self._fault.status != 500 else 200, wrong, {})
            return
        await self._send(start)
        half = whole[: len(whole) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        self._scope[LINE].close()
        await self._gone()

    async def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._entry["told"] = status
        lines = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        encoded = [(k.lower().encode(), v.encode()) for k, v in lines.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})
        await self._send({"type": "http.response.body", "body": body})


def _encoded(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when the client has gone before all of it had come."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


def _noting(send: Send, entry: dict[str, Any]) -> Send:
    async def pass_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry["status"] = message["status"]
        await send(message)

    return pass_on
