"""The venue's endpoints that the broker uses: reads are tried again, orders never."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from ticklane.integrations.alpaca.budget import RateBudget
from ticklane.integrations.alpaca.client import Reply, Requests
from ticklane.integrations.alpaca.convert import read_instant, to_text

_TRIES: Final = 4
_PAGE: Final = 500
_ACTIVITY_PAGE: Final = 100
_NOT_NOW: Final = (429, 500, 502, 503, 504)


class Unread(Exception):
    """A read that got no usable answer, with its last reply."""

    def __init__(self, path: str, reply: Reply) -> None:
        super().__init__(f"{path}: {reply.message}")
        self.reply = reply


class Api:
    """Sends requests within the rate budget.

    `write` sends once and gives back whatever came; `read` tries again, with jitter, what may be
    better the next time, and raises Unread when it never was.
    """

    def __init__(
        self, requests: Requests, budget: RateBudget, jitter: Callable[[], float] = random.random
    ) -> None:
        self._requests, self.budget, self._jitter = requests, budget, jitter
        self.counts = {"requests": 0, "unclear": 0, "rate_limited": 0}

    async def ready(self) -> None:
        """Wait for the turn of an order; whether it is still wanted is to be asked after that."""
        await self.budget.turn(is_order=True)

    async def write(
        self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, is_ready: bool = False
    ) -> Reply:
        """POST, PATCH or DELETE, once; `is_ready` when its turn was waited for."""
        if not is_ready:
            await self.ready()
        return await self._send(verb, path, body)

    async def look_up(self, path: str, parameters: Mapping[str, Any] | None = None) -> Reply:
        """A read that an order waits for: once, with the right of way of orders."""
        await self.budget.turn(is_order=True)
        return await self._send("GET", path, parameters)

    async def read(
        self, path: str, parameters: Mapping[str, Any] | None = None, *, needs: str | None = None
    ) -> Any:
        """The body of a successful answer, a mapping that has the key `needs` or (None) a list.

        Anything else is no answer, whatever its status says; raises Unread when none came.
        """
        for attempt in range(_TRIES):
            await self.budget.turn(is_order=False)
            reply = await self._send("GET", path, parameters)
            if reply.is_ok:
                if _is_whole(reply.body, needs):
                    return reply.body
                reply = Reply(None, error="the answer is not what was asked for")
            elif reply.status is not None and reply.status not in _NOT_NOW:
                break
            if attempt + 1 < _TRIES and reply.status != 429:  # which the budget waits for
                await asyncio.sleep(0.5 * 2**attempt * (0.5 + self._jitter()))
        raise Unread(path, reply)

    async def _send(self, verb: str, path: str, data: Mapping[str, Any] | None) -> Reply:
        self.counts["requests"] += 1
        reply = await self._requests.send(verb, path, data)
        self.counts["unclear"] += reply.status is None
        self.counts["rate_limited"] += reply.status == 429
        self.budget.note(reply.headers, reply.status == 429)
        return reply

    # --- lists, all pages --------------------------------------------------------------------

    async def orders(self, status: str, after_ns: int | None = None) -> list[dict[str, Any]]:
        """All orders of a status ("open", "closed"), oldest first, with their legs in them."""
        found: dict[str, dict[str, Any]] = {}
        after = None if after_ns is None else to_text(after_ns)
        while True:
            asked = {"status": status, "limit": _PAGE, "nested": "true", "direction": "asc"}
            page = await self.read("/orders", asked if after is None else {**asked, "after": after})
            rows = [row for row in _rows(page) if row.get("id") not in found]
            found |= {str(row["id"]): row for row in rows}
            if len(_rows(page)) < _PAGE or not rows:
                return list(found.values())
            newest = rows[-1].get("submitted_at") or rows[-1].get("created_at")
            after = to_text(read_instant(newest) - 1_000)  # those of the same instant come again

    async def activities(self, after_ns: int) -> list[dict[str, Any]]:
        """Everything that happened in the account since then, oldest first."""
        found: dict[str, dict[str, Any]] = {}
        token = None
        while True:
            asked = {"direction": "asc", "page_size": _ACTIVITY_PAGE, "after": to_text(after_ns)}
            page = _rows(
                await self.read(
                    "/account/activities",
                    asked if token is None else {**asked, "page_token": token},
                )
            )
            rows = [row for row in page if row.get("id") not in found]
            found |= {str(row["id"]): row for row in rows}
            if len(page) < _ACTIVITY_PAGE or not rows:
                return list(found.values())
            token = str(page[-1]["id"])

    def close(self) -> None:
        """Let go of the connections."""
        self._requests.close()


def _is_whole(body: Any, needs: str | None) -> bool:
    if needs is not None:
        return isinstance(body, Mapping) and needs in body
    return isinstance(body, list) and all(isinstance(row, Mapping) for row in body)


def _rows(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, list):
        raise Unread("a list", Reply(None, error="the answer is no list"))
    return [row for row in body if isinstance(row, dict) and row.get("id")]
