"""A database opened for reading only: rows by a query with `?` for its values."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ticklane.storage.failures import failure
from ticklane.storage.readonly import open_read_only
from ticklane.storage.server import Place, Server

ALL = 2**63 - 1  # the limit of rows that is none, in every SQL


class Reading(Protocol):
    """What readers and retention ask; each row has its values by name and by number."""

    def tables(self) -> list[str]:
        """The names of the tables there are."""
        ...

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query; raises StorageError."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


def open_reading(place: Place) -> Reading:
    """Open a database for reading; raises StorageError where there is none."""
    if isinstance(place, Server):
        from ticklane.storage.postgres_reading import PostgresReading

        return PostgresReading(place)
    return SqliteReading(place)


class SqliteReading:
    """A SQLite file, beside a daemon that writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_read_only(path)

    def tables(self) -> list[str]:
        """The names of the tables there are."""
        return [row["name"] for row in self.fetch("SELECT name FROM sqlite_master")]

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query; raises StorageError."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise failure(error, self._path) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
