"""StrategyRunner: the lane. Everything that changes state is a message, taken one at a time."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import inspect
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from ticklane.clock import SimulatedClock
from ticklane.core.commands import Cancel, Close, Pause, Resume, Stop, Wake
from ticklane.core.errors import ConfigError, StrategyError, TicklaneError
from ticklane.core.events import (
    EquityMarked,
    Event,
    RunStarted,
    RunStopped,
    StateSaved,
    StrategyFaulted,
    TickCompleted,
    VenueMarked,
)
from ticklane.core.market import (
    Bar,
    MarketData,
    Observation,
    Tick,
    put_price,
    put_prices,
    to_datetime,
)
from ticklane.core.money import CASH_STEP, to_decimal
from ticklane.core.order import Fill, Order, OrderUpdate
from ticklane.core.portfolio import Book, BookView, Portfolio
from ticklane.core.signal import Intent, Signal
from ticklane.engine.bus import EventBus
from ticklane.engine.desk import Decided, Desk, Outgoing, Tape
from ticklane.engine.host import NEVER_NS, StrategyHost
from ticklane.engine.inbox import Inbox, Message
from ticklane.engine.schedule import Schedule
from ticklane.engine.status import RunnerStatus
from ticklane.engine.ticket import OrderMaker
from ticklane.engine.watchdog import Hang, Heartbeat, Watchdog
from ticklane.interfaces import (
    BrokerInterface,
    Calendar,
    Clock,
    Feed,
    Recovered,
    Storage,
    StrategyInterface,
    check_strategy,
    in_words,
)
from ticklane.risk.manager import RiskManager, Rule
from ticklane.risk.sizing import Sizing, read_sizing

_log = logging.getLogger("ticklane.lane")
Simple = tuple[tuple[str, StrategyHost, Any, list[Any]], ...]  # those called directly
PlainTick = tuple[int, tuple[str, ...], tuple[Observation, ...]]  # a Tick, or its three fields
_FLUSH_SECONDS = 0.25  # what no order waits for is made durable at the latest after this time
_FLUSH_EVENTS = 512
_BAR_GRACE_SECONDS = 2.0  # a live schedule waits so long for the bars of its instant


class LaneBeat(Heartbeat):
    """A heartbeat that counts the lane's instants instead of calls: one store less a tick."""

    def __init__(self, data: MarketData) -> None:
        self._data = data
        super().__init__()

    @property
    def count(self) -> int:
        """The instant the lane is at."""
        return self._data.time_ns

    @count.setter
    def count(self, _value: int) -> None:
        """Nothing to do: it follows the lane."""


