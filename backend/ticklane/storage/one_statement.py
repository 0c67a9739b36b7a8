"""Several writes as one statement of PostgreSQL: one round trip to the server instead of ten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from ticklane.storage.batch import Writes

_MOST_ROWS = 16  # of an intent and what surrounds it; a longer query would not be kept prepared
_INSERT = re.compile(r"(INSERT .*? VALUES )(\(.*?\))(.*)", re.DOTALL)
Names = tuple[str, ...]
Shape = tuple[tuple[str, int], ...]  # each statement and how many rows it has


@cache
def numbered(statement: str) -> tuple[str, Names]:
    """A statement with named parameters as PostgreSQL takes it, and the names in its order."""
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names) + 1)}"

    return re.sub(r"(?<!:):(\w+)", number, statement), tuple(names)


def merged(writes: Writes) -> tuple[str, list[Any]] | None:
    """All writes as one query, with its values; None where they must go one after the other.

    Each part sees the tables as they were before all of them: what deletes may mean a row that
    another part makes. A row that is not there to be changed divides by zero, and undoes all.
    """
    if sum(len(rows) for _, rows in writes) > _MOST_ROWS:
        return None
    if any(statement.startswith("DELETE") for statement, _ in writes):
        return None
    query, names = _query(tuple((statement, len(rows)) for statement, rows in writes))
    parts = zip(writes, names, strict=True)
    return query, [row[name] for (_, rows), part in parts for row in rows for name in part]


@lru_cache(maxsize=256)
def _query(shape: Shape) -> tuple[str, tuple[Names, ...]]:
    parts: list[str] = []
    checks, first = ["true"], 0
    for statement, count in shape:
        for part in _parts(statement, count, first):
            name = f"w{len(parts)}"
            parts.append(f"{name} AS ({part} RETURNING 1)")
            if not statement.startswith("INSERT"):
                checks.append(f"(SELECT count(*) FROM {name}) = 1")
        first += count * len(numbered(statement)[1])
    query = f"WITH {', '.join(parts)} SELECT 1 / ({' AND '.join(checks)})::int"
    return query, tuple(numbered(statement)[1] for statement, _ in shape)


def _parts(statement: str, count: int, first: int) -> Iterator[str]:
    """An insertion of all rows, in their order; any other statement once for each row."""
    query, names = numbered(statement)
    starts = [first + number * len(names) for number in range(count)]
    insertion = _INSERT.fullmatch(query)
    if insertion is None:
        yield from (_moved(query, start) for start in starts)
        return
    head, row, tail = insertion.groups()
    yield f"{head}{', '.join(_moved(row, start) for start in starts)}{tail}"


def _moved(query: str, start: int) -> str:
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + start}", query)
