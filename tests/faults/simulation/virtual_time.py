"""An event loop in which waiting takes no time: when nothing is ready, its clock jumps ahead.

Everything runs in one thread and in an order that depends on nothing but what was asked for, so
a run is the same every time, and an hour of a silent venue passes in a moment.
"""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop

_MOST_TURNS = 200_000  # of the loop, without any time passing


class Deadlock(Exception):
    """Everybody waits for something, and nothing will ever happen."""


class Livelock(Exception):
    """Something goes on and on without any time passing."""


class _Jump:
    """What the loop takes for its selector: there are no files, only timers."""

    def __init__(self, loop):
        self._loop = loop
        self._turns = 0

    def select(self, timeout):
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set.")
        if timeout > 0:
            self._loop.seconds += timeout
            self._turns = 0
        elif (turns := self._turns + 1) > _MOST_TURNS:
            raise Livelock(f"{turns} turns of the loop at {self._loop.seconds:.3f} s.")
        else:
            self._turns = turns
        return ()


class VirtualLoop(BaseEventLoop):
    """An event loop without files, whose time is virtual."""

    def __init__(self):
        super().__init__()
        self.seconds = 0.0
        self._clock_resolution = 1e-6
        self._selector = _Jump(self)

    def time(self):
        """Virtual seconds since the loop was made."""
        return self.seconds

    def _process_events(self, events):
        """There are none."""

    def _write_to_self(self):
        """Called from other threads, of which a simulation has none that matter."""


def run(work):
    """Run a coroutine in a loop of its own; returns its result."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(work)
    finally:
        asyncio.set_event_loop(None)
        _end_all(loop)
        loop.close()


def _end_all(loop):
    """Tasks that are left over (a deadlock leaves some) end without a warning."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
        task._log_destroy_pending = False
    if left:
        loop.call_later(1.0, lambda: None)
        loop.run_until_complete(asyncio.wait(left, timeout=60.0))
    loop.run_until_complete(loop.shutdown_asyncgens())


class VirtualClock:
    """The machine's clock in virtual time; `skew_ns` is by how much it is wrong."""

    def __init__(self, loop, begin_ns):
        self._loop, self._begin_ns = loop, begin_ns
        self.skew_ns = 0

    def true_ns(self):
        """What time it is really, in nanoseconds UTC."""
        return self._begin_ns + round(self._loop.seconds * 1e9)

    def now_ns(self):
        """What time the machine takes it for."""
        return self.true_ns() + self.skew_ns
