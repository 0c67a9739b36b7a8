"""The lane itself: one instant after the other, from prices to fills, decisions and orders."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from inspect import iscoroutinefunction
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.market import (
    Bar,
    ClosedBar,
    MarketData,
    Observation,
    PlainTick,
    Tick,
    make_tick,
    put_price,
    put_prices,
)
from ticklane.core.order import Fill, Order, OrderUpdate
from ticklane.engine.desk import Decided, Outgoing
from ticklane.engine.gate import is_held_back
from ticklane.engine.host import FAULTS, NEVER_NS, StrategyHost
from ticklane.engine.record import Recorder
from ticklane.engine.watchdog import Heartbeat
from ticklane.interfaces import BrokerInterface, Feed, Storage

_log = logging.getLogger("ticklane.lane")
Simple = tuple[tuple[str, StrategyHost, Any, list[Any]], ...]  # those called directly


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


class Lane(Recorder):
    """Deals with what has arrived; where it comes from and when is the runner's business.

    Strategies that need no bookkeeping between feed and `on_tick` are called directly, all others
    through their host (`_simplify`, `_complicate`).
    """

    def __init__(self, broker: BrokerInterface, storage: Storage | None, feed: Feed | None) -> None:
        super().__init__(broker, storage)
        self.feed = feed
        self.next_wake_ns = NEVER_NS
        self.hosts: dict[str, StrategyHost] = {}
        self._on_signal: Decided | None = None
        self._beat = LaneBeat(self.last)
        self._has_chores = False
        self._outgoing: list[Outgoing] = []
        self._simple_since_ns = 0
        self._simple: Simple = ()
        self._alone: list[str] = []  # who walks alone; emptied when it is not simple any more

    @property
    def on_signal_callback(self) -> Decided | None:
        """Called as (strategy, signal, order) for each decision; the order is None for HOLD."""
        return self._on_signal

    @on_signal_callback.setter
    def on_signal_callback(self, callback: Decided | None) -> None:
        if iscoroutinefunction(callback):
            raise ConfigError("on_signal_callback is an async function, but must be a plain one.")
        self._on_signal = callback
        if self.desk is not None:
            self.desk.on_decision = self._tell if callback else None

    async def _walk_replay(self, feed: Any, after_ns: int | None) -> None:
        """All ticks of a replay; a strategy that is alone with one symbol has a loop of its own."""
        if self._has_chores or len(self.hosts) > 1 or len(feed.symbols) > 1:
            await self._walk(feed.walk(after_ns))
        else:
            symbols, bars = feed.symbols, feed.closed_bars(after_ns)
            await self._walk(((time_ns, symbols, (bar,)) for time_ns, bar in bars), bars)

    async def _walk(
        self, ticks: Iterable[PlainTick], alone: Iterator[ClosedBar] | None = None
    ) -> None:
        """Each instant, start to end: prices and fills first, then every strategy whose turn it
        is, then what they want. The hot path: what is constant is looked up once.

        `alone` gives the same ticks to a strategy that is alone, from when on it is simple.
        """
        data, beat, outgoing, has_chores = self.last, self._beat, self._outgoing, self._has_chores
        watches, observe, put = self.broker.watches, self.broker.observe, put_price.__get__(data)
        assert self.desk is not None
        take, notices = self.desk.take, self.desk.notices
        only = self._only_symbol()
        for time_ns, symbols, observed in ticks:
            if has_chores and time_ns > self.next_wake_ns:
                await self._wake_before(time_ns)
            if only is not None:
                put(only, observed[-1])
            else:
                put_prices(data, zip(symbols, observed, strict=True))
            data.updated = symbols
            data.time_ns = time_ns
            if watches:
                for update in observe(make_tick((time_ns, symbols, observed))):
                    take(update)
                    if notices:
                        await self._notify_before()
            simple = self._simple
            if simple:
                for beat.current, host, on_tick, wishes in simple:
                    try:
                        answer = on_tick(data)
                    except FAULTS as error:
                        self._take_hot_fault(host, error)
                        continue
                    if wishes or (answer is not None and (answer.__class__ is not list or answer)):
                        await self._hear(host, answer)
            else:
                await self._ask(time_ns, symbols, observed)
            if has_chores:
                self._do_chores(simple, isinstance(observed[0], Bar))
            if outgoing:
                await self._settle()
            if alone is not None and self._simple:
                await self._walk_alone(alone)

    async def _walk_alone(self, bars: Iterator[ClosedBar]) -> None:
        """The same for one strategy, one symbol and no chores, as long as the strategy is simple:
        what the general way asks at each instant is known here."""
        data, beat, outgoing, alone = self.last, self._beat, self._outgoing, self._alone
        watches, observe, put = self.broker.watches, self.broker.observe, put_price.__get__(data)
        ((beat.current, host, on_tick, wishes),) = self._simple
        alone[:] = [host.name]
        assert self.desk is not None
        take, notices = self.desk.take, self.desk.notices
        (symbol,) = symbols = data.updated
        for data.time_ns, bar in bars:
            put(symbol, bar)
            if watches:
                for update in observe(make_tick((data.time_ns, symbols, (bar,)))):
                    take(update)
                    if notices:
                        await self._notify_before()
            if not alone:
                await self._ask(data.time_ns, symbols, (bar,))
                if outgoing:
                    await self._settle()
                return
            try:
                answer = on_tick(data)
            except FAULTS as error:
                answer = None
                self._take_hot_fault(host, error)
            if wishes or (answer is not None and answer.__class__ is not list):
                await self._hear(host, answer)
            elif answer:
                host.status.signals += len(answer)
                self._decide(host, answer)
                if notices:
                    await self._notify()
            if outgoing:
                await self._settle()
                beat.current = host.name

    def _only_symbol(self) -> str | None:
        """The one symbol of the feed, where it has one only."""
        symbols = self.feed.symbols if self.feed is not None else ()
        return symbols[0] if len(symbols) == 1 else None

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
            self._alone.clear()
            asked = 0 if self._has_chores else self._instants_since(self._simple_since_ns)
            for host in self._in_order:
                host.status.ticks += asked
                host.unfollow()

    def _instants_since(self, since_ns: int) -> int:
        """How many ticks a replay has walked through: counted afterwards, not one by one."""
        instants = self.feed.instants(since_ns)  # type: ignore[union-attr]
        return int(instants.searchsorted(self.now_ns, side="right"))

    def _take_fault(self, host: StrategyHost) -> None:
        if host.fault is not None:
            self._complicate()
            super()._take_fault(host)

    def _take_hot_fault(self, host: StrategyHost, error: BaseException) -> None:
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
        if self._is_recording and isinstance(tick.observed[0], Bar):
            self._note_equity()

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
        desk = self.desk
        assert desk is not None
        if answer.__class__ is list and not host.wishes:  # the usual answer
            host.status.signals += len(answer)
            self._decide(host, answer)
        else:
            if answer.__class__ is not list:
                answer = await host.finish(answer)
            self._decide(host, host.collect(answer))
            self._take_fault(host)
        if desk.notices:
            await self._notify()

    def _decide(self, host: StrategyHost, wishes: list[Any]) -> None:
        decide = self.desk.decide  # type: ignore[union-attr]
        for wish in wishes:
            if wish is not None:
                decide(host.name, host.symbols, wish, self.last.time_ns)

    async def _take_updates(self, updates: Iterable[OrderUpdate]) -> None:
        desk = self.desk
        assert desk is not None
        for update in updates:
            desk.take(update)
            if desk.notices:
                await self._notify()

    async def _notify_before(self) -> None:
        """The same before anybody is asked at this instant: it does not count as asked yet."""
        was_simple = bool(self._simple)
        await self._notify()
        if was_simple and not self._simple and not self._has_chores:
            for host in self._in_order:
                host.status.ticks -= 1

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
        trading = desk.risk.trading
        while True:
            self._beat.current = None  # what takes long now is no strategy
            if self._is_recording and outgoing:
                self._note_changes()
                await self._flush()
            sending = outgoing[:]
            outgoing.clear()
            for verb, order, by in sending:
                is_free = not trading.is_guarded or verb == "cancel"
                if not is_free and is_held_back(desk, by or order, self.now_ns):
                    await self._notify()
                    continue
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
                if self._is_recording:
                    self._note_changes()
                break

    def _next_wake(self) -> None:
        self.next_wake_ns = min((host.next_ns for host in self.hosts.values()), default=NEVER_NS)

    def _tell(self, strategy: str, signal: Any, order: Order | None) -> None:
        """Call the user's callback; its error is logged and stays its own."""
        if self._on_signal is None:
            return
        asked, self._beat.current = self._beat.current, None
        try:
            self._on_signal(strategy, signal, order)
        except Exception:
            _log.exception("on_signal_callback failed")
        self._beat.current = asked
