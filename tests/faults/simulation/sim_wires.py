"""The way between a simulated daemon and the venue: requests and the socket of the trade stream.

What a request does at the venue happens there, whether or not the daemon lives to hear of it.
"""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple
from urllib.parse import unquote

import sim_client
from sim_plan import STATUSES

from ticklane.integrations.alpaca.client import AT_MOST_SECONDS, READ_SECONDS, Reply
from ticklane.testing.venue.trading_api import Call

_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_STRANGE = (b"[7]", b"{}", b'{"message": "try later"}', b"null", b'"ok"', b"true")
_HEADERS = {"APCA-API-KEY-ID": "PKSIMULATED", "APCA-API-SECRET-KEY": "simulated"}
_PING_SECONDS = 20.0
_HOLD_SECONDS = 90.0


class Outcome(NamedTuple):
    """What reaches the client of a request: an answer, or (status None) what broke."""

    status: int | None
    headers: dict[str, str]
    body: bytes = b""
    error: str = ""


class SimRequests:
    """Requests of one life of the daemon; see `ticklane.integrations.alpaca.client.Requests`.

    In some seeds they are made by the real client of alpaca-py, which takes ten times as long.
    """

    def __init__(self, life):
        self._life, self._world = life, life.world
        self._rng = life.world.plan.requests
        self._loop = asyncio.get_running_loop()

    async def send(self, verb, path, data=None):
        """Send one request, once."""
        life, world = self._life, self._world
        await life.pass_point(f"send {verb} {path}")
        data = dict(data) if data is not None else None
        world.checks.sent(life, verb, path, data)
        try:
            async with asyncio.timeout(AT_MOST_SECONDS):
                if world.plan.uses_real_client:
                    reply = await sim_client.ask_by_client(self.carry, verb, path, data)
                else:
                    reply = reply_of(await self.carry(verb, path, data))
        except TimeoutError:
            reply = Reply(None, error="no answer in time")
        world.note("answer", life.number, verb, path, reply.status)
        await life.pass_point(f"answered {verb} {path}")
        return reply

    def close(self):
        """Nothing to let go of."""

    async def carry(self, verb, path, data):
        """Carry a request to the venue and its answer back, if nothing comes between."""
        future = self._loop.create_future()
        fault = self._start(verb, path, data, future)
        self._world.note("request", self._life.number, verb, path, data, fault)
        return await future

    def _start(self, verb, path, data, future):
        """Put the request on its way, with what is going to happen to it."""
        at, rng = self._loop.time(), self._rng
        plan = self._world.plan
        way = rng.uniform(0.0005, 0.03)
        if plan.is_on("down", at):
            self._break_later(way, future, "ConnectionError")
            return "down"
        fault = plan.request_fault(at, verb)
        if fault == "lost_request":
            self._break_later(READ_SECONDS, future, "ReadTimeout")
        elif fault == "drop_before":
            self._break_later(way, future, "ConnectionError")
        elif fault == "late_request":
            broken = way if rng.random() < 0.5 else READ_SECONDS
            self._break_later(broken, future, "ConnectionError")
            self._world.late += 1
            later = rng.uniform(*plan.late_range)
            self._loop.call_later(later, self._arrive, verb, path, data, None, fault)
        elif fault == "status_before":
            self._answer_later(way, future, self._gateway())
        elif fault == "rate_limited":
            self._answer_later(way, future, self._too_many())
        else:
            self._loop.call_later(way, self._arrive, verb, path, data, future, fault)
        return fault

    def _arrive(self, verb, path, data, future, fault):
        """The request is at the venue."""
        world, rng = self._world, self._rng
        world.late -= fault == "late_request"
        status, headers, body = world.venue.handle(verb, path, data)
        if fault == "double":
            second = world.venue.handle(verb, path, data)
            if rng.random() < 0.5:
                status, headers, body = second
        world.note("venue", verb, path, data, status, fault)
        world.point(self._life, f"arrived {verb} {path}")
        if future is not None:
            self._answer(future, Outcome(status, headers, body), fault)

    def _answer(self, future, outcome, fault):
        rng = self._rng
        way = rng.uniform(0.5, 12.0) if fault == "slow_answer" else rng.uniform(0.0005, 0.03)
        if fault == "lost_answer" or way > READ_SECONDS:
            self._break_later(READ_SECONDS, future, "ReadTimeout")
        elif fault == "drop_after":
            self._break_later(way, future, "ConnectionError")
        elif fault == "half_body":
            self._break_later(way, future, "ChunkedEncodingError")
        elif fault == "status_after":
            self._answer_later(way, future, self._gateway())
        else:
            self._answer_later(way, future, self._maimed(outcome, fault))

    def _maimed(self, outcome, fault):
        if fault == "wrong_body":
            return outcome._replace(status=200, body=_HTML)
        if fault == "strange_body":
            return outcome._replace(status=200, body=self._rng.choice(_STRANGE))
        return outcome._replace(body=b"") if fault == "empty_body" else outcome

    def _break_later(self, seconds, future, error):
        self._answer_later(seconds, future, Outcome(None, {}, b"", error))

    def _answer_later(self, seconds, future, outcome):
        self._loop.call_later(seconds, _settle, future, outcome)

    def _gateway(self):
        """What stands before the venue answers in its place."""
        body = self._rng.choice((_HTML, b'{"code": 50010000, "message": "internal server error"}'))
        return Outcome(self._rng.choice(STATUSES), {}, body)

    def _too_many(self):
        reset = str(int(self._world.clock.true_ns() / 1e9) + self._rng.randrange(1, 20))
        headers = self._rng.choice(
            ({}, {"Retry-After": "2"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
        )
        return Outcome(429, headers, b'{"code": 42910000, "message": "too many requests."}')


def _settle(future, outcome):
    if not future.done():
        future.set_result(outcome)


def reply_of(outcome):
    """What the client of alpaca-py makes of an outcome: see `ticklane...client.ask`."""
    if outcome.status is None:
        return Reply(None, error=outcome.error)
    try:
        body = json.loads(outcome.body) if outcome.body else None
    except ValueError:
        if outcome.status < 400:
            return Reply(None, error="the answer was cut off or is no JSON")
        body = None
    return Reply(outcome.status, body, outcome.headers)


def call_of(verb, path, data):
    """A request as the venue takes it."""
    headers = {name.lower(): value for name, value in _HEADERS.items()}
    if verb == "GET":
        query = {name: str(value) for name, value in (data or {}).items()}
        return Call(verb, unquote(f"/v2{path}"), query, b"", headers)
    body = json.dumps(data).encode() if data is not None else b""
    return Call(verb, unquote(f"/v2{path}"), {}, body, headers)


# --- the trade stream ---------------------------------------------------------------------------


class Refused(Exception):
    """The venue answers a WebSocket with a status, as `websockets` tells it."""

    def __init__(self, status):
        super().__init__(f"status {status}")
        self.response = type("Response", (), {"status_code": status})


class Line:
    """One connection to the trade stream: a context manager of the client's socket.

    On its other end is the venue's own WebSocket endpoint, spoken to as ASGI.
    """

    def __init__(self, life):
        self._life, self._world = life, life.world
        self._loop = asyncio.get_running_loop()
        self._to_client, self._to_venue = asyncio.Queue(), asyncio.Queue()
        self._kept = []
        self._last_at = 0.0
        self._is_mute = self.is_over = False
        self.is_held = False  # the venue has not noticed that the client is gone

    # the client's end

    async def __aenter__(self):
        world, plan = self._world, self._world.plan
        await asyncio.sleep(0.005)
        await self._life.pass_point("connect")
        at = self._loop.time()
        if plan.is_on("down", at):
            raise ConnectionRefusedError("down")
        if plan.holds_dead_sockets and any(one.is_held for one in world.lines):
            world.note("stream", "406")
            raise Refused(406)
        if at < plan.quiet_at and plan.frames.random() < plan.frame_rate / 3:
            raise Refused(503)
        world.lines.append(self)
        self._to_venue.put_nowait({"type": "websocket.connect"})
        world.spawn(self._serve())
        world.note("stream", "connected", self._life.number)
        return self

    async def __aexit__(self, *_):
        self.close()

    async def send(self, message):
        self._to_venue.put_nowait({"type": "websocket.receive", "text": message})

    async def recv(self):
        frame = await self._to_client.get()
        if frame is None:
            self._to_client.put_nowait(None)
            raise ConnectionError("the socket is closed")
        await self._life.pass_point("frame")
        return frame

    def close(self):
        """The client has gone, properly or by a crash; the venue may notice late."""
        if self.is_over:
            return
        self.is_over = True
        self._world.note("stream", "closed", self._life.number)
        self._to_client.put_nowait(None)
        if self._world.plan.holds_dead_sockets and self._life.is_dead:
            self.is_held = True
            self._loop.call_later(_HOLD_SECONDS, self._let_go)
        else:
            self._let_go()

    def _let_go(self):
        self.is_held = False
        self._to_venue.put_nowait({"type": "websocket.disconnect", "code": 1006})

    # the venue's end

    async def _serve(self):
        try:
            await self._world.venue.stream_app(_SCOPE.copy(), self._to_venue.get, self._take)
        finally:
            if self in self._world.lines:
                self._world.lines.remove(self)

    async def _take(self, message):
        """A message of the venue to the client."""
        if message["type"] == "websocket.close":
            self.close()
        elif message["type"] == "websocket.send" and not self.is_over and not self._is_mute:
            content = message.get("bytes") or (message.get("text") or "").encode()
            self._strike(self._world.plan.frame_fault(self._loop.time()), content)

    def _strike(self, fault, content):
        world, rng = self._world, self._world.plan.frames
        world.note("frame", self._life.number, content, fault)
        if fault == "lost":
            return
        if fault == "reorder":
            self._kept.append(content)
            return
        if fault in ("mute", "freeze"):
            self._is_mute = True
            if fault == "freeze":
                self._loop.call_later(_PING_SECONDS, self.close)
            return
        if fault == "drop":
            self.close()
            return
        if fault == "half":
            content = content[: len(content) // 2]
        elif fault == "wrong":
            content = rng.choice((b"\x00\xff", b"[]", b"not json", b'{"stream": "trade_updates"}'))
        if fault == "late":
            self._loop.call_later(rng.uniform(0.05, 15.0), self._push, content)
        else:
            self._push_in_order(content)
        if fault == "double":
            self._push_in_order(content)
        kept, self._kept = self._kept, []
        for one in kept:
            self._push_in_order(one)
        if fault == "drop_after":
            self._loop.call_later(0.01, self.close)

    def _push_in_order(self, content):
        self._last_at = max(self._last_at + 2e-6, self._loop.time() + 0.002)
        self._loop.call_at(self._last_at, self._push, content)

    def _push(self, content):
        if not self.is_over and not self._is_mute:
            self._to_client.put_nowait(content)


_SCOPE = {"type": "websocket", "path": "/stream", "headers": [], "query_string": b""}
