"""A vendor in virtual time: it knows its bars, tells them minute by minute, and can misbehave."""

import asyncio
from contextlib import suppress

from catalog_builders import bars_at
from jumping_loop import LoopClock

from ticklane.core.errors import BrokerError, DataError
from ticklane.core.market import DAY, MINUTE, SECOND, Bars
from ticklane.core.resample import joined
from ticklane.data.calendars import AlwaysOpen
from ticklane.data.streaming import StreamingFeed

NOON = 1_704_196_800 * SECOND  # 2 January 2024, 12:00 UTC


def minutes_of(symbol, first, count, start=NOON, price=100.0):
    """`count` bars of which the first opens `first` minutes after noon."""
    return bars_at(symbol, [start + (first + n) * MINUTE for n in range(count)], price)


class Vendor:
    """Bars of a script. `told` bars come by the stream `lag` seconds after their close, all are in
    the history `history_lag` seconds after it."""

    name = "VENDOR"

    def __init__(self, *series, clock, lag=0.3, history_lag=1.0):
        self.series = {one.symbol: one for one in series}
        self.clock, self.lag, self.history_lag = clock, lag, history_lag
        self.untold = set()  # (symbol, close_ns) that the stream keeps to itself
        self.extra = []  # (seconds after the start, callback name, what)
        self.is_mute = False
        self.history_fails = 0
        self.refuses = None
        self.asked = []
        self.streams = []
        self.is_closed = False

    async def bars_of(self, symbols, timeframe, start_ns, end_ns):
        self.asked.append((tuple(symbols), start_ns, end_ns))
        await asyncio.sleep(0.05)
        if self.history_fails > 0:
            self.history_fails -= 1
            raise BrokerError("the vendor cannot be reached; check the network.")
        until = min(end_ns, self.clock.now_ns() - round(self.history_lag * SECOND))
        return {symbol: self._between(symbol, timeframe, start_ns, until) for symbol in symbols}

    def _between(self, symbol, timeframe, start_ns, end_ns):
        bars = self.series.get(symbol, bars_at(symbol, []))
        if timeframe.ns != MINUTE:
            bars = joined(bars, timeframe)
        first = int(bars.open_ns.searchsorted(start_ns))
        last = int(bars.close_ns.searchsorted(end_ns, side="right"))
        return bars.between(first, max(first, last))

    async def latest_quotes(self, symbols):
        return {}

    def stream(self, symbols, **callbacks):
        made = VendorStream(self, symbols, callbacks)
        self.streams.append(made)
        return made

    async def close(self):
        self.is_closed = True


class VendorStream:
    """Tells what is due; `drop` takes it down for some seconds, as a lost connection does."""

    def __init__(self, vendor, symbols, callbacks):
        self.vendor, self.symbols, self.callbacks = vendor, symbols, callbacks
        self.reconnected = []
        self.down_seconds = None
        self._interrupted = asyncio.Event()

    async def run(self):
        if self.vendor.refuses:
            raise DataError(self.vendor.refuses)
        while True:
            self._interrupted.clear()
            self.vendor.is_mute = False
            self.callbacks["on_state"](tuple(self.symbols), True, "connected")
            telling = asyncio.ensure_future(self._tell())
            try:
                await self._interrupted.wait()
            finally:
                telling.cancel()
                await asyncio.wait([telling])
            self.callbacks["on_state"](tuple(self.symbols), False, "the connection was lost")
            await asyncio.sleep(self.down_seconds)

    async def _tell(self):
        began = self.vendor.clock.now_ns()
        for at_ns, name, what in sorted(self._script(began), key=lambda row: row[0]):
            wait = (at_ns - self.vendor.clock.now_ns()) / SECOND
            await asyncio.sleep(max(0, wait))
            if not self.vendor.is_mute and self.callbacks.get(name):
                self.callbacks[name](what)
        await asyncio.Event().wait()

    def _script(self, after_ns):
        lag = round(self.vendor.lag * SECOND)
        for bars in self.vendor.series.values():
            for bar in bars.rows():
                is_told = (bar.symbol, bar.close_ns) not in self.vendor.untold
                if bar.close_ns + lag > after_ns and is_told and bar.symbol in self.symbols:
                    yield bar.close_ns + lag, "on_bar", bar
        for seconds, name, what in self.vendor.extra:
            at_ns = self.vendor.clock.start_ns + round(seconds * SECOND)
            if at_ns > after_ns:
                yield at_ns, name, what

    def drop(self, seconds):
        self.down_seconds = seconds
        self._interrupted.set()

    def reconnect(self, symbols, reason):
        self.reconnected.append(reason)
        self.drop(1.0)

    def status(self):
        return {}


def a_vendor(*series, after=0.0, **options):
    """A vendor whose clock begins so many seconds after noon."""
    return Vendor(*series, clock=LoopClock(NOON + round(after * SECOND)), **options)


def a_feed(vendor, symbols=("AAA",), timeframe="1m", **options):
    given = {"calendar": AlwaysOpen(), "warmup": 5, **options}
    return StreamingFeed(vendor, symbols, timeframe=timeframe, clock=vendor.clock, **given)


async def ticks_for(feed, seconds, after_ns=None, during=None):
    """What the feed gives in so many seconds, with the instants at which it came."""
    found = []

    async def collect():
        async for tick in feed.stream(after_ns):
            found.append((feed._clock.now_ns(), tick))

    await feed.open(after_ns)
    feed.start_ns = feed._clock.now_ns() if feed.start_ns is None else feed.start_ns
    task = asyncio.ensure_future(collect())
    helper = asyncio.ensure_future(during()) if during else None
    await asyncio.wait([task], timeout=seconds)
    if task.done():
        await task
    task.cancel()
    if helper is not None:
        await helper
    with suppress(asyncio.CancelledError):
        await task
    return found


def closes(found, symbol="AAA"):
    """The minutes after noon at which the bars of a symbol closed, in the order they were told."""
    return [
        (bar.close_ns - NOON) // MINUTE
        for _, tick in found
        for bar in tick.observed
        if bar.symbol == symbol
    ]


def known(feed, symbol="AAA", count=None):
    bars = feed.history(symbol, count, NOON + DAY)
    assert isinstance(bars, Bars)
    return [(at - NOON) // MINUTE for at in bars.close_ns.tolist()]
