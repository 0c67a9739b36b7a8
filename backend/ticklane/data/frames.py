"""pandas frames in, checked columns out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, Bars, Instants, Timeframe
from ticklane.data.checks import check_bars, check_rising, numbers, when
from ticklane.data.times import TIME_NAMES, fold, times_of
from ticklane.interfaces import Calendar, Session

if TYPE_CHECKING:
    import pandas as pd

Stamp = Literal["open", "close"]
PRICES = ("open", "high", "low", "close")


def bars_of_frame(
    frame: pd.DataFrame,
    symbol: str,
    timeframe: Timeframe | timedelta | str | None = None,
    stamp: Stamp = "open",
    calendar: Calendar | None = None,
    *,
    source: str | None = None,
) -> tuple[Bars, Timeframe]:
    """Turn a frame of one symbol into checked Bars and their timeframe.

    Columns open, high, low, close and optionally volume (0.0 when absent), in any case and order;
    others are left alone. The times are the DatetimeIndex or a time column (see `times_of`) and
    stamp a bar with its opening, or with its close when `stamp="close"`. `close_ns` is the opening
    plus the timeframe, but never later than the next opening (the last half hour of a session,
    the 28 days of a February); bars of one day with a calendar open and close with that day's
    session. The timeframe is the most frequent step unless given.

    Raises DataError with one sentence that names `source` (else the symbol), the column, the first
    offending row and the remedy. The columns are copies of the frame's, and read-only.
    """
    where = source or symbol
    times, columns = _read(frame, where)
    step = _timeframe(times, timeframe, where)
    return _bars(symbol, times, columns, step, stamp, calendar, where), step


def bars_of_frames(
    frames: Mapping[str, pd.DataFrame],
    timeframe: Timeframe | timedelta | str | None = None,
    stamp: Stamp = "open",
    calendar: Calendar | None = None,
    *,
    sources: Mapping[str, str] | None = None,
) -> tuple[dict[str, Bars], Timeframe]:
    """Turn a mapping of symbol -> frame into Bars of one common timeframe; see `bars_of_frame`.

    A symbol with a single bar takes the timeframe of the others; symbols whose own timeframes
    differ are refused unless `timeframe` is given.
    """
    if not frames:
        raise DataError("There are no prices: the mapping of symbols to frames is empty.")
    names = {symbol: (sources or {}).get(symbol, symbol) for symbol in frames}
    read = {symbol: _read(frame, names[symbol]) for symbol, frame in frames.items()}
    step = _common_timeframe({names[s]: times for s, (times, _) in read.items()}, timeframe)
    for symbol, (times, _) in read.items() if timeframe is not None else ():
        _timeframe(times, step, names[symbol])
    bars = {
        symbol: _bars(symbol, times, columns, step, stamp, calendar, names[symbol])
        for symbol, (times, columns) in read.items()
    }
    return bars, step


def _read(frame: pd.DataFrame, where: str) -> tuple[Instants, dict[str, Any]]:
    named = _columns(frame, where)
    if len(frame) == 0:
        raise DataError(f"{where} has no rows; give at least one bar.")
    times = times_of(frame, where)
    check_rising(times, where)
    columns = {name: numbers(frame[named[name]], name, where) for name in named}
    columns.setdefault("volume", np.zeros(len(times)))
    check_bars(columns, times, where)
    return times, columns


def _columns(frame: pd.DataFrame, where: str) -> dict[str, Any]:
    """Our names -> the frame's own."""
    if not hasattr(frame, "columns"):
        kind = type(frame).__name__
        raise DataError(f"{where} is a {kind}, but must be a pandas DataFrame of bars.")
    check_once(frame.columns, where)
    found = {fold(name): name for name in frame.columns}
    for name in PRICES:
        if name not in found:
            listed = ", ".join(str(column) for column in frame.columns) or "none"
            raise DataError(
                f"{where} has no column {name}: it needs open, high, low and close, but its "
                f"columns are {listed}."
            )
    return {name: found[name] for name in (*PRICES, "volume") if name in found}


def check_once(names: Iterable[Any], where: str) -> None:
    """Raise DataError where two columns have one name among those that are read."""
    seen: set[str] = set()
    for name in map(fold, names):
        if name in seen and name in (*PRICES, "volume", *TIME_NAMES):
            raise DataError(f"{where} has the column {name} twice; keep one of them.")
        seen.add(name)


