"""Fetch into the catalog what it does not have yet, a file's span at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ticklane.core.market import MINUTE, Timeframe
from ticklane.core.symbols import normal_symbol
from ticklane.data.catalog import BarCatalog, Series
from ticklane.data.provider import MarketDataProvider
from ticklane.data.ranges import Span

_SETTLED = 2 * MINUTE  # vendors correct a bar for a little while
_AT_ONCE = 4
Progress = Callable[[str, int, int], object]  # symbol, spans done, spans in all


@dataclass(slots=True)
class Fetched:
    """What a download did for one series."""

    series: Series
    fetched_spans: int = 0
    total_spans: int = 0
    bars: int = 0  # fetched now
    dropped: int = 0  # not sound, and left out

    @property
    def is_complete(self) -> bool:
        """Whether all that was missing is here now."""
        return self.fetched_spans == self.total_spans


async def download(
    catalog: BarCatalog,
    provider: MarketDataProvider,
    symbols: Sequence[str],
    timeframe: Timeframe,
    start_ns: int,
    end_ns: int,
    *,
    now_ns: int,
    variant: Callable[[str], str] = lambda _: "",
    progress: Progress = lambda *_: None,
) -> list[Fetched]:
    """Fetch the missing bars that open from `start_ns` to before `end_ns`.

    Every span is written as soon as it is whole, so a download that is broken off goes on where it
    was. What is not over yet (and two minutes old, or more with
    a provider whose history comes later) is left for the next time. Raises DataError and
    BrokerError.
    """
    names = list(dict.fromkeys(normal_symbol(symbol) for symbol in symbols))
    settled = _SETTLED + int(getattr(provider, "history_delay_ns", 0))
    until = min(end_ns, now_ns - settled - timeframe.ns + 1)
    with catalog.writing():
        work = []
        for name in names:
            series = Series(name, timeframe, variant(name))
            spans = catalog.missing(series, start_ns, until) if until > start_ns else []
            work.append((Fetched(series, total_spans=len(spans)), spans))
            progress(name, 0, len(spans))
        seats = asyncio.Semaphore(_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for done, spans in work:
                    group.create_task(_fetch(catalog, provider, done, spans, seats, progress))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
    return [done for done, _ in work]


async def _fetch(
    catalog: BarCatalog,
    provider: MarketDataProvider,
    done: Fetched,
    spans: Sequence[Span],
    seats: asyncio.Semaphore,
    progress: Progress,
) -> None:
    series = done.series
    step = series.timeframe
    for start, end in spans:
        async with seats:
            bars = await provider.bars(series.symbol, step, start, end + step.ns)
        done.dropped += catalog.add(series, bars, (start, end))
        done.bars += int(((bars.open_ns >= start) & (bars.open_ns < end)).sum())
        done.fetched_spans += 1
        progress(series.symbol, done.fetched_spans, len(spans))
    if not catalog.has_bars(series):
        catalog.forget(series)
