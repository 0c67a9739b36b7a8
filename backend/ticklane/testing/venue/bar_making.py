"""Minute bars and the day's running bar, made from trades and from base bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ticklane.core.market import MINUTE, Bar
from ticklane.testing.venue.buckets import Buckets

Made = Callable[[Any, Bar, bool], object]
"""Called with the channel, the bar, and whether it is one that only trades told of."""


class BarMaker:
    """Completes minutes as time passes: `made` hears of each minute bar, and of each day's.

    A trade or base bar that comes after its minute was completed corrects the minute: an updated
    bar, as at Alpaca. Base bars of a minute and longer are minute bars at once: the last minute of
    what they tell of, with all its prices and its volume.
    """

    def __init__(self, made: Made, day_so_far: Callable[[str, int], Bar | None]) -> None:
        self._made = made
        self._day_so_far = day_so_far  # of a symbol whose first minute is complete
        self._open: dict[str, tuple[Bar, bool]] = {}  # the minute that is being made, by symbol
        self._done: dict[str, Bar] = {}  # the newest minute that was completed
        self._days: dict[str, Bar] = {}
        self._next = 0  # the end of the first open minute

    def trade(self, symbol: str, at_ns: int, price: float, size: float) -> None:
        """Take a trade into its minute."""
        start = at_ns - at_ns % MINUTE
        bar = Bar(symbol, start, start + MINUTE, price, price, price, price, size)
        self._take(bar, is_new=True)

    def bar(self, bar: Bar) -> None:
        """Take a base bar: into its minute, or as one."""
        start = (bar.close_ns - 1) // MINUTE * MINUTE
        piece = bar._replace(open_ns=start, close_ns=start + MINUTE)
        if bar.close_ns - bar.open_ns < MINUTE:
            self._take(piece, is_new=False)
            if bar.close_ns == piece.close_ns and bar.symbol in self._open:
                self._complete(*self._open.pop(bar.symbol))
            return
        done = self._done.get(bar.symbol)
        if done is not None and done.open_ns >= start:
            if done.open_ns == start:
                self._done[bar.symbol] = piece
            self._made("updatedBars", piece, False)
            return
        self._complete(piece, False)

    def close(self, now_ns: int) -> None:
        """Complete every minute that is over."""
        if not self._open or now_ns < self._next:
            return
        over = [symbol for symbol, (bar, _) in self._open.items() if bar.close_ns <= now_ns]
        for symbol in over:
            self._complete(*self._open.pop(symbol))
        self._next = min((bar.close_ns for bar, _ in self._open.values()), default=0)

    def _take(self, bar: Bar, is_new: bool) -> None:
        done = self._done.get(bar.symbol)
        if done is not None and bar.open_ns <= done.open_ns:
            if bar.open_ns == done.open_ns:
                self._done[bar.symbol] = corrected = _grown(done, bar)
                self._made("updatedBars", corrected, is_new)
            return
        found, _ = self._open.get(bar.symbol, (None, False))
        if found is not None and found.open_ns < bar.open_ns:
            self._complete(*self._open.pop(bar.symbol))
            found = None
        self._open[bar.symbol] = (_grown(found, bar) if found else bar, is_new)
        self._next = min(self._next or bar.close_ns, bar.close_ns)

    def _complete(self, bar: Bar, is_new: bool) -> None:
        self._done[bar.symbol] = bar
        self._made("bars", bar, is_new)
        self._days[bar.symbol] = day = self._day_with(bar)
        self._made("dailyBars", day, False)

    def _day_with(self, minute: Bar) -> Bar:
        """The day's bar with one more minute."""
        start = Buckets.parse("1Day", "/" in minute.symbol).start(minute.open_ns)
        day, first = self._days.get(minute.symbol), minute._replace(open_ns=start)
        if day is None and (known := self._day_so_far(minute.symbol, start)) is not None:
            return known._replace(close_ns=minute.close_ns)
        return _grown(day, first) if day is not None and day.open_ns == start else first


def _grown(bar: Bar, by: Bar) -> Bar:
    return Bar(
        bar.symbol,
        bar.open_ns,
        by.close_ns,
        bar.open,
        max(bar.high, by.high),
        min(bar.low, by.low),
        by.close,
        bar.volume + by.volume,
    )
