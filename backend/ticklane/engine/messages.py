"""The one consumer: everything that changes state is a message, taken one at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from ticklane.core.account_event import AccountEvent
from ticklane.core.adoption import Adopted
from ticklane.core.commands import (
    Accept,
    Cancel,
    Close,
    Flatten,
    Halt,
    Lift,
    Pause,
    Release,
    Restrict,
    Resume,
    Stop,
    Wake,
)
from ticklane.core.correction import Correction
from ticklane.core.errors import ConfigError, TicklaneError
from ticklane.core.events import AccountBooked, Reconciled
from ticklane.core.market import Quote, Tick, to_datetime
from ticklane.core.money import plain
from ticklane.core.order import Order, OrderUpdate
from ticklane.engine.adoption import adopt
from ticklane.engine.corrections import hear
from ticklane.engine.guard import GuardedLane
from ticklane.engine.host import NEVER_NS
from ticklane.engine.inbox import Inbox, Message
from ticklane.engine.status import RunnerStatus
from ticklane.engine.watchdog import Hang, Watchdog
from ticklane.interfaces import BrokerInterface, Clock, Feed, Storage

_log = logging.getLogger("ticklane.lane")
_FLUSH_SECONDS = 0.25  # what no order waits for is made durable at the latest after this time
_FLUSH_EVENTS = 512
_PATROL_SECONDS = 1.0
_POLL_SECONDS = 0.25
_BAR_GRACE_SECONDS = 2.0  # a live schedule waits so long for the bars of its instant


class MessageLoop(GuardedLane):
    """Takes what waits in the inbox, and makes it durable before anybody hears of it."""

    def __init__(
        self,
        broker: BrokerInterface,
        storage: Storage | None,
        feed: Feed | None,
        clock: Clock | None,
    ) -> None:
        super().__init__(broker, storage, feed, clock)
        self.state = "created"
        self.error: str | None = None
        self.watchdog: Watchdog | None = None
        self._after_ns: int | None = None
        self._is_simulated = False
        self._inbox = Inbox()
        self._has_gap = False  # we were down, and the first tick stands for all that was missed

    @property
    def is_running(self) -> bool:
        """True from start to stop."""
        return self.state in ("running", "paused")

    async def pause(self, strategy: str | None = None) -> None:
        """Stop asking one strategy, or all; data, fills and open orders go on."""
        await self._command(Pause(self._known(strategy)))

    async def resume(self, strategy: str | None = None) -> None:
        """Ask one strategy, or all, again; a parked one gets another chance."""
        await self._command(Resume(self._known(strategy)))

    async def cancel(self, order_id: str) -> None:
        """Cancel an open order; raises ConfigError when there is none with this id."""
        order = self.desk.orders.get(order_id) if self.desk else None
        if order is None or not order.is_open:
            raise ConfigError(f"order {order_id!r} is not open; `ticklane orders` lists them.")
        await self._command(Cancel(order_id))

    async def close_position(self, symbol: str, strategy: str | None = None) -> None:
        """Close what all strategies, or one, hold of a symbol."""
        self._known(strategy)
        if not any(symbol in host.symbols for host in self.hosts.values()):
            raise ConfigError(f"symbol {symbol!r} is not traded by any loaded strategy.")
        await self._command(Close(symbol, strategy))

    async def halt(self, reason: str) -> None:
        """Set the kill switch: no orders any more, open ones are cancelled, until a release."""
        await self._command(Halt(_said(reason)))

    async def release(self, reason: str) -> None:
        """Lift the kill switch and everything else that only an operator can lift."""
        await self._command(Release(_said(reason)))

    async def flatten(self, reason: str) -> None:
        """Cancel every open order of ours and close every position, also while halted."""
        await self._command(Flatten(_said(reason)))

    def request_halt(self, reason: str) -> None:
        """Ask for the kill switch and return at once."""
        self._inbox.put(Halt(reason))

    async def accept(self, what: str, reason: str) -> AccountEvent:
        """Let the venue's number of a symbol, or of `cash`, count where ours differs.

        Raises ConfigError and BrokerError where there is nothing to accept.
        """
        event = await self.broker.accept(what, _said(reason))
        if event is None:
            raise ConfigError("there is nothing to accept: the account is in this daemon itself.")
        await self._command(Accept(event))
        return event

    async def note(self, event: AccountBooked | Reconciled) -> None:
        """Have the lane journal what was found out beside it."""
        await self._command(event)

    @property
    def asked(self) -> str | None:
        """The strategy that is being asked, while it is."""
        return self._beat.current

    def _known(self, strategy: str | None) -> str | None:
        if strategy is not None and strategy not in self.hosts:
            raise ConfigError(
                f"strategy {strategy!r} is not loaded; loaded are {', '.join(self.hosts)}."
            )
        return strategy

    async def _command(self, command: Message) -> None:
        if not self.is_running:
            raise ConfigError("the runner is not running; start it first.")
        self._inbox.put(command)
        await self._inbox.drained()

    def _note_hang(self, hang: Hang) -> None:
        words = "strategy %s has held up the lane for %.1f s:\n%s"
        _log.error(words, hang.strategy, hang.seconds, hang.stack_text)
        self.clear_while_stuck()

    def get_status(self) -> RunnerStatus:
        """A picture of the runner and every strategy."""
        for host in self.hosts.values():
            if self.watchdog is not None:
                host.status.hang_seconds = self.watchdog.hang_seconds.get(host.name, 0.0)
            if host.market_data.updated:
                host.status.last_tick_at = to_datetime(host.market_data.time_ns)
        return RunnerStatus(
            run_id=self.run_id,
            state=self.state,
            broker=self.broker.name,
            feed=self.feed.label if self.feed else "",
            time=to_datetime(self.now_ns) if self.now_ns else None,
            cash=plain(self.portfolio.cash),
            equity=plain(self.portfolio.equity()),
            open_orders=sum(map(len, self.desk.open.values())) if self.desk else 0,
            strategies={name: replace(host.status) for name, host in self.hosts.items()},
            error=self.error,
            trading_state=str(self.trading.state()),
            restrictions=[one.to_dict() for one in self.trading.restrictions.values()],
            venue=self.broker.status(),
            prices=told() if (told := getattr(self.feed, "status", None)) else {},
        )

    async def _take_messages(self) -> str:
        """Take messages until one of them is Stop; returns its reason."""
        inbox, clock = self._inbox, asyncio.get_running_loop().time
        flushed_at = patrolled_at = clock()
        while True:
            self._beat.current = None
            self._beat.pulse()
            is_busy = bool(self._events) or self.is_clearing
            if clock() - patrolled_at >= (_FLUSH_SECONDS if is_busy else _PATROL_SECONDS):
                await self._patrol()
                patrolled_at = clock()
            if not await inbox.arrival(_FLUSH_SECONDS if is_busy else _PATROL_SECONDS):
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
            self._beat.current = None
            if self._events and (
                clock() - flushed_at > _FLUSH_SECONDS or len(self._events) > _FLUSH_EVENTS
            ):
                await self._flush()
                flushed_at = clock()
            inbox.done()

    async def _hear_until_over(self, orders: list[Order], seconds: float) -> None:
        """Take messages until none of these orders is open any more, or the time is up."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while any(order.is_open for order in orders) and (left := until - clock()) > 0:
            if await self._inbox.arrival(left):
                for message in self._inbox.take():
                    if not isinstance(message, Stop):
                        await self._process(message)
                self._inbox.done()

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
            if self._strays:
                await self._take_strays()
            await self._settle()
        elif isinstance(message, Correction) and self.desk is not None:
            hear(self.desk, message)
            await self._notify()
            await self._settle()
        elif isinstance(message, Wake):
            await self._take_wake(message.time_ns)
        elif isinstance(message, Pause | Resume):
            self._set_paused(message.strategy, isinstance(message, Pause))
            await self._flush()  # it outlives a crash from the moment it is answered
        elif isinstance(message, Cancel) and self.desk is not None:
            self.desk.cancel(message.order_id, self.now_ns)
            await self._settle()
        elif isinstance(message, Close):
            await self._close(message)
        elif isinstance(message, Restrict | Lift | Halt | Release | Flatten):
            await self._steer(message)
        elif isinstance(message, AccountBooked | Reconciled):
            self._emit(message)
        elif isinstance(message, Adopted) and self.desk is not None:
            adopt(self.desk, message.order)
        elif isinstance(message, Accept):
            self.broker.adjust(message.event)
            self._emit(AccountBooked(message.event))
            if self._is_recording:
                self._note_changes()  # or one of the two would be known without the other
            await self._flush()

    def _set_paused(self, strategy: str | None, is_paused: bool) -> None:
        chosen = [h for h in self._in_order if strategy is None or h.name == strategy]
        self._complicate()
        for host in chosen:
            if is_paused and host.status.state == "running":
                host.set_state("paused")
            elif not is_paused and host.status.state in ("paused", "parked"):
                host.set_state("running")
        self._update_state()
        if self._is_recording:
            self._note_changes()

    def _update_state(self) -> None:
        states = {host.status.state for host in self._in_order}
        is_paused = "paused" in states and states <= {"paused", "parked"}
        self.state = "paused" if is_paused else "running"

    async def _close(self, command: Close) -> None:
        assert self.desk is not None
        for host in self._in_order:
            if command.symbol in host.symbols and command.strategy in (None, host.name):
                self._close_as_operator(host.name, command.symbol)
        await self._settle()

    # --- sources -------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Bring the feed's ticks to the inbox; under a simulated clock one after the other."""
        assert self.feed is not None
        listen = getattr(self.feed, "listen", None)
        if listen is not None:  # a feed that hears of halts
            listen(self._inbox.put)
        try:
            async for tick in self.feed.stream(self._after_ns):
                self._inbox.put(tick)
                # Quotes wait in the feed, where only the newest of a symbol does.
                if self._is_simulated or isinstance(tick.observed[0], Quote):
                    await self._inbox.drained()
        except TicklaneError as error:
            self.error = str(error)
            _log.error("the feed ended with an error: %s", error)
            self._inbox.put(Stop("shutdown"))
            return
        self._inbox.put(Stop("end"))

    def _note_pump_end(self, pump: asyncio.Task[None]) -> None:
        """A feed that breaks must not leave the lane waiting for ever."""
        error = None if pump.cancelled() else pump.exception()
        if error is not None:
            self.error = f"the feed broke: {type(error).__name__}: {error}"
            _log.error("%s", self.error, exc_info=error)
            self._inbox.put(Stop("shutdown"))

    async def _wakes(self) -> None:
        """Tell the lane of schedule instants in real time, after the bars of that instant."""
        assert self.clock is not None
        told_ns, begin_ns = -1, self.clock.now_ns()
        while True:
            due_ns = self.next_wake_ns
            if due_ns <= told_ns or due_ns >= NEVER_NS:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            wait = (max(due_ns, begin_ns) - self.clock.now_ns()) / 1e9 + _BAR_GRACE_SECONDS
            if wait > 0:
                await asyncio.sleep(min(wait, 1.0))
                continue
            self._inbox.put(Wake(due_ns))
            told_ns = due_ns


def _said(reason: str) -> str:
    if not reason.strip():
        raise ConfigError("reason is empty; say in a few words why.")
    return reason.strip()
