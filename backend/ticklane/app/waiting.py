"""Waits for a database server that is not there yet, where a service manager starts us."""

from __future__ import annotations

import asyncio
import logging
import time

from ticklane.app.environment import Environment
from ticklane.app.systemd import notify
from ticklane.storage.server import ServerAway
from ticklane.storage.service import StorageService

_log = logging.getLogger("ticklane.daemon")
# With the pause between two starts (deploy/ticklane.service) fewer starts than systemd gives up at.
PATIENCE_SECONDS = 75.0
_PAUSE_SECONDS = 2.0
_NOT_READY = f"EXTEND_TIMEOUT_USEC={30_000_000}"


async def open_patiently(storage: StorageService, environ: Environment) -> None:
    """Open the storage; raises StorageError, under systemd only after a while of trying again.

    A terminal is told at once. A service whose server restarts would use up its starts.
    """
    deadline, is_told = time.monotonic() + PATIENCE_SECONDS, False
    while True:
        try:
            return await storage.open()
        except ServerAway as error:
            if time.monotonic() > deadline or not notify(_NOT_READY, environ):
                raise
            if not is_told:
                _log.warning("%s; it is tried again.", str(error).rstrip("."))
            is_told = True
        await asyncio.sleep(_PAUSE_SECONDS)
