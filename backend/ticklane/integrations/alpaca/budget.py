"""The rate budget: how many requests are left in this minute, as the venue's answers tell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from ticklane.interfaces import Clock

_LIMIT: Final = 200  # a minute, until an answer says otherwise
_WINDOW_SECONDS: Final = 60.0
_SHORTEST_WAIT: Final = 0.05


class RateBudget:
    """Shared by all callers; reads stop early, so that orders always find some left.

    The window is kept by the loop's time, so that a step of the machine's clock does not matter.
    """

    def __init__(self, clock: Clock, limit: int = _LIMIT) -> None:
        self._clock = clock
        self.limit = self.remaining = limit
        self._ends_at: float | None = None  # loop time
        self.is_starting = True  # nothing is traded yet, and the start waits for reads

    @property
    def reserve(self) -> int:
        """What reads leave for orders."""
        return min(10 if self.is_starting else 50, self.limit // 4)

    async def turn(self, is_order: bool) -> None:
        """Wait until one more request may be sent, and count it."""
        while True:
            self._renew()
            if self.remaining > (0 if is_order else self.reserve):
                self.remaining -= 1
                return
            await asyncio.sleep(self.seconds_left)

    @property
    def seconds_left(self) -> float:
        """How long until the venue counts anew."""
        if self._ends_at is None:
            return _SHORTEST_WAIT
        return max(self._ends_at - asyncio.get_running_loop().time(), _SHORTEST_WAIT)

    def note(self, headers: Mapping[str, str], is_refused: bool) -> None:
        """Learn from an answer; a 429 means that nothing is left."""
        limit, left, reset = (
            _number(headers.get(f"X-RateLimit-{name}")) for name in ("Limit", "Remaining", "Reset")
        )
        now = asyncio.get_running_loop().time()
        if limit:  # the first answer tells what an account really has
            self.remaining += int(limit) - self.limit
            self.limit = int(limit)
        if left is not None:
            self.remaining = min(self.remaining, int(left)) if self._ends_at else int(left)
        if reset is not None:
            seconds = reset - self._clock.now_ns() / 1e9
            self._ends_at = now + min(max(seconds, _SHORTEST_WAIT), _WINDOW_SECONDS)
        if is_refused:
            self.remaining = 0
            if reset is None:
                self._ends_at = now + (_number(headers.get("Retry-After")) or 3.0)

    def _renew(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._ends_at is None:
            self._ends_at = now + _WINDOW_SECONDS
        elif now >= self._ends_at:
            self.remaining, self._ends_at = self.limit, now + _WINDOW_SECONDS

    def to_dict(self) -> dict[str, Any]:
        """For `ticklane status`."""
        return {"limit": self.limit, "remaining": self.remaining}


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
