"""What the limits may ask about market and time, answered by the lane's feed and clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from ticklane.clock import SimulatedClock
from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument
from ticklane.core.market import DAY, MarketData, Observation
from ticklane.interfaces import Calendar, Clock, Feed, Session
from ticklane.risk.manager import Surroundings

FindCalendar = Callable[[Any], Calendar | None]
_DAYS = 20
_MOST_BARS = 50_000  # bars of less than a minute: their history is never days long
_SPAN_NS = 30 * DAY  # 20 days with bars lie in so many of the calendar


class LaneSurroundings(Surroundings):
    """Sessions by the instrument's calendar, volumes by the feed's history, once a day."""

    def __init__(
        self,
        last: MarketData,
        feed: Feed | None,
        clock: Clock | None,
        instrument_of: Callable[[str], Instrument],
        find_calendar: FindCalendar = lambda _: None,
    ) -> None:
        self._last, self._feed = last, feed
        self._clock = None if isinstance(clock, SimulatedClock) else clock
        self._instrument_of, self._find_calendar = instrument_of, find_calendar
        self._calendars: dict[str, Calendar | None] = {}
        self._volumes: dict[str, tuple[int, float | None]] = {}

    @property
    def is_real_time(self) -> bool:
        """True when time goes on by itself."""
        return self._clock is not None

    def seen(self, symbol: str) -> Observation | None:
        """The newest bar or quote of a symbol."""
        return self._last.get(symbol)

    def session(self, symbol: str, at_ns: int) -> Session | None:
        """The session that is open or comes next; None for a market without a calendar."""
        calendar = self.calendar(symbol)
        return None if calendar is None else calendar.session(at_ns)

    def calendar(self, symbol: str) -> Calendar | None:
        """When the market of a symbol is open, as far as its instrument tells."""
        if symbol not in self._calendars:
            name = self._instrument_of(symbol).calendar
            self._calendars[symbol] = None
            with suppress(ConfigError):  # only the composition root knows names
                self._calendars[symbol] = self._find_calendar(name)
        return self._calendars[symbol]

    def daily_volume(self, symbol: str, at_ns: int) -> float | None:
        """The average of the last 20 whole days (UTC) with bars; None before there is one."""
        day = at_ns // DAY
        known = self._volumes.get(symbol)
        if known is None or known[0] != day:
            known = self._volumes[symbol] = (day, self._average_volume(symbol, day * DAY))
        return known[1]

    def now_ns(self, at_ns: int) -> int:
        """The lane's instant, or the clock's where real time has gone on."""
        return at_ns if self._clock is None else max(at_ns, self._clock.now_ns())

    def _average_volume(self, symbol: str, midnight_ns: int) -> float | None:
        if self._feed is None:
            return None
        count = math.ceil(_SPAN_NS / self._feed.timeframe.ns)
        if count > _MOST_BARS:
            return None
        bars = self._feed.history(symbol, count, midnight_ns)
        is_lately = bars.open_ns >= midnight_ns - _SPAN_NS
        days, which = np.unique(bars.open_ns[is_lately] // DAY, return_inverse=True)
        if not len(days):
            return None
        return float(np.bincount(which, bars.volume[is_lately])[-_DAYS:].mean())
