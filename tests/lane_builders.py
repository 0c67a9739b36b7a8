"""Builders for tests of the lane: bars, strategies made of functions, and runs of them."""

import asyncio
from datetime import datetime

import numpy as np

from ticklane.brokers.replay import ReplayBroker
from ticklane.core.market import DAY, HOUR, MINUTE, Bars, Timeframe, to_datetime, to_ns
from ticklane.core.order import Order, public
from ticklane.data.feeds import ReplayFeed
from ticklane.engine.runner import StrategyRunner
from ticklane.engine.tape import Tape
from ticklane.interfaces import Session, StrategyInterface
from ticklane.testing.builders import START


def minute(number):
    """The instant so many minutes after the start."""
    return START + number * MINUTE


def minutes_of(instants):
    """Instants, as nanoseconds or datetimes, as minutes after the start."""
    found = (to_ns(at) if isinstance(at, datetime) else at for at in instants)
    return [(at_ns - START) // MINUTE for at_ns in found]


def some_bars(count=5, symbol="AAPL", *, closes=None, minutes=None, first=10.0):
    """One-minute bars: they open where the last one closed, and close 1 higher unless told.

    `minutes` are the minutes after the start at which they close: 1, 2, 3 ... unless told.
    """
    close = np.array(closes if closes is not None else first + np.arange(count), float)
    opens = np.concatenate([close[:1], close[:-1]])
    ends = START + MINUTE * np.array(minutes or range(1, len(close) + 1), np.int64)
    high, low = np.maximum(opens, close) + 0.5, np.minimum(opens, close) - 0.5
    return Bars(symbol, ends - MINUTE, ends, opens, high, low, close, np.full(len(close), 1000.0))


def a_feed(*series, timeframe=MINUTE, **options):
    """A replay of these bars."""
    return ReplayFeed({bars.symbol: bars for bars in series}, Timeframe(timeframe), **options)


def a_strategy(on_tick=None, *, name="Scripted", symbols="AAPL", **members):
    """A strategy whose callbacks are plain functions of (self, ...)."""
    body = {"on_tick": on_tick or (lambda self, data: None), **members}
    return type(name, (StrategyInterface,), body)({"name": name, "symbols": symbols})


def a_recorder(name="Recorder", symbols="AAPL", **members):
    """A strategy that does nothing but keep (minute, updated, prices) of each tick in `.seen`."""

    def on_tick(self, data):
        prices = {symbol: seen["price"] for symbol, seen in data.items()}
        self.seen.append((*minutes_of([data.time]), data.updated, prices))

    made = a_strategy(on_tick, name=name, symbols=symbols, **members)
    made.seen = []
    return made


def a_runner(*strategies, feed=None, broker=None, **options):
    """A runner with these strategies (or pairs of strategy and interval) loaded."""
    runner = StrategyRunner(
        broker or ReplayBroker(), feed=feed or a_feed(some_bars()), tape=Tape(), **options
    )
    for one in strategies:
        runner.load_strategy(*(one if isinstance(one, tuple) else (one,)))
    return runner


async def replayed(*strategies, **options):
    """A runner after its replay."""
    runner = a_runner(*strategies, **options)
    await runner.replay()
    return runner


async def run_for(ticks, *strategies, series, **options):
    """A runner that was stopped ("shutdown") after so many ticks, as if by a signal."""
    passed = iter(range(ticks))

    async def sleep(_seconds):
        if next(passed, None) is None:
            runner.request_stop("shutdown")
            await asyncio.Event().wait()

    runner = a_runner(*strategies, feed=a_feed(*series, sleep=sleep), **options)
    await runner.start()
    await runner.wait()
    return runner


def tape_of(runner):
    """The tape that the runner has recorded."""
    return runner.desk.tape


class Gate:
    """A `sleep` for feeds: lets one tick through for each time it is opened."""

    def __init__(self):
        self._passes = asyncio.Semaphore(0)

    async def open(self, count=1):
        """Let so many ticks through, and everybody else run until they wait."""
        for _ in range(count):
            self._passes.release()
        for _ in range(50):
            await asyncio.sleep(0)

    async def __call__(self, _seconds):
        await self._passes.acquire()


class Journal:
    """Listens to a runner's bus and writes down what each event says.

    Of an order only what never changes: the bus is told later than the order has moved.
    """

    def __init__(self, runner):
        self.lines = []
        runner.bus.subscribe(lambda event: self.lines.append(_line(event)))

    def of(self, kind):
        """The events of one kind, each a dict of plain values."""
        return [fields for name, fields in self.lines if name == kind.__name__]


_MOVING = "status filled_quantity quantity reason reason_code broker_order_id".split()


def terms_of(order):
    """What of an order never changes, in plain values."""
    return {name: value for name, value in public(order).items() if name not in _MOVING}


def _line(event):
    return type(event).__name__, {
        name: terms_of(value) if isinstance(value, Order) else value
        for name, value in event._asdict().items()
    }


class Weekdays:
    """A market made by hand: 14:30 to 21:00 UTC on Mondays to Fridays."""

    name, timezone = "WEEKDAYS", "UTC"

    def session(self, at_ns):
        day = at_ns // DAY
        while to_datetime(day * DAY).weekday() > 4 or at_ns >= day * DAY + 21 * HOUR:
            day += 1
        return Session(day * DAY + 14 * HOUR + 30 * MINUTE, day * DAY + 21 * HOUR)
