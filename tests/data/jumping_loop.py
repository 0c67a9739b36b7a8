"""An event loop whose time jumps to the next timer: hours of waiting in milliseconds."""

import asyncio
import selectors

from ticklane.core.market import SECOND


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: the loop's time is moved by what it would have waited."""

    time = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if found or timeout is None:
            return found or super().select(timeout)
        self.time += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a time of its own."""

    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.time


class LoopClock:
    """A clock that starts at an instant and goes with the running loop."""

    def __init__(self, start_ns):
        self.start_ns = start_ns

    def now_ns(self):
        return self.start_ns + round(asyncio.get_running_loop().time() * SECOND)


def in_virtual_time(coroutine):
    """Run it to its end and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
