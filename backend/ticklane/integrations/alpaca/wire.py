"""Alpaca's market data as it comes, turned into ours: instants, bars, quotes, trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, HOUR, MINUTE, Bars, Instants, Quote, Timeframe, to_datetime
from ticklane.core.prints import Print
from ticklane.interfaces import Calendar

Row = Mapping[str, Any]
_WEEK = 7 * DAY


def wire_timeframe(timeframe: Timeframe) -> tuple[str, Timeframe]:
    """Alpaca's name of a timeframe and its length; where it has none, those of its longest part.

    Alpaca has 1 to 59 minutes, 1 to 23 hours, a day and a week. Raises ConfigError for parts of a
    minute.
    """
    step = timeframe.ns
    if step == _WEEK:
        return "1Week", timeframe
    if step % DAY == 0:
        return "1Day", Timeframe(DAY)
    if step % HOUR == 0:
        count = _longest_part(step // HOUR, 23)
        return f"{count}Hour", Timeframe(count * HOUR)
    if step % MINUTE == 0:
        count = _longest_part(step // MINUTE, 59)
        return f"{count}Min", Timeframe(count * MINUTE)
    raise ConfigError(
        f"timeframe is {timeframe}, but recorded bars of Alpaca are whole minutes; take 1m or more."
    )


def _longest_part(count: int, most: int) -> int:
    return next(part for part in range(min(count, most), 0, -1) if count % part == 0)


def to_text(time_ns: int) -> str:
    """An instant as Alpaca reads it, to the nanosecond."""
    return f"{to_datetime(time_ns):%Y-%m-%dT%H:%M:%S}.{time_ns % 1_000_000_000:09d}Z"


def to_instants(texts: Sequence[str]) -> Instants:
    """Instants of Alpaca, which end in Z, as nanoseconds."""
    plain = [text.removesuffix("Z") for text in texts]
    return np.array(plain, "datetime64[ns]").astype(np.int64)


def to_instant(value: Any) -> int:
    """One instant: text over HTTP, nanoseconds already over the socket."""
    return value if isinstance(value, int) else int(to_instants([value])[0])


def bars_of_rows(
    symbol: str, rows: Sequence[Row], timeframe: Timeframe, calendar: Calendar | None
) -> Bars:
    """Columns of the rows of one symbol, oldest first; a day with a calendar is its session."""
    opens = to_instants([row["t"] for row in rows])
    closes = opens + timeframe.ns
    if calendar is not None and timeframe.ns == DAY and len(rows):
        sessions = np.array([calendar.session(at) for at in opens.tolist()], np.int64)
        opens, closes = sessions[:, 0].copy(), sessions[:, 1].copy()
    prices = (np.array([row[key] for row in rows], np.float64) for key in "ohlcv")
    return Bars(symbol, opens, closes, *prices)


def quote_of(symbol: str, row: Row) -> Quote:
    """A quote; a side that nobody quotes is 0."""
    return Quote(
        symbol,
        to_instant(row["t"]),
        float(row["bp"]),
        float(row["ap"]),
        float(row["bs"]),
        float(row["as"]),
    )


def print_of(symbol: str, row: Row) -> Print:
    """A trade on the tape."""
    return Print(
        symbol, to_instant(row["t"]), float(row["p"]), float(row["s"]), str(row.get("i", ""))
    )
