"""The rate limit of the trading API, and the headers that tell of it."""

from __future__ import annotations

import time
from collections.abc import Callable

_WINDOW = 60  # seconds


class RateLimit:
    """So many requests a minute (None: any number), counted in windows of the machine's clock."""

    def __init__(self, limit: int | None = 200, clock: Callable[[], float] = time.time) -> None:
        self.limit = limit
        self._clock = clock
        self._window = 0
        self._count = 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count a request: whether it may pass, and the headers of its answer."""
        if self.limit is None:
            return True, {}
        window = int(self._clock()) // _WINDOW
        if window != self._window:
            self._window, self._count = window, 0
        self._count += 1
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.limit - self._count, 0)),
            "X-RateLimit-Reset": str((window + 1) * _WINDOW),
        }
        return self._count <= self.limit, headers
