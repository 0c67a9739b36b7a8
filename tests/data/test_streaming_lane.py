"""The streaming feed under the lane, in virtual time: what a strategy sees of a broken stream."""

import asyncio

import pytest
from catalog_builders import bars_at
from jumping_loop import in_virtual_time
from streaming_builders import NOON, a_feed, a_vendor, minutes_of

from ticklane.brokers.paper import PaperBroker
from ticklane.core.errors import BrokerError
from ticklane.core.market import MINUTE, SECOND, Bar, Quote
from ticklane.engine.runner import StrategyRunner
from ticklane.interfaces import StrategyInterface


class Diary(StrategyInterface):
    """Writes down what it sees, and the history it has then."""

    warmup = 3

    def __init__(self, config=None):
        super().__init__(config)
        self.seen = []
        self.pages = []

    def on_tick(self, market_data):
        seen = market_data["AAA"]
        self.seen.append(seen)
        bars = self.history("AAA", 4)
        self.pages.append([(at - NOON) // MINUTE for at in bars.close_ns.tolist()])


def a_run(vendor, seconds, during=None, interval=None, **options):
    """A strategy's diary after so many seconds."""

    async def run():
        feed = a_feed(vendor, **options)
        runner = StrategyRunner(PaperBroker(100_000), feed=feed, clock=vendor.clock)
        diary = Diary({"symbols": ["AAA"]})
        runner.load_strategy(diary, interval)
        async with runner:
            helper = asyncio.ensure_future(during(vendor)) if during else None
            await asyncio.sleep(seconds)
            if helper is not None:
                await helper
        assert runner.error is None
        return diary

    return in_virtual_time(run())


def minutes(diary):
    return [(bar.close_ns - NOON) // MINUTE for bar in diary.seen]


def test_a_strategy_sees_each_bar_once_with_the_history_before_it():
    diary = a_run(a_vendor(minutes_of("AAA", -30, 60), after=30), 300)

    assert minutes(diary) == [1, 2, 3, 4, 5]
    assert diary.pages[0] == [-2, -1, 0, 1]
    assert diary.pages[-1] == [2, 3, 4, 5]


def test_what_a_gap_held_back_is_one_tick_with_whole_history():
    async def cut(vendor):
        await asyncio.sleep(100)
        vendor.history_fails = 10_000
        vendor.streams[0].drop(seconds=200)
        await asyncio.sleep(199)
        vendor.history_fails = 0

    diary = a_run(a_vendor(minutes_of("AAA", -30, 60), after=30), 600, during=cut)

    assert minutes(diary) == [1, 2, 5, 6, 7, 8, 9, 10]  # 3 and 4 were overtaken, and merged
    assert diary.pages[2] == [2, 3, 4, 5]


def test_a_schedule_is_asked_after_the_bars_of_its_instant():
    symbols = ("AAA", "BBB")  # the tick waits for BBB, which has nothing
    vendor = a_vendor(minutes_of("AAA", -30, 60), bars_at("BBB", []), after=30)

    diary = a_run(vendor, 300, interval="1m", symbols=symbols)

    assert minutes(diary) == [1, 2, 3, 4, 5]


def test_quotes_are_ticks_and_bars_are_history():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)
    for second in range(1, 90):
        quote = Quote("AAA", NOON + (30 + second) * SECOND, 10.0 + second, 11.0 + second)
        vendor.extra.append((second, "on_quote", quote))

    diary = a_run(vendor, 80, quotes=True)

    quotes = [seen for seen in diary.seen if isinstance(seen, Quote)]
    assert len(quotes) > 70
    assert [seen.close_ns for seen in diary.seen if isinstance(seen, Bar)] == [NOON + MINUTE]
    assert diary.pages[-1] == [-2, -1, 0, 1]


def test_a_quote_is_no_bar_of_the_warm_up():
    vendor = a_vendor(minutes_of("AAA", 0, 60))  # nothing is known from before noon
    for second in range(1, 300):
        quote = Quote("AAA", NOON + second * SECOND, 10.0, 11.0)
        vendor.extra.append((second, "on_quote", quote))

    diary = a_run(vendor, 290, quotes=True)

    assert diary.seen[0].close_ns > NOON + 3 * MINUTE
    assert diary.pages[0] == [1, 2, 3]


def test_a_vendor_that_cannot_be_asked_ends_the_start_with_its_sentence():
    vendor = a_vendor(minutes_of("AAA", -30, 60))
    vendor.history_fails = 1

    with pytest.raises(BrokerError, match="cannot be reached"):
        a_run(vendor, 10)

    assert vendor.is_closed


def test_a_slow_strategy_sees_the_newest_quote_and_not_a_queue():
    vendor = a_vendor(after=1)
    for number in range(3_000):
        at = 2 + number / 100
        quote = Quote("AAA", NOON + round((at + 1) * SECOND), 10.0, 11.0)
        vendor.extra.append((at, "on_quote", quote))
    ages = []

    class Slow(StrategyInterface):
        async def on_tick(self, market_data):
            ages.append(vendor.clock.now_ns() - market_data["AAA"].time_ns)
            await asyncio.sleep(0.7)

    async def run():
        feed = a_feed(vendor, quotes=True)
        runner = StrategyRunner(PaperBroker(100_000), feed=feed, clock=vendor.clock)
        runner.load_strategy(Slow({"symbols": ["AAA"]}))
        async with runner:
            await asyncio.sleep(30)

    in_virtual_time(run())

    assert len(ages) > 35
    assert max(ages) < 0.25 * SECOND
