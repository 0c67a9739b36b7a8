"""Builders for tests of the Alpaca integration: a broker at the local venue, a bench, a feed."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np

from ticklane.clock import SystemClock
from ticklane.core.correction import Correction
from ticklane.core.market import MINUTE, Bar, Bars, Tick, Timeframe
from ticklane.core.order import OrderUpdate
from ticklane.core.secret import Secret
from ticklane.engine.runner import StrategyRunner
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.broker import AlpacaBroker
from ticklane.interfaces import Recovered
from ticklane.storage.service import StorageService
from ticklane.testing.bench import Bench
from ticklane.testing.builders import an_order

PREFIX = "tl-abc123-"
PATIENCE = 20.0


def an_account(venue, **terms):
    """The account at a local venue."""
    given = {"url": venue.url, "stream_url": venue.stream_url, **terms}
    return AlpacaAccount(key=Secret("key"), secret=Secret("secret"), **given)


def a_broker(venue, **options):
    """A broker that trades AAPL at the venue, with short waits by chance."""
    given = {"symbols": ["AAPL"], "jitter": lambda: 0.0, **options}
    return AlpacaBroker(an_account(venue), **given)


def a_runner(broker, path, *strategies, **options):
    """A runner with a database, whose bars are shown by hand, as a daemon at the broker has it."""
    storage = StorageService(path, minimum_free_bytes=0)
    known = {"storage": storage, "feed": HandFeed(), "clock": SystemClock()}
    runner = StrategyRunner(broker, **known, **options)
    for strategy in strategies:
        runner.load_strategy(strategy)
    return runner


class VenueBench(Bench):
    """A bench whose market is the local venue: what is heard is waited for."""

    def __init__(self, venue, broker):
        super().__init__(broker)
        self.venue = venue
        self.messages = []
        self.arrived = asyncio.Event()
        broker.attach(self.put)

    def put(self, *messages):
        for message in messages:
            self.messages.append(message)
            if isinstance(message, OrderUpdate):
                self._take(message)
            elif isinstance(message, Correction):
                self._correct(message)
        self.arrived.set()

    def _correct(self, message):
        order = self.orders[message.update.order_id]
        for one in message.taken_back:
            self.fills.append(one)
            order.filled_quantity -= abs(one.quantity)
        if message.taken_back:
            self.fills.append(message.update.fill)
            order.filled_quantity += abs(message.update.fill.quantity)
        else:
            self._take(message.update)

    async def open(self, **known):
        await self.broker.open()
        await self.broker.connect(Recovered("r1", installation="abc123", **known), {})
        return await self.broker.recover()

    async def until(self, is_so):
        """Wait until something is so, looking again whenever a message has come."""
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self.arrived.clear()
                await self.arrived.wait()

    async def struck(self, count):
        """Wait until so many faults of the venue have struck."""
        async with asyncio.timeout(PATIENCE):
            while len(self.venue.faults.history) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def send(self, *orders):
        """Ask for orders without waiting for what becomes of them."""
        for order in orders:
            self.orders[order.id], order.client_order_id = order, PREFIX + order.id
            await self.broker.submit(order)

    def of(self, kind):
        """The messages of one kind."""
        return [message for message in self.messages if isinstance(message, kind)]

    async def settle(self):
        """Until nothing is under way and every event of the venue has been heard."""
        sender, ledger = self.broker._sender, self.venue.ledger
        async with asyncio.timeout(PATIENCE):
            await sender.idle()
            while self.heard < len(ledger.events):  # noqa: ASYNC110
                await asyncio.sleep(0)
        await sender.idle()

    @property
    def heard(self):
        return self.broker._stream.events

    async def submit(self, *orders):
        for order in orders:
            for one in (order, *order.legs):
                self.orders[one.id] = one
                one.client_order_id = PREFIX + one.id
            await self.broker.submit(order)
            await self.settle()
        return orders[-1]

    async def cancel(self, order):
        await self.broker.cancel(order)
        await self.settle()

    async def replace(self, order, by):
        by.replaces_id = order.id
        by.client_order_id = PREFIX + by.id
        self.orders[by.id] = by
        await self.broker.replace(order, by)
        await self.settle()
        return by

    async def price(self, *prices):
        for price in prices:
            self.venue.price(self.symbol, price)
            await self.settle()


@asynccontextmanager
async def at_venue(venue, **options):
    """A connected bench at the venue, where AAPL costs 100."""
    venue.price("AAPL", 100)
    bench = VenueBench(venue, a_broker(venue, **options))
    try:
        await bench.open()
        yield bench
    finally:
        await bench.broker.disconnect()


class HandFeed:
    """A feed whose ticks are put in by hand."""

    def __init__(self, symbols=("AAPL",), length=MINUTE):
        self.symbols, self.timeframe, self.label = tuple(symbols), Timeframe(length), "HAND"
        self.start_ns = None
        self.bars = {symbol: [] for symbol in self.symbols}
        self._ticks = asyncio.Queue()

    def history(self, symbol, count, until_ns):
        known = [bar for bar in self.bars[symbol] if bar.close_ns <= until_ns]
        chosen = known if count is None else known[len(known) - min(count, len(known)) :]
        return Bars.of(symbol, chosen) if chosen else Bars(symbol, *_EMPTY)

    async def stream(self, after_ns):
        while (tick := await self._ticks.get()) is not None:
            yield tick

    def show(self, price, now_ns, symbol="AAPL"):
        """One more bar that has just closed at this price."""
        bar = Bar(symbol, now_ns - self.timeframe.ns, now_ns, price, price, price, price, 1000.0)
        self.bars[symbol].append(bar)
        self._ticks.put_nowait(Tick(now_ns, (symbol,), (bar,)))

    def end(self):
        self._ticks.put_nowait(None)


_EMPTY = [np.array([], np.int64)] * 2 + [np.array([], float)] * 5
__all__ = ["HandFeed", "VenueBench", "a_broker", "an_account", "an_order", "at_venue"]
