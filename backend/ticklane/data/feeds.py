"""Feeds: recorded bars replayed, and a simulated market."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import SECOND, Bars, ClosedBar, Instants, PlainTick, Tick, Timeframe
from ticklane.data.simulated import simulated_bars
from ticklane.data.ticks import Blocks, closed_bars, instants_of, make_ticks, ticks_of
from ticklane.interfaces import Clock

ONE_SECOND = Timeframe(SECOND)
LONGEST_GAP = 1.0  # seconds that a paced replay waits at most where the market was closed
_ALL = 10_000  # bars that "all" means for a market without a beginning
_BLOCK = 256  # simulated bars that are made at once

Progress = Callable[[int, int], object]
Sleep = Callable[[float], Awaitable[Any]]


class ReplayFeed:
    """Recorded bars, oldest first, as fast as the caller takes them or at a pace.

    `bars` maps symbols to their Bars; ticks come in the order of their instants, and within a tick
    in the order of the mapping. Ticks at or before `start_ns` (default: the opening of the first
    bar) and after `end_ns` are left out, but history tells of them. `progress(done, total)` is
    called after each block of ticks: up to 4,096, fewer where they take their time, which `clock`
    (in seconds) measures; nothing else depends on it.

    Pace of `stream` (never of `ticks`): `speed=N` runs N times faster than the recorded time, where
    a gap (a night, a weekend, a missing bar) takes no longer than one bar, or one second if that
    is more; `duration` spreads all ticks evenly over so many seconds instead. Neither: no waiting.
    """

    def __init__(
        self,
        bars: Mapping[str, Bars],
        timeframe: Timeframe,
        *,
        label: str = "REPLAY",
        speed: float | None = None,
        duration: float | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        progress: Progress | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not bars:
            raise DataError("There are no bars to replay; give at least one symbol.")
        self.symbols = tuple(bars)
        self.timeframe = timeframe
        self.label = label
        self.speed = _above_zero(speed, "speed")
        self.duration = _above_zero(duration, "duration")
        self.is_stopped = False
        self._bars = dict(bars)
        self._series = tuple(bars.values())
        self._instants = instants_of(self._series)
        openings = [int(one.open_ns[0]) for one in self._series if len(one)]
        # What closed at or before it is history, not a tick. Never None: a replay knows its start.
        self.start_ns: int | None = min(openings, default=0) if start_ns is None else start_ns
        self._end_ns = end_ns
        self.progress = progress
        self._sleep = sleep
        self._clock = clock

    def stop(self) -> None:
        """End `ticks` at its next block and `stream` at its next tick."""
        self.is_stopped = True

    def instants(self, after_ns: int | None = None) -> Instants:
        """The instants of the ticks that `ticks` would give, as int64 nanoseconds."""
        first, last = self._rows(after_ns)
        return self._instants[first:last]

    def history(self, symbol: str, count: int | None, until_ns: int) -> Bars:
        """Copies of the last `count` (all: None) bars completed at or before `until_ns`."""
        found = self._bars.get(symbol)
        if found is None:
            raise DataError(_unknown(symbol, self.symbols))
        return found.last(len(found) if count is None else count, until_ns)

    def ticks(self, after_ns: int | None = None) -> Iterator[Tick]:
        """All ticks later than `after_ns`, without asyncio and without a pace."""
        return make_ticks(self.walk(after_ns))

    def walk(self, after_ns: int | None = None) -> Iterator[PlainTick]:
        """The same in plain tuples: what a replay walks through."""
        return chain.from_iterable(map(ticks_of, self._blocks(after_ns)))

    def closed_bars(self, after_ns: int | None = None) -> Iterator[ClosedBar]:
        """The same for a feed of one symbol: each instant with its bar."""
        return chain.from_iterable(map(closed_bars, self._blocks(after_ns)))

    async def stream(self, after_ns: int | None = None) -> AsyncIterator[Tick]:
        """All ticks later than `after_ns`, at the pace of the feed; others run in between."""
        now = asyncio.get_running_loop().time
        begin = now()
        offsets = self._offsets(after_ns)
        for tick, offset in zip(self.ticks(after_ns), offsets, strict=False):
            await self._sleep(max(0.0, begin + offset - now()))
            if self.is_stopped:
                return
            yield tick

    def _blocks(self, after_ns: int | None) -> Iterator[list[Bars]]:
        first, last = self._rows(after_ns)
        blocks = Blocks(self._series, self._instants, first, last)
        while not self.is_stopped and (block := blocks.take()) is not None:
            begin = self._clock()
            yield block
            blocks.took(self._clock() - begin)
            if self.progress is not None:
                self.progress(blocks.done - first, last - first)

    def _rows(self, after_ns: int | None) -> tuple[int, int]:
        bounds = [bound for bound in (after_ns, self.start_ns) if bound is not None]
        first = int(np.searchsorted(self._instants, max(bounds), side="right")) if bounds else 0
        if self._end_ns is None:
            return first, len(self._instants)
        last = int(np.searchsorted(self._instants, self._end_ns, side="right"))
        return first, max(first, last)

    def _offsets(self, after_ns: int | None) -> Iterable[float]:
        instants = self.instants(after_ns)
        if self.duration is not None:
            return even_offsets(len(instants), self.duration)
        if self.speed is not None:
            return paced_offsets(instants, self.timeframe.ns, self.speed)
        return repeat(0.0)


class SimulatedFeed:
    """A simulated market without end: the same seed, symbol and instant always give the same price.

    Bars are aligned to the UTC epoch; those that close at or before `start_ns` are history only.
    At `speed=1` a bar comes when `clock` reaches its close: the stream begins with the newest
    completed bar, if that is a new one (it stands for all that were missed), and then gives every
    bar, late ones too. At another speed simulated time runs from `after_ns` (else `start_ns`, else
    now) so many times faster, with every bar; `speed=None` or 0 does not wait.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        clock: Clock,
        seed: int = 0,
        timeframe: Timeframe = ONE_SECOND,
        speed: float | None = 1.0,
        label: str = "SIMULATED",
        start_ns: int | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.symbols = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise ConfigError(
                f"symbols are {list(self.symbols)}, but a simulated market needs one or more, "
                "each once."
            )
        self.timeframe = timeframe
        self.label = label
        self.seed = seed
        self.speed = _above_zero(speed or None, "speed")
        self._clock = clock
        self.start_ns = start_ns
        self._sleep = sleep

    def history(self, symbol: str, count: int | None, until_ns: int) -> Bars:
        """The last `count` bars completed at or before `until_ns`.

        None means all since 10,000 bars before the start of the run, so that what is computed from
        them comes out the same after a restart.
        """
        if symbol not in self.symbols:
            raise DataError(_unknown(symbol, self.symbols))
        last = max(0, until_ns // self.timeframe.ns)
        if count is None:
            begin = self.start_ns if self.start_ns is not None else until_ns
            count = last - min(last, begin // self.timeframe.ns) + _ALL
        first = max(0, last - max(0, count))
        bars = simulated_bars(self.seed, symbol, self.timeframe, first, last)
        for column in bars.columns():
            column.setflags(write=False)
        return bars

    async def stream(self, after_ns: int | None = None) -> AsyncIterator[Tick]:
        """Ticks later than `after_ns`, for ever, at the pace of the feed."""
        step, begin = self.timeframe.ns, self._clock.now_ns()
        seen = max((at for at in (after_ns, self.start_ns) if at is not None), default=None)
        if self.speed == 1:
            origin, newest = begin, begin // step  # which timeframe after 1970 closed last
            first = newest if seen is None else max(newest, seen // step + 1)
        else:
            origin = begin if seen is None else seen
            first = origin // step + 1
        for number, tick in enumerate(self._ticks_from(first)):
            if self.speed != 1 or number % _BLOCK == 0:  # in real time late bars come together
                await self._sleep(0)  # let the others run, however late it is
            wait = 0 if self.speed is None else int((tick.time_ns - origin) / self.speed)
            await self._until(begin + wait)
            yield tick

    def _ticks_from(self, close: int) -> Iterator[Tick]:
        """Endless ticks; the first one closes `close` timeframes after 1970."""
        for first in itertools.count(close - 1, _BLOCK):
            blocks = [
                simulated_bars(self.seed, symbol, self.timeframe, first, first + _BLOCK)
                for symbol in self.symbols
            ]
            yield from make_ticks(ticks_of(blocks))

    async def _until(self, due_ns: int) -> None:
        """Sleep until the clock says so. What is late comes at once, so that it can be merged."""
        while (left := due_ns - self._clock.now_ns()) > 0:  # a timer may go off a little early
            await self._sleep(left / SECOND)


def paced_offsets(instants: Instants, step_ns: int, speed: float) -> NDArray[np.float64]:
    """Seconds after the start at which each replayed tick is due; the first is due at once.

    A gap, which is a step longer than `step_ns`, takes no longer than one step, or `LONGEST_GAP`
    seconds if that is more.
    """
    offsets = np.zeros(len(instants), np.float64)
    steps = np.diff(instants)
    seconds = steps / (speed * SECOND)
    longest = max(step_ns / (speed * SECOND), LONGEST_GAP)
    np.cumsum(np.where(steps > step_ns, np.minimum(seconds, longest), seconds), out=offsets[1:])
    return offsets


def even_offsets(count: int, duration: float) -> NDArray[np.float64]:
    """Seconds after the start at which each of `count` ticks is due; the last at `duration`."""
    return np.linspace(0.0, duration, count + 1, dtype=np.float64)[1:]


def _above_zero(value: float | None, field: str) -> float | None:
    if value is not None and not (isinstance(value, (int, float)) and 0 < value < np.inf):
        raise ConfigError(f"{field} is {value!r}, but must be a number above zero, or left out.")
    return value


def _unknown(symbol: str, known: Sequence[str]) -> str:
    return f"The feed has no symbol {symbol!r}; it has {', '.join(known)}."
