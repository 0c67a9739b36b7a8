"""Fewer points for drawing: at most four in each column of pixels, and no extreme is lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ticklane.core.market import Column, Instants

Places = NDArray[np.intp]


class Envelope(NamedTuple):
    """The lowest and highest value in each column, and the instant at its middle."""

    time_ns: Column
    low: Column
    high: Column


def column_starts(time_ns: Instants, columns: int) -> Places:
    """Cut a rising time axis into `columns` of equal length; the first index of each used one."""
    if not len(time_ns):
        return np.empty(0, np.intp)
    span = int(time_ns[-1] - time_ns[0]) + 1
    column = ((time_ns - time_ns[0]) / span * columns).astype(np.int64)
    return np.append(0, np.flatnonzero(column[1:] != column[:-1]) + 1)


def thin(time_ns: Instants, values: Column, columns: int) -> Places:
    """The indices to draw: first, lowest, highest and last of each column; all when few."""
    if len(values) <= 2 * columns:
        return np.arange(len(values))
    starts = column_starts(time_ns, columns)
    ends = np.append(starts[1:], len(values)) - 1
    lows = _first_equal(values, np.minimum.reduceat(values, starts), starts)
    highs = _first_equal(values, np.maximum.reduceat(values, starts), starts)
    return np.unique(np.concatenate((starts, lows, highs, ends)))


def _first_equal(values: Column, extremes: Column, starts: Places) -> Places:
    """In each column the first index that has the column's extreme."""
    lengths = np.diff(np.append(starts, len(values)))
    hits = np.flatnonzero(values == np.repeat(extremes, lengths))
    owner = np.searchsorted(starts, hits, "right")
    return hits[np.flatnonzero(np.diff(owner, prepend=0))]


def envelope(time_ns: Instants, low: Column, high: Column, columns: int) -> Envelope:
    """The range of each column, for a band behind a line."""
    starts = column_starts(time_ns, columns)
    ends = np.append(starts[1:], len(time_ns)) - 1
    middle = (time_ns[starts] + (time_ns[ends] - time_ns[starts]) / 2).astype(np.float64)
    return Envelope(middle, np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts))


def first_of_columns(time_ns: Instants, first_ns: int, last_ns: int, columns: int) -> Places:
    """At most one index a column of [first_ns, last_ns], for markers; `time_ns` may repeat."""
    column = ((time_ns - first_ns) / (last_ns - first_ns + 1) * columns).astype(np.int64)
    _, places = np.unique(column, return_index=True)
    return places
