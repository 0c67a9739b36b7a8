"""Waiting with an end, and tasks whose errors are told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

_log = logging.getLogger("ticklane.alpaca")


async def within(waiting: Any, seconds: float) -> None:
    """Wait for something, at most so long."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await waiting
    except TimeoutError:
        return


def note_end(task: asyncio.Task[None]) -> None:
    """Log what broke a task: nobody waits for it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("%s broke", task.get_name(), exc_info=error)
