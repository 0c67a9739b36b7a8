"""A symbol that its exchange has halted: no entries until it trades again."""

import asyncio

from jumping_loop import in_virtual_time
from streaming_builders import NOON, a_feed, a_vendor, minutes_of

from ticklane.brokers.paper import PaperBroker
from ticklane.core.commands import Lift, Restrict
from ticklane.core.market import MINUTE, SECOND
from ticklane.core.prints import MarketStatus
from ticklane.data.halts import Halts
from ticklane.engine.runner import StrategyRunner
from ticklane.interfaces import StrategyInterface

REASON = "Volatility Trading Pause"


class Buyer(StrategyInterface):
    """Wants one more each minute, and sells one when it has three."""

    def on_tick(self, market_data):
        if self.portfolio.position("AAA").quantity > 2:
            self.sell("AAA", 1)
        else:
            self.buy("AAA", 1)


def status(at_ns, is_trading, symbol="AAA"):
    return MarketStatus(symbol, at_ns, is_trading, "" if is_trading else REASON)


def a_run(vendor, seconds, during=None):
    """What became of the orders, minute by minute, and the restrictions that were seen."""
    seen = []

    async def watch(runner):
        for _ in range(seconds // 10):
            await asyncio.sleep(10)
            seen.append(list(runner.get_status().restrictions))

    async def run():
        feed = a_feed(vendor)
        runner = StrategyRunner(PaperBroker(100_000), feed=feed, clock=vendor.clock)
        decided = []
        runner.on_signal_callback = lambda *told: decided.append(told[2].status.name)
        runner.load_strategy(Buyer({"symbols": ["AAA"]}))
        async with runner:
            helper = asyncio.ensure_future(during(vendor)) if during else None
            await watch(runner)
            if helper is not None:
                await helper
        return decided, seen

    return in_virtual_time(run())


def told_at(seconds, is_trading):
    return (seconds, "on_status", status(NOON + (30 + round(seconds)) * SECOND, is_trading))


def test_a_halted_symbol_takes_no_entries_and_status_says_why_and_since_when():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)
    vendor.untold = {("AAA", NOON + n * MINUTE) for n in range(4, 60)}
    vendor.extra = [told_at(100, False), told_at(160, True)]

    decided, seen = a_run(vendor, 180)

    assert decided == ["SENDING", "SENDING", "DENIED"]
    [restriction] = seen[12]
    assert restriction == {
        "code": "market_halt",
        "state": "REDUCE_ONLY",
        "symbol": "AAA",
        "reason": "AAA is halted at its exchange: Volatility Trading Pause.",
        "since": "2024-01-02T12:02:10+00:00",
        "is_latched": False,
    }
    assert seen[16] == []


def test_a_bar_of_after_the_halt_ends_it_where_the_word_of_the_exchange_was_lost():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)
    vendor.extra = [told_at(100, False)]

    decided, seen = a_run(vendor, 280)

    assert [len(one) for one in seen[9:]] == [1] * 12 + [0] * 7  # until the bar of 12:03 is there
    assert decided == ["SENDING", "SENDING", "DENIED", "SENDING", "SENDING"]


def changes(*news):
    """What the lane hears."""
    halts, heard = Halts(), []
    halts.listen(heard.append)
    for one in news:
        halts.see_trade("AAA", one) if isinstance(one, int) else halts.hear("AAA", one)
    return [(type(one), one.restriction.since_ns if type(one) is Restrict else 0) for one in heard]


def test_a_pause_that_becomes_a_halt_keeps_the_instant_it_began_at():
    longer = status(9, False)._replace(reason="Halt News Pending")

    assert changes(status(5, False), longer) == [(Restrict, 5), (Restrict, 5)]


def test_the_same_word_again_is_no_news():
    assert changes(status(5, False), status(6, False), status(7, True), status(8, True)) == [
        (Restrict, 5),
        (Lift, 0),
    ]


def test_an_old_word_that_trading_goes_on_ends_no_halt():
    assert changes(status(5, False), status(4, True)) == [(Restrict, 5)]


def test_a_trade_after_the_halt_ends_it_and_one_of_before_does_not():
    assert changes(status(5, False), 5) == [(Restrict, 5)]
    assert changes(status(5, False), 4, 6) == [(Restrict, 5), (Lift, 0)]


def test_who_listens_later_hears_what_is_halted_already():
    halts, heard = Halts(), []
    halts.hear("AAA", status(5, False))
    halts.hear("BBB", status(6, False))
    halts.hear("BBB", status(7, True))
    halts.listen(heard.append)

    assert [(one.restriction.symbol, one.by) for one in heard] == [("AAA", "prices")]
