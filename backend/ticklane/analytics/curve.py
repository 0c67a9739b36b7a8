"""The equity curve of a replay, computed afterwards by numpy from bars and what fills led to.

Cash and quantities are the books' exact Decimals, turned into floats when a fill was booked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ticklane.core.market import Bars, Column, Instants
from ticklane.core.order import Fill

Flags = NDArray[np.bool_]
Times = NDArray[np.datetime64]
Places = NDArray[np.intp]
Kind = TypeVar("Kind", bound=np.generic)
_STEPS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class EquityCurve:
    """What the account was worth at each bar close; the three arrays have equal length.

    `times` is datetime64[ns] in UTC and read-only (it may share the memory of the bars), `equity`
    is float64 in account currency, `exposed` says whether any symbol was held net at that point.
    """

    times: Times
    equity: Column
    exposed: Flags

    def __len__(self) -> int:
        return len(self.times)


def equity_curve(
    bars: Mapping[str, Bars],
    fills: Sequence[Fill],
    cash: float,
    cash_after: Sequence[float],
    held_after: Sequence[float],
    first_ns: int | None = None,
    last_ns: int | None = None,
) -> EquityCurve:
    """Value the account at each distinct bar close in [first_ns, last_ns].

    `cash` is the deposit before the first fill. After each of `fills`, which stand in the order of
    their `seen_ns`, the account had `cash_after` and of the fill's symbol `held_after`, over all
    strategies. Positions are marked at the last known close; a symbol without any close yet is
    marked at the price of its latest fill. A fill counts from the first point at or after its
    `seen_ns`, the tick at which it became known; one that became known after the last point does
    not count. None as a bound means all the bars.
    """
    times = _distinct_closes(bars.values(), first_ns, last_ns)
    seen_ns = list(map(attrgetter("seen_ns"), fills))
    places = _places(times, seen_ns)
    equity = _spread(np.concatenate(([cash], cash_after)), places, len(times))
    symbols = list(map(attrgetter("symbol"), fills))
    held = np.array(held_after, np.float64)
    for symbol, rows in _rows_of(symbols).items():
        prices = partial(_prices, fills, rows)
        _add_position(equity, times, places[rows], held[rows], bars.get(symbol), prices)
    stamps = times.view("datetime64[ns]")
    stamps.setflags(write=False)
    exposed = _spread(_is_exposed(symbols, held), places, len(times))
    return EquityCurve(stamps, equity, exposed)


def _rows_of(symbols: Sequence[str]) -> dict[str, Any]:
    """Where in the fills those of each symbol stand."""
    if len(set(symbols)) < 2:
        return dict.fromkeys(symbols[:1], slice(None))
    rows: dict[str, list[int]] = {}
    for row, symbol in enumerate(symbols):
        rows.setdefault(symbol, []).append(row)
    return rows


def _is_exposed(symbols: Sequence[str], held: Column) -> Flags:
    """Whether any symbol was held before the first fill (no) and after each of them."""
    if len(set(symbols)) < 2:
        return np.concatenate(([False], held != 0))
    flags, now_held = [False], set[str]()
    for symbol, quantity in zip(symbols, held.tolist(), strict=True):
        (now_held.add if quantity else now_held.discard)(symbol)
        flags.append(bool(now_held))
    return np.array(flags)


def _prices(fills: Sequence[Fill], rows: Any) -> Column:
    """What was paid at some of the fills."""
    chosen = fills[rows] if isinstance(rows, slice) else [fills[row] for row in rows]
    return np.array([float(fill.price) for fill in chosen])


def _distinct_closes(series: Iterable[Bars], first_ns: int | None, last_ns: int | None) -> Instants:
    columns = [_clip(bars.close_ns, first_ns, last_ns) for bars in series]
    if not columns:
        return np.empty(0, np.int64)
    first = columns[0]
    others = [column for column in columns[1:] if not np.array_equal(column, first)]
    if not others:
        return first
    merged = np.concatenate((first, *others))
    merged.sort(kind="stable")  # fast on runs that are sorted already
    is_new = np.ones(len(merged), np.bool_)
    np.not_equal(merged[1:], merged[:-1], out=is_new[1:])
    return merged[is_new]


def _clip(close_ns: Instants, first_ns: int | None, last_ns: int | None) -> Instants:
    start = 0 if first_ns is None else int(np.searchsorted(close_ns, first_ns, "left"))
    end = len(close_ns) if last_ns is None else int(np.searchsorted(close_ns, last_ns, "right"))
    return close_ns[start : max(start, end)]


def _places(times: Instants, seen_ns: Sequence[int]) -> Places:
    """The index of the first point at or after each instant; `len(times)` when there is none."""
    return np.searchsorted(times, np.asarray(seen_ns, np.int64), "left")


def _spread(levels: NDArray[Kind], places: Places, count: int) -> NDArray[Kind]:
    """Turn steps into one value a point: `levels[0]` up to `places[0]`, then each level in turn."""
    edges = np.concatenate(([0], places, [count]))
    return np.repeat(levels, np.diff(edges))


def _add_position(
    equity: Column,
    times: Instants,
    places: Places,
    held: Column,
    bars: Bars | None,
    prices: Callable[[], Column],
) -> None:
    """Add quantity x mark of one symbol, from its first fill on, in place.

    `held` is what there was from each of `places` on.
    """
    start = int(places[0])
    times = times[start:]
    if not len(times):
        return
    places = places[1:] - start
    marks = _marks(times, bars, prices, places)
    edges = np.concatenate(([0], places, [len(times)]))
    for first in range(0, len(held), _STEPS_AT_ONCE):  # a piece that stays in the cache
        steps = held[first : first + _STEPS_AT_ONCE]
        ends = edges[first : first + len(steps) + 1]
        value = np.repeat(steps, np.diff(ends))
        value *= marks[ends[0] : ends[-1]]
        equity[start + ends[0] : start + ends[-1]] += value


def _marks(
    times: Instants, bars: Bars | None, prices: Callable[[], Column], places: Places
) -> Column:
    """The last known close at each of `times`; before any close, the price last paid.

    The first of `prices` was paid at or before `times[0]`, the others at `places`.
    """
    if bars is None:
        return _spread(prices(), places, len(times))
    start = int(np.searchsorted(bars.close_ns, times[0], "right")) - 1
    end = int(np.searchsorted(bars.close_ns, times[-1], "right"))
    if start >= 0 and end - start == len(times):
        return bars.close[start:end]  # this symbol closes at every point
    closed = np.searchsorted(times, bars.close_ns[start + 1 : end], "left")
    if start >= 0:
        return _spread(bars.close[start:end], closed, len(times))
    early = int(np.searchsorted(places, closed[0], "left")) if len(closed) else len(places)
    levels = np.concatenate((prices()[: early + 1], bars.close[:end]))
    return _spread(levels, np.concatenate((places[:early], closed)), len(times))
