"""StrategyHost: runs a stranger's strategy, feeds it, and survives its errors."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

from ticklane.core.errors import StrategyError
from ticklane.core.market import (
    Bar,
    Bars,
    MarketData,
    Observation,
    put_price,
    put_prices,
)
from ticklane.core.order import Order
from ticklane.core.portfolio import BookView
from ticklane.engine.answers import InOrder, take_in
from ticklane.engine.desk import Desk
from ticklane.engine.past import by_arrival, missed_ticks, past_of, unheard
from ticklane.engine.schedule import Schedule
from ticklane.engine.status import StrategyStatus
from ticklane.engine.watchdog import Heartbeat
from ticklane.interfaces import Feed, Indicator, StrategyInterface

NEVER_NS = 1 << 62
_FAULTS_TO_PARK = 3
# What a strategy may raise while the others go on.
FAULTS = (Exception, asyncio.CancelledError, SystemExit)
_ANSWERS_AT_ONCE = 1_000  # to its own fills and orders; a strategy that goes on for ever is parked
_log = logging.getLogger("ticklane.strategy")


class StrategyHost:
    """One strategy with its data, its schedule and its status; the strategy's `_services`."""

    def __init__(self, strategy: StrategyInterface, schedule: Schedule | None) -> None:
        _warmup_of(strategy)
        self.strategy = strategy
        self.name = strategy.name
        self.symbols = frozenset(strategy.symbols)
        self.schedule = schedule
        self.status = StrategyStatus(
            self.name, strategy.symbols, schedule.describe() if schedule else "every bar"
        )
        self.market_data = MarketData()
        self.next_ns = NEVER_NS
        self.first_tick_ns: int | None = None
        self.beat = Heartbeat()
        self.wishes: list[Any] = []
        self.fault: str | None = None  # of the last call, until the lane takes it
        self.on_tick: Callable[[MarketData], Any] = strategy.on_tick
        self._faults_in_a_row = 0
        self._has_faulted = False
        self._answers, self._answered_ns = 0, -1
        self._missing: dict[str, int] = dict.fromkeys(strategy.symbols, 0)
        self._pending: dict[str, None] = {}  # symbols with something new since the last tick
        self._indicators: dict[str, list[Indicator]] = {}
        self._state_text = "{}"
        self._standing = ("running", 0)
        self._is_over = False

    def bind(
        self,
        desk: Desk,
        feed: Feed,
        portfolio: BookView,
        beat: Heartbeat,
        *,
        now_ns: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        """Give the strategy its surroundings.

        `now_ns` tells the lane's instant, `on_change` is called when `is_simple` may have changed.
        """
        self._desk, self._feed, self.beat = desk, feed, beat
        self._now_ns, self._on_change = now_ns, on_change
        self.portfolio = portfolio
        self._missing = dict.fromkeys(self.strategy.symbols, _warmup_of(self.strategy))
        self._sees_all = set(feed.symbols) == self.symbols
        self.strategy._services = self
        if _overrides(self.strategy, "on_fill"):
            desk.fill_listeners.add(self.name)
        if _overrides(self.strategy, "on_order"):
            desk.order_listeners.add(self.name)

    # --- what the strategy may ask for (StrategyServices) --------------------------------------

    def history(self, symbol: str, count: int) -> Bars:
        """The last `count` completed bars of a subscribed symbol."""
        if symbol not in self.symbols:
            raise StrategyError(
                f"symbol is {symbol!r}, but {self.name} has only {self._listed_symbols}."
            )
        return self._feed.history(symbol, count, self._now_ns())

    def declare(self, indicator: Indicator, symbol: str) -> None:
        """Feed an indicator from now on, and with what came before."""
        if symbol not in self.symbols:
            raise StrategyError(
                f"symbol is {symbol!r}, but {self.name} has only {self._listed_symbols}."
            )
        self._on_change()
        self._indicators.setdefault(symbol, []).append(indicator)
        if self._seen_ns:
            for bar in self._feed.history(symbol, None, self._seen_ns).rows():
                indicator.update(bar)

    def ask(self, wish: Any) -> None:
        """Queue a wish until the present call is over."""
        self.wishes.append(wish)

    def orders(self, symbol: str | None) -> list[Order]:
        """The strategy's own open orders, oldest first."""
        lanes = self._desk.open
        found = (
            lanes.get(symbol, {}).values()
            if symbol
            else [order for lane in lanes.values() for order in lane.values()]
        )
        own = [order for order in found if order.strategy == self.name]
        return sorted(own, key=lambda order: (len(order.id), order.id))  # ids are numbered

    # --- data ----------------------------------------------------------------------------------

    _seen_ns = 0  # the last instant whose bars this strategy has seen

    def warm_up(self, until_ns: int) -> None:
        """See everything up to an instant at once: history before the start, or before a crash."""
        self._seen_ns = self.market_data.time_ns = until_ns
        past = [past_of(self._feed, s, until_ns, self._missing[s]) for s in self._in_feed_order()]
        put_prices(self.market_data, ((one.symbol, one.last) for one in by_arrival(past)))
        self._pending = dict.fromkeys(unheard(past, self.schedule, until_ns))
        for one in past:
            self._missing[one.symbol] = max(0, self._missing[one.symbol] - len(one.bars))
        self._drop_missing()

    def catch_up(self, time_ns: int) -> None:
        """See the bars before an instant that came while the process was down.

        They are news then, and one tick then stands for all instants of a schedule that passed.
        """
        missed = list(missed_ticks(self._feed, self._in_feed_order(), self._seen_ns, time_ns - 1))
        for tick in missed:
            self.see(*tick)
        self.status.merged += bool(missed)
        if self.schedule is not None:
            self.next_ns = max(self.next_ns, time_ns)

    def _in_feed_order(self) -> list[str]:
        return [symbol for symbol in self._feed.symbols if symbol in self.symbols]

    def see(self, time_ns: int, symbols: tuple[str, ...], observed: Iterable[Observation]) -> None:
        """Take in what is new: warm-up, indicators, newest prices."""
        is_new = time_ns > self._seen_ns  # no: an indicator declared meanwhile has it already
        self._seen_ns = time_ns
        for symbol, seen in zip(symbols, observed, strict=True):
            if symbol not in self.symbols:
                continue
            if is_new and isinstance(seen, Bar):
                for indicator in self._indicators.get(symbol, ()):
                    indicator.update(seen)
            if self._missing and self._missing.get(symbol, 0) > 0:
                self._missing[symbol] -= isinstance(seen, Bar)  # a quote is no bar of it
                self._drop_missing()
                continue
            put_price(self.market_data, symbol, seen)
            self._pending[symbol] = None
            if self.first_tick_ns is None:
                self.first_tick_ns = time_ns  # warm: whether a schedule asks now or later

    def _drop_missing(self) -> None:
        self._missing = {symbol: n for symbol, n in self._missing.items() if n > 0}

    # --- asking --------------------------------------------------------------------------------

    @property
    def _listed_symbols(self) -> str:
        return ", ".join(self.strategy.symbols)

    @property
    def is_asked(self) -> bool:
        """True while the strategy takes part."""
        return self.status.state == "running"

    @property
    def has_news(self) -> bool:
        """True when something came since the strategy's last tick."""
        return bool(self._pending)

    def tick(self, time_ns: int, symbols: tuple[str, ...], observed: tuple[Any, ...]) -> Any:
        """See what is new and, when it is the strategy's turn, ask it; returns its answer."""
        self.see(time_ns, symbols, observed)
        if self.schedule is None:
            return self.ask_now(time_ns) if self._pending else None
        if self.next_ns > time_ns:
            return None
        self.next_ns = self.schedule.after(time_ns)
        return self.ask_now(time_ns) if self._pending else None

    @property
    def is_simple(self) -> bool:
        """True when the strategy is asked on every tick of the feed, with the feed's own prices.

        Such a strategy needs no bookkeeping between the feed and its `on_tick`: the lane calls
        `on_tick` itself (the hot path) until something here changes.
        """
        return (
            self.first_tick_ns is not None
            and self.schedule is None
            and self._sees_all
            and not (self._missing or self._indicators or self._faults_in_a_row)
            and self.is_asked
        )

    def follow(self, data: MarketData) -> None:
        """Share the lane's own prices from now on (a simple strategy)."""
        self.market_data = data
        self._pending.clear()

    def unfollow(self) -> None:
        """Keep prices of its own again."""
        shared, self.market_data = self.market_data, MarketData()
        put_prices(self.market_data, shared)
        self.market_data.updated, self.market_data.time_ns = shared.updated, shared.time_ns
        self._seen_ns = shared.time_ns

    def wake(self, time_ns: int) -> Any:
        """A schedule's instant between two ticks: ask with what is new since the last one."""
        if self.next_ns > time_ns or self.schedule is None:
            return None
        self.next_ns = self.schedule.after(time_ns)
        return self.ask_now(time_ns) if self._pending else None

    def skip_to(self, time_ns: int) -> None:
        """Merge schedule instants before `time_ns` into the next tick: nothing was new there."""
        if self.schedule is not None and self.next_ns < time_ns:
            self.next_ns = self.schedule.after(time_ns - 1)

    def ask_now(self, time_ns: int) -> Any:
        """Ask the strategy at this instant; returns its answer, None after a fault."""
        if not self.is_asked:
            return None
        data = self.market_data
        data.updated = tuple(self._pending)
        data.time_ns = time_ns
        self._pending.clear()
        if not self._has_faulted:
            self._faults_in_a_row = 0
        self._has_faulted = False
        self.status.ticks += 1
        return self._guarded(self.on_tick, data)

    def _guarded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.beat.current = self.name
        try:
            return call(*arguments)
        except FAULTS as error:
            return self.note_fault(error)

    async def call(self, what: str, *arguments: Any) -> Any:
        """Call on_start, on_fill, on_order or on_stop, sync or async; errors are faults."""
        return await self.finish(self._guarded(getattr(self.strategy, what), *arguments))

    async def finish(self, answer: Any) -> Any:
        """Await the answer of an async callback; its error is a fault as well."""
        try:
            if inspect.isasyncgen(answer):
                in_order = InOrder(self.wishes)
                async for wish in answer:
                    in_order.take(wish)
                return None
            return await answer if inspect.isawaitable(answer) else answer
        except FAULTS as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # it is us who are to end
                raise
            return self.note_fault(error)

    def collect(self, answer: Any) -> list[Any]:
        """The wishes in an answer and those asked for by helpers, each once."""
        if answer is not None:
            try:
                take_in(answer, self.wishes)
            except FAULTS as error:
                self.note_fault(error)
                return []
        wishes = self.wishes[:]
        self.wishes.clear()
        self.status.signals += len(wishes)
        return wishes

    def note_fault(self, error: BaseException) -> None:
        """Keep a strategy's error; the third in a row parks it."""
        self._faults_in_a_row += 1
        self._has_faulted = True
        self.wishes.clear()
        status = self.status
        status.faults += 1
        error_before = status.error
        status.error = f"{type(error).__name__}: {error}"
        self.fault = status.error
        is_news = status.error != error_before  # the traceback of the same error once is enough
        _log.error(
            "strategy %s failed: %s", self.name, status.error, exc_info=error if is_news else None
        )
        if self._faults_in_a_row >= _FAULTS_TO_PARK:
            self.set_state("parked")

    def note_answer(self) -> None:
        """Count an answer to an own fill or order; too many at one instant park the strategy."""
        if self._answered_ns != self._now_ns():
            self._answers, self._answered_ns = 0, self._now_ns()
        self._answers += 1
        if self._answers > _ANSWERS_AT_ONCE:
            self.note_fault(StrategyError("it answers its own orders without end"))
            self.set_state("parked")

    def set_state(self, state: str) -> None:
        """Move to loaded, running, paused, parked or stopped."""
        if state == "running":
            self._faults_in_a_row = 0
        self.status.state = state
        self.strategy.is_running = state == "running"

    # --- state that survives -------------------------------------------------------------------

    @property
    def standing(self) -> tuple[str, int]:
        """The status and the faults in a row that a crash must not change.

        After a stop in order there are none: the next start asks every strategy again.
        """
        status = self.status.state
        kept = status if status in ("paused", "parked") and not self._is_over else "running"
        return kept, self._faults_in_a_row if self._has_faulted and not self._is_over else 0

    def changed_state(self) -> str | None:
        """The strategy's state as JSON text when it or its standing is not what was saved last."""
        standing = self.standing
        if standing == self._standing and not self.strategy.state and self._state_text == "{}":
            return None
        try:
            text = json.dumps(self.strategy.state)  # in their order: a restart keeps it
        except (TypeError, ValueError) as error:
            if not self._has_faulted:
                self.note_fault(StrategyError(f"state must hold JSON values only: {error}."))
            return None
        if (text, standing) == (self._state_text, self._standing):
            return None
        self._state_text, self._standing = text, standing
        return text

    def restore_state(self, text: str) -> None:
        """Give the strategy the state it had."""
        self._state_text = text
        self.strategy.state = json.loads(text)

    def restore_standing(self, status: str, faults: int) -> None:
        """Be paused or parked, and as close to it, as before the crash."""
        self._standing = status, faults
        self._faults_in_a_row, self._has_faulted = faults, faults > 0
        if status != "running":
            self.set_state(status)
            self.status.error = "it was parked before the restart" if status == "parked" else None

    def end(self) -> None:
        """The run stops in order."""
        self._is_over = True
        if self.status.state != "parked":
            self.set_state("stopped")


def _overrides(strategy: StrategyInterface, method: str) -> bool:
    return getattr(type(strategy), method) is not getattr(StrategyInterface, method)


def _warmup_of(strategy: StrategyInterface) -> int:
    warmup: Any = strategy.warmup
    if isinstance(warmup, bool) or not isinstance(warmup, Integral):
        raise StrategyError(
            f"warmup of {strategy.name} is {warmup!r}, but must be a whole number of bars."
        )
    return max(0, int(warmup))
