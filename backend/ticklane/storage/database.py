"""The writer's connection: SQLite opened safely, and transactions in one hop to its thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ticklane.core.errors import StorageError
from ticklane.storage.batch import Writes
from ticklane.storage.failures import UNKNOWN_NAME, failure
from ticklane.storage.files import check_is_sqlite, check_place
from ticklane.storage.lock import InstanceLock
from ticklane.storage.migrate import upgrade
from ticklane.storage.readonly import check_is_ours
from ticklane.storage.rows import Row

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "journal_size_limit=67108864",
    "cache_size=-512",  # KiB; a writer reads little, and so its memory is flat after some hours
)


def open_engine(path: Path, busy_timeout_s: float) -> AsyncEngine:
    """An engine on a SQLite file: WAL, FULL sync, foreign keys, BEGIN IMMEDIATE."""
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        poolclass=NullPool,
        # The driver's own BEGIN comes too late: read-then-write would lose updates silently.
        connect_args={"isolation_level": None, "timeout": busy_timeout_s},
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class Database:
    """One connection to a file, kept open, through which everything is written, and its lock."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self.path = path
        self._lock = InstanceLock(path)
        self._engine = open_engine(path, busy_timeout_s)
        self._connection: AsyncConnection | None = None
        self._driver: Any = None

    async def open(self) -> None:
        """Take the file, check it, bring the schema up to date; raises StorageError."""
        check_place(self.path)
        check_is_sqlite(self.path)
        check_is_ours(self.path)  # before the lock and the WAL leave their marks on it
        self._lock.acquire()
        try:
            with self._told():
                self._connection = await self._engine.connect()
                self._driver = (await self._connection.get_raw_connection()).driver_connection
            async with self.transaction() as connection:
                await self._check(connection)
                await connection.run_sync(upgrade, self.path)
        except BaseException:
            await self.close()
            raise

    async def _check(self, connection: AsyncConnection) -> None:
        found = (await connection.execute(text("PRAGMA quick_check(1)"))).scalar()
        if found != "ok":
            error = sqlite3.DatabaseError(str(found).replace("\n", " "))
            error.sqlite_errorname = "SQLITE_CORRUPT"
            raise error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction for Core statements: reads in it see nothing change.

        SQLAlchemy throws the connection away when a task is cancelled in here: shield it.
        """
        assert self._connection is not None
        with self._told():
            async with self._connection.begin():
                yield self._connection

    async def write(self, writes: Writes) -> None:
        """Write all or nothing, also when cancelled; durable when this returns.

        Core's cursor needs about three hops to the driver's thread for each statement (1.5 ms for
        an order); the whole transaction as one function there needs one (0.25 ms).
        """
        with self._told():
            await self._driver._execute(_transact, self._driver._conn, writes)

    async def fetch(self, statement: str, values: Row) -> list[Any]:
        """Read outside of a transaction, in one hop."""
        with self._told():
            found: list[Any] = await self._driver._execute(
                _fetch, self._driver._conn, statement, values
            )
            return found

    async def close(self) -> None:
        """Let go of the file and of the driver's thread."""
        connection, self._connection, self._driver = self._connection, None, None
        try:
            if connection is not None:
                await connection.close()
            await self._engine.dispose()
        finally:
            self._lock.release()

    async def wait_lost(self) -> StorageError:
        """Wait until the connection is lost, which a file never is."""
        await asyncio.Event().wait()
        raise AssertionError

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, DBAPIError) as error:
            raise failure(error, self.path) from error


def _fetch(connection: sqlite3.Connection, statement: str, values: Row) -> list[Any]:
    return connection.execute(statement, values).fetchall()


def _transact(connection: sqlite3.Connection, writes: Writes) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement, rows in writes:
            changed = connection.executemany(statement, rows).rowcount
            if changed != len(rows):
                raise StorageError(UNKNOWN_NAME)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise
