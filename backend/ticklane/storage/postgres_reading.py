"""Reads PostgreSQL from synchronous code, in a thread with an event loop of its own.

The driver is asynchronous only, and readers are asked within a running loop too.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from ticklane.core.errors import StorageError
from ticklane.storage.postgres import connect
from ticklane.storage.postgres_failures import told
from ticklane.storage.server import Server

T = TypeVar("T")
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


class PostgresReading:
    """A connection on which every transaction is read-only."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="database reader", daemon=True
        )
        self._thread.start()
        try:
            self._connection = self._do(connect(server, default_transaction_read_only="on"))
        except BaseException:
            self.close()
            raise

    def tables(self) -> list[str]:
        """The names of the tables there are."""
        return [row["tablename"] for row in self.fetch(_TABLES)]

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of a query; raises StorageError."""
        numbers = count(1)
        query = re.sub(r"\?", lambda _: f"${next(numbers)}", query)
        found: list[Any] = self._do(self._connection.fetch(query, *values))
        return found

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        with told(self._server):
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Let go of the connection and of the thread."""
        if self._loop.is_closed():
            return
        if self._connection is not None:
            with suppress(StorageError):
                self._do(self._connection.close(timeout=2.0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