class StrategyRunner:
    """Ticks loaded strategies, sends their orders to a broker and keeps the books.

    The same object runs a backtest (`replay`), paper and live (`start`, `wait`, `stop`); only
    clock, feed and broker differ. `storage` makes it durable, and without it everything works
    in memory. A clock that can be set follows the ticks; any other one is taken for real time.
    """

    def __init__(
        self,
        broker: BrokerInterface,
        storage: Storage | None = None,
        feed: Feed | None = None,
        clock: Clock | None = None,
        tick_interval: Any = None,
        *,
        storage_service: Storage | None = None,
        sizing: Sizing | Mapping[str, Any] | None = None,
        limits: Iterable[Rule] = (),
        tape: Tape | None = None,
        fresh: bool = False,
        cancel_on_stop: bool = False,
        run_config: Mapping[str, Any] | None = None,
    ) -> None:
        self.broker = broker
        self.storage = storage if storage is not None else storage_service
        self.feed = feed
        self.clock = clock
        self.bus = EventBus()
        self.state = "created"
        self.run_id: str | None = None
        self.error: str | None = None
        self.ended_by: str | None = None  # shutdown, operator or end, once stopped
        self.watchdog: Watchdog | None = None
        self._on_signal: Decided | None = None
        self.next_wake_ns = NEVER_NS
        self.hosts: dict[str, StrategyHost] = {}
        self.portfolio = Portfolio(self._last_price)
        self.last = MarketData()  # the newest prices; its time is the lane's
        self.desk: Desk | None = None
        self._tick_interval = tick_interval
        self._sizing, self._limits, self._tape = read_sizing(sizing), tuple(limits), tape
        self._fresh, self._cancel_on_stop = fresh, cancel_on_stop
        self._run_config = dict(run_config or {})
        self._shares: dict[str, Decimal | None] = {}
        self._beat = LaneBeat(self.last)
        self._inbox = Inbox()
        self._events: list[Event] = []
        self._after_ns: int | None = None
        self._in_order: tuple[StrategyHost, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_simulated = False
        self._has_chores = self._is_recording = self._has_begun = self._has_gap = False
        self._outgoing: list[Outgoing] = []
        self._simple_since_ns = 0
        self._simple: Simple = ()

    # --- before the start ----------------------------------------------------------------------

    def load_strategy(
        self,
        strategy: StrategyInterface,
        interval: Any = None,
        calendar: Any = None,
        *,
        cash: Any = None,
    ) -> StrategyInterface:
        """Add a strategy with its own schedule; `cash` is its share of the account.

        `interval`: None (every bar), seconds, "5m", a timedelta or a crontab text; `calendar`
        keeps the ticks inside a market's sessions. Without `cash` the strategies that have none
        share what is left in equal parts. Raises ConfigError and StrategyError.
        """
        if self.is_running:
            raise StrategyError("load_strategy must be called before start.")
        check_strategy(strategy)
        if strategy.name in self.hosts:
            raise ConfigError(
                f"name is {strategy.name!r} twice; give one of the strategies another name."
            )
        if not strategy.symbols:
            raise ConfigError(f"symbols of {strategy.name} is empty; name at least one.")
        chosen = interval if interval is not None else self._tick_interval
        schedule = Schedule.parse(chosen, self.find_calendar(calendar))
        self.hosts[strategy.name] = StrategyHost(strategy, schedule)
        self._shares[strategy.name] = None if cash is None else to_decimal(cash, "cash")
        return strategy

    def find_calendar(self, calendar: Any) -> Calendar | None:
        """Turn what was given as a calendar into one; the composition root knows names too."""
        if isinstance(calendar, str):
            raise ConfigError(f"calendar is {calendar!r}, but must be a Calendar here.")
        found: Calendar | None = calendar
        return found

    def make_feed(self) -> Feed:
        """The feed to use when none was given; the composition root has one."""
        raise ConfigError("the runner has no feed; give it one, such as a ReplayFeed.")

    @property
    def now_ns(self) -> int:
        """The instant the lane is at: that of the message it takes."""
        return self.last.time_ns

    @property
    def is_running(self) -> bool:
        """True from start to stop."""
        return self.state in ("running", "paused")

    @property
    def on_signal_callback(self) -> Decided | None:
        """Called as (strategy, signal, order) for each decision; the order is None for HOLD."""
        return self._on_signal

    @on_signal_callback.setter
    def on_signal_callback(self, callback: Decided | None) -> None:
        self._on_signal = callback
        if self.desk is not None:
            self.desk.on_decision = self._tell if callback else None

    # --- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin, or go on with an interrupted run; a second start does nothing.

        Raises ConfigError when no strategy is loaded or the feed lacks a symbol.
        """
        if self.is_running or self.state == "starting":
            return
        await self._prepare()
        self._has_chores = True
        self.watchdog = Watchdog(self._beat, self._note_hang)
        self.watchdog.start()
        self._tasks = [asyncio.create_task(self._lane(), name="lane")]
        self._tasks.append(asyncio.create_task(self._pump(), name="feed"))
        if not self._is_simulated and self.next_wake_ns < NEVER_NS:
            self._tasks.append(asyncio.create_task(self._wakes(), name="schedule"))

    async def wait(self) -> None:
        """Wait until the lane has ended; raises what ended it, if it was an error."""
        if self._tasks:
            await asyncio.shield(self._tasks[0])

    async def stop(self, reason: str = "shutdown") -> None:
        """End: no new ticks, what is under way finishes, strategies stop; idempotent."""
        if self._tasks:
            self.request_stop(reason)
            await self.wait()

    def request_stop(self, reason: str) -> None:
        """Ask the lane to end and return at once; `wait` tells when it has."""
        self._inbox.put(Stop(reason))

    async def __aenter__(self) -> StrategyRunner:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

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
            cash=str(self.portfolio.cash),
            equity=str(self.portfolio.equity()),
            open_orders=sum(map(len, self.desk.open.values())) if self.desk else 0,
            strategies={name: replace(host.status) for name, host in self.hosts.items()},
            error=self.error,
        )

    # --- getting ready -------------------------------------------------------------------------

    async def _prepare(self) -> None:
        if self.state != "created":
            raise ConfigError("this runner has run already; make a new one for another run.")
        if not self.hosts:
            raise ConfigError("no strategy is loaded; call load_strategy before start.")
        if self.feed is None:
            self.feed = self.make_feed()
        self._in_order = tuple(self.hosts.values())
        self._check_symbols(self.feed)
        if self.clock is None:
            self.clock = SimulatedClock()
        self._is_simulated = isinstance(self.clock, SimulatedClock)
        if isinstance(self.clock, SimulatedClock):
            self.clock.follow(lambda: self.now_ns)
        self.state = "starting"
        try:
            await self._open(self.feed, self.clock)
        except BaseException as error:
            await self._break_off(error)
            raise

    async def _open(self, feed: Feed, clock: Clock) -> None:
        """Find or begin the run, and let the strategies start."""
        recovered = await self._begin_run()
        self.run_id, self._has_begun = recovered.run_id, recovered.has_begun
        started_ns = recovered.started_ns
        if feed.start_ns is None:
            feed.start_ns = started_ns if started_ns is not None else clock.now_ns()
        self.desk = self._make_desk(recovered)
        if self.storage is not None or self.bus.has_listeners:
            self._begin_recording()
        since_ns = recovered.cursor_ns if recovered.cursor_ns is not None else feed.start_ns
        self._after_ns = recovered.cursor_ns
        self._has_gap = recovered.is_resumed and not self._is_simulated
        await self._restore(self.desk, recovered, since_ns)
        self.state = "running"
        self._emit(RunStarted(recovered.run_id, self.now_ns))
        for host in self.hosts.values():
            host.set_state("running")
            await self._hear(host, await host.call("on_start"))
            if host.name in recovered.standings:
                host.restore_standing(*recovered.standings[host.name])
        self._plan_wakes(since_ns)
        self._has_chores = self._is_recording or self.next_wake_ns < NEVER_NS
        await self._settle()

    def _check_symbols(self, feed: Feed) -> None:
        for host in self.hosts.values():
            for symbol in sorted(host.symbols - set(feed.symbols)):
                raise ConfigError(
                    f"{host.name} wants {symbol}, but the feed has only {', '.join(feed.symbols)}."
                )

    async def _begin_run(self) -> Recovered:
        if self.storage is None:
            return Recovered("r0")
        assert self.feed is not None
        assert self.clock is not None
        config = {
            "broker": {
                "name": self.broker.name,
                "cash": str(self.broker.starting_cash),
                **self.broker.conditions(),
            },
            "feed": {
                "label": self.feed.label,
                "symbols": list(self.feed.symbols),
                "timeframe": str(self.feed.timeframe),
            },
            "strategies": [
                {
                    "class": type(host.strategy).__qualname__,
                    "schedule": host.status.schedule,
                    "cash": str(self._shares[name]),
                    "config": {key: in_words(v) for key, v in host.strategy.config.items()},
                }
                for name, host in self.hosts.items()
            ],
            "sizing": in_words(self._sizing),
            "limits": [in_words(rule) for rule in self._limits],
            **self._run_config,
        }
        text = json.dumps(config, sort_keys=True, default=str)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
        at_ns = self.feed.start_ns or self.clock.now_ns()
        return await self.storage.begin_run(fingerprint, config, at_ns, self._fresh)

    def _make_desk(self, recovered: Recovered) -> Desk:
        maker = OrderMaker(recovered.run_id, recovered.installation, self.broker.instrument)
        maker.number = recovered.order_count
        risk = RiskManager(self.broker.instrument, self.broker.allow_short, self._limits)
        desk = Desk(
            self.portfolio, maker, risk, sizing=self._sizing, tape=self._tape, last=self.last
        )
        desk.on_decision = self._tell if self._on_signal else None
        self._outgoing = desk.outgoing
        return desk

    def _begin_recording(self) -> None:
        """Make events from now on: there is a storage, or the bus has its first listener."""
        assert self.desk is not None
        self._is_recording = self._has_chores = True
        self.desk.events = self._events

    async def _restore(self, desk: Desk, recovered: Recovered, since_ns: int | None) -> None:
        assert self.feed is not None
        for name, cash in self._shared_cash().items():
            self.portfolio.open_book(name, cash)
        if since_ns is not None:
            self.last.time_ns = since_ns
            for symbol in self.feed.symbols:
                past = self.feed.history(symbol, 1, since_ns)
                put_prices(self.last, ((symbol, bar) for bar in past.rows()))
        await self.broker.connect(recovered, self.last)
        desk.restore(recovered.orders, recovered.fills, recovered.steps)
        for host in self.hosts.values():
            book: dict[str, Book] = {host.name: self.portfolio.books[host.name]}
            host.bind(
                desk,
                self.feed,
                BookView(self.portfolio, book),
                self._beat,
                now_ns=lambda: self.now_ns,
                on_change=self._complicate,
            )
            if since_ns is not None:
                host.warm_up(since_ns)
            if host.name in recovered.states:
                host.restore_state(recovered.states[host.name])

    def _shared_cash(self) -> dict[str, Decimal]:
        """Each strategy's part of the account: what it asked for, the rest in equal parts."""
        total = self.broker.starting_cash
        asked = {name: cash for name, cash in self._shares.items() if cash is not None}
        rest = total - sum(asked.values())
        others = [name for name in self._shares if name not in asked]
        if rest < 0 or any(cash <= 0 for cash in asked.values()) or (others and rest <= 0):
            raise ConfigError(
                f"cash of the strategies adds up to {sum(asked.values())}, "
                f"but the account has {total}."
            )
        shares = dict(asked)
        for name in others:
            shares[name] = (rest / len(others)).quantize(CASH_STEP, ROUND_DOWN)
        if others:
            shares[others[0]] += rest - sum(shares[name] for name in others)
        return {name: shares[name] for name in self._shares}

    def _plan_wakes(self, since_ns: int | None) -> None:
        for host in self.hosts.values():
            if host.schedule is not None:
                host.next_ns = host.schedule.after(since_ns if since_ns is not None else -1)
        self._next_wake()

    def _next_wake(self) -> None:
        self.next_wake_ns = min((host.next_ns for host in self.hosts.values()), default=NEVER_NS)

    # --- sources -------------------------------------------------------------------------------

    async def replay(self) -> None:
        """Run a whole replay in one go, without pacing and without a background task."""
        await self._prepare()
        collecting = gc.isenabled()
        gc.disable()  # the lane makes no cycles; the collector would only walk the history
        try:
            await self._walk(self.feed.walk(self._after_ns))  # type: ignore[union-attr]
            self._complicate()
            await self._finish("end")
        except BaseException as error:
            await self._break_off(error)
            raise
        finally:
            if collecting:
                gc.freeze()  # what the run has made is old at once, or the next collection,
                gc.unfreeze()  # meant for young objects, would walk through all of it
                gc.enable()

    async def _pump(self) -> None:
        """Bring the feed's ticks to the inbox; under a simulated clock one after the other."""
        assert self.feed is not None
        try:
            async for tick in self.feed.stream(self._after_ns):
                self._inbox.put(tick)
                if self._is_simulated:
                    await self._inbox.drained()
        except TicklaneError as error:
            self.error = str(error)
            _log.error("the feed ended with an error: %s", error)
            self._inbox.put(Stop("shutdown"))
            return
        self._inbox.put(Stop("end"))

    async def _wakes(self) -> None:
        """Tell the lane of schedule instants in real time, after the bars of that instant."""
        assert self.clock is not None
        told_ns, begin_ns = -1, self.clock.now_ns()
        while True:
            due_ns = self.next_wake_ns
            if due_ns <= told_ns or due_ns >= NEVER_NS:
                await asyncio.sleep(_FLUSH_SECONDS)
                continue
            wait = (max(due_ns, begin_ns) - self.clock.now_ns()) / 1e9 + _BAR_GRACE_SECONDS
            if wait > 0:
                await asyncio.sleep(min(wait, 1.0))
                continue
            self._inbox.put(Wake(due_ns))
            told_ns = due_ns

    # --- the lane ------------------------------------------------------------------------------

    async def _lane(self) -> None:
        try:
            reason = await self._take_messages()
            await self._end_sources()
            await self._finish(reason)
        except BaseException as error:
            if not isinstance(error, TicklaneError):
                _log.exception("the lane broke")
            await self._break_off(error)
            raise
        finally:
            await self._end_sources()
            if self.watchdog is not None:
                self.watchdog.stop()
            self._inbox.close()

    async def _break_off(self, error: BaseException) -> None:
        """Stop where we are; what is not durable is not told, and the run can be resumed."""
        self.state, self.error = "failed", str(error) or type(error).__name__
        for host in self.hosts.values():
            host.set_state("stopped")
        await self._let_go()

    async def _let_go(self) -> None:
        try:
            await self.broker.disconnect()
        finally:
            if self.storage is not None:
                await self.storage.close()

    async def _end_sources(self) -> None:
        sources = [task for task in self._tasks[1:] if not task.done()]
        for task in sources:
            task.cancel()
        await asyncio.gather(*sources, return_exceptions=True)

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

    async def _walk(self, ticks: Iterable[PlainTick]) -> None:
        """Each instant, start to end: prices and fills first, then every strategy whose turn it
        is, then what they want. The hot path: what is constant is looked up once."""
        data, beat, outgoing, has_chores = self.last, self._beat, self._outgoing, self._has_chores
        watches, observe = self.broker.watches, self.broker.observe
        assert self.desk is not None
        take, decide, notices = self.desk.take, self.desk.decide, self.desk.notices
        for time_ns, symbols, observed in ticks:
            if has_chores and time_ns > self.next_wake_ns:
                await self._wake_before(time_ns)
            if len(symbols) == 1:
                put_price(data, symbols[0], observed[0])
            else:
                put_prices(data, zip(symbols, observed, strict=True))
            data.updated = symbols
            data.time_ns = time_ns
            if watches:
                for update in observe(Tick(time_ns, symbols, observed)):
                    take(update)
                    if notices:
                        await self._notify()
            simple = self._simple
            if simple:
                for beat.current, host, on_tick, wishes in simple:
                    try:
                        answer = on_tick(data)
                    except Exception as error:
                        self._take_hot_fault(host, error)
                        continue
                    if wishes or answer.__class__ is not list:
                        if wishes or answer is not None:
                            await self._hear(host, answer)
                    elif answer:
                        host.status.signals += len(answer)
                        for wish in answer:
                            if wish is not None:
                                decide(host.name, host.symbols, wish, time_ns)
                        if notices:
                            await self._notify()
            else:
                await self._ask(time_ns, symbols, observed)
            if has_chores:
                self._do_chores(simple, isinstance(observed[0], Bar))
            if outgoing:
                await self._settle()

    async def _ask(
        self, time_ns: int, symbols: tuple[str, ...], observed: tuple[Observation, ...]
    ) -> None:
        """Ask every strategy whose turn it is, after its own bookkeeping."""
        for host in self._in_order:
            answer = host.tick(time_ns, symbols, observed)
            if answer is not None or host.wishes or host.fault is not None:
                await self._hear(host, answer)
        if all(host.is_simple for host in self._in_order):
            self._simplify()

    def _simplify(self) -> None:
        """From now on the strategies are called directly."""
        for host in self._in_order:
            host.follow(self.last)
        self._simple = tuple((h.name, h, h.on_tick, h.wishes) for h in self._in_order)
        self._simple_since_ns = self.now_ns

    def _complicate(self) -> None:
        """Back to the bookkeeping way: something about a strategy has changed."""
        if self._simple:
            self._simple = ()
            asked = 0 if self._has_chores else self._instants_since(self._simple_since_ns)
            for host in self._in_order:
                host.status.ticks += asked
                host.unfollow()

    def _instants_since(self, since_ns: int) -> int:
        """How many ticks a replay has walked through: counted afterwards, not one by one."""
        instants = self.feed.instants(since_ns)  # type: ignore[union-attr]
        return int(instants.searchsorted(self.now_ns, side="right"))

    def _take_hot_fault(self, host: StrategyHost, error: Exception) -> None:
        host.note_fault(error)
        self._take_fault(host)

    def _do_chores(self, asked: Simple, is_close: bool) -> None:
        """What only some wirings need after a tick: counts, schedules and the record."""
        for _, host, _, _ in asked:
            host.status.ticks += 1
        if self.next_wake_ns < NEVER_NS:
            self._next_wake()
        if self._is_recording:
            self._note_tick(is_close)

    async def _take_late(self, tick: Tick) -> None:
        """A tick that a newer one has overtaken: seen and matched, but nobody is asked."""
        self._complicate()
        self.last.time_ns = tick.time_ns
        put_prices(self.last, zip(tick.symbols, tick.observed, strict=True))
        await self._take_updates(self.broker.observe(tick))
        for host in self._in_order:
            host.see(*tick)
            host.status.merged += 1

    async def _wake_before(self, time_ns: int) -> None:
        """Schedule instants that passed before this tick, for those who have news since."""
        late = sorted((h.next_ns, n) for n, h in enumerate(self._in_order) if h.next_ns < time_ns)
        for due_ns, number in late:
            if self._in_order[number].has_news:
                await self._take_wake(due_ns)
            self._in_order[number].skip_to(time_ns)

    async def _take_wake(self, time_ns: int) -> None:
        self._complicate()
        now_ns = self.last.time_ns = max(self.last.time_ns, time_ns)
        for host in self._in_order:
            answer = host.wake(now_ns)
            if answer is not None or host.wishes or host.fault is not None:
                await self._hear(host, answer)
        self._next_wake()
        if self._is_recording:  # or a restart would come to this instant again
            self._note_completion()
        await self._settle()

    async def _hear(self, host: StrategyHost, answer: Any) -> None:
        """Take in what a strategy answered."""
        if answer.__class__ is not list:
            answer = await host.finish(answer)
        self._decide(host, host.collect(answer))
        self._take_fault(host)
        if self.desk.notices:  # type: ignore[union-attr]
            await self._notify()

    def _decide(self, host: StrategyHost, wishes: list[Any]) -> None:
        decide = self.desk.decide  # type: ignore[union-attr]
        for wish in wishes:
            decide(host.name, host.symbols, wish, self.last.time_ns)

    async def _take_updates(self, updates: Iterable[OrderUpdate]) -> None:
        desk = self.desk
        assert desk is not None
        for update in updates:
            desk.take(update)
            if desk.notices:
                await self._notify()

    async def _notify(self) -> None:
        """Tell strategies of their fills and orders, and hear what they want then."""
        desk = self.desk
        assert desk is not None
        while desk.notices:
            name, what = desk.notices.pop(0)
            host = self.hosts[name]
            if host.status.state in ("running", "paused"):
                call = "on_fill" if isinstance(what, Fill) else "on_order"
                wishes = host.collect(await host.call(call, what))
                if wishes:
                    host.note_answer()
                if host.status.state != "parked":
                    self._decide(host, wishes)
                self._take_fault(host)

    async def _settle(self) -> None:
        """Make intents durable, send them, and take the broker's answers, until all is quiet."""
        outgoing, broker, desk = self._outgoing, self.broker, self.desk
        assert desk is not None
        self._beat.current = None
        while True:
            if self._is_recording and outgoing:
                self._note_changes()
                await self._flush()
            sending = outgoing[:]
            outgoing.clear()
            for verb, order, by in sending:
                if verb == "submit":
                    await broker.submit(order)
                elif verb == "cancel":
                    await broker.cancel(order)
                elif by is not None:
                    await broker.replace(order, by)
            for update in broker.updates():
                desk.take(update)
                if desk.notices:
                    await self._notify()
            if not outgoing:
                break
        if self._is_recording:
            self._note_changes()

    # --- what is recorded ------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        if self._is_recording:
            self._events.append(event)

    def _note_tick(self, is_close: bool) -> None:
        """The account at the close of a bar, and how things stand after it."""
        if is_close and self._is_begun():
            equity, cash = float(self.portfolio.equity()), self.portfolio.cash
            self._events.append(EquityMarked(self.now_ns, equity, cash))
        self._note_completion()

    def _note_completion(self) -> None:
        """The lane is done with this instant, and this is how things stand."""
        self._note_states()
        self._events.append(TickCompleted(self.now_ns, self.broker.marks()))

    def _is_begun(self) -> bool:
        """True from the first tick of any strategy on, also if that was before a restart."""
        if not self._has_begun:
            self._has_begun = any(host.first_tick_ns is not None for host in self._in_order)
        return self._has_begun

    def _note_states(self) -> None:
        for host in self._in_order:
            text = host.changed_state()
            if text is not None:
                self._events.append(StateSaved(host.name, self.now_ns, text, *host.standing))
            self._take_fault(host)

    def _note_changes(self) -> None:
        """What a restart must find again besides the orders. It becomes durable together with
        them, or an instant would be half forgotten: an order taken, but not the mark it follows."""
        self._note_states()
        marks = self.broker.marks()
        if marks is not None:
            self._events.append(VenueMarked(self.now_ns, marks))

    def _take_fault(self, host: StrategyHost) -> None:
        if host.fault is not None:
            self._complicate()
            is_parked = host.status.state == "parked"
            self._emit(StrategyFaulted(host.name, self.now_ns, host.fault, is_parked))
            host.fault = None

    async def _flush(self) -> None:
        """Write what happened in one transaction, then publish it."""
        if not self._events:
            return
        events = self._events[:]
        self._events.clear()
        if self.storage is not None and self.run_id is not None:
            await self.storage.record(self.run_id, events)
        self.bus.publish(events)

    # --- commands and the end --------------------------------------------------------------------

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

    async def _finish(self, reason: str) -> None:
        for host in self._in_order:
            if host.status.state in ("running", "paused", "parked"):
                arguments = (reason,) if _takes_reason(host.strategy) else ()
                wishes = host.collect(await host.call("on_stop", *arguments))
                if reason == "operator":
                    self._decide(host, wishes)
                    await self._notify()
            self._take_fault(host)
            host.end()
        desk = self.desk
        assert desk is not None
        if self._cancel_on_stop:
            for lane in list(desk.open.values()):
                for order in list(lane.values()):
                    desk.cancel(order.id, self.now_ns)
        await self._settle()
        self._emit(RunStopped(self.run_id or "", self.now_ns, reason))
        await self._flush()
        self.state, self.ended_by = "stopped", reason
        await self._let_go()

    # --- small things ----------------------------------------------------------------------------

    def _last_price(self, symbol: str) -> float | None:
        seen = self.last.get(symbol)
        return None if seen is None else seen.close

    def _tell(self, strategy: str, signal: Any, order: Order | None) -> None:
        """Call the user's callback; its error is logged and stays its own."""
        if self._on_signal is None:
            return
        try:
            self._on_signal(strategy, signal, order)
        except Exception:
            _log.exception("on_signal_callback failed")

    def _note_hang(self, hang: Hang) -> None:
        _log.error(
            "strategy %s has held up the lane for %.1f s:\n%s",
            hang.strategy,
            hang.seconds,
            hang.stack_text,
        )


def _takes_reason(strategy: StrategyInterface) -> bool:
    return bool(inspect.signature(strategy.on_stop).parameters)
