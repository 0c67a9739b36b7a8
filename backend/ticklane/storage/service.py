"""StorageService: the one writer of a run's database. Import it late: SQLAlchemy is heavy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ticklane.core.errors import StorageError
from ticklane.core.events import Event
from ticklane.core.recalled import Recalled, Sought
from ticklane.interfaces import Recovered
from ticklane.storage import runs
from ticklane.storage.backup import back_up
from ticklane.storage.batch import Batch
from ticklane.storage.database import Database
from ticklane.storage.files import free_bytes, megabytes
from ticklane.storage.reading import Reading, open_reading
from ticklane.storage.recalling import recall
from ticklane.storage.retention import (
    EquityKeep,
    Keys,
    Pruned,
    SignalsKeep,
    deletions,
    doomed_equity,
    doomed_signals,
)
from ticklane.storage.server import Place, Server, place_of
from ticklane.storage.statements import COUNTS, DELETE_EQUITY, DELETE_SIGNAL
from ticklane.storage.to_the_end import to_the_end

if TYPE_CHECKING:
    from ticklane.core.secret import Secret
    from ticklane.storage.postgres import PostgresDatabase

MINIMUM_FREE_BYTES = 200_000_000


class StorageService:
    """Records runs in one database and finds them again; implements the Storage port.

    `path_or_url` is the path of a SQLite file, a `sqlite:///` URL or a `postgresql://` URL. Nothing
    is opened before `open` or `begin_run`; from then on no other daemon can open the same one.
    `equity_keep` and `signals_keep` say what `prune` may take away (nothing by default). Every
    error is a StorageError of one sentence, and a record that failed has left no trace.
    """

    def __init__(
        self,
        path_or_url: str | Path | Secret | Server,
        *,
        equity_keep: EquityKeep | None = None,
        signals_keep: SignalsKeep | None = None,
        minimum_free_bytes: int = MINIMUM_FREE_BYTES,
        busy_timeout_s: float = 5.0,
    ) -> None:
        self.place = place_of(path_or_url)
        self.equity_keep = equity_keep
        self.signals_keep = signals_keep
        self.minimum_free_bytes = minimum_free_bytes
        self._busy_timeout_s = busy_timeout_s
        self._database: Database | PostgresDatabase | None = None
        self._turn = asyncio.Lock()  # one transaction after the other
        self._counts: dict[str, tuple[int, int]] = {}  # run -> orders and fills so far

    async def open(self) -> None:
        """Take the database for this process, check it and bring its schema up to date."""
        await to_the_end(self._open())

    async def _open(self) -> None:
        async with self._turn:
            if self._database is not None:
                return
            database = _database_at(self.place, self._busy_timeout_s)
            await database.open()
            self._database = database

    async def begin_run(
        self, fingerprint: str, config: Mapping[str, Any], at_ns: int, fresh: bool = False
    ) -> Recovered:
        """Open the unfinished run with this fingerprint, or a new one.

        `fresh` ends an unfinished one first. `config` is stored as JSON for people to read.
        """
        await self.open()
        return await to_the_end(self._begin(fingerprint, config, at_ns, fresh))

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

    async def recall(self, run_id: str, sought: Sought) -> Recalled | None:
        """An order of the run with its entry or exits and their fills; None where there is none."""
        database = self._opened()
        async with self._turn:
            return await recall(database.fetch, run_id, sought)

    async def close(self) -> None:
        """Finish what is being written and let go of the database, also when cancelled."""
        await to_the_end(self._close())

    async def _close(self) -> None:
        async with self._turn:
            database, self._database = self._database, None
            self._counts.clear()
            if database is not None:
                await database.close()

    async def wait_lost(self) -> StorageError:
        """Wait until the server of an open database is lost, perhaps for ever; why."""
        return await self._opened().wait_lost()

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
        reading = open_reading(self.place)
        try:
            return (
                _found(reading, doomed_equity, self.equity_keep),
                _found(reading, doomed_signals, self.signals_keep),
            )
        finally:
            reading.close()

    async def _delete(self, statement: str, names: tuple[str, ...], keys: Keys) -> None:
        for piece in deletions(statement, names, keys):
            async with self._turn:
                await self._opened().write([piece])

    async def backup(self, file: str | Path) -> None:
        """Copy the database, consistent, to a file that does not exist yet."""
        await asyncio.to_thread(back_up, self.place, Path(file))

    def free_space_warning(self) -> str | None:
        """A sentence when the disk has less than `minimum_free_bytes` left, else None.

        The disk of a PostgreSQL server cannot be seen from here: always None.
        """
        if isinstance(self.place, Server):
            return None
        free = free_bytes(self.place)
        if free >= self.minimum_free_bytes:
            return None
        return (
            f"the disk of the database {self.place} has only {megabytes(free)} left; free some "
            "space before it is full."
        )

    def _opened(self) -> Database | PostgresDatabase:
        if self._database is None:
            raise StorageError(
                f"the database {self.place} is not open; call open() or begin_run() first."
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


def _database_at(place: Place, busy_timeout_s: float) -> Database | PostgresDatabase:
    if isinstance(place, Server):
        from ticklane.storage.postgres import PostgresDatabase

        return PostgresDatabase(place)
    return Database(place, busy_timeout_s)


def _found(
    reading: Reading,
    find: Callable[[Reading, Any], Keys],
    keep: EquityKeep | SignalsKeep | None,
) -> Keys:
    return [] if keep is None else find(reading, keep)
