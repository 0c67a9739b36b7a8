"""Pages of history: `limit` rows over all symbols, sorted by symbol, then by time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Literal

from ticklane.core.market import Bar
from ticklane.testing.venue.data_query import Place, Query
from ticklane.testing.venue.data_rows import Row, bar_row, quote_row, trade_row

if TYPE_CHECKING:
    from ticklane.testing.venue.market import Market

Kind = Literal["bars", "quotes", "trades"]
_BASE_BARS = 50_000  # that are gathered at once: the venue answers others in between
_FEW = 1_000  # bars in a piece, below which the next piece is made twice as long
_ROW: dict[Kind, Callable[[Any], Row]] = {
    "bars": bar_row,
    "quotes": quote_row,
    "trades": trade_row,
}


async def page_of(market: Market, kind: Kind, query: Query) -> tuple[dict[str, list[Row]], Any]:
    """The rows of one page by symbol, and the token of the next, if there is one."""
    found: dict[str, list[Row]] = {}
    last: Place | None = None
    left = query.limit
    async for event in _events(market, kind, query):
        at = _stamp_of(event)
        if left == 0:
            return found, last.token() if last else None
        found.setdefault(event.symbol, []).append(_ROW[kind](event))
        left -= 1
        same = last is not None and (last.symbol, last.at_ns) == (event.symbol, at)
        last = Place(event.symbol, at, last.count + 1 if last and same else _given(query, event))
    return found, None


def _given(query: Query, event: Any) -> int:
    """How many of this instant have been given with this one, counting those of the last page."""
    after = query.after
    is_same = after and (after.symbol, after.at_ns) == (event.symbol, _stamp_of(event))
    return after.count + 1 if after and is_same else 1


async def _events(market: Market, kind: Kind, query: Query) -> AsyncIterator[Any]:
    """Everything the query asks for after its place, in the order of pages."""
    for symbol in query.symbols:
        if query.after is not None and symbol < query.after.symbol:
            continue
        first, last, skipped = query.start_ns, query.end_ns, 0
        if query.after is not None and symbol == query.after.symbol:
            skipped = query.after.count
            first = first if query.is_descending else query.after.at_ns
            last = query.after.at_ns if query.is_descending else last
        async for event in _of_symbol(market, kind, query, symbol, first, last):
            if skipped and query.after and _stamp_of(event) == query.after.at_ns:
                skipped -= 1
                continue
            yield event


async def _of_symbol(
    market: Market, kind: Kind, query: Query, symbol: str, first: int, last: int
) -> AsyncIterator[Any]:
    if kind == "bars":
        async for bar in _bars(market, query, symbol, first, last):
            yield bar
        return
    ask = market.quotes if kind == "quotes" else market.trades
    found: list[Any] = ask(symbol, first, last)
    for event in reversed(found) if query.is_descending else found:
        yield event


async def _bars(
    market: Market, query: Query, symbol: str, first: int, last: int
) -> AsyncIterator[Bar]:
    """Bars piece by piece, so that a page out of many years does not gather all of them."""
    assert query.buckets is not None
    last = min(last, market.now_ns())
    first = max(first, query.buckets.start(market.begin_ns(symbol)))
    length = _BASE_BARS * market.base_ns(query.buckets)
    while first <= last:
        begin = max(first, last - length) if query.is_descending else first
        end = last if query.is_descending else min(last, first + length)
        bars = market.bars(symbol, query.buckets, begin, end)
        rows = list(bars.rows())
        for bar in reversed(rows) if query.is_descending else rows:
            yield bar
        first, last = (first, begin - 1) if query.is_descending else (end + 1, last)
        length *= 2 if len(bars) < _FEW else 1
        await asyncio.sleep(0)


def _stamp_of(event: Any) -> int:
    return event.open_ns if isinstance(event, Bar) else event.time_ns
