"""Turn columns of bars into ticks, a block at a time, with no Python code run per bar.

A replay spends about a quarter of a microsecond a tick here, so three things are unusual:
- Bar and Tick are made by tuple's own constructor (core/plain_tuple.py).
- Floats come out of an array.array one by one as the bars are made, so that the interpreter uses
  those it has just let go again instead of fresh memory, which a list of all of them would take.
- Everything between the columns and the caller is zip, map and repeat.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import Any

import numpy as np

from ticklane.core.market import (
    Bar,
    Bars,
    ClosedBar,
    Instants,
    PlainTick,
    Tick,
    make_bar,
    make_tick,
)

_FIRST = 8  # ticks of the first block
_QUICK, _SLOW = 0.05, 0.2  # seconds within which a block shall end, so that a stop is soon heard


def make_ticks(plain: Iterable[PlainTick]) -> Iterator[Tick]:
    """The same as Ticks."""
    return map(make_tick, plain)


def instants_of(series: Sequence[Bars]) -> Instants:
    """Each instant at which at least one of the series completed a bar, rising."""
    first = series[0].close_ns
    if all(np.array_equal(first, bars.close_ns) for bars in series[1:]):
        return first
    return np.unique(np.concatenate([bars.close_ns for bars in series]))


class Blocks:
    """Ticks of several series, block after block; blocks follow each other without a gap.

    `rows` ticks make a block, as many as are worked off soon: `took` says how long the last ones
    were. Bars of the same instant come in one tick, in the order of `series`.
    """

    def __init__(self, series: Sequence[Bars], instants: Instants, first: int, last: int) -> None:
        self._series = series
        self._instants = instants
        self._next, self._last = first, last
        # About 50,000 bars: enough to forget the cost of a block, little enough for the memory.
        self._most = max(256, min(4096, 51_200 // len(series)))
        self.rows = _FIRST
        after = instants[first - 1] if first else np.iinfo(np.int64).min
        self._cursors = [_row_after(bars, after) for bars in series]

    def take(self) -> list[Bars] | None:
        """What each series with bars in the next block has there, as views; None at the end."""
        if self._next >= self._last:
            return None
        end = min(self._next + self.rows, self._last)
        until = self._instants[end - 1]
        self._next = end
        return self._parts(until)

    def took(self, seconds: float) -> None:
        """Make the next blocks longer or shorter after one that took so long."""
        if seconds < _QUICK:
            self.rows = min(self.rows * 2, self._most)
        elif seconds > _SLOW:
            self.rows = max(self.rows // 2, 1)

    @property
    def done(self) -> int:
        """How many instants have been taken, counted from the first of all."""
        return self._next

    def _parts(self, until: Any) -> list[Bars]:
        parts = []
        for number, bars in enumerate(self._series):
            first, last = self._cursors[number], _row_after(bars, until)
            if last > first:
                parts.append(bars.between(first, last))
                self._cursors[number] = last
        return parts


def ticks_of(series: Sequence[Bars]) -> Iterator[PlainTick]:
    """All ticks of some series, each a few thousand bars long at most."""
    first = series[0]
    is_aligned = all(
        np.array_equal(first.close_ns, bars.close_ns)
        and np.array_equal(first.open_ns, bars.open_ns)
        for bars in series[1:]
    )
    return _aligned(series) if is_aligned else _merged(series)


def closed_bars(series: Sequence[Bars]) -> Iterator[ClosedBar]:
    """The bars of one series alone, a few thousand at most, each with its close."""
    (bars,) = series
    opens, closes = bars.open_ns.tolist(), bars.close_ns.tolist()
    return zip(closes, _bars_of(bars, opens, closes), strict=True)


def _aligned(series: Sequence[Bars]) -> Iterator[PlainTick]:
    """Every tick holds a bar of every series."""
    opens, closes = series[0].open_ns.tolist(), series[0].close_ns.tolist()
    bars = [_bars_of(one, opens, closes) for one in series]
    symbols = tuple(one.symbol for one in series)
    return zip(closes, repeat(symbols), zip(*bars, strict=True), strict=False)


def _bars_of(bars: Bars, opens: list[int], closes: list[int]) -> Iterator[Bar]:
    floats = [array("d", column.tobytes()) for column in bars.columns()[2:]]
    return map(make_bar, zip(repeat(bars.symbol), opens, closes, *floats, strict=False))


def _merged(series: Sequence[Bars]) -> Iterator[PlainTick]:
    """Ticks hold the series that have a bar at that instant: a stable sort brings them together."""
    closes = np.concatenate([bars.close_ns for bars in series])
    order = np.argsort(closes, kind="stable")
    number = np.repeat(np.arange(len(series)), [len(bars) for bars in series])[order].tolist()
    names = list(map([bars.symbol for bars in series].__getitem__, number))
    joined = [
        np.concatenate(parts)[order] for parts in zip(*(b.columns() for b in series), strict=True)
    ]
    opens, ends = joined[0].tolist(), joined[1].tolist()
    prices = [array("d", column.tobytes()) for column in joined[2:]]
    bars = map(make_bar, zip(names, opens, ends, *prices, strict=True))
    times, sizes = np.unique(joined[1], return_counts=True)
    counts = sizes.tolist()
    return zip(times.tolist(), _groups(names, counts), _groups(bars, counts), strict=True)


def _groups(items: Iterable[Any], counts: list[int]) -> Iterator[tuple[Any, ...]]:
    """Tuples of the next 3, 1, 2 ... items."""
    return map(tuple, map(islice, repeat(iter(items)), counts))


def _row_after(bars: Bars, instant: Any) -> int:
    return int(np.searchsorted(bars.close_ns, instant, side="right"))
