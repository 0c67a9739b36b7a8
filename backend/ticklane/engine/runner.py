"""StrategyRunner: the life of a run, from loading strategies to the last flush."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from ticklane.clock import SimulatedClock, SystemClock
from ticklane.core.commands import Stop
from ticklane.core.correction import Told
from ticklane.core.errors import ConfigError, StrategyError, TicklaneError
from ticklane.core.events import Reconciled, RunFunded, RunStarted, RunStopped
from ticklane.core.market import put_prices
from ticklane.core.money import to_positive
from ticklane.core.order import OrderType
from ticklane.core.portfolio import BookView
from ticklane.core.words import in_words
from ticklane.engine import opening
from ticklane.engine.collector import resting_collector
from ticklane.engine.corrections import hear
from ticklane.engine.desk import Desk
from ticklane.engine.host import NEVER_NS, StrategyHost
from ticklane.engine.messages import MessageLoop
from ticklane.engine.past import by_arrival, past_of
from ticklane.engine.restoring import restore
from ticklane.engine.schedule import Schedule
from ticklane.engine.tape import Tape
from ticklane.engine.ticket import OrderMaker
from ticklane.engine.watchdog import Watchdog
from ticklane.interfaces import (
    BrokerInterface,
    Calendar,
    Clock,
    Feed,
    Recovered,
    Storage,
    StrategyInterface,
    check_strategy,
)
from ticklane.risk.manager import Rule, checked_rules
from ticklane.risk.sizing import Sizing, read_sizing

_log = logging.getLogger("ticklane.lane")
_CLOSING_SECONDS = 3.0  # so long an operator's stop waits for what is sold on it


class StrategyRunner(MessageLoop):
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
        signal_ttl: float = 60.0,
        run_config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(broker, storage if storage is not None else storage_service, feed, clock)
        self.is_resumed = False  # an interrupted run goes on
        self.ended_by: str | None = None  # shutdown, operator or end, once stopped
        self._tick_interval = tick_interval
        self._sizing, self._limits, self._tape = read_sizing(sizing), checked_rules(limits), tape
        self._fresh, self._cancel_on_stop, self._signal_ttl = fresh, cancel_on_stop, signal_ttl
        self._run_config = dict(run_config or {})
        self._shares: dict[str, Decimal | None] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._opening = asyncio.Lock()  # held while a start is under way
        self._starter: asyncio.Task[Any] | None = None
        self._begin_ns = 0

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

        `interval`: None (every bar), seconds, "5m", a timedelta or a crontab text, whose instants
        `calendar` keeps inside a market's sessions. Without `cash` the strategies that have none
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
        share = None if cash is None else to_positive(cash, "cash")
        self.hosts[strategy.name] = StrategyHost(strategy, schedule)
        self._shares[strategy.name] = share
        return strategy

    def find_calendar(self, calendar: Any) -> Calendar | None:
        """Turn what was given as a calendar into one; the composition root knows names too."""
        return opening.checked_calendar(calendar)

    def make_feed(self) -> Feed:
        """The feed to use when none was given; the composition root has one."""
        raise ConfigError("the runner has no feed; give it one, such as a ReplayFeed.")

    # --- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin, or go on with an interrupted run; a second start does nothing.

        Raises ConfigError when no strategy is loaded or the feed lacks a symbol.
        """
        if self.is_running or self._opening.locked():
            return
        async with self._opening:
            self._starter = asyncio.current_task()
            await self._prepare()
        self._has_chores = True
        self.watchdog = Watchdog(self._beat, self._note_hang)
        self.watchdog.start()
        self._tasks = [asyncio.create_task(self._lane(), name="lane")]
        self._tasks.append(asyncio.create_task(self._pump(), name="feed"))
        self._tasks[1].add_done_callback(self._note_pump_end)
        if not self._is_simulated and self.next_wake_ns < NEVER_NS:
            self._tasks.append(asyncio.create_task(self._wakes(), name="schedule"))

    async def wait(self) -> None:
        """Wait until the lane has ended; raises what ended it, if it was an error."""
        if self._tasks:
            await asyncio.shield(self._tasks[0])

    async def stop(self, reason: str = "shutdown") -> None:
        """End: no new ticks, what is under way finishes, strategies stop; idempotent."""
        if self._opening.locked() and self._starter is asyncio.current_task():
            self.request_stop(reason)  # by an on_start, which cannot wait for its own end
            return
        async with self._opening:
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

    # --- getting ready -------------------------------------------------------------------------

    async def _prepare(self) -> None:
        if self.state != "created":
            raise ConfigError("this runner has run already; make a new one for another run.")
        if not self.hosts:
            raise ConfigError("no strategy is loaded; call load_strategy before start.")
        if self.feed is None:
            self.feed = self.make_feed()
        self._in_order = tuple(self.hosts.values())
        opening.check_symbols(self._in_order, self.feed)
        if self.clock is None:
            self.clock = SimulatedClock()
        self._is_simulated = isinstance(self.clock, SimulatedClock)
        # Simulated time that nobody has set begins now as well.
        self._begin_ns = self.clock.now_ns() or SystemClock().now_ns()
        if isinstance(self.clock, SimulatedClock):
            self.clock.follow(lambda: self.now_ns)
        self.state = "starting"
        try:
            await self._open(self.feed)
        except BaseException as error:
            await self._break_off(error)
            raise

    async def _open(self, feed: Feed) -> None:
        """Find or begin the run, and let the strategies start."""
        self.broker.attach(self._inbox.put, feed.symbols)
        await self.broker.open()
        recovered = await self._begin_run(feed)
        self.run_id, self._has_begun = recovered.run_id, recovered.has_begun
        self.is_resumed = recovered.is_resumed
        if feed.start_ns is None:
            feed.start_ns = self._begin_ns if recovered.started_ns is None else recovered.started_ns
        await opening.open_feed(feed, recovered.cursor_ns)
        self.desk = self._make_desk(recovered)
        if self.storage is not None or self.bus.has_listeners or self.is_watching:
            self._begin_recording()
        since_ns = recovered.cursor_ns if recovered.cursor_ns is not None else feed.start_ns
        self._after_ns = recovered.cursor_ns
        self._has_gap = recovered.is_resumed and not self._is_simulated
        await self._restore(self.desk, recovered, since_ns)
        self._stay_restricted(recovered)
        if self.broker.is_remote and recovered.starting_cash is None:
            self._emit(RunFunded(recovered.run_id, self.broker.starting_cash))
        await self._recover()
        self.state = "running"
        self._emit(RunStarted(recovered.run_id, self.now_ns))
        late, self.desk.notices[:] = self.desk.notices[:], []
        for host in self.hosts.values():
            host.set_state("running")
            await self._hear(host, await host.call("on_start"))
            if host.status.faults:
                host.set_state("parked")  # it has not started: asking it would only hide why
            if host.name in recovered.standings:
                host.restore_standing(*recovered.standings[host.name])
        self.desk.notices += late  # of the time they were down: only now everybody can hear it
        await self._notify()
        self._update_state()
        self._plan_wakes(since_ns)
        self._has_chores = self._is_recording or self.next_wake_ns < NEVER_NS
        await self._settle()

    async def _recover(self) -> None:
        """Take in what happened at the venue while nobody was here; strategies hear of it later."""
        assert self.desk is not None
        if (report := await self.broker.recover()) is not None:
            self._emit(Reconciled(report.to_dict(), self.now_ns))
        for message in (*self._inbox.take(), *self.broker.updates()):
            if isinstance(message, Told):
                hear(self.desk, message)
            elif isinstance(message, Stop):
                self._inbox.put(message)  # asked for during the start: the lane takes it
            else:
                await self._process(message)
        await self._take_strays()

    async def _begin_run(self, feed: Feed) -> Recovered:
        if self.storage is None:
            return Recovered("r0")
        config = {
            **opening.run_config(self.broker, feed, self._in_order, self._shares),
            "sizing": in_words(self._sizing),
            "limits": [in_words(rule) for rule in self._limits],
            **self._run_config,
        }
        at_ns = feed.start_ns or self._begin_ns
        return await self.storage.begin_run(opening.fingerprint(config), config, at_ns, self._fresh)

    def _make_desk(self, recovered: Recovered) -> Desk:
        maker = OrderMaker(recovered.run_id, recovered.installation, self.broker.instrument)
        maker.number = recovered.order_count
        risk = self._make_risk(self._limits, self.find_calendar)
        desk = Desk(
            self.portfolio, maker, risk, sizing=self._sizing, tape=self._tape, last=self.last
        )
        desk.on_decision = self._tell if self._on_signal else None
        self._remember(desk)
        if self.broker.is_remote and self.feed is not None:
            life_ns = opening.signal_life_ns(self._signal_ttl, self.feed)
            desk.valid_until = partial(self._valid_until, life_ns)
        self._outgoing = desk.outgoing
        return desk

    async def _restore(self, desk: Desk, recovered: Recovered, since_ns: int | None) -> None:
        assert self.feed is not None
        if since_ns is not None:
            self.last.time_ns = since_ns
            past = [past_of(self.feed, symbol, since_ns) for symbol in self.feed.symbols]
            put_prices(self.last, ((one.symbol, one.last) for one in by_arrival(past)))
        await self.broker.connect(recovered, self.last)
        opening.open_books(self.portfolio, self.broker.starting_cash, self._shares, recovered)
        restore(desk, recovered)
        for host in self.hosts.values():
            own = BookView(self.portfolio, {host.name: self.portfolio.books[host.name]})
            now, change = (lambda: self.now_ns), self._complicate
            host.bind(desk, self.feed, own, self._beat, now_ns=now, on_change=change)
            if since_ns is not None:
                host.warm_up(since_ns)
            if host.name in recovered.states:
                host.restore_state(recovered.states[host.name])

    def _plan_wakes(self, since_ns: int | None) -> None:
        for host in self.hosts.values():
            if host.schedule is not None:
                host.next_ns = host.schedule.after(since_ns if since_ns is not None else -1)
        self._next_wake()

    # --- sources -------------------------------------------------------------------------------

    async def replay(self) -> None:
        """Run a whole replay in one go, without pacing and without a background task."""
        await self._prepare()
        try:
            with resting_collector():
                await self._walk_replay(self.feed, self._after_ns)
                await self._stop_strategies("end")
                await self._finish("end")
        except BaseException as error:
            await self._break_off(error)
            raise

    # --- the lane's task -----------------------------------------------------------------------

    async def _lane(self) -> None:
        try:
            reason = await self._take_messages()
            await self._stop_strategies(reason)
            if reason == "operator":
                await self._let_close()
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
            await opening.close_feed(self.feed)
            await self.broker.disconnect()
        finally:
            if self.storage is not None:
                await self.storage.close()

    async def _end_sources(self) -> None:
        sources = [task for task in self._tasks[1:] if not task.done()]
        for task in sources:
            task.cancel()
        await asyncio.gather(*sources, return_exceptions=True)

    # --- commands and the end --------------------------------------------------------------------

    async def _stop_strategies(self, reason: str) -> None:
        """Tell every strategy; what they want now counts only when an operator stops the run."""
        self._complicate()
        for host in self._in_order:
            if host.status.state in ("running", "paused", "parked"):
                arguments = (reason,) if opening.takes_reason(host.strategy) else ()
                wishes = host.collect(await host.call("on_stop", *arguments))
                if reason == "operator":
                    self._decide(host, wishes)
                    await self._notify()
            self._take_fault(host)
            host.end()
        await self._settle()

    async def _let_close(self) -> None:
        """Give the market orders of an operator's stop a little time to meet the next price."""
        assert self.desk is not None
        orders = [order for lane in self.desk.open.values() for order in lane.values()]
        now_ns, market = self.now_ns, OrderType.MARKET
        closing = [one for one in orders if one.created_ns == now_ns and one.type is market]
        await self._hear_until_over(closing, _CLOSING_SECONDS)

    async def _finish(self, reason: str) -> None:
        desk = self.desk
        assert desk is not None
        await self._take_strays()
        still_open = [order for lane in desk.open.values() for order in lane.values()]
        if self._cancel_on_stop:
            for order in still_open:
                desk.cancel(order.id, self.now_ns)
        await self._settle()
        if self._cancel_on_stop and self.broker.is_remote:  # or it lets go before it has asked
            await self._hear_until_over(still_open, _CLOSING_SECONDS)
        self._emit(RunStopped(self.run_id or "", self.now_ns, reason))
        await self._flush()
        self.state, self.ended_by = "stopped", reason
        await self._let_go()
