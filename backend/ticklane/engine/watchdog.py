"""Names a strategy that holds up the lane, with its stack, while it does."""

from __future__ import annotations

import os
import selectors
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_ENGINE = str(Path(__file__).parent) + os.sep
_LIBRARY = sysconfig.get_path("stdlib")
_PACKAGES = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
_FRAMES_SHOWN = 12


class Heartbeat:
    """What the lane leaves for the watchdog to read; one store each, no lock.

    Around each call of a strategy the lane sets `current` to its name, afterwards to None, and adds
    one to `count`. The daemon's event loop calls `pulse()` about once a second.
    """

    __slots__ = ("count", "current", "pulses")

    def __init__(self) -> None:
        self.current: str | None = None  # the strategy that is being called
        self.count = 0  # calls that have ended
        self.pulses = 0

    def pulse(self) -> None:
        """Say that the event loop still turns."""
        self.pulses += 1


class Hang(NamedTuple):
    """A call of a strategy that goes on for too long."""

    strategy: str
    seconds: float
    stack_text: str  # oldest frame first, as in a traceback


class _Call(NamedTuple):
    strategy: str
    number: int
    since: float


class Watchdog:
    """Reports each call of a strategy that takes longer than `limit` seconds, while it does.

    It reports at the limit and again whenever the time has doubled. `on_hang` is called in the
    watchdog's own thread and must not raise. `hang_seconds` is the whole time of such calls by
    strategy, known to about `poll` seconds. A call that never lets go of the interpreter (C code
    that keeps the GIL) is reported when it does.
    """

    def __init__(
        self,
        beat: Heartbeat,
        on_hang: Callable[[Hang], None],
        *,
        limit: float = 2.0,
        poll: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        frames: Callable[[], Mapping[int, FrameType]] = sys._current_frames,
    ) -> None:
        self.hang_seconds: dict[str, float] = {}
        self._beat, self._on_hang = beat, on_hang
        self._limit, self._poll = limit, poll
        self._clock, self._frames = clock, frames
        self._call: _Call | None = None
        self._report_at = limit
        self._seen = (beat.count, beat.pulses)
        self._seen_at = clock()
        self._lane = threading.get_ident()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch; call it in the thread of the lane. Twice does no harm."""
        if self._thread is not None:
            return
        self._lane = threading.get_ident()
        self._seen_at = self._clock()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._watch, name="ticklane-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and wait for the thread; twice does no harm."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        if thread is not threading.current_thread():
            thread.join()
        self._end_call(self._clock())

    def seconds_since_beat(self) -> float:
        """How long ago the lane last ended a call or its loop pulsed; 0.0 when it just did."""
        if self._seen != (self._beat.count, self._beat.pulses):
            return 0.0
        return max(0.0, self._clock() - self._seen_at)

    def inspect(self, now: float) -> None:
        """Look at the lane once; `now` is in seconds of the watchdog's clock."""
        beat = self._beat
        seen = (beat.count, beat.pulses)
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        strategy, count = beat.current, beat.count
        if self._call is not None and (strategy, count) != self._call[:2]:
            self._end_call(now)
        if self._call is None and strategy is not None:
            self._call, self._report_at = _Call(strategy, count, now), self._limit
        if self._call is not None and now - self._call.since >= self._report_at:
            self._report(self._call, now - self._call.since)

    def _report(self, call: _Call, seconds: float) -> None:
        stack_text = self._stack_text()
        if self._beat.count != call.number:
            return  # it ended while we looked, so the stack may be another's
        self._report_at = 2 * seconds
        self._on_hang(Hang(call.strategy, seconds, stack_text))

    def _end_call(self, now: float) -> None:
        call, self._call = self._call, None
        if call is not None and now - call.since >= self._limit:
            so_far = self.hang_seconds.get(call.strategy, 0.0)
            self.hang_seconds[call.strategy] = so_far + now - call.since

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll):
            self.inspect(self._clock())

    def _stack_text(self) -> str:
        frame = self._frames().get(self._lane)
        if frame is None:
            return "(the thread of the lane has ended)\n"
        stack = traceback.extract_stack(frame)
        if stack[-1].filename == selectors.__file__:
            return "(the call awaits something; the event loop itself is free)\n"
        return "".join(traceback.format_list(_strategy_frames(stack)))


def _strategy_frames(stack: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """From the first frame that the engine called and that is not its own; else the innermost."""
    is_inside = False
    for index, frame in enumerate(stack):
        if frame.filename.startswith(_ENGINE):
            is_inside = True
        elif is_inside and not _is_library(frame.filename):
            return stack[index:]
    return stack[-_FRAMES_SHOWN:]


def _is_library(filename: str) -> bool:
    """The standard library: asyncio stands between the engine and an `async` strategy."""
    if any(filename.startswith(packages) for packages in _PACKAGES):
        return False
    return filename.startswith((_LIBRARY, "<frozen"))
