"""The writer's connection to PostgreSQL: durable transactions of few round trips, and its lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ticklane.core.errors import StorageError
from ticklane.storage.batch import Writes
from ticklane.storage.failures import UNKNOWN_NAME
from ticklane.storage.lease import RENEW_SECONDS, Lease
from ticklane.storage.migrate import upgrade
from ticklane.storage.one_statement import merged, numbered
from ticklane.storage.postgres_failures import cause_of, errors, is_loss, lost, told, unreachable
from ticklane.storage.rows import Row
from ticklane.storage.server import Server
from ticklane.storage.to_the_end import to_the_end

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 30.0  # a server that takes longer for one statement counts as lost
_CLOSE_SECONDS = 2.0
_SESSION = {
    "application_name": "ticklane",
    "synchronous_commit": "on",  # durable when it says so, whatever the server is set to
    "idle_in_transaction_session_timeout": "0",
    # A machine that vanished holds its lock no longer than this.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


async def connect(server: Server, **session: str) -> Any:
    """A connection of the driver; raises StorageError."""
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ImportError:
        raise StorageError(
            "PostgreSQL needs asyncpg; install it with pip install 'ticklane[postgres]', or use "
            "a SQLite file."
        ) from None
    try:
        return await asyncpg.connect(
            server.url.reveal(),
            timeout=_CONNECT_SECONDS,
            command_timeout=_ANSWER_SECONDS,
            server_settings={**_SESSION, **session},
        )
    except ValueError as error:  # an option of the URL, which the driver may quote
        raise unreachable(error, server) from None
    except errors() as error:
        raise unreachable(error, server) from None


class PostgresDatabase:
    """One connection, kept open, through which everything is written and which holds the lock.

    It is never made anew: whoever lost it has lost the lock too, and may write nothing more.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lease = Lease(server)
        self._engine: AsyncEngine | None = None
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._turn = asyncio.Lock()  # the driver does one thing at a time
        self._keeping: asyncio.Task[None] | None = None
        self._loss: StorageError | None = None
        self._is_lost = asyncio.Event()

    async def open(self) -> None:
        """Connect, take the lock, bring the schema up to date; raises StorageError."""
        try:
            with told(self.server):
                self._driver = await connect(self.server)
                self._driver.add_termination_listener(self._note_end)
                self._engine = create_async_engine(
                    "postgresql+asyncpg://", async_creator=self._connected, poolclass=NullPool
                )
                self._connection = await self._engine.connect()
                await self._check()
                await self._lease.take(self._driver)
            async with self.transaction() as connection:
                await connection.run_sync(upgrade, self.server)
            with told(self.server):
                await self._lease.renew(self._driver)
        except BaseException:
            await self.close()
            raise
        self._keeping = asyncio.create_task(self._keep_lease(), name="database lease")

    async def _connected(self) -> Any:
        """SQLAlchemy gets the one connection there is."""
        return self._driver

    async def _check(self) -> None:
        encoding = await self._driver.fetchval("SHOW server_encoding")
        if encoding != "UTF8":
            raise StorageError(
                f"the database {self.server} has the encoding {encoding}, which cannot hold every "
                "text; make one with createdb --encoding=UTF8 --template=template0."
            )

    async def _keep_lease(self) -> None:
        """Renew the lease now and then, which also finds out that the connection is lost."""
        while self._loss is None:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(StorageError):  # it is known now, and the next record raises it
                await to_the_end(self._guarded(self._lease.renew(self._driver)))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for Core statements. Shield it against a cancel."""
        self._refuse_lost()
        assert self._connection is not None
        with told(self.server):
            async with self._turn, self._connection.begin():
                yield self._connection

    async def write(self, writes: Writes) -> None:
        """Write all or nothing, also when cancelled; durable when this returns."""
        await to_the_end(self._guarded(self._transact(writes)))

    async def _transact(self, writes: Writes) -> None:
        whole = merged(writes)
        if whole is None or not await self._at_once(*whole):
            await self._one_by_one(writes)

    async def _at_once(self, query: str, values: list[Any]) -> bool:
        """A transaction of one statement; False when it is no good for these rows."""
        import asyncpg

        try:
            await self._driver.fetchval(query, *values)
        except asyncpg.DivisionByZeroError:
            raise StorageError(UNKNOWN_NAME) from None
        except asyncpg.CardinalityViolationError:  # the same row twice: the last one counts
            return False
        return True

    async def _one_by_one(self, writes: Writes) -> None:
        async with self._driver.transaction():
            for statement, rows in writes:
                query, names = numbered(statement)
                values = [[row[name] for name in names] for row in rows]
                done = await self._driver.fetchmany(f"{query} RETURNING 1", values)
                if len(done) != len(rows):
                    raise StorageError(UNKNOWN_NAME)

    async def fetch(self, statement: str, values: Row) -> list[Any]:
        """Read outside of a transaction."""
        query, names = numbered(statement)
        asked = self._driver.fetch(query, *(values[name] for name in names))
        found: list[Any] = await to_the_end(self._guarded(asked))
        return found

    async def _guarded(self, work: Any) -> Any:
        """Do this when its turn comes; a connection that broke is given up at once."""
        async with self._turn:
            try:
                self._refuse_lost()
                with told(self.server):
                    try:
                        return await work
                    except errors() as error:
                        self._give_up_if_lost(error)
                        raise
            finally:
                work.close()

    def _refuse_lost(self) -> None:
        if self._loss is not None:
            raise self._loss

    def _give_up_if_lost(self, error: Exception) -> None:
        """After a broken or late answer nobody knows what the server has done: write no more."""
        cause = cause_of(error)
        if is_loss(cause):
            self._lose(self.server.censored(str(cause)) or "no answer in time")
            self._driver.terminate()

    def _lose(self, words: str) -> None:
        if self._loss is None:
            self._loss = lost(self.server, words.partition("\n")[0].rstrip("."))
        self._is_lost.set()

    def _note_end(self, _driver: Any) -> None:
        self._lose("the server or the network closed it")

    async def wait_lost(self) -> StorageError:
        """Wait until the connection is lost, perhaps for ever; why."""
        await self._is_lost.wait()
        assert self._loss is not None
        return self._loss

    async def close(self) -> None:
        """Let go of the connection, and so of the lock."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        connection, self._connection = self._connection, None
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.remove_termination_listener(self._note_end)
            await _unlock(driver)
        if connection is not None:
            if driver is None or driver.is_closed():
                await connection.invalidate()
            await connection.close()
        elif driver is not None and not driver.is_closed():
            await driver.close(timeout=_CLOSE_SECONDS)
        if self._engine is not None:
            await self._engine.dispose()


async def _unlock(driver: Any) -> None:
    """Free the lock at once, not when the server notices; drop a connection that is broken."""
    try:
        await driver.execute("SELECT pg_advisory_unlock_all()", timeout=_CLOSE_SECONDS)
    except errors():  # the end of the session frees the lock as well
        driver.terminate()
