"""What PostgreSQL's errors mean for the user: one StorageError with one sentence each.

Errors are told apart by their SQLSTATE.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from ticklane.core.errors import StorageError
from ticklane.storage.failures import TWICE
from ticklane.storage.server import Server, ServerAway


@contextmanager
def told(server: Server) -> Iterator[None]:
    """Raise StorageError instead of what the driver, SQLAlchemy or the network raises."""
    try:
        yield
    except StorageError:
        raise
    except errors() as error:
        # The driver's own error is left out: it may quote what the URL says.
        raise failure(cause_of(error), server) from None


@cache
def errors() -> tuple[type[Exception], ...]:
    """What the driver, SQLAlchemy and the network raise."""
    import asyncpg  # type: ignore[import-untyped]
    from sqlalchemy.exc import SQLAlchemyError

    drivers = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return (OSError, TimeoutError, SQLAlchemyError, *drivers)


def cause_of(error: BaseException) -> BaseException:
    """The driver's own error, also inside of SQLAlchemy's."""
    known: BaseException | None = error
    while known is not None and not type(known).__module__.startswith("asyncpg."):
        known = getattr(known, "orig", None) or known.__cause__
    return known or error


def failure(cause: BaseException, server: Server) -> StorageError:
    """Translate an error of the driver for the user."""
    state = getattr(cause, "sqlstate", None) or ""
    words = server.censored(str(cause).strip().partition("\n")[0].rstrip(".")) or "no answer"
    if state.startswith("23"):
        return StorageError(_refused(cause, words, server))
    for start, sentence in _SENTENCES.items():
        if state.startswith(start):
            return StorageError(sentence.format(server=server, cause=words))
    if is_loss(cause):
        return lost(server, words)
    return StorageError(f"the database {server} failed: {words}.")


def is_loss(cause: BaseException) -> bool:
    """True when the connection is no more, or of no more use."""
    state = getattr(cause, "sqlstate", None) or ""
    is_clients = type(cause).__name__ in ("InterfaceError", "InternalClientError")
    return isinstance(cause, OSError | TimeoutError) or state[:2] in ("08", "57") or is_clients


def lost(server: Server, words: str) -> StorageError:
    """The connection broke while a run was recorded."""
    return StorageError(
        f"the connection to the database {server} was lost ({words}); no order was sent that is "
        "not recorded, so start again when the server answers and the run goes on."
    )


def unreachable(error: BaseException, server: Server) -> StorageError:
    """No connection came about at all."""
    cause = cause_of(error)
    state = getattr(cause, "sqlstate", None)
    if state:
        known = failure(cause, server)
        return ServerAway(str(known)) if state in _STARTING else known
    words = server.censored(_why(cause)) or "no answer in time"
    kind = StorageError if isinstance(cause, ValueError) else ServerAway
    return kind(
        f"the database {server} cannot be reached ({words.rstrip('.')}); start the server or "
        "correct TICKLANE_DATABASE_URL."
    )


def _why(cause: BaseException) -> str:
    if isinstance(cause, ConnectionError | FileNotFoundError) and cause.errno:
        return os.strerror(cause.errno)
    return getattr(cause, "strerror", None) or str(cause)


_STARTING = ("57P03", "57P01", "53300")
_SENTENCES = {
    "28": (
        "the database {server} refuses the login ({cause}); correct user and password in "
        "TICKLANE_DATABASE_URL."
    ),
    "3D000": (
        "the database {server} does not exist; make it with createdb or correct "
        "TICKLANE_DATABASE_URL."
    ),
    "42501": (
        "the database {server} does not let this user do that ({cause}); make the user its owner, "
        "or grant it CREATE on the schema."
    ),
    "25006": (
        "the database {server} is read-only ({cause}); name the primary server, not a standby."
    ),
    "53100": (
        "the disk of the database {server} is full and the last record was not written; free some "
        "space there and start again."
    ),
    "53300": "the database {server} takes no more connections ({cause}); close some and try again.",
    "55P03": (
        "the database {server} is held by another program for too long; close that program and "
        "try again."
    ),
    "57P03": "the database {server} is not ready ({cause}); try again in a moment.",
    "XX001": "the database {server} is damaged ({cause}); restore a backup.",
}


def _refused(cause: BaseException, words: str, server: Server) -> str:
    state, table = getattr(cause, "sqlstate", ""), getattr(cause, "table_name", None)
    if state == "23505" and table in TWICE:
        why = TWICE[table]
    elif state == "23503":
        why = "it names a run or an order that was never recorded"
    else:
        why = words
    return f"the database {server} refused a record because {why}; nothing of it was written."