def _bars(
    symbol: str,
    times: Instants,
    columns: Mapping[str, Any],
    step: Timeframe,
    stamp: Stamp,
    calendar: Calendar | None,
    where: str,
) -> Bars:
    if stamp not in ("open", "close"):
        raise ConfigError(f"stamp is {stamp!r}, but must be 'open' or 'close'.")
    if calendar is not None and step.ns == DAY:
        spans = _sessions(times, stamp, calendar, where)
    else:
        spans = _spans(times, step.ns, stamp)
    arrays = (*spans, *(columns[name] for name in (*PRICES, "volume")))
    for array in arrays:
        array.setflags(write=False)
    return Bars(symbol, *arrays)


def _spans(times: Instants, step: int, stamp: Stamp) -> tuple[Instants, Instants]:
    if stamp == "open":
        closes = times + step
        np.minimum(closes[:-1], times[1:], out=closes[:-1])
        return times, closes
    opens = times - step
    np.maximum(opens[1:], times[:-1], out=opens[1:])
    return opens, times


def _sessions(
    times: Instants, stamp: Stamp, calendar: Calendar, where: str
) -> tuple[Instants, Instants]:
    find: Callable[[Calendar, int], Session | None] = (
        _session_from if stamp == "open" else _session_until
    )
    found: list[Session] = []
    for row, time_ns in enumerate(times.tolist(), start=1):
        session = find(calendar, time_ns)
        if session is None:
            raise DataError(
                f"{where}: the daily bar of {when(time_ns)} (row {row}) has no session in the "
                f"calendar {calendar.name}; remove that row or choose another calendar."
            )
        if found and session.close_ns <= found[-1].close_ns:
            raise DataError(
                f"{where}: the daily bar of {when(time_ns)} (row {row}) falls into the same "
                f"session of {calendar.name} as the row before; remove one of them."
            )
        found.append(session)
    both = np.array(found, np.int64)
    return both[:, 0].copy(), both[:, 1].copy()


def _session_from(calendar: Calendar, opening_ns: int) -> Session | None:
    """The session that is open at, or opens within a day of, a stamp such as midnight."""
    session = calendar.session(opening_ns)
    return session if session.open_ns < opening_ns + DAY else None


def _session_until(calendar: Calendar, closing_ns: int) -> Session | None:
    """The last session that closed at or before a stamp, and within a day of it."""
    session = calendar.session(closing_ns - DAY)
    following = calendar.session(session.close_ns)
    if following.close_ns <= closing_ns:
        session = following
    return session if session.close_ns <= closing_ns else None


def _timeframe(
    times: Instants, wanted: Timeframe | timedelta | str | None, where: str
) -> Timeframe:
    usual = _most_frequent_step(times)
    if wanted is None:
        if usual is None:
            raise DataError(f"{where} has a single bar, so its length is unknown; give timeframe=.")
        return Timeframe(usual)
    step = Timeframe.parse(wanted)
    if usual is not None and usual < step.ns:
        raise DataError(
            f"{where} has a bar every {Timeframe(usual)}, but timeframe is {step}; leave "
            "timeframe out or resample the bars."
        )
    return step


def _common_timeframe(
    series: Mapping[str, Instants], wanted: Timeframe | timedelta | str | None
) -> Timeframe:
    if wanted is not None:
        return Timeframe.parse(wanted)
    steps = {where: _most_frequent_step(times) for where, times in series.items()}
    known = {where: step for where, step in steps.items() if step is not None}
    if len(set(known.values())) > 1:
        first, other = _two_that_differ(known.items())
        raise DataError(
            f"{first[0]} has a bar every {Timeframe(first[1])}, but {other[0]} every "
            f"{Timeframe(other[1])}; give bars of one length, or timeframe=."
        )
    for step in known.values():
        return Timeframe(step)
    return _timeframe(next(iter(series.values())), None, next(iter(series)))


def _two_that_differ(known: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], tuple[str, int]]:
    first, *others = known
    return first, next(other for other in others if other[1] != first[1])


def _most_frequent_step(times: Instants) -> int | None:
    """The most frequent step in nanoseconds (the shortest of equals), None for a single time."""
    if len(times) < 2:
        return None
    steps = np.diff(times)
    first = steps[0]
    if 2 * np.count_nonzero(steps == first) > len(steps):  # the usual case, without a sort
        return int(first)
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])
