"""What a series of bars must fulfil: each broken rule becomes one sentence that names the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ticklane.core.errors import DataError
from ticklane.core.market import Column, Instants, to_datetime

# Adjusted prices carry the rounding of a division: a high this little below its close is mended.
EXACTNESS = 1e-9
_BOUNDS = (("high", "low"), ("high", "open"), ("high", "close"), ("low", "open"), ("low", "close"))


def numbers(values: Any, name: str, where: str) -> Column:
    """Copy a pandas column into float64; raises DataError for what is not a number."""
    if getattr(values.dtype, "kind", "O") in "bcmM":
        raise DataError(_no_numbers(values, name, where))
    try:
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True))
    except (TypeError, ValueError):
        raise DataError(_not_a_number(values, name, where)) from None


def check_rising(times: Instants, where: str) -> None:
    """Raise DataError unless each time is later than the one before."""
    is_later = times[1:] > times[:-1]
    if is_later.all():
        return
    row = int(np.argmin(is_later)) + 1
    if times[row] == times[row - 1]:
        raise DataError(
            f"{where} has the time {when(times[row])} twice (row {row + 1}), but each time may "
            "stand there once; remove one of the rows."
        )
    raise DataError(
        f"{where} is not sorted by time: {when(times[row])} (row {row + 1}) comes after "
        f"{when(times[row - 1])}; sort the rows, oldest first."
    )


def check_bars(columns: Mapping[str, Column], times: Instants, where: str) -> None:
    """Raise DataError for the first price or volume that cannot be.

    `columns` are open, high, low, close and volume. A high or low that differs by float rounding
    only (1e-9 of the price) from the price it must enclose is set to that price, in place.
    """
    for name, column in columns.items():
        floor = 0.0 if name == "volume" else np.nextafter(0.0, 1.0)
        # NaN makes both comparisons false: two passes tell the good from the bad.
        if not (column.min() >= floor and column.max() < np.inf):
            _refuse_value(column, name, times, where)
    for outer, inner in _BOUNDS:
        _check_bound(columns, outer, inner, times, where)


def when(time_ns: Any) -> str:
    """Write an instant for people: no time of day at midnight."""
    instant = to_datetime(int(time_ns))
    day = instant.date().isoformat()
    clock = instant.time().isoformat()
    return day if clock == "00:00:00" else f"{day} {clock} UTC"


def _check_bound(
    columns: Mapping[str, Column], outer: str, inner: str, times: Instants, where: str
) -> None:
    sign = 1.0 if outer == "high" else -1.0
    edge, price = columns[outer], columns[inner]
    is_within = edge >= price if outer == "high" else edge <= price
    if is_within.all():
        return
    beyond = sign * (price - edge) > EXACTNESS * price
    if beyond.any():
        row = int(np.argmax(beyond))
        side = "below" if outer == "high" else "above"
        raise DataError(
            f"{where}: {outer} is {_text(edge[row])} at {when(times[row])} (row {row + 1}), {side} "
            f"the {inner} {_text(price[row])}; repair or remove that row."
        )
    np.copyto(edge, price, where=~is_within)


def _refuse_value(column: Column, name: str, times: Instants, where: str) -> None:
    is_finite = np.isfinite(column)
    rules: list[tuple[NDArray[np.bool_], str]] = [(is_finite, "must be a finite number")]
    if name == "volume":
        rules.append((column >= 0, "must not be negative"))
    else:
        rules.append((column > 0, "must be above zero"))
    for is_good, rule in rules:
        if not is_good.all():
            row = int(np.argmin(is_good))
            raise DataError(
                f"{where}: {name} is {_text(column[row])} at {when(times[row])} (row {row + 1}), "
                f"but {rule}; repair or remove that row."
            )


def _text(value: Any) -> str:
    return repr(float(value))


def _not_a_number(values: Any, name: str, where: str) -> str:
    for row, value in enumerate(values, start=1):
        try:
            float(value)
        except (TypeError, ValueError):
            return (
                f"{where}: {name} is {value!r} in row {row}, but must be a number; "
                "repair or remove that row."
            )
    return _no_numbers(values, name, where)


def _no_numbers(values: Any, name: str, where: str) -> str:
    return f"{where}: {name} holds values of the kind {values.dtype}, but must hold numbers."
