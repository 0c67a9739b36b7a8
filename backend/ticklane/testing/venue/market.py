"""The venue's prices and its time: what is pushed, listened to, remembered and asked for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

from ticklane.core.errors import ConfigError
from ticklane.core.market import MINUTE, SECOND, Bar, Bars, Observation, Quote, Tick
from ticklane.interfaces import Feed
from ticklane.testing.venue.bar_making import BarMaker
from ticklane.testing.venue.bar_store import BarStore
from ticklane.testing.venue.buckets import Buckets, gather

CENT = 0.01
_GRACE = SECOND // 4  # how much later than its minute a price may come and still be in it
_KEPT = 200_000  # quotes, and as many trades, that are remembered for the history endpoints


class Trade(NamedTuple):
    """One trade of the market (not of an order): what the tape prints."""

    symbol: str
    time_ns: int
    price: float
    size: float = 1.0
    id: int = 0
    taker: str = "B"  # the side that took: B or S (crypto only)


Event = Bar | Quote | Trade
Channel = Literal[
    "bars",
    "updatedBars",
    "dailyBars",
    "quotes",
    "trades",
    "statuses",
    "corrections",
    "cancelErrors",
]
CHANNELS: tuple[Channel, ...] = get_args(Channel)


class Market:
    """Prices by a feed or by hand, and what time it is at the venue.

    Everything must be called in one thread, that of the venue's event loop. `clock` is "machine"
    (the default without a feed and with one at real speed) or "events": time is then that of the
    newest event, and `set_time` and `advance` move it. `run` drives the feed, if there is one.
    """

    def __init__(
        self,
        feed: Feed | None = None,
        *,
        clock: Literal["machine", "events"] | None = None,
        spread: float = 2 * CENT,
    ) -> None:
        self.feed = feed
        self.spread = spread
        self.last: dict[str, Observation] = {}  # the newest Bar or Quote, as a broker's venue wants
        self.skew_ns = 0  # how far the machine's clock is taken to be ahead
        self._told_ns = _start_of(feed)
        self.clock = clock or ("machine" if _is_paced_by_the_machine(feed) else "events")
        self._bars: dict[str, Bar] = {}  # the newest minute of each symbol
        self._pushed: dict[str, Bar] = {}  # the newest that came as a bar
        self._quotes: dict[str, Quote] = {}
        self._trades: dict[str, Trade] = {}
        self._past_quotes: deque[Quote] = deque(maxlen=_KEPT)
        self._past_trades: deque[Trade] = deque(maxlen=_KEPT)
        self._store = BarStore(feed)
        self._maker = BarMaker(self._made, self._day_so_far)
        self._tick_listeners: list[Callable[[Tick], object]] = []
        self._watchers: dict[str, list[Callable[[Any], object]]] = {name: [] for name in CHANNELS}
        self._trade_count = 0

    # time

    def now_ns(self) -> int:
        """What time it is at the venue, in nanoseconds UTC."""
        return time.time_ns() + self.skew_ns if self.clock == "machine" else self._told_ns

    def set_time(self, time_ns: int) -> None:
        """Put the venue's clock there; it stands still until it is moved or an event is later."""
        self.clock, self._told_ns = "events", time_ns
        self._maker.close(time_ns)

    def advance(self, seconds: float) -> None:
        """Move the venue's clock forward."""
        self.set_time(self.now_ns() + round(seconds * SECOND))

    # what is known

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol with a price or a feed, in the order of their appearance."""
        return tuple(dict.fromkeys([*(self.feed.symbols if self.feed else ()), *self.last]))

    def price_of(self, symbol: str) -> float | None:
        """The newest price of a symbol, before the first tick the newest of its history."""
        seen = self.last.get(symbol)
        if seen is None and (bar := self._newest_base(symbol)) is not None:
            return bar.close
        return None if seen is None else seen.price

    def last_bar(self, symbol: str) -> Bar | None:
        """The newest minute bar that is complete."""
        if found := self._bars.get(symbol):
            return found
        base = self._newest_base(symbol)
        if base is None:
            return None
        bars = self.bars(symbol, "1Min", base.close_ns - 2 * MINUTE, base.close_ns)
        return next(iter(bars.between(len(bars) - 1, len(bars)).rows()), None)

    def last_quote(self, symbol: str) -> Quote | None:
        """The newest quote; where only bars are known, one around their last price."""
        found, bar = self._quotes.get(symbol), self._pushed.get(symbol)
        if found is not None and (bar is None or found.time_ns >= bar.close_ns):
            return found
        if bar is None and (bar := self._newest_base(symbol)) is None:
            return None
        return self._quote_around(symbol, bar.close_ns, bar.close)

    def last_trade(self, symbol: str) -> Trade | None:
        """The newest trade; where only bars are known, one at their close."""
        found, bar = self._trades.get(symbol), self._pushed.get(symbol)
        if found is not None and (bar is None or found.time_ns >= bar.close_ns):
            return found
        if bar is None and (bar := self._newest_base(symbol)) is None:
            return None
        return _trade_at_close(bar)

    def base_ns(self, buckets: Buckets) -> int:
        """The usual length of the base bars from which bars of a timeframe are gathered."""
        return self._store.base_ns(buckets.is_coarse)

    def begin_ns(self, symbol: str) -> int:
        """The opening of the first base bar of a symbol; 0 where there is no beginning."""
        return self._store.begin_ns(symbol, self.now_ns())

    def bars(self, symbol: str, timeframe: str | int | Buckets, start_ns: int, end_ns: int) -> Bars:
        """Bars whose stamp lies in start to end (both inclusive), gathered from the base bars.

        `timeframe` as Alpaca writes it ("5Min", "1Hour", "1Day", "1Week", "3Month") or in
        nanoseconds. A base bar longer than the timeframe stands in its last piece.
        """
        buckets = Buckets.parse(timeframe, is_crypto="/" in symbol)
        last = buckets.end(buckets.start(end_ns))
        base = self._store.bars(symbol, start_ns, last, self.now_ns(), buckets.is_coarse)
        return gather(base, buckets, start_ns, end_ns)

    def quotes(self, symbol: str, start_ns: int, end_ns: int) -> list[Quote]:
        """The quotes that are remembered, oldest first; both ends inclusive."""
        return _within(self._past_quotes, symbol, start_ns, end_ns)

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> list[Trade]:
        """The trades that are remembered, oldest first; both ends inclusive."""
        return _within(self._past_trades, symbol, start_ns, end_ns)

    # listening

    def listen(self, callback: Callable[[Tick], object]) -> Callable[[], None]:
        """Call back for each instant with new prices; the answer ends it."""
        return _added(self._tick_listeners, callback)

    def watch(self, channel: Channel, callback: Callable[[Any], object]) -> Callable[[], None]:
        """Call back for each Bar, Quote or Trade of a stream's channel; the answer ends it."""
        return _added(self._watchers[channel], callback)

    # pushing

    def price(self, symbol: str, price: float, size: float = 1_000.0) -> None:
        """Say what a symbol costs from now on: a quote around the price, and a trade at it."""
        now, price, size = self.now_ns(), float(price), float(size)
        self.push(self._quote_around(symbol, now, price, size), Trade(symbol, now, price, size))

    def announce(self, channel: Channel, notice: Any) -> None:
        """Tell a halt, or what became of a trade; it moves no price."""
        self._shout(channel, notice)

    def take_back(self, symbol: str, trade_id: int | None = None) -> Trade:
        """Forget a trade, without an id the newest of its symbol. Raises ConfigError."""
        past = (one for one in reversed(self._past_trades) if one.symbol == symbol)
        found = next((one for one in past if trade_id in (None, one.id)), None)
        if found is None:
            which = "" if trade_id is None else f" {trade_id}"
            raise ConfigError(f"the venue has printed no trade{which} of {symbol}.")
        self._past_trades.remove(found)
        return found

    def put_back(self, trade: Trade) -> Trade:
        """Remember another trade instead, under an id of its own."""
        self._trade_count += 1
        trade = trade._replace(id=self._trade_count)
        self._past_trades.append(trade)
        return trade

    def push(self, *events: Event) -> None:
        """Take events of one instant, oldest first: remember them and tell whoever listens.

        A minute bar that is pushed a second time corrects the first. What is older than the
        venue's time is remembered, but moves no price.
        """
        if len(events) == 1 and isinstance(events[0], Quote):
            self._push_quote(events[0])
            return
        for event in events:
            if isinstance(event, Bar):
                self._store.add(event)
        self._push(events)

    def _push_quote(self, quote: Quote) -> None:
        """A single quote, which is what there is most of."""
        symbol, at = quote[:2]
        if at > self._told_ns:
            self._told_ns = at
        seen = self._take_quote(quote)
        self._complete_minutes()
        if seen is not None:
            self.last[symbol] = quote
            self._give(Tick(at, (symbol,), (quote,)))

    def _push(self, events: Sequence[Event]) -> None:
        observed: dict[str, Observation] = {}
        at = max(event[2] if isinstance(event, Bar) else event[1] for event in events)
        self._told_ns = max(self._told_ns, at)
        for event in events:
            seen = self._take(event)
            if seen is not None:
                observed[event.symbol] = seen
        self._complete_minutes()
        self._tell(at, observed)

    def _tell(self, at: int, observed: dict[str, Observation]) -> None:
        if not observed:
            return
        self.last.update(observed)
        self._give(Tick(at, tuple(observed), tuple(observed.values())))

    def _give(self, tick: Tick) -> None:
        for callback in tuple(self._tick_listeners):
            callback(tick)

    def _take(self, event: Event) -> Observation | None:
        """Remember one event, and say how the matching sees it (None: not at all)."""
        if isinstance(event, Quote):
            return self._take_quote(event)
        if isinstance(event, Trade):
            return self._take_trade(event)
        return self._take_bar(event)

    def _take_quote(self, quote: Quote) -> Observation | None:
        self._past_quotes.append(quote)
        self._shout("quotes", quote)
        last = self._quotes.get(quote.symbol)
        if last is not None and last.time_ns > quote.time_ns:
            return None
        self._quotes[quote.symbol] = quote
        return quote

    def _take_trade(self, trade: Trade) -> Observation | None:
        self._trade_count += 1
        trade = trade if trade.id else trade._replace(id=self._trade_count)
        self._past_trades.append(trade)
        self._shout("trades", trade)
        self._maker.trade(trade.symbol, trade.time_ns, trade.price, trade.size)
        last = self._trades.get(trade.symbol)
        if last is not None and last.time_ns > trade.time_ns:
            return None
        self._trades[trade.symbol] = trade
        quote = self._quotes.get(trade.symbol)
        if quote is not None and quote.time_ns >= trade.time_ns:
            # With its quote, which says how an order would be filled; else it is a late one.
            return quote if quote.time_ns == trade.time_ns else None
        return Quote(trade.symbol, trade.time_ns, trade.price, trade.price, trade.size, trade.size)

    def _take_bar(self, bar: Bar) -> Observation | None:
        last = self.last.get(bar.symbol)
        is_late = last is not None and last.close_ns >= bar.close_ns
        if not is_late:
            self._pushed[bar.symbol] = bar
            self._shout("quotes", self._quote_around(bar.symbol, bar.close_ns, bar.close))
            self._shout("trades", _trade_at_close(bar))
        self._maker.bar(bar)
        return None if is_late else bar

    def _made(self, channel: Channel, bar: Bar, is_new: bool) -> None:
        """A minute bar is complete, was corrected, or a day's bar has changed."""
        if channel != "dailyBars":
            known = self._bars.get(bar.symbol)
            if known is None or known.open_ns <= bar.open_ns:
                self._bars[bar.symbol] = bar
            if is_new and not self._store.has_feed(bar.symbol):
                self._store.add(bar)
        self._shout(channel, bar)

    def _day_so_far(self, symbol: str, start_ns: int) -> Bar | None:
        return next(iter(self.bars(symbol, "1Day", start_ns, start_ns).rows()), None)

    def _shout(self, channel: Channel, event: Any) -> None:
        for callback in self._watchers[channel]:
            callback(event)

    def _newest_base(self, symbol: str) -> Bar | None:
        return self._store.newest(symbol, self.now_ns())

    def _quote_around(self, symbol: str, at: int, price: float, size: float = 1_000.0) -> Quote:
        half = self.spread / 2
        bid, ask = round(price - half, 9), round(price + half, 9)
        return Quote(symbol, at, bid, ask, size, size)

    # running

    async def run(self) -> None:
        """Take the feed's ticks at its pace, and complete minutes as the clock passes them."""
        async with asyncio.TaskGroup() as group:
            if self.feed is not None:
                group.create_task(self._follow(self.feed))
            group.create_task(self._watch_clock())

    async def _follow(self, feed: Feed) -> None:
        has_begun = False
        async for tick in feed.stream(None):
            if not has_begun:
                self._begin_minutes(feed, tick.time_ns)
                has_begun = True
            if tick.observed:
                self._push(tick.observed)

    def _begin_minutes(self, feed: Feed, first_ns: int) -> None:
        """Take what the feed tells of the minute that runs already when its stream begins."""
        start = (first_ns - 1) // MINUTE * MINUTE
        count = MINUTE // feed.timeframe.ns
        for symbol in feed.symbols if count > 1 else ():
            for bar in feed.history(symbol, count, first_ns - 1).rows():
                if bar.close_ns > start:
                    self._maker.bar(bar)

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(((_GRACE - self.now_ns()) % MINUTE + 1) / SECOND)
            self._complete_minutes()

    def _complete_minutes(self) -> None:
        """Complete the minutes that are over; by the machine's clock their last events may lag."""
        late = _GRACE if self.clock == "machine" else 0
        self._maker.close(self.now_ns() - late)


def _start_of(feed: Feed | None) -> int:
    if feed is None or feed.start_ns is None:
        return time.time_ns()
    return feed.start_ns


def _is_paced_by_the_machine(feed: Feed | None) -> bool:
    return feed is None or (feed.start_ns is None and getattr(feed, "speed", 1) == 1)


def _trade_at_close(bar: Bar) -> Trade:
    return Trade(bar.symbol, bar.close_ns, bar.close, 1.0)


def _within(past: Iterable[Any], symbol: str, start_ns: int, end_ns: int) -> list[Any]:
    found = [e for e in past if e.symbol == symbol and start_ns <= e.time_ns <= end_ns]
    found.sort(key=lambda event: event.time_ns)
    return found


def _added(listeners: list[Any], callback: Any) -> Callable[[], None]:
    if not callable(callback):
        raise ConfigError(f"callback is {callback!r}, but must be callable.")
    listeners.append(callback)
    return lambda: listeners.remove(callback)
