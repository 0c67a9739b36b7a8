"""One simulated run: a daemon, its crashes and restarts, the venue, and what goes wrong between."""

from __future__ import annotations

import asyncio
import logging
import random

import virtual_time
from sim_checks import Checks
from sim_disk import Disk, SimStorage
from sim_plan import Plan
from sim_strategy import BAR_SECONDS, SYMBOLS, SimFeed, Trader, tick_of
from sim_venue import BEAT_SECONDS, SimVenue
from sim_wires import Line, SimRequests

from ticklane.core.errors import BrokerError, TicklaneError
from ticklane.core.market import SECOND, Bar
from ticklane.engine.runner import StrategyRunner
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.broker import AlpacaBroker
from ticklane.integrations.alpaca.stream import TradeStream

BEGIN_NS = 1_767_625_200 * SECOND  # a Monday, 15:00 UTC
ACCOUNT = AlpacaAccount(key="PKSIMULATED", secret="simulated", url="http://127.0.0.1:9")
_SETTLE_SECONDS = 1200.0  # after the last fault: five minutes of quarantine are in it
_LOOK_SECONDS = 10.0
_MOST_LIVES = 60


class Sign:
    """The halt file, in memory; it outlives the daemon."""

    def __init__(self):
        self.reason = None

    def is_set(self):
        return self.reason is not None

    def read(self):
        return self.reason or "", None

    def set(self, reason, at_ns):
        self.reason = self.reason or reason

    def clear(self):
        self.reason = None


