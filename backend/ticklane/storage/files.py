"""Where the database file is, whether it can be there, and how much room its disk has."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from ticklane.core.errors import StorageError

_HEADER = b"SQLite format 3\0"


def database_path(path_or_url: str | Path) -> Path:
    """Turn a path, or a URL such as `sqlite:///runs.db`, into an absolute path.

    Raises StorageError for another kind of database and for one that lives in memory only.
    """
    text = str(path_or_url)
    found = re.fullmatch(r"([A-Za-z0-9+]+)://(.*)", text, re.DOTALL)
    if found and found[1] not in ("sqlite", "sqlite+aiosqlite"):
        raise StorageError(
            f"the database {found[1]}://... is not supported; give the path of a file such as "
            "ticklane.db."
        )
    name = found[2][1:] if found else text  # sqlite:///file has no host between its slashes
    if name in ("", ":memory:"):
        raise StorageError(
            f"the database {text!r} names no file; give the path of a file such as ticklane.db, "
            "or run without storage."
        )
    return Path(name).expanduser().resolve()


def check_place(path: Path) -> None:
    """Refuse a path at which no database can be written; raises StorageError."""
    folder = path.parent
    if not folder.is_dir():
        raise StorageError(
            f"the folder {folder} of the database does not exist; create it or choose another path."
        )
    if path.is_dir():
        raise StorageError(f"the database {path} is a folder; give the path of a file in it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(
            f"the folder {folder} of the database cannot be written by this user; change its "
            "permissions or choose another path."
        )
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise StorageError(
            f"the database {path} cannot be written by this user; change its permissions or "
            "choose another path."
        )


def check_is_sqlite(path: Path) -> None:
    """Refuse a file that is not a SQLite database (an empty one becomes it)."""
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(len(_HEADER))
    if start not in (b"", _HEADER):
        raise StorageError(
            f"the file {path} is not a SQLite database; choose another path for the database."
        )


def free_bytes(path: Path) -> int:
    """How much room is left on the disk that holds the database."""
    return shutil.disk_usage(path.parent).free


def megabytes(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / 1_000_000:,.0f} MB"
