"""Ends unfinished runs, so that the next start begins anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ticklane.core.events import RunStopped
from ticklane.core.market import to_ns
from ticklane.storage.reader import Reader
from ticklane.storage.server import Place


async def end_runs(database: Place, confirm: Callable[[list[str]], object]) -> list[str]:
    """End every unfinished run at the last instant it has seen; returns their ids.

    `confirm` is called with the ids, if there are any, before anything is written, and may raise
    to leave it so. Raises StorageError without a database, and, naming the process, while a
    daemon has it.
    """
    from ticklane.storage.service import StorageService

    Reader(database).close()  # the service would make a database where there is none
    async with StorageService(database) as storage:
        found = _unfinished(database)
        if found:
            confirm([run for run, _ in found])
        for run, at_ns in found:
            await storage.record(run, [RunStopped(run, at_ns, "end")])
    return [run for run, _ in found]


def _unfinished(database: Place) -> list[tuple[str, int]]:
    with Reader(database) as reader:
        return [
            (run["id"], to_ns(datetime.fromisoformat(run["cursor_at"] or run["started_at"])))
            for run in reader.runs()
            if run["ended_at"] is None
        ]
