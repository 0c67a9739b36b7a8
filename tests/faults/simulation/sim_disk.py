"""The database of a simulated daemon: the real schema, statements and rows, without the waiting.

SQLite in memory, copied from a template that the real migrations have made. What is committed
survives a crash of the daemon, what is not does not.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from ticklane.storage.database import _begin, _fetch, _transact
from ticklane.storage.failures import failure
from ticklane.storage.migrate import upgrade
from ticklane.storage.service import StorageService
from ticklane.storage.statements import FILL, NEW_ORDER

INSTALLATION = "5eed00"
_PLACE = Path("simulated.db")
_COMMIT_SECONDS = (0.0005, 0.004)


class _Kept(sqlite3.Connection):
    """A connection that SQLAlchemy may close without ending it."""

    def close(self):
        if self.in_transaction:
            self.rollback()

    def end(self):
        super().close()


class _Core:
    """SQLAlchemy Core on whatever connection is chosen; its statements are compiled once."""

    def __init__(self):
        self.chosen = None
        self.engine = create_engine(
            "sqlite://", creator=lambda: self.chosen, poolclass=NullPool, isolation_level=None
        )
        event.listen(self.engine, "begin", _begin)

    def on(self, connection):
        self.chosen = connection
        return self.engine.begin()


@cache
def _core():
    return _Core()


@cache
def template():
    """The bytes of a new database, made by the migrations."""
    made = _open()
    with _core().on(made) as connection:
        upgrade(connection, "template")
        connection.exec_driver_sql(
            f"INSERT INTO meta (key, value) VALUES ('installation', '{INSTALLATION}')"
        )
    return _ended(made)


@cache
def template_without_unique_orders():
    """The same, but that two orders may have the same ids: for a bug that is planted."""
    made = _open(template())
    with made:
        sql = made.execute("SELECT sql FROM sqlite_master WHERE name = 'orders'").fetchone()[0]
        parts = [line for line in sql.split("\n") if "UNIQUE" not in line and "PRIMARY" not in line]
        loose = "\n".join(parts).rstrip().rstrip(")").rstrip().rstrip(",") + "\n)"
        made.execute("PRAGMA foreign_keys = OFF")
        made.execute("DROP TABLE orders")
        made.execute(loose)
    return _ended(made)


def _open(image=None):
    made = sqlite3.connect(":memory:", factory=_Kept, isolation_level=None)
    if image is not None:
        made.deserialize(image)
    return made


def _ended(connection):
    image = connection.serialize()
    connection.end()
    return image


class Disk:
    """What is left of a daemon when it dies.

    `known` are the client order ids and `booked` the quantities (order id -> list) that are
    durable, kept beside the tables so that each event can be checked without a query.
    """

    def __init__(self, image=None):
        self.connection = _open(template() if image is None else image)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.known = set()
        self.on_fill = None  # called with each row of `fills` that is committed

    def commit(self, writes):
        """Write all or nothing, durable when it returns."""
        _transact(self.connection, writes)
        self.note(writes)

    def note(self, writes):
        """These are durable now."""
        for statement, rows in writes:
            if statement == NEW_ORDER:
                self.known.update(row["client_order_id"] for row in rows)
            elif statement == FILL and self.on_fill is not None:
                for row in rows:
                    self.on_fill(row)

    def crash(self):
        """The daemon dies: what it had begun is gone."""
        if self.connection.in_transaction:
            self.connection.rollback()

    def rows(self, query, *values):
        """What a reader finds, as dicts."""
        cursor = self.connection.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def end(self):
        """Let go of the memory."""
        self.connection.end()


class _Face:
    """A SQLAlchemy connection whose `execute` can be awaited."""

    def __init__(self, connection):
        self._connection = connection

    async def execute(self, statement, *values):
        return self._connection.execute(statement, *values)


class _SimDatabase:
    """The writer's connection: see `ticklane.storage.database.Database`."""

    def __init__(self, disk, life):
        self._disk, self._life = disk, life

    @asynccontextmanager
    async def transaction(self):
        await self._life.pass_point("storage: begin", *_COMMIT_SECONDS)
        with _core().on(self._disk.connection) as connection:
            yield _Face(connection)

    async def write(self, writes):
        await self._life.pass_point("storage: before commit", *_COMMIT_SECONDS)
        try:
            self._disk.commit(writes)
        except sqlite3.Error as error:
            raise failure(error, _PLACE) from error
        await self._life.pass_point("storage: after commit")

    async def fetch(self, statement, values):
        return _fetch(self._disk.connection, statement, values)

    async def close(self):
        pass

    async def wait_lost(self):
        await asyncio.Event().wait()


class SimStorage(StorageService):
    """The real storage service over a Disk."""

    def __init__(self, disk, life):
        super().__init__(_PLACE)
        self._disk, self._life = disk, life

    async def _open(self):
        if self._database is None:
            self._database = _SimDatabase(self._disk, self._life)
