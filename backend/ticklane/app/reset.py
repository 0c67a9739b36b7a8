"""Ends unfinished runs, so that the next start begins anew."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ticklane.core.events import RunStopped
from ticklane.core.market import to_ns
from ticklane.storage.reader import Reader


def unfinished_runs(database: Path) -> list[str]:
    """The ids of the runs that a start could resume; raises StorageError without a database."""
    return [run for run, _ in _unfinished(database)]


async def end_runs(database: Path) -> list[str]:
    """End every unfinished run at the last instant it has seen; returns their ids.

    Raises StorageError, naming the process, while a daemon has the database.
    """
    from ticklane.storage.service import StorageService

    async with StorageService(database) as storage:
        found = _unfinished(database)
        for run, at_ns in found:
            await storage.record(run, [RunStopped(run, at_ns, "end")])
    return [run for run, _ in found]


def _unfinished(database: Path) -> list[tuple[str, int]]:
    with Reader(database) as reader:
        return [
            (run["id"], to_ns(datetime.fromisoformat(run["cursor_at"] or run["started_at"])))
            for run in reader.runs()
            if run["ended_at"] is None
        ]
