"""A consistent copy of a SQLite database, taken while a daemon writes to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ticklane.core.errors import StorageError
from ticklane.storage.failures import failure
from ticklane.storage.readonly import open_read_only
from ticklane.storage.server import Place, Server
from ticklane.whole_file import whole_file


def back_up(database: Place, file: Path) -> None:
    """Copy the database as it is at this instant to a new file; blocks no writer.

    The copy appears under its name when it is whole. Raises StorageError when the file exists or
    cannot be written, for a database of another program, and for PostgreSQL, which has its own way.
    """
    if isinstance(database, Server):
        raise StorageError(
            f"the database {database} is on a PostgreSQL server; back it up there, with "
            "pg_dump --format=custom --file=FILE."
        )
    if file.exists():
        raise StorageError(f"the backup file {file} exists already; choose another name.")
    if not file.parent.is_dir():
        raise StorageError(
            f"the folder {file.parent} of the backup does not exist; create it or choose another."
        )
    source = open_read_only(database)
    try:
        with whole_file(file) as part:
            _copy(source, part)
    except sqlite3.Error as error:
        raise failure(error, file) from error
    except OSError as error:
        raise StorageError(
            f"the backup {file} cannot be written ({error.strerror}); choose another place."
        ) from None
    finally:
        source.close()


def _copy(source: sqlite3.Connection, part: Path) -> None:
    target = sqlite3.connect(part, isolation_level=None)
    try:
        source.backup(target)  # all pages in one step: one snapshot, however much is written
    finally:
        target.close()
