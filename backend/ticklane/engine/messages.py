"""The one consumer: everything that changes state is a message, taken one at a time."""

from __future__ import annotations

import asyncio

from ticklane.core.commands import Cancel, Close, Pause, Resume, Stop, Wake
from ticklane.core.market import Tick
from ticklane.core.order import OrderUpdate
from ticklane.core.signal import Intent, Signal
from ticklane.engine.inbox import Inbox, Message
from ticklane.engine.lane import Lane
from ticklane.interfaces import BrokerInterface, Clock, Feed, Storage

_FLUSH_SECONDS = 0.25  # what no order waits for is made durable at the latest after this time
_FLUSH_EVENTS = 512


class MessageLoop(Lane):
    """Takes what waits in the inbox, and makes it durable before anybody hears of it."""

    def __init__(
        self,
        broker: BrokerInterface,
        storage: Storage | None,
        feed: Feed | None,
        clock: Clock | None,
    ) -> None:
        super().__init__(broker, storage, feed)
        self.clock = clock
        self.state = "created"
        self._inbox = Inbox()
        self._has_gap = False  # we were down, and the first tick stands for all that was missed

    async def _take_messages(self) -> str:
        """Take messages until one of them is Stop; returns its reason."""
        inbox, clock = self._inbox, asyncio.get_running_loop().time
        flushed_at = clock()
        while True:
            self._beat.current = None
            self._beat.pulse()
            if not await inbox.arrival(_FLUSH_SECONDS if self._events else 1.0):
                await self._flush()
                continue
            if self.bus.has_listeners and not self._is_recording:
                self._begin_recording()
            batch = inbox.take()
            newest = max((n for n, one in enumerate(batch) if one.__class__ is Tick), default=-1)
            for number, message in enumerate(batch):
                if isinstance(message, Stop):
                    return message.reason
                if self._has_gap and isinstance(message, Tick | Wake):
                    message = self._after_gap(message)
                if message.__class__ is Tick and number < newest:
                    await self._take_late(message)
                else:
                    await self._process(message)
            if self._events and (
                clock() - flushed_at > _FLUSH_SECONDS or len(self._events) > _FLUSH_EVENTS
            ):
                await self._flush()
                flushed_at = clock()
            inbox.done()

    def _after_gap(self, message: Tick | Wake) -> Tick | Wake:
        """What the market did while we were down is history now, and this is the one tick for it.

        A schedule's instant that nobody was there for is late: it is taken at the present one.
        """
        assert self.clock is not None
        self._has_gap = False
        if isinstance(message, Wake):
            message = Wake(self.clock.now_ns())
        for host in self._in_order:
            host.catch_up(message.time_ns)
        self._next_wake()
        return message

    async def _process(self, message: Message) -> None:
        """Take one message, whatever it is."""
        if isinstance(message, Tick):
            await self._walk((message,))
        elif isinstance(message, OrderUpdate):
            await self._take_updates([message])
            await self._settle()
        elif isinstance(message, Wake):
            await self._take_wake(message.time_ns)
        elif isinstance(message, Pause | Resume):
            self._set_paused(message.strategy, isinstance(message, Pause))
        elif isinstance(message, Cancel) and self.desk is not None:
            self.desk.cancel(message.order_id, self.now_ns)
            await self._settle()
        elif isinstance(message, Close):
            await self._close(message)

    def _set_paused(self, strategy: str | None, is_paused: bool) -> None:
        chosen = [h for h in self._in_order if strategy is None or h.name == strategy]
        self._complicate()
        for host in chosen:
            if is_paused and host.status.state == "running":
                host.set_state("paused")
            elif not is_paused and host.status.state in ("paused", "parked"):
                host.set_state("running")
        is_all = all(host.status.state == "paused" for host in self._in_order)
        self.state = "paused" if is_all else "running"
        if self._is_recording:
            self._note_changes()

    async def _close(self, command: Close) -> None:
        assert self.desk is not None
        for host in self._in_order:
            if command.symbol in host.symbols and command.strategy in (None, host.name):
                intent = Intent(command.symbol, Signal.CLOSE, reason="operator")
                self.desk.close(host.name, intent, self.now_ns)
        await self._settle()
