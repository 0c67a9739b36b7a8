"""What SQLite's errors mean for the user: one StorageError with one sentence each."""

from __future__ import annotations

from pathlib import Path

from ticklane.core.errors import StorageError
from ticklane.storage.files import free_bytes, megabytes

UNKNOWN_NAME = (
    "a record names a run or an order that was never recorded; nothing of it was written."
)
_ALMOST_FULL = 1_000_000  # a failed write with less room than this is a full disk
TWICE = {
    "orders": "an order id or client order id is there already",
    "fills": "an execution id of it is booked already",
}


def failure(error: BaseException, path: Path) -> StorageError:
    """Translate an error of the driver (or SQLAlchemy's wrapping of it) for the user."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorname", None) or ""
    if code.startswith("SQLITE_CONSTRAINT"):
        return StorageError(_refused(str(cause), path))
    if code.startswith("SQLITE_IOERR") and free_bytes(path) < _ALMOST_FULL:
        code = "SQLITE_FULL"
    for start, sentence in _SENTENCES.items():
        if code.startswith(start):
            return StorageError(sentence.format(path=path, cause=cause, free=_free(path)))
    return StorageError(f"the database {path} failed: {str(cause).rstrip('.')}.")


_SENTENCES = {
    "SQLITE_FULL": (
        "the disk of the database {path} is full ({free} free) and the last record was not "
        "written; free some space and start again."
    ),
    "SQLITE_BUSY": (
        "the database {path} is held by another program for too long; close that program "
        "(a database browser, perhaps) and try again."
    ),
    "SQLITE_CORRUPT": (
        "the database {path} is damaged ({cause}); restore a backup, or move the file away to "
        "begin anew."
    ),
    "SQLITE_NOTADB": (
        "the file {path} is not a SQLite database; choose another path for the database."
    ),
    "SQLITE_READONLY": (
        "the database {path} is read-only ({cause}); change its permissions or choose another path."
    ),
    "SQLITE_CANTOPEN": (
        "the database {path} cannot be opened ({cause}); check that its folder exists and can "
        "be written."
    ),
    "SQLITE_IOERR": (
        "the disk of the database {path} does not answer properly ({cause}); check the disk and "
        "start again."
    ),
}


def _free(path: Path) -> str:
    return megabytes(free_bytes(path))


def _refused(detail: str, path: Path) -> str:
    table = detail.partition(": ")[2].partition(".")[0]
    if detail.startswith("UNIQUE") and table in TWICE:
        why = TWICE[table]
    elif detail.startswith("FOREIGN KEY"):
        why = "it names a run or an order that was never recorded"
    else:
        why = detail
    return f"the database {path} refused a record because {why}; nothing of it was written."
