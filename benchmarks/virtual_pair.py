"""Two processes with real sockets, threads and files, but one virtual time that both share.

Time passes only when nobody has anything to do: the leader's event loop asks the follower whether
it is idle and when its next timer is due, and then both jump to the earlier of the two timers. As
loopback delivers at once, all that the follower has sent has arrived by then. While a thread of the
leader works (requests, the database), no time passes.
"""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import time
from collections.abc import Callable
from typing import Any

_NEVER = float("inf")
_PATIENCE = 0.5  # real seconds between two looks while a thread works


class Wire:
    """A pair of pipe ends over which short lines go; reading waits."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self._writing = reading, writing
        self._rest = b""

    def say(self, line: str) -> None:
        """Send a line."""
        os.write(self._writing, line.encode() + b"\n")

    @property
    def has_line(self) -> bool:
        """Whether a line has been read already."""
        return b"\n" in self._rest

    def hear(self) -> str:
        """Wait for a line; raises EOFError when the other side is gone."""
        while b"\n" not in self._rest:
            more = os.read(self.reading, 4096)
            if not more:
                raise EOFError("the other process has ended.")
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()


class _Selector(selectors.EpollSelector):
    """Asks its loop what to do when nothing is ready."""

    wait: Callable[[float | None], Any] = lambda _timeout: None

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        return self.wait(timeout)

    def look(self, timeout: float) -> Any:
        """What is ready within so many real seconds."""
        return super().select(timeout)


class _SharedLoop(asyncio.SelectorEventLoop):
    def __init__(self, wire: Wire) -> None:
        self.seconds = 0.0
        self._chosen = _Selector()
        super().__init__(self._chosen)
        self._chosen.wait = self._wait
        self._wire = wire

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self.seconds

    def _wait(self, timeout: float | None) -> Any:
        raise NotImplementedError


class Leader(_SharedLoop):
    """Decides when time passes; `is_slow` lets it pass as it really does."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.working = 0  # threads, of which an answer is awaited
        self.is_slow = True
        self.jumps = 0

    def run_in_executor(self, *arguments: Any) -> Any:
        """As usual, but no time passes until it is done."""
        self.working += 1
        future = super().run_in_executor(*arguments)
        future.add_done_callback(self._note_done)
        return future

    def _note_done(self, _: Any) -> None:
        self.working -= 1

    async def timeless(self, work: Any) -> Any:
        """Await something that a thread does, while no time passes."""
        self.working += 1
        try:
            return await work
        finally:
            self.working -= 1

    def _wait(self, timeout: float | None) -> Any:
        wanted = _NEVER if timeout is None else self.seconds + timeout
        if self.is_slow:
            return self._pass_time(wanted)
        if self.working:
            return self._chosen.look(_PATIENCE)
        self._wire.say("?")
        due = float(self._wire.hear())
        ready = self._chosen.look(0)
        if not ready:
            self._set(min(wanted, due))
            self.jumps += 1
        return ready

    def _pass_time(self, wanted: float) -> Any:
        begin = time.monotonic()
        ready = self._chosen.look(max(0.0, min(wanted - self.seconds, 0.02)))
        self._set(min(wanted, self.seconds + time.monotonic() - begin))
        return ready

    def _set(self, seconds: float) -> None:
        if seconds == _NEVER:
            raise RuntimeError("nobody waits for anything but the other one.")
        self.seconds = seconds
        self._wire.say(repr(seconds))


class Follower(_SharedLoop):
    """Goes by the leader's time."""

    def _wait(self, timeout: float | None) -> Any:
        due = _NEVER if timeout is None else self.seconds + timeout
        poll = select.poll()
        poll.register(self._chosen.fileno(), select.POLLIN)
        poll.register(self._wire.reading, select.POLLIN | select.POLLHUP)
        while True:
            if not self._wire.has_line:
                poll.poll()
            ready = self._chosen.look(0)
            if ready:
                return ready
            line = self._wire.hear()
            if line == "?":
                ready = self._chosen.look(0)  # what the leader sent before it asked
                if ready:
                    self._wire.say(repr(self.seconds))  # busy: at once
                    return ready
                self._wire.say(repr(due))
                continue
            self.seconds = float(line)
            if self.seconds >= due:
                return []
