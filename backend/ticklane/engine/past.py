"""What a run has seen before this process began, and what came while there was none.

Strategies walk through `market_data`, so the order of its symbols decides the order of their
orders. After a restart prices and news therefore stand in the order in which they once came.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import NamedTuple

from ticklane.core.market import Bar, Bars, Tick
from ticklane.engine.schedule import Schedule
from ticklane.interfaces import Feed


class Past(NamedTuple):
    """The bars of one symbol up to an instant."""

    symbol: str
    bars: Bars
    first: int  # the bar that was news first: the one after warm-up and start
    shown_ns: int | None  # since when the symbol has a price; None: not yet

    @property
    def last(self) -> Bar:
        """The newest bar."""
        [bar] = self.bars.between(len(self.bars) - 1, len(self.bars)).rows()
        return bar


def past_of(feed: Feed, symbol: str, until_ns: int, warmup: int = 0) -> Past:
    """What is known of a symbol at an instant, of which `warmup` bars only fill history."""
    bars, start_ns = feed.history(symbol, None, until_ns), feed.start_ns or 0
    before = int(bars.close_ns.searchsorted(start_ns, side="right"))
    first, shown_ns = max(before, warmup), None
    if before == first > 0:
        shown_ns = start_ns
    elif len(bars) > first:
        shown_ns = int(bars.close_ns[first])
    return Past(symbol, bars, first, shown_ns)


def by_arrival(pasts: Iterable[Past]) -> list[Past]:
    """Those that have a price, in the order in which they got it."""
    return sorted((one for one in pasts if one.shown_ns is not None), key=attrgetter("shown_ns"))


def unheard(pasts: Iterable[Past], schedule: Schedule | None, until_ns: int) -> list[str]:
    """The symbols with news that no instant of a schedule has come after, oldest news first."""
    if schedule is None:
        return []
    found = []
    for one in pasts:
        close_ns = one.bars.close_ns
        news = bisect_left(close_ns, True, key=lambda at: schedule.after(int(at) - 1) > until_ns)
        news = max(news, one.first)
        if news < len(close_ns):
            found.append((int(close_ns[news]), one.symbol))
    return [symbol for _, symbol in sorted(found, key=itemgetter(0))]


def missed_ticks(
    feed: Feed, symbols: Iterable[str], after_ns: int, until_ns: int
) -> Iterator[Tick]:
    """The ticks of these symbols later than `after_ns` and not later than `until_ns`."""
    count = (until_ns - after_ns) // feed.timeframe.ns + 1
    bars: list[Bar] = []
    for symbol in symbols:
        bars += feed.history(symbol, count, until_ns).rows()
    missed = sorted((bar for bar in bars if bar.close_ns > after_ns), key=attrgetter("close_ns"))
    for at_ns, together in groupby(missed, attrgetter("close_ns")):
        at_once = tuple(together)
        yield Tick(at_ns, tuple(bar.symbol for bar in at_once), at_once)
