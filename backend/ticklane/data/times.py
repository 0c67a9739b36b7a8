"""Read the times of a frame, whatever form they have, as int64 nanoseconds UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ticklane.core.errors import DataError
from ticklane.core.market import Instants

if TYPE_CHECKING:
    import pandas as pd

# In the order in which they are preferred where a frame has several.
TIME_NAMES = ("datetime", "timestamp", "ts", "date", "time")
# Unix times of markets (1973 and later) in s, ms, us and ns do not overlap; smaller is yyyymmdd.
_UNITS = ((10**8, 10**11, 10**9), (10**11, 10**14, 10**6), (10**14, 10**17, 10**3))


def times_of(frame: pd.DataFrame, where: str) -> Instants:
    """The time of each row; raises DataError naming `where` (the file or the symbol).

    It is the DatetimeIndex (or PeriodIndex), or the column date, datetime, time, timestamp or ts
    in any case, or an index of that name. Text must be ISO 8601. Numbers are unix times, told
    apart by their size: seconds below 1e11, milliseconds below 1e14, microseconds below 1e17,
    nanoseconds above; numbers such as 20240131 are dates. Naive times mean UTC.
    """
    import pandas as pd

    index = frame.index
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        return _of_stamps(index, "the index", where)
    named = {fold(name): name for name in frame.columns}
    found = [name for name in TIME_NAMES if name in named]
    if found == ["date", "time"]:
        raise DataError(f"{where} has both a date and a time column; join them into one datetime.")
    if found:
        return _of_values(frame[named[found[0]]], f"column {named[found[0]]}", where)
    if fold(index.name) in TIME_NAMES or index.dtype.kind not in "iuf":
        return _of_values(index.to_series(), "the index", where)
    listed = ", ".join(str(name) for name in frame.columns)
    raise DataError(
        f"{where} has no time column and no DatetimeIndex: name the times date, datetime, time, "
        f"timestamp or ts (its columns are {listed})."
    )


def fold(name: Any) -> str:
    """The name of a column as it is compared: stripped and in small letters."""
    return str(name).strip().casefold()


def _of_values(values: pd.Series[Any], label: str, where: str) -> Instants:
    import pandas as pd

    kind = getattr(values.dtype, "kind", "O")
    if kind in "iuf":
        return _of_numbers(values.to_numpy(), label, where)
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    elif kind != "M":
        values = _parsed(values, label, where)
    return _of_stamps(pd.DatetimeIndex(values), label, where)


def _of_stamps(stamps: pd.DatetimeIndex, label: str, where: str) -> Instants:
    import pandas as pd

    if stamps.hasnans:
        row = int(np.argmax(stamps.isna())) + 1
        raise DataError(f"{where}: {label} has no time in row {row}; repair or remove that row.")
    try:
        return np.array(stamps.as_unit("ns").asi8)
    except pd.errors.OutOfBoundsDatetime:
        raise DataError(
            f"{where}: {label} runs from {stamps.min()} to {stamps.max()}, but times must lie "
            "between the years 1678 and 2261; repair those rows."
        ) from None


def _of_numbers(values: Any, label: str, where: str) -> Instants:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values))) + 1
        raise DataError(f"{where}: {label} has no time in row {row}; repair or remove that row.")
    low, high = float(values.min()), float(values.max())
    if low >= 19000101 and high <= 22001231:
        return _of_calendar_numbers(values, label, where)
    for least, most, factor in _UNITS:
        if least <= low and high < most:
            whole = values.astype(np.int64)
            rest = ((values - whole) * factor).round().astype(np.int64)  # zero for integers
            return np.asarray(whole * factor + rest, np.int64)
    if low >= 10**17 and high < 2**63:
        return np.array(values, np.int64)
    raise DataError(
        f"{where}: {label} holds numbers from {low:g} to {high:g}, but unix times must all be in "
        "seconds, milliseconds, microseconds or nanoseconds since 1970 (and later than 1973)."
    )


def _of_calendar_numbers(values: Any, label: str, where: str) -> Instants:
    import pandas as pd

    text = pd.Series(values.astype(np.int64)).astype(str)
    return _of_stamps(pd.DatetimeIndex(_parsed(text, label, where)), label, where)


def _parsed(values: pd.Series[Any], label: str, where: str) -> pd.Series[Any]:
    import pandas as pd

    try:
        return pd.to_datetime(values, format="ISO8601")
    except (ValueError, TypeError):
        raise DataError(_why_not(values, label, where)) from None


def _why_not(values: pd.Series[Any], label: str, where: str) -> str:
    import pandas as pd

    read = pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True)
    is_bad = read.isna().to_numpy()
    if is_bad.any():
        row = int(np.argmax(is_bad))
        return (
            f"{where}: {label} is {values.iloc[row]!r} in row {row + 1}, but must be an ISO 8601 "
            "time such as 2024-01-31 14:30."
        )
    return f"{where}: {label} mixes time zones; write all times in one zone, best in UTC."
