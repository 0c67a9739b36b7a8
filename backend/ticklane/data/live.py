"""What the feeds of a running market share: warm-up, history, corrections, ticks."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from ticklane.clock import SystemClock
from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, Bar, Bars, Tick, Timeframe
from ticklane.core.symbols import is_crypto, normal_symbol
from ticklane.data.calendars import AlwaysOpen
from ticklane.data.instants import Instants
from ticklane.data.live_history import BarHistory, Correction
from ticklane.data.provider import MarketDataProvider
from ticklane.data.quiet import QuietWatch
from ticklane.data.soundness import is_sound
from ticklane.interfaces import Calendar, Clock

_log = logging.getLogger("ticklane.data")
_FUTURE_NS = MINUTE  # a bar that closes so much later than now is a mistake
_MOST_MISSED = 10_000  # bars that are fetched at most for the time a run was down
_SESSION_NS = 6 * HOUR + HOUR // 2
_SHORTEST_WAIT = 0.001
_LEAPS = 3


class LiveFeed:
    """The Feed of a market that goes on; how its bars come is what the subclasses add.

    `calendar` is that of the stocks (None: their hours are not known, so silence tells nothing);
    crypto is always open. `warmup` bars before the start are history. A tick waits `bar_grace`
    seconds for the bars of symbols whose market is open. Time is read from `clock` (default: the
    machine's) and the loop.
    """

    def __init__(
        self,
        provider: MarketDataProvider,
        symbols: Sequence[str],
        *,
        timeframe: Timeframe | str = "1m",
        clock: Clock | None = None,
        calendar: Calendar | None = None,
        warmup: int = 500,
        bar_grace: float = 1.9,  # a schedule of the lane waits 2 s: the bars must be there before
        label: str | None = None,
    ) -> None:
        names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        self.symbols = names
        self._names = {normal_symbol(name): name for name in names}  # the vendor's -> the user's
        if not names or len(self._names) != len(names):
            raise ConfigError(f"symbols are {list(names)}, but give one or more, each once.")
        self.timeframe = Timeframe.parse(timeframe)
        self.label = provider.name if label is None else label
        self.start_ns: int | None = None
        self.corrections: deque[Correction] = deque(maxlen=1_000)  # the newest, newest last
        self.counts: Counter[str] = Counter()  # bars by what became of them
        self.last_bar_ns = 0  # close of the newest bar
        self._provider = provider
        self._clock: Clock = SystemClock() if clock is None else clock
        self._warmup = warmup
        self._calendars: dict[str, Calendar | None] = {
            name: AlwaysOpen() if is_crypto(name) else calendar for name in names
        }
        self._histories = {name: BarHistory(name) for name in names}
        self._quiet = QuietWatch(self._calendars, self._base)
        expects = QuietWatch(self._calendars, self.timeframe).is_expected
        self._instants = Instants(names, round(bar_grace * SECOND), expects)
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._is_open = False
        self._leaps: Counter[str] = Counter()

    @property
    def _base(self) -> Timeframe:
        """The bars that the vendor tells of one by one."""
        return self.timeframe

    # --- Feed ----------------------------------------------------------------------------------

    def history(self, symbol: str, count: int | None, until_ns: int) -> Bars:
        """Copies of the last `count` (all: None) bars completed at or before `until_ns`."""
        found = self._histories.get(symbol)
        if found is None:
            raise DataError(f"The feed has no symbol {symbol!r}; it has {', '.join(self.symbols)}.")
        return found.last(count, until_ns)

    async def open(self, since_ns: int | None = None) -> None:
        """Begin to listen and load history: the warm-up before `since_ns` (default: now), and all
        that came after it. Raises DataError or BrokerError when the vendor cannot be used."""
        if self._is_open:
            return
        self._is_open = True
        await self._begin()
        now_ns = self._clock.now_ns()
        reach_ns = _MOST_MISSED * self.timeframe.ns
        since_ns = now_ns if since_ns is None else max(min(since_ns, now_ns), now_ns - reach_ns)
        for names, start_ns in self._warmup_spans(since_ns):
            found = await self._fetch(names, self.timeframe, start_ns, now_ns)
            for bars in found.values():
                self._load(bars)
        await self._after_warmup()

    async def stream(self, after_ns: int | None = None) -> AsyncIterator[Tick]:
        """Ticks later than `after_ns` as they come; the first may stand for many missed ones."""
        try:
            await self.open(after_ns)
            now_ns = self._clock.now_ns()
            seen = max((at for at in (after_ns, self.start_ns) if at is not None), default=now_ns)
            self._begin_ticks(seen)
            while True:
                for tick in self._due():
                    yield tick
                if self._error is not None:
                    raise self._error
                await self._wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of the stream and the vendor; a second time nothing happens."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._is_open:
            self._is_open = False
            await self._provider.close()

    def status(self) -> dict[str, Any]:
        """For `ticklane status`."""
        age = (self._clock.now_ns() - self.last_bar_ns) / SECOND if self.last_bar_ns else None
        return {
            "label": self.label,
            "timeframe": str(self.timeframe),
            "last_bar_seconds": None if age is None else round(age, 1),
            **{name: self.counts[name] for name in sorted(self.counts)},
        }

    # --- for subclasses ------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Before the warm-up is loaded."""

    async def _after_warmup(self) -> None:
        """When it is."""

    def _due(self) -> list[Tick]:
        return self._instants.due(self._clock.now_ns())

    def _due_ns(self) -> int | None:
        return self._instants.due_ns

    def _take(self, bar: Bar) -> None:
        """A whole bar of the feed's timeframe, from wherever: told once, and in order."""
        history = self._histories[bar.symbol]
        if not is_sound(bar, self._price_before(bar, history)):
            self._leaps[bar.symbol] += is_sound(bar)
            self._drop(bar, "unsound")
            return
        self._leaps[bar.symbol] = 0
        if bar.close_ns > self._clock.now_ns() + _FUTURE_NS:
            self._drop(bar, "future")
            return
        outcome, before = history.put(bar)
        self.counts[outcome] += 1
        self.last_bar_ns = max(self.last_bar_ns, bar.close_ns)
        if outcome == "corrected" and before is not None:
            self._correct(before, bar)
        elif outcome != "same" and not self._instants.add(bar):
            _log.info("bar of %s at %d came too late and is history only", bar.symbol, bar.close_ns)
        self._news.set()

    def _price_before(self, bar: Bar, history: BarHistory) -> float | None:
        """What a leap is measured from; after several in a row it was this price that was wrong."""
        return history.price_before(bar.open_ns) if self._leaps[bar.symbol] < _LEAPS else None

    def _correct(self, before: Bar, after: Bar) -> None:
        if not self._instants.replace(after):  # else nobody has seen it yet
            self.corrections.append(Correction(before, after, self._clock.now_ns()))
            _log.info("bar of %s at %d was corrected", after.symbol, after.close_ns)

    def _drop(self, bar: Bar, why: str) -> None:
        self.counts[why] += 1
        _log.warning("%s bar of %s left out: %s", why, bar.symbol, tuple(bar))

    async def _fetch(
        self, names: Sequence[str], timeframe: Timeframe, start_ns: int, end_ns: int
    ) -> dict[str, Bars]:
        """Bars by the user's names of the symbols."""
        asked = [name for name, own in self._names.items() if own in names]
        found = await self._provider.bars_of(asked, timeframe, start_ns, end_ns)
        return {
            self._names[name]: Bars(self._names[name], *bars.columns())
            for name, bars in found.items()
            if name in self._names
        }

    def _start(self, work: Any, name: str) -> asyncio.Task[None]:
        """Run something beside the stream; its error ends the stream."""
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._error = task.exception()
            self._news.set()

    # --- inside --------------------------------------------------------------------------------

    def _begin_ticks(self, seen_ns: int) -> None:
        """The newest bars that are news stand for all that was missed."""
        newest = max((h.last_close_ns or 0 for h in self._histories.values()), default=0)
        self._instants.begin(seen_ns)
        if newest > seen_ns:
            for history in self._histories.values():
                if history.last_close_ns == newest:
                    self._instants.add(next(iter(history.last(1, newest).rows())))

    def _load(self, bars: Bars) -> None:
        """History, which is not told."""
        history = self._histories[bars.symbol]
        for bar in bars.rows():
            if is_sound(bar):
                history.put(bar)
                self.last_bar_ns = max(self.last_bar_ns, bar.close_ns)
            else:
                self._drop(bar, "unsound")
        if self.timeframe == self._base:
            self._quiet.learn(bars)

    async def _wait(self) -> None:
        """Until there is news, or the next tick is due without any."""
        due_ns = self._due_ns()
        seconds = None
        if due_ns is not None:
            seconds = max(_SHORTEST_WAIT, (due_ns - self._clock.now_ns()) / SECOND)
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def _warmup_spans(self, since_ns: int) -> Iterable[tuple[list[str], int]]:
        """From when on history is needed; a market with nights and weekends has fewer bars."""
        always = [name for name in self.symbols if is_crypto(name)]
        others = [name for name in self.symbols if not is_crypto(name)]
        step = self.timeframe.ns
        if always:
            yield always, since_ns - (self._warmup + 1) * step
        if others:
            session = DAY if self.timeframe.is_daily else _SESSION_NS
            sessions = math.ceil(self._warmup * step / session)
            yield others, since_ns - (sessions * 7 // 5 + 4) * DAY
