"""StorageService: the one writer of a run's database. Import it late: SQLAlchemy is heavy."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ticklane.core.errors import StorageError
from ticklane.core.events import Event
from ticklane.interfaces import Recovered
from ticklane.storage import runs
from ticklane.storage.backup import back_up
from ticklane.storage.batch import Batch
from ticklane.storage.database import Database
from ticklane.storage.failures import failure
from ticklane.storage.files import (
    check_is_sqlite,
    check_place,
    database_path,
    free_bytes,
    megabytes,
)
from ticklane.storage.lock import InstanceLock
from ticklane.storage.readonly import open_read_only
from ticklane.storage.retention import (
    EquityKeep,
    Keys,
    Pruned,
    SignalsKeep,
    deletions,
    doomed_equity,
    doomed_signals,
)
from ticklane.storage.statements import COUNTS, DELETE_EQUITY, DELETE_SIGNAL

T = TypeVar("T")

MINIMUM_FREE_BYTES = 200_000_000


class StorageService:
    """Records runs in one SQLite file and finds them again; implements the Storage port.

    `path_or_url` is a path or a `sqlite:///` URL. Nothing is opened before `open` or `begin_run`;
    from then on no other daemon can open the same file. `equity_keep` and `signals_keep` say what
    `prune` may take away (nothing by default). Every error is a StorageError of one sentence, and
    a record that failed has left no trace.
    """

    def __init__(
        self,
        path_or_url: str | Path,
        *,
        equity_keep: EquityKeep | None = None,
        signals_keep: SignalsKeep | None = None,
        minimum_free_bytes: int = MINIMUM_FREE_BYTES,
        busy_timeout_s: float = 5.0,
    ) -> None:
        self.path = database_path(path_or_url)
        self.equity_keep = equity_keep
        self.signals_keep = signals_keep
        self.minimum_free_bytes = minimum_free_bytes
        self._busy_timeout_s = busy_timeout_s
        self._lock = InstanceLock(self.path)
        self._database: Database | None = None
        self._turn = asyncio.Lock()  # one transaction after the other
        self._counts: dict[str, tuple[int, int]] = {}  # run -> orders and fills so far

    async def open(self) -> None:
        """Take the file for this process, check it and bring its schema up to date."""
        await _to_the_end(self._open())

    async def _open(self) -> None:
        async with self._turn:
            if self._database is not None:
                return
            self._take_file()
            database = Database(self.path, self._busy_timeout_s)
            try:
                await database.open()
            except BaseException:
                self._lock.release()
                raise
            self._database = database

    def _take_file(self) -> None:
        check_place(self.path)
        check_is_sqlite(self.path)
        self._lock.acquire()

    async def begin_run(
        self, fingerprint: str, config: Mapping[str, Any], at_ns: int, fresh: bool = False
    ) -> Recovered:
        """Open the unfinished run with this fingerprint, or a new one.

        `fresh` ends an unfinished one first. `config` is stored as JSON for people to read.
        """
        await self.open()
        return await _to_the_end(self._begin(fingerprint, config, at_ns, fresh))

    async def _begin(
        self, fingerprint: str, config: Mapping[str, Any], at_ns: int, fresh: bool
    ) -> Recovered:
        async with self._turn, self._opened().transaction() as connection:
            return await runs.begin(connection, fingerprint, config, at_ns, fresh)

    async def record(self, run_id: str, events: Iterable[Event]) -> None:
        """Write the events in one transaction; durable when this returns.

        An execution id that is booked already and an order id that exists already are errors.
        A call that is cancelled has written all or nothing.
        """
        database = self._opened()
        async with self._turn:
            # Taken out and put back: after a failure or a cancel they are counted anew.
            known = self._counts.pop(run_id, None)
            if known is None:
                known = (await database.fetch(COUNTS, {"run_id": run_id}))[0]
            batch = Batch.of(run_id, events, *known)
            writes = batch.writes()
            if writes:
                await database.write(writes)
            self._counts[run_id] = (batch.order_count, batch.fill_count)

    async def close(self) -> None:
        """Finish what is being written and let go of the database, also when cancelled."""
        await _to_the_end(self._close())

    async def _close(self) -> None:
        async with self._turn:
            database, self._database = self._database, None
            self._counts.clear()
            try:
                if database is not None:
                    await database.close()
            finally:
                self._lock.release()

    async def prune(self) -> Pruned:
        """Thin `equity` and shorten `signals` as the settings say; a run may go on meanwhile.

        The file does not shrink, but its room is used again.
        """
        self._opened()
        equity, signals = await asyncio.to_thread(self._doomed)
        await self._delete(DELETE_EQUITY, ("k_run_id", "k_at"), equity)
        await self._delete(DELETE_SIGNAL, ("k_seq",), signals)
        return Pruned(len(equity), len(signals))

    def _doomed(self) -> tuple[Keys, Keys]:
        connection = open_read_only(self.path)
        try:
            return (
                _found(connection, doomed_equity, self.equity_keep),
                _found(connection, doomed_signals, self.signals_keep),
            )
        except sqlite3.Error as error:
            raise failure(error, self.path) from error
        finally:
            connection.close()

    async def _delete(self, statement: str, names: tuple[str, ...], keys: Keys) -> None:
        for piece in deletions(statement, names, keys):
            async with self._turn:
                await self._opened().write([piece])

    async def backup(self, file: str | Path) -> None:
        """Copy the database, consistent, to a file that does not exist yet."""
        await asyncio.to_thread(back_up, self.path, Path(file))

    def free_space_warning(self) -> str | None:
        """A sentence when the disk has less than `minimum_free_bytes` left, else None."""
        free = free_bytes(self.path)
        if free >= self.minimum_free_bytes:
            return None
        return (
            f"the disk of the database {self.path} has only {megabytes(free)} left; free some "
            "space before it is full."
        )

    def _opened(self) -> Database:
        if self._database is None:
            raise StorageError(
                f"the database {self.path} is not open; call open() or begin_run() first."
            )
        return self._database

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do the work wholly and only then obey a cancel: half of it would spoil the connection."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody else will look at it
        raise


def _found(
    connection: sqlite3.Connection,
    find: Callable[[sqlite3.Connection, Any], Keys],
    keep: EquityKeep | SignalsKeep | None,
) -> Keys:
    return [] if keep is None else find(connection, keep)
