"""Inbox: where every message of a running lane waits for its turn."""

from __future__ import annotations

import asyncio
from collections import deque

from ticklane.core.adoption import Adopted
from ticklane.core.commands import Command
from ticklane.core.correction import Told
from ticklane.core.events import AccountBooked, Reconciled
from ticklane.core.market import Tick

Message = Tick | Told | Adopted | Command | AccountBooked | Reconciled


class Inbox:
    """A queue with one consumer; producers may wait until everything in it is dealt with."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._is_closed = False

    def put(self, *messages: Message) -> None:
        """Add messages in order; nothing is taken any more after `close`."""
        if self._is_closed:
            return
        self._waiting.extend(messages)
        self._drained.clear()
        self._arrived.set()

    def take(self) -> list[Message]:
        """Everything that waits, oldest first."""
        taken = list(self._waiting)
        self._waiting.clear()
        self._arrived.clear()
        return taken

    async def arrival(self, seconds: float | None) -> bool:
        """Wait until something is there; False when nothing came within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return True

    def done(self) -> None:
        """Say that everything taken has been dealt with."""
        if not self._waiting:
            self._drained.set()

    async def drained(self) -> None:
        """Wait until everything put so far has been dealt with."""
        await self._drained.wait()

    def close(self) -> None:
        """The consumer is gone: let nobody wait for it."""
        self._is_closed = True
        self._waiting.clear()
        self._drained.set()
