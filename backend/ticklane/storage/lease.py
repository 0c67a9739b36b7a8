"""One daemon a PostgreSQL database: a lock of its session, and a lease that names the holder.

The server frees the lock when the connection of the holder ends, also by kill -9. Where it does not
notice (a machine that lost its power or its network, a process that hangs), the lease runs out, and
whoever wants the database ends that session first, so that its holder can write nothing more.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from ticklane.core.errors import DatabaseInUse
from ticklane.storage.lock import command
from ticklane.storage.server import Server

RENEW_SECONDS = 10.0
LEASE_SECONDS = 60.0  # without a renewal for so long, a holder counts as dead
_PATIENCE = "SET LOCAL lock_timeout = '1s'"  # a dying session needs a moment to let go
_KEY = "hashtextextended('ticklane in ' || current_schema(), 0)"
_TAKE = f"SELECT pg_advisory_lock({_KEY})"
_HAS_TABLE = "SELECT to_regclass('meta') IS NOT NULL"
_LEASE = """
    SELECT value::json->>'host' AS host, value::json->>'process' AS process,
        value::json->>'command' AS command,
        extract(epoch FROM clock_timestamp()) - (value::json->>'renewed')::float8 AS age,
        (value::json->>'session')::int AS session
    FROM meta WHERE key = 'lease'"""
_WRITE = """
    INSERT INTO meta (key, value) VALUES ('lease', json_build_object(
        'host', $1::text, 'process', $2::int, 'command', $3::text, 'session', pg_backend_pid(),
        'renewed', extract(epoch FROM clock_timestamp()))::text)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value"""
# Only of the session that the lease names: somebody who just took the lock has written none yet.
_END_SESSION = f"""
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = $1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (classid::int8 << 32 | objid::int8) = {_KEY}"""


class Lease:
    """Takes the lock of a database for one connection, and renews the lease in its table `meta`."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def take(self, connection: Any) -> None:
        """Take the lock; raises DatabaseInUse naming the process that has it."""
        if await self._is_taken(connection):
            return
        holder = await self._holder(connection)
        is_dead = holder is not None and holder["age"] > LEASE_SECONDS
        if is_dead and await connection.fetchval(_END_SESSION, holder["session"]):
            if await self._is_taken(connection):
                return
            holder = None
        raise DatabaseInUse(
            f"the database {self.server} is in use by {_process(holder)}; stop that process or "
            "choose another database."
        )

    async def _is_taken(self, connection: Any) -> bool:
        """Take the lock for this session, if it is free now or soon."""
        import asyncpg  # type: ignore[import-untyped]

        try:
            async with connection.transaction():
                await connection.execute(_PATIENCE)
                await connection.execute(_TAKE)
        except asyncpg.LockNotAvailableError:
            return False
        return True

    async def _holder(self, connection: Any) -> Any:
        has_table = await connection.fetchval(_HAS_TABLE)
        return await connection.fetchrow(_LEASE) if has_table else None

    async def renew(self, connection: Any) -> None:
        """Say who has the lock, and that it lives."""
        await connection.execute(_WRITE, socket.gethostname(), os.getpid(), command())


def _process(holder: Any) -> str:
    if holder is None:
        return "another process"
    return f"process {holder['process']} ({holder['command']}) on {holder['host']}"
