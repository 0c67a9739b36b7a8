"""Opens a database for reading: beside a running daemon, and never making a file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from ticklane.core.errors import StorageError
from ticklane.storage.failures import failure
from ticklane.storage.files import check_is_sqlite

_PATIENCE_S = 5.0


def open_read_only(path: Path) -> sqlite3.Connection:
    """Connect for reading; raises StorageError where there is no database."""
    if not path.is_file():
        raise StorageError(
            f"the database {path} does not exist yet; start a run first or name another database."
        )
    try:
        check_is_sqlite(path)
        connection = _connect(path, "mode=ro")
    except OSError as error:
        raise StorageError(f"the database {path} cannot be read ({error.strerror}).") from None
    except sqlite3.Error as error:
        raise failure(error, path) from error
    connection.row_factory = sqlite3.Row
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        isolation_level=None,
        timeout=_PATIENCE_S,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        if mode == "mode=ro" and not path.with_name(path.name + "-wal").exists():
            # A folder that may not be written has no place for the WAL's index, and needs none.
            return _connect(path, "mode=ro&immutable=1")
        raise
    except sqlite3.Error:
        connection.close()
        raise
    return connection
