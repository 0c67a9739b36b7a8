"""A feed whose stream is looked after: gaps are filled, silence is looked up."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from ticklane.core.errors import TicklaneError
from ticklane.core.market import DAY, MINUTE, SECOND, Bar, Timeframe
from ticklane.data.live import LiveFeed
from ticklane.data.provider import MarketDataProvider, PriceStream
from ticklane.data.quiet import LATENESS_NS

_log = logging.getLogger("ticklane.data")
ONE_MINUTE = Timeframe(MINUTE)
_HOLD_SECONDS = 10.0  # so long ticks wait for what a gap is filled with
_FILL_AGAIN_SECONDS = (0.0, 4.0, 20.0)  # a vendor's history is a little behind its stream
_TOGETHER_SECONDS = 0.1  # what is wanted at the same time is fetched at once
_LOOK_SECONDS = 1.0
_AUDIT_MINUTES = 5
_UNSETTLED_NS = 2 * MINUTE  # a vendor's history may lack so much, and its own delay
_QUIET_QUOTES_NS = 15 * SECOND
_OLDER_NS = 5 * SECOND
_BETWEEN_RECONNECTS_NS = 30 * SECOND


class WatchedFeed(LiveFeed):
    """What the stream should have told is known here; a subclass tells what it did tell."""

    def __init__(
        self, provider: MarketDataProvider, symbols: Sequence[str], **options: Any
    ) -> None:
        super().__init__(provider, symbols, **options)
        self._prices: PriceStream | None = None
        self._up: set[str] = set()  # the symbols whose connection is there
        self._up_ns = 0
        self._streamed: dict[str, int] = {}  # the close of the newest bar the stream told
        delay_ns = int(getattr(provider, "history_delay_ns", 0))
        self._unsettled_ns = _UNSETTLED_NS + delay_ns
        self._held_until: float | None = None
        self._to_fill: set[str] = set()
        self._fill_wanted = asyncio.Event()
        self._whole_ns = 0  # up to here the vendor was asked for all that the stream may have lost
        self._looked = 0  # the minute after which all were looked up
        self._reconnected_ns = 0

    @property
    def _base(self) -> Timeframe:
        return ONE_MINUTE

    @property
    def _can_fetch(self) -> bool:
        """Whether the vendor has recorded bars of which ours can be made."""
        return self.timeframe.ns % MINUTE == 0

    @property
    @abstractmethod
    def _heard_quotes_ns(self) -> int | None:
        """When the newest quote or trade was made; None where there are none in this feed."""

    @property
    @abstractmethod
    def _has_minutes(self) -> bool:
        """Whether the stream tells minutes."""

    @abstractmethod
    def _take_base(self, bar: Bar) -> None:
        """Take in a minute, streamed or fetched."""

    def _start_watch(self) -> None:
        """From now on it is looked after."""
        self._quiet.begin(self.symbols, self._clock.now_ns())
        self._whole_ns = self._clock.now_ns() - self._unsettled_ns - self.timeframe.ns
        self._want_filled(self.symbols)
        self._start(self._fill_gaps(), "gaps")
        self._start(self._look_after(), "stream watch")

    def _is_holding(self) -> bool:
        if self._held_until is None:
            return False
        if asyncio.get_running_loop().time() >= self._held_until:
            self._held_until = None
            _log.warning("the gap of %s is not filled yet; going on without", self.label)
            return False
        return True

    # --- gaps ----------------------------------------------------------------------------------

    def _want_filled(self, names: Iterable[str]) -> None:
        """Fetch what came since the last bars; ticks wait for the first answer."""
        if self._can_fetch:
            self._to_fill.update(names)
            self._held_until = asyncio.get_running_loop().time() + _HOLD_SECONDS
            self._fill_wanted.set()

    async def _fill_gaps(self) -> None:
        """Fetch whenever it is wanted, and twice more for what the vendor's history lacks yet."""
        while True:
            await self._fill_wanted.wait()
            await asyncio.sleep(_TOGETHER_SECONDS)
            self._fill_wanted.clear()
            names = list(self._to_fill)
            for seconds in chain(_FILL_AGAIN_SECONDS, repeat(_FILL_AGAIN_SECONDS[-1])):
                if await self._is_wanted_within(seconds):
                    break
                is_filled = await self._try_to_fill(names)
                if is_filled and seconds == _FILL_AGAIN_SECONDS[-1]:
                    self._to_fill.difference_update(names)
                    break

    async def _is_wanted_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._fill_wanted.wait()
        except TimeoutError:
            return False
        return True

    async def _try_to_fill(self, names: Sequence[str]) -> bool:
        try:
            await self._fill(names, self._gap_begins())
        except TicklaneError as error:
            self.counts["failed_requests"] += 1
            _log.warning("the gap of %s cannot be filled yet: %s", self.label, error)
            return False
        if not self._fill_wanted.is_set():
            self._held_until = None
            self._news.set()
        return True

    def _gap_begins(self) -> int:
        """The instant up to which nothing is missing, but at most a day ago."""
        since = max(self._whole_ns, self._clock.now_ns() - DAY)
        return since - since % self.timeframe.ns

    async def _fill(self, names: Sequence[str], since_ns: int) -> dict[str, list[int]]:
        """Fetch minutes; returns the closes of those the stream should have told and did not."""
        now_ns = self._clock.now_ns()
        found = await self._fetch(names, ONE_MINUTE, since_ns, now_ns)
        untold: dict[str, list[int]] = {}
        for name, bars in found.items():
            told_ns = max(self._streamed.get(name, 0), self._up_ns)
            for bar in bars.rows():
                if told_ns < bar.close_ns <= now_ns - LATENESS_NS:
                    untold.setdefault(name, []).append(bar.close_ns)
                self._take_base(bar)
        if len(names) == len(self.symbols):
            self._whole_ns = max(self._whole_ns, now_ns - self._unsettled_ns)
        self.counts["fetched"] += sum(map(len, untold.values()))
        return untold

    # --- looking after it ----------------------------------------------------------------------

    async def _look_after(self) -> None:
        """Every second: is somebody too quiet, and is there a stream at all?"""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now_ns = self._clock.now_ns()
            suspects = self._suspects(now_ns)
            if suspects:
                await self._look_up(suspects, now_ns)
            elif self._heard_quotes_ns is not None:
                await self._look_at_quotes(self._heard_quotes_ns, now_ns)

    def _suspects(self, now_ns: int) -> list[str]:
        """Who is too quiet; without a connection all of them every minute, with one every five,
        since a single message may be lost where nobody is quiet."""
        if not self._has_minutes:
            return []
        minute = (now_ns - LATENESS_NS) // MINUTE
        down = [name for name in self.symbols if name not in self._up]
        if minute > self._looked and (down or minute >= self._looked + _AUDIT_MINUTES):
            self._looked = minute
            if down or self._may_lack(now_ns):
                return down or list(self.symbols)
        return self._quiet.suspects(now_ns)

    def _may_lack(self, now_ns: int) -> bool:
        """Whether anything was told, or should have been, that was not compared yet."""
        if max(self._streamed.values(), default=0) > self._whole_ns:
            return True
        expected = self._quiet.expected_bars
        return any(expected(name, self._whole_ns, now_ns) for name in self.symbols)

    async def _look_up(self, suspects: list[str], now_ns: int) -> None:
        """Ask the vendor for what the stream should have told."""
        self._quiet.begin(suspects, now_ns)
        try:
            untold = await self._fill(suspects, self._gap_begins())
        except TicklaneError as error:
            self.counts["failed_requests"] += 1
            _log.warning("%s is quiet and cannot be looked up: %s", self.label, error)
            return
        mute = [name for name in untold if name in self._up and self._is_mute(untold[name])]
        if mute:
            count = sum(len(untold[name]) for name in mute)
            self._reconnect(mute, f"mute: {count} bars were not told", now_ns)

    def _is_mute(self, untold: Sequence[int]) -> bool:
        """Two bars of a symbol, or nothing of anybody since: more than a message that was lost."""
        return len(untold) > 1 or max(self._streamed.values(), default=0) < untold[0]

    async def _look_at_quotes(self, newest: int, now_ns: int) -> None:
        open_now = [name for name in self.symbols if self._quiet.is_expected(name, now_ns)]
        if not open_now or now_ns - newest < _QUIET_QUOTES_NS or not self._up:
            return
        if now_ns - self._reconnected_ns < _BETWEEN_RECONNECTS_NS:
            return
        vendor = [name for name, own in self._names.items() if own in open_now]
        try:
            found = await self._provider.latest_quotes(vendor)
        except TicklaneError:
            self.counts["failed_requests"] += 1
            return
        if any(quote.time_ns > newest + _OLDER_NS for quote in found.values()):
            self._reconnect(open_now, "mute: there are newer quotes than it told", now_ns)

    def _reconnect(self, names: Sequence[str], reason: str, now_ns: int) -> None:
        if self._prices is None or now_ns - self._reconnected_ns < _BETWEEN_RECONNECTS_NS:
            return
        self._reconnected_ns = now_ns
        self.counts["mute"] += 1
        wanted = set(names)
        self._prices.reconnect([name for name, own in self._names.items() if own in wanted], reason)
