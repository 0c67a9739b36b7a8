"""The two clocks: the machine's and a simulated one."""

from __future__ import annotations

import time
from collections.abc import Callable


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return time.time_ns()


class SimulatedClock:
    """A clock that shows what it is told: an instant, or whatever instant a lane is at."""

    def __init__(self, time_ns: int = 0) -> None:
        self.set(time_ns)

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return self._read()

    def set(self, time_ns: int) -> None:
        """Move to an instant and stand still there."""
        self._read: Callable[[], int] = lambda: time_ns

    def follow(self, read: Callable[[], int]) -> None:
        """Show what `read` returns from now on."""
        self._read = read
