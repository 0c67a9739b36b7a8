"""Opens a database for reading: beside a running daemon, and never making a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from ticklane.core.errors import StorageError
from ticklane.storage.failures import failure
from ticklane.storage.files import check_is_sqlite
from ticklane.storage.revisions import check_owner

_PATIENCE_S = 5.0


def open_read_only(path: Path) -> sqlite3.Connection:
    """Connect for reading; raises StorageError where there is no database, or another's."""
    if not path.is_file():
        raise StorageError(
            f"the database {path} does not exist yet; start a run first or name another database."
        )
    try:
        check_is_sqlite(path)
        check_is_ours(path)
        connection = _connect(path, "mode=ro")
    except OSError as error:
        raise StorageError(f"the database {path} cannot be read ({error.strerror}).") from None
    except sqlite3.Error as error:
        raise failure(error, path) from error
    connection.row_factory = sqlite3.Row
    return connection


def check_is_ours(path: Path) -> None:
    """Refuse a file of another program and leave it as it is, with no file beside it.

    What cannot be read for another reason is left for the opening to tell.
    """
    if not path.is_file():
        return
    # Without a WAL nobody writes there, and only `immutable` makes no WAL to read one.
    mode = "mode=ro" if _wal_of(path).exists() else "mode=ro&immutable=1"
    tables: list[str] = []
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(_address(path, mode), uri=True, timeout=0)) as connection,
    ):
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [name for (name,) in found]
    check_owner(path, tables)


def _address(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?{mode}"


def _wal_of(path: Path) -> Path:
    place = path.resolve()  # where a link leads, as SQLite does
    return place.with_name(place.name + "-wal")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        _address(path, mode),
        uri=True,
        isolation_level=None,
        timeout=_PATIENCE_S,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        if mode == "mode=ro" and not _wal_of(path).exists():
            # A folder that may not be written has no place for the WAL's index, and needs none.
            return _connect(path, "mode=ro&immutable=1")
        raise
    except sqlite3.Error:
        connection.close()
        raise
    return connection