class Life:
    """The daemon from a start to a crash or stop."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.is_dead = self.is_running = False
        rng = random.Random(f"life {world.plan.seed} {number}")
        stream = TradeStream(
            ACCOUNT.stream_url,
            ACCOUNT.key,
            ACCOUNT.secret,
            connect=lambda _: Line(self),
            jitter=rng.random,
        )
        self._rng = rng
        self.broker = AlpacaBroker(
            ACCOUNT,
            clock=world.clock,
            allow_short=world.plan.allow_short,
            requests=SimRequests(self),
            stream=stream,
            jitter=rng.random,
        )
        self.runner = StrategyRunner(
            self.broker,
            storage=world.bugs.storage(world.disk, self),
            feed=SimFeed(world),
            clock=world.clock,
        )
        self.runner.halt_sign = world.sign
        until_ns = BEGIN_NS + round(world.plan.trade_seconds * SECOND)
        config = {
            "symbols": SYMBOLS,
            "seed": world.plan.seed,
            "until_ns": until_ns,
            "shorts": world.plan.allow_short,
        }
        self.runner.load_strategy(Trader(config))
        world.bugs.plant(self)

    async def run(self):
        await self.runner.start()
        self.is_running = True
        self.world._starts_failed = 0
        self.world.note("life", self.number, "runs")
        await self.runner.wait()

    async def pass_point(self, name, low=0.0, high=0.0):
        """A place in which the daemon may die; it goes on after a moment, or never."""
        if high:
            await asyncio.sleep(self._rng.uniform(low, high))
        if self.is_dead or self.world.point(self, name):
            raise asyncio.CancelledError

    def pass_named(self, name):
        """A crash point in the product."""
        if self.is_dead or self.world.point(self, name):
            raise asyncio.CancelledError


class NoBugs:
    """The product as it is."""

    def plan(self, seed):
        return Plan(seed)

    def storage(self, disk, life):
        return SimStorage(disk, life)

    def disk(self):
        return Disk()

    def plant(self, life):
        """Nothing to change."""


class World:
    """Everything of one seed."""

    def __init__(self, seed, bugs=None):
        self.seed, self.bugs = seed, bugs or NoBugs()
        self.plan = self.bugs.plan(seed)
        self.trace = []
        self.loop = self.clock = self.venue = self.life = None
        self.lines, self.bars, self.ticks = [], {symbol: [] for symbol in SYMBOLS}, []
        self.disk = self.bugs.disk()
        self.sign, self.checks = Sign(), Checks(self)
        self.disk.on_fill = self.checks.booked
        self.lives = self.points = self._starts_failed = 0
        self.late = 0  # requests that are still on their way, though nobody waits for them
        self.is_over = self._is_crashing = False
        self._own = set()

    # --- small things ---------------------------------------------------------------------------

    def note(self, *what):
        """A line of the trace: cheap, since it is made into words only when somebody reads it."""
        self.trace.append((self.loop.seconds, *what))

    def spawn(self, work):
        """A task that does not belong to the daemon."""
        task = self.loop.create_task(work)
        self._own.add(task)
        task.add_done_callback(self._own.discard)
        return task

    def wake(self):
        """Somebody should look."""
        self._news.set()

    def point(self, life, name):
        """Count a place in which the daemon may die; true when it does so here."""
        if life.is_dead or life is not self.life:
            return life.is_dead
        self.points += 1
        if self.plan.crash_points and self.points >= self.plan.crash_points[0]:
            self.plan.crash_points.pop(0)
            self.kill(life, name)
            return True
        return False

    def pass_named(self, name):
        """A crash point in the product."""
        if self.life is not None:
            self.life.pass_named(name)

    def kill(self, life, where):
        """The daemon dies here and now."""
        if not life.is_dead:
            self.note("CRASH", life.number, where)
            life.is_dead = True
            self.wake()

    async def next_tick(self):
        """Wait until a bar has closed."""
        await self._ticked.wait()

    # --- time goes by ---------------------------------------------------------------------------

    async def _beats(self):
        plan = self.plan
        bars_at, steps, operator = BAR_SECONDS, list(plan.clock_steps), list(plan.operator)
        opened = dict(self.venue.prices)
        low, high = dict(opened), dict(opened)
        while not self.is_over:
            now = self.loop.seconds
            await asyncio.sleep(BEAT_SECONDS if now < plan.quiet_at else BAR_SECONDS)
            now = self.loop.seconds
            self.venue.beat(now >= plan.quiet_at)
            for symbol, price in self.venue.prices.items():
                low[symbol], high[symbol] = min(low[symbol], price), max(high[symbol], price)
            if now >= bars_at:
                self._close_bars(opened, high, low)
                opened = dict(self.venue.prices)
                low, high = dict(opened), dict(opened)
                bars_at = now + BAR_SECONDS
            while steps and now >= steps[0][0]:
                self.clock.skew_ns = round(steps.pop(0)[1] * SECOND)
                self.note("clock", self.clock.skew_ns / 1e9)
            if operator and now >= operator[0][0] and await self._operate(operator[0][1]):
                operator.pop(0)
            while plan.crash_times and now >= plan.crash_times[0]:
                plan.crash_times.pop(0)
                if self.life is not None:
                    self.kill(self.life, "at a time")

    def _close_bars(self, opened, high, low):
        if self.loop.seconds > self.plan.quiet_at + 60 and self.loop.seconds % 60 > BAR_SECONDS:
            return  # nobody trades any more
        end_ns = self.clock.true_ns()
        bars = [
            Bar(s, end_ns - BAR_SECONDS * SECOND, end_ns, opened[s], high[s], low[s], close, 1000.0)
            for s, close in self.venue.prices.items()
        ]
        for bar in bars:
            self.bars[bar.symbol].append(bar)
        self.ticks.append(tick_of(bars))
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()

    async def _operate(self, what):
        """An operator does something; false while there is no daemon that could hear."""
        life = self.life
        if life is None or life.is_dead or not life.is_running:
            return False
        self.note("operator", what)
        runner = life.runner
        call = getattr(runner, what)
        try:
            async with asyncio.timeout(30.0):
                await (call() if what in ("pause", "resume") else call("simulated"))
        except (TicklaneError, TimeoutError) as error:
            self.note("operator failed", str(error))
            return False
        return True

    # --- lives ----------------------------------------------------------------------------------

    async def run(self):
        """Live through all of it; the violation is in `checks.broken`, None where there is none."""
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self._note_stray)
        self.clock = virtual_time.VirtualClock(self.loop, BEGIN_NS)
        self._news, self._ticked = asyncio.Event(), asyncio.Event()
        self.venue = SimVenue(self)
        self.spawn(self._beats())
        is_settled = False
        while not is_settled and self.checks.broken is None:
            is_settled = await self._live()
        if is_settled and self.plan.restarts_at_last:
            await self._live()
        self.is_over = True
        for line in list(self.lines):
            line.close()
            line._let_go()

    async def _live(self):
        """One life of the daemon; true when it saw everything settled."""
        self.lives += 1
        if self.lives > _MOST_LIVES:
            self.checks.fail("lives", "the daemon does not stay alive.")
            return False
        self.note("life", self.lives, "begins")
        life = self.life = Life(self, self.lives)
        task = self.loop.create_task(life.run())
        try:
            return await self._attend(life, task)
        finally:
            self.life = None

    async def _attend(self, life, task):
        deadline = max(self.loop.seconds, self.plan.quiet_at + self.plan.late_range[1])
        deadline += _SETTLE_SECONDS
        while True:
            await self._pause(task)
            if self.checks.broken is not None:
                await self._bury(life)
                return False
            if life.is_dead:
                await self._bury(life)
                await asyncio.sleep(self._down_seconds())
                return False
            if task.done():
                return await self._take_end(life, task)
            is_late = self.loop.seconds > deadline
            if life.is_running and (is_late or self._is_quiet(life)):
                differences = self.checks.differences(life)
                if not differences and await self._agrees(life):
                    return await self._end(life, task)
                if is_late:
                    self.checks.fail("settling", "; ".join(differences) or "it does not agree")

    def _is_quiet(self, life):
        """Whether it is worth while to compare everything."""
        if self.loop.seconds < self.plan.quiet_at + 5.0 or self.late:
            return False
        is_known = not life.broker.tracks.unsure()
        return is_known and all(one.is_latched for one in life.runner.trading.restrictions.values())

    def _down_seconds(self):
        return self.plan.requests.uniform(0.01, self.plan.down_seconds)

    async def _pause(self, task):
        """Wait until something happens, or it is time to look."""
        self._news.clear()
        now, quiet = self.loop.seconds, self.plan.quiet_at
        seconds = _LOOK_SECONDS if now >= quiet else quiet - now + 5.0
        news = self.loop.create_task(self._news.wait())
        self._own.add(news)
        await asyncio.wait((task, news), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        news.cancel()

    async def _take_end(self, life, task):
        """The daemon has ended by itself: it may, when it could not reach the venue at first."""
        error = task.exception()
        self.note("life", life.number, "ended", repr(error))
        if not isinstance(error, BrokerError) or life.is_running:
            self.checks.fail("ended", f"the daemon has ended: {error!r}.")
        await self._bury(life)
        self.lives -= 1
        self._starts_failed += 1
        await asyncio.sleep(self._down_seconds() + 2.0 ** min(self._starts_failed, 6))
        return False

    async def _agrees(self, life):
        """Whether the daemon itself finds no difference, either."""
        work = self.loop.create_task(life.broker.reconcile())
        done, _ = await asyncio.wait((work,), timeout=60.0)
        if life.is_dead or not done:
            return False
        report = work.result()
        if report.differs or not report.is_complete:
            self.note("reconciled", report.differs, report.trouble)
        return report.is_complete and not report.differs

    async def _end(self, life, task):
        """A proper stop; false when the daemon died over it."""
        life.runner.request_stop("shutdown")
        done, _ = await asyncio.wait((task,), timeout=60.0)
        has_died = life.is_dead
        if not done:
            self.checks.fail("stop", "the daemon does not stop.")
        elif not has_died and task.exception() is not None:
            self.checks.fail("stop", f"stopping raised {task.exception()!r}.")
        await self._bury(life)
        return not has_died

    async def _bury(self, life):
        """Whatever is left of the daemon does nothing any more."""
        life.is_dead = True
        self._is_crashing = True
        self.disk.crash()
        for line in list(self.lines):
            if line._life is life:
                line.close()
        for _ in range(50):
            left = asyncio.all_tasks(self.loop) - self._own - {asyncio.current_task()}
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1.0)
        else:
            self.checks.fail("burying", f"tasks do not end: {left}.")
        for waiting in life.broker._sender._lanes.values():
            for work in waiting:
                work.close()
        self._is_crashing = False

    # --- what must not happen unseen ------------------------------------------------------------

    def _note_stray(self, _loop, context):
        error = context.get("exception")
        if not self._is_crashing and not isinstance(error, asyncio.CancelledError):
            self.checks.fail("stray", f"{context.get('message')} {error!r}")

    def take_log(self, record):
        """A line of the daemon's log."""
        if self.loop is None:
            return
        self.note("log", record.levelname, record.getMessage())
        if (
            record.exc_info
            and not self._is_crashing
            and not isinstance(record.exc_info[1], asyncio.CancelledError)
        ):
            text = logging.Formatter().formatException(record.exc_info)
            self.checks.fail("error", f"{record.getMessage()}:\n{text}")
