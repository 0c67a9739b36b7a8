"""The first and the last instant somebody asks for: dates and datetimes in, nanoseconds out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, Bars, to_ns


def instant_of(value: Any, field: str, *, is_end: bool = False) -> int | None:
    """Turn a date, datetime, numpy datetime64 or ISO 8601 text into nanoseconds UTC.

    None stays None and naive means UTC. A date without a time of day (`date(2013, 3, 1)`,
    `"2013-03-01"`) is its first instant, or its last with `is_end`, so that an end date is
    included. Raises ConfigError, naming `field`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = _read(value.strip(), field)
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return int(value.astype("datetime64[ns]").astype(np.int64))
    if isinstance(value, datetime) and value == value:  # pandas' NaT is a datetime, too
        return to_ns(value)
    if isinstance(value, date) and value == value:
        midnight = to_ns(datetime(value.year, value.month, value.day, tzinfo=UTC))
        return midnight + DAY if is_end else midnight
    raise ConfigError(_refusal(value, field))


def span_of(start: Any, end: Any) -> tuple[int | None, int | None]:
    """Read both ends of a span; raises ConfigError when `start` is not before `end`."""
    first, last = instant_of(start, "start"), instant_of(end, "end", is_end=True)
    if first is not None and last is not None and first >= last:
        raise ConfigError(f"start is {start}, which is not before end {end}; swap them.")
    return first, last


def rows_between(bars: Bars, start_ns: int | None, end_ns: int | None) -> Bars:
    """Only the bars that closed later than `start_ns` and not later than `end_ns`, as views."""
    first = 0 if start_ns is None else int(np.searchsorted(bars.close_ns, start_ns, side="right"))
    last = len(bars)
    if end_ns is not None:
        last = int(np.searchsorted(bars.close_ns, end_ns, side="right"))
    return bars.between(first, max(first, last))


def _read(text: str, field: str) -> date:
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    raise ConfigError(_refusal(text, field))


def _refusal(value: Any, field: str) -> str:
    return (
        f"{field} is {value!r}, but must be a date or time such as 2024-01-31 or 2024-01-31T14:30Z."
    )
