"""The equity curve of a replay, computed afterwards from bars and fills by numpy.

Cash is added up exactly in Decimals and turned into floats only where it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ticklane.core.market import Bars, Column, Instants
from ticklane.core.money import CASH_STEP, ZERO
from ticklane.core.order import Fill

Flags = NDArray[np.bool_]
Times = NDArray[np.datetime64]
Places = NDArray[np.intp]
Kind = TypeVar("Kind", bound=np.generic)


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


class _Steps(NamedTuple):
    """What fills did to one symbol: quantity held and price paid after each."""

    seen_ns: list[int]
    quantity: list[float]
    price: list[float]


class _Ledger(NamedTuple):
    """Cash and number of symbols held after each fill (first: before), steps of each symbol."""

    seen_ns: list[int]
    cash: list[float]
    held: list[int]
    symbols: dict[str, _Steps]


def equity_curve(
    bars: Mapping[str, Bars],
    fills: Sequence[Fill],
    cash: Decimal,
    first_ns: int | None = None,
    last_ns: int | None = None,
) -> EquityCurve:
    """Value the account at each distinct bar close in [first_ns, last_ns].

    Positions are marked at the last known close; a symbol without any close yet is marked at the
    price of its latest fill. A fill counts from the first point at or after its `seen_ns`, the
    tick at which it became known; one that became known after the last point does not count.
    `cash` is the deposit before the first fill. Positions of several strategies in one symbol are
    netted. None as a bound means all the bars.
    """
    times = _distinct_closes(bars.values(), first_ns, last_ns)
    ledger = _book(fills, cash)
    places = _places(times, ledger.seen_ns)
    equity = _spread(np.array(ledger.cash), places, len(times))
    for symbol, steps in ledger.symbols.items():
        _add_position(equity, times, steps, bars.get(symbol))
    stamps = times.view("datetime64[ns]")
    stamps.setflags(write=False)
    return EquityCurve(stamps, equity, _spread(np.array(ledger.held) > 0, places, len(times)))


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


def _book(fills: Sequence[Fill], cash: Decimal) -> _Ledger:
    """Add the fills up, touching each once: there may be many, scattered in memory."""
    ledger = _Ledger([], [float(cash)], [0], {})
    add_instant, add_cash, add_count = (
        ledger.seen_ns.append,
        ledger.cash.append,
        ledger.held.append,
    )
    symbols = ledger.symbols
    held: dict[str, Decimal] = {}
    count = 0
    for fill in sorted(fills, key=attrgetter("seen_ns")):
        symbol, quantity, price, seen_ns = fill.symbol, fill.quantity, fill.price, fill.seen_ns
        cash -= (quantity * price).quantize(CASH_STEP)
        if fill.fee and fill.fee_asset is None:
            cash -= fill.fee
        elif fill.fee:  # charged in the base coin: less is held, cash is not touched
            quantity -= fill.fee
        before = held.get(symbol)
        if before is None:
            before, symbols[symbol] = ZERO, _Steps([], [], [])
        after = held[symbol] = before + quantity
        count += bool(after) - bool(before)
        add_instant(seen_ns)
        add_cash(float(cash))
        add_count(count)
        instants, quantities, prices = symbols[symbol]
        instants.append(seen_ns)
        quantities.append(float(after))
        prices.append(float(price))
    return ledger


def _places(times: Instants, seen_ns: Sequence[int]) -> Places:
    """The index of the first point at or after each instant; `len(times)` when there is none."""
    return np.searchsorted(times, np.asarray(seen_ns, np.int64), "left")


def _spread(levels: NDArray[Kind], places: Places, count: int) -> NDArray[Kind]:
    """Turn steps into one value a point: `levels[0]` up to `places[0]`, then each level in turn."""
    edges = np.concatenate(([0], places, [count]))
    return np.repeat(levels, np.diff(edges))


def _add_position(equity: Column, times: Instants, steps: _Steps, bars: Bars | None) -> None:
    """Add quantity x mark of one symbol, from its first fill on, in place."""
    places = _places(times, steps.seen_ns)
    start, times = int(places[0]), times[places[0] :]
    if len(times):
        places = places[1:] - start
        value = _spread(np.array(steps.quantity), places, len(times))
        value *= _marks(times, bars, np.array(steps.price), places)
        equity[start:] += value


def _marks(times: Instants, bars: Bars | None, prices: Column, places: Places) -> Column:
    """The last known close at each of `times`; before any close, the price last paid.

    `prices[0]` was paid at or before `times[0]`, the others at `places`.
    """
    if bars is None:
        return _spread(prices, places, len(times))
    start = int(np.searchsorted(bars.close_ns, times[0], "right")) - 1
    end = int(np.searchsorted(bars.close_ns, times[-1], "right"))
    if start >= 0 and end - start == len(times):
        return bars.close[start:end]  # this symbol closes at every point
    closed = np.searchsorted(times, bars.close_ns[start + 1 : end], "left")
    if start >= 0:
        return _spread(bars.close[start:end], closed, len(times))
    early = int(np.searchsorted(places, closed[0], "left")) if len(closed) else len(places)
    levels = np.concatenate((prices[: early + 1], bars.close[:end]))
    return _spread(levels, np.concatenate((places[:early], closed)), len(times))
