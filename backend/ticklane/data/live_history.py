"""The bars of one symbol as they become known: columns that grow, each opening once, in order."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from ticklane.core.market import COLUMNS, Bar, Bars

Outcome = Literal["new", "late", "same", "corrected"]
_FIRST_ROOM = 256


class Correction(NamedTuple):
    """A bar that was told before and is different now."""

    before: Bar
    after: Bar
    at_ns: int  # when it became known


class BarHistory:
    """Bars of one symbol, oldest first; at least the newest `keep` of them stay."""

    def __init__(self, symbol: str, keep: int = 10_000) -> None:
        self.symbol = symbol
        self._keep = keep
        self._count = 0
        self._columns = tuple(_empty(name, _FIRST_ROOM) for name in COLUMNS)

    def __len__(self) -> int:
        return self._count

    @property
    def last_close_ns(self) -> int | None:
        """When the newest bar closed; None while there is none."""
        return int(self._columns[1][self._count - 1]) if self._count else None

    def price_before(self, open_ns: int) -> float | None:
        """The close of the bar before the one that opens then; None when there is none."""
        opens = self._columns[0]
        row = self._count
        if row and opens[row - 1] >= open_ns:  # not the newest
            row = int(opens[:row].searchsorted(open_ns))
        return float(self._columns[5][row - 1]) if row else None

    def put(self, bar: Bar) -> tuple[Outcome, Bar | None]:
        """Take a bar in; says what it was, and what stood in its place before."""
        opens = self._columns[0]
        if not self._count or bar.open_ns > opens[self._count - 1]:
            self._insert(self._count, bar)
            return "new", None
        row = int(opens[: self._count].searchsorted(bar.open_ns))
        if opens[row] != bar.open_ns:
            self._insert(row, bar)
            return "late", None
        before = self._row(row)
        if all(map(_is_as_good_as, before[1:], bar[1:])):
            return "same", before
        for column, value in zip(self._columns, bar[1:], strict=True):
            column[row] = value
        return "corrected", before

    def last(self, count: int | None, until_ns: int) -> Bars:
        """Read-only copies of the last `count` (all: None) bars closed at or before an instant."""
        known = Bars(self.symbol, *(column[: self._count] for column in self._columns))
        return known.last(self._count if count is None else count, until_ns)

    def _row(self, row: int) -> Bar:
        return Bar(self.symbol, *(column[row].item() for column in self._columns))

    def _insert(self, row: int, bar: Bar) -> None:
        if self._count == len(self._columns[0]):
            row -= self._make_room()
        for column, value in zip(self._columns, bar[1:], strict=True):
            column[row + 1 : self._count + 1] = column[row : self._count]
            column[row] = value
        self._count += 1

    def _make_room(self) -> int:
        """Let go of the oldest where there are plenty; returns of how many."""
        most = self._keep + self._keep // 4
        dropped = self._count - self._keep if self._count >= most else 0
        kept = self._count - dropped
        grown = []
        for name, column in zip(COLUMNS, self._columns, strict=True):
            room = _empty(name, max(_FIRST_ROOM, min(2 * kept, most)))
            room[:kept] = column[dropped : self._count]
            grown.append(room)
        self._columns, self._count = tuple(grown), kept
        return dropped


def _is_as_good_as(one: float, other: float) -> bool:
    """The same but for the rounding of a sum of volumes."""
    return one == other or math.isclose(one, other, rel_tol=1e-12)


def _empty(name: str, size: int) -> Any:
    return np.zeros(size, np.int64 if name.endswith("_ns") else np.float64)
