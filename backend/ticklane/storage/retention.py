"""How much of `equity` and `signals` is kept; orders, events, fills and trades always are.

Ages count back from the newest row of each run, so that the bars of long ago in a replay are not
taken for old.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, HOUR
from ticklane.storage.reading import ALL, Reading
from ticklane.storage.rows import Row

CHUNK = 500  # rows deleted in one transaction, so that no record waits long
_BUCKETS = {"hour": HOUR, "day": DAY}


@dataclass(frozen=True, slots=True)
class EquityKeep:
    """Every point of the last `days`, before that the last one of each UTC hour or day."""

    days: int
    then: str = "day"

    def __post_init__(self) -> None:
        _check("equity_keep days", self.days)
        if self.then not in _BUCKETS:
            raise ConfigError(f"equity_keep then is {self.then!r}, but must be hour or day.")


@dataclass(frozen=True, slots=True)
class SignalsKeep:
    """The signals of the last `days` and at most `rows` of them; None for no limit."""

    days: int | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        for name in ("days", "rows"):
            if getattr(self, name) is not None:
                _check(f"signals_keep {name}", getattr(self, name))


Keys = list[tuple[Any, ...]]


class Pruned(NamedTuple):
    """How many rows are gone."""

    equity: int
    signals: int


def doomed_equity(reading: Reading, keep: EquityKeep) -> Keys:
    """The keys of the points that thinning takes away."""
    return [
        (run_id, at_ns)
        for run_id, newest in _newest(reading, "equity")
        for at_ns in _thinned(reading, run_id, newest - keep.days * DAY, _BUCKETS[keep.then])
    ]


def _thinned(reading: Reading, run_id: str, before_ns: int, bucket: int) -> Iterator[int]:
    query = "SELECT at_ns FROM equity WHERE run_id = ? AND at_ns < ? ORDER BY at_ns"
    times = [row[0] for row in reading.fetch(query, (run_id, before_ns))]
    for at_ns, following in pairwise(times):
        if at_ns // bucket == following // bucket:
            yield at_ns


def doomed_signals(reading: Reading, keep: SignalsKeep) -> Keys:
    """The keys of the signals that are too old or too many."""
    found: set[int] = set()
    for run_id, newest in _newest(reading, "signals"):
        if keep.days is not None:
            query = "SELECT seq FROM signals WHERE run_id = ? AND at_ns < ?"
            found.update(r[0] for r in reading.fetch(query, (run_id, newest - keep.days * DAY)))
        if keep.rows is not None:
            query = (
                f"SELECT seq FROM signals WHERE run_id = ? ORDER BY seq DESC LIMIT {ALL} OFFSET ?"
            )
            found.update(r[0] for r in reading.fetch(query, (run_id, keep.rows)))
    return [(seq,) for seq in sorted(found)]


def _newest(reading: Reading, table: str) -> list[tuple[str, int]]:
    query = f"SELECT run_id, max(at_ns) FROM {table} GROUP BY run_id"
    return [(row[0], row[1]) for row in reading.fetch(query)]


def deletions(
    statement: str, names: tuple[str, ...], keys: Keys
) -> Iterator[tuple[str, list[Row]]]:
    """The deletion of these rows in pieces of CHUNK; `names` are the keys' parameters."""
    for first in range(0, len(keys), CHUNK):
        piece = keys[first : first + CHUNK]
        yield statement, [dict(zip(names, key, strict=True)) for key in piece]


def _check(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{field} is {value!r}, but must be a whole number of at least 1.")
