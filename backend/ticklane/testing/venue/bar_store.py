"""Where the venue's base bars are: in the feed's history, and in what was pushed by hand."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from ticklane.clock import SystemClock
from ticklane.core.market import MINUTE, Bar, Bars, Timeframe
from ticklane.data.feeds import SimulatedFeed
from ticklane.interfaces import Feed


class BarStore:
    """The base bars of every symbol, asked for by time.

    The history of the feed is asked for when somebody asks us, and never kept. What was pushed by
    hand is kept, and stands before what the feed tells of the same time.
    """

    def __init__(self, feed: Feed | None = None) -> None:
        self._feed = feed
        self._coarse = _in_minutes(feed)
        self._own: dict[str, list[Bar]] = {}  # by close, rising
        self._begins: dict[str, int] = {}  # of the feed's bars

    def has_feed(self, symbol: str) -> bool:
        """Whether the feed tells of a symbol."""
        return self._feed is not None and symbol in self._feed.symbols

    def add(self, bar: Bar) -> None:
        """Keep a bar; one that closes at the same instant as another takes its place."""
        kept = self._own.setdefault(bar.symbol, [])
        if not kept or kept[-1].close_ns < bar.close_ns:
            kept.append(bar)
            return
        row = bisect_left(kept, bar.close_ns, key=_close_of)
        if row < len(kept) and kept[row].close_ns == bar.close_ns:
            kept[row] = bar
        else:
            kept.insert(row, bar)

    def begin_ns(self, symbol: str, known_ns: int) -> int:
        """The opening of the first bar; 0 for a simulated market, which has no beginning."""
        if symbol not in self._begins and self._feed is not None and symbol in self._feed.symbols:
            is_endless = isinstance(self._feed, SimulatedFeed)
            told = (
                Bars.of(symbol, ()) if is_endless else _history(self._feed, symbol, None, known_ns)
            )
            if is_endless or len(told):
                self._begins[symbol] = int(told.open_ns[0]) if len(told) else 0
        own = [bar.open_ns for bar in self._own.get(symbol, [])[:1]]
        return min([self._begins.get(symbol, known_ns), *own])

    def newest(self, symbol: str, until_ns: int) -> Bar | None:
        """The last bar that closed at or before an instant."""
        kept = self._own.get(symbol, [])
        row = bisect_right(kept, until_ns, key=_close_of)
        found = [*_history(self._feed, symbol, 1, until_ns).rows(), *kept[row - 1 : row]]
        return max(found, key=_close_of, default=None)

    def base_ns(self, is_coarse: bool) -> int:
        """The usual length of a base bar."""
        feed = self._coarse if is_coarse else self._feed
        return MINUTE if feed is None else feed.timeframe.ns

    def bars(
        self, symbol: str, start_ns: int, end_ns: int, known_ns: int, is_coarse: bool = False
    ) -> Bars:
        """Base bars that close from start to end and are known by now.

        `is_coarse`: those of a simulated market may be minutes where its feed has seconds, since a
        year of seconds takes a minute to make.

        Bars shorter than a minute of a minute that is not over yet are left out.
        """
        until = min(end_ns, known_ns)
        kept = self._own.get(symbol, [])
        first = bisect_left(kept, start_ns, key=_close_of)
        own = Bars.of(symbol, kept[first : bisect_right(kept, until, key=_close_of)])
        feed = self._coarse if is_coarse else self._feed
        count = max(0, until - start_ns) // self.base_ns(is_coarse) + 2
        told = _history(feed, symbol, count, until)
        return _whole_minutes(_joined(told, own), known_ns)


def _history(feed: Feed | None, symbol: str, count: int | None, until_ns: int) -> Bars:
    if feed is None or symbol not in feed.symbols:
        return Bars.of(symbol, ())
    return feed.history(symbol, count, until_ns)


def _in_minutes(feed: Feed | None) -> Feed | None:
    """A simulated market of seconds in minutes: the same prices, looked at less often."""
    if not isinstance(feed, SimulatedFeed) or feed.timeframe.ns >= MINUTE:
        return feed
    return SimulatedFeed(
        feed.symbols, clock=SystemClock(), seed=feed.seed, timeframe=Timeframe(MINUTE)
    )


def _close_of(bar: Bar) -> int:
    return bar.close_ns


def _joined(told: Bars, own: Bars) -> Bars:
    """Both, oldest first; of two that close at the same instant our own."""
    if not len(own):
        return told
    if not len(told):
        return own
    pairs = zip(own.columns(), told.columns(), strict=True)
    columns = [np.concatenate(pair) for pair in pairs]
    _, rows = np.unique(columns[1], return_index=True)  # the first of each close
    return Bars(told.symbol, *(column[rows] for column in columns))


def _whole_minutes(bars: Bars, known_ns: int) -> Bars:
    """Without the bars shorter than a minute that belong to a minute which is not over."""
    is_over = bars.close_ns <= known_ns - known_ns % MINUTE
    is_whole = bars.close_ns - bars.open_ns >= MINUTE
    return bars.between(0, int(np.count_nonzero(is_over | is_whole)))
