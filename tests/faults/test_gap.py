"""A simulated market goes on while nobody is there: what a restart sees of the time between."""

import asyncio
import json
import math
import sqlite3
from contextlib import closing

import pytest
from fault_journal import difference, journal
from fault_processes import Campaign
from fault_setups import write_setup
from nursery import account_of

from ticklane.app.build import StrategyRunner, build_runner
from ticklane.app.daemon import make_storage
from ticklane.app.settings import load_settings
from ticklane.brokers.paper import PaperBroker
from ticklane.core.market import SECOND
from ticklane.data.feeds import SimulatedFeed
from ticklane.indicators import SMA
from ticklane.interfaces import StrategyInterface
from ticklane.storage.service import StorageService

START = 1_800_000_000 * SECOND


class HandClock:
    """A clock in real time's place: it moves when somebody sleeps by it."""

    def __init__(self):
        self.time_ns = START

    def now_ns(self):
        return self.time_ns

    async def sleep(self, seconds):
        self.time_ns += math.ceil(seconds * SECOND)
        for _ in range(20):  # time for the lane
            await asyncio.sleep(0)


class Watching(StrategyInterface):
    """Writes down what it knows at each tick, and ends the run after so many of them."""

    def on_start(self):
        self.average = self.indicator(SMA, 50)

    def on_tick(self, market_data):
        last = self.history("AAPL", 50)
        self.seen.append((market_data.time_ns, self.average.value, last))
        if len(self.seen) == self.ticks:
            self.end("shutdown")


@pytest.fixture
def watched(tmp_path):
    """Runs Watching for so many ticks, in a real time that is made by hand."""
    clock, path = HandClock(), tmp_path / "runs.db"

    async def run(ticks, interval=None):
        feed = SimulatedFeed(("AAPL",), clock=clock, sleep=clock.sleep)
        runner = StrategyRunner(PaperBroker(), StorageService(path), feed, clock)
        strategy = runner.load_strategy(Watching({"symbols": "AAPL"}), interval)
        strategy.seen, strategy.ticks, strategy.end = [], ticks, runner.request_stop
        await runner.start()
        await runner.wait()
        return strategy.seen

    run.clock = clock
    return run


async def test_after_a_gap_one_tick_comes_and_history_and_indicators_know_all_between(watched):
    before = await watched(5)
    last_ns = watched.clock.now_ns() // SECOND * SECOND
    watched.clock.time_ns += 100 * SECOND

    after = await watched(5)

    times = [tick[0] for tick in after]
    assert times[0] == last_ns + 100 * SECOND  # the newest bar stands for all that were missed
    assert times == sorted(set(times))
    for time_ns, average, history in before + after:
        assert history.close_ns.tolist() == [time_ns - n * SECOND for n in reversed(range(50))]
        assert average == pytest.approx(history.close.mean(), rel=1e-12)


async def test_the_instants_of_a_schedule_that_were_missed_give_one_tick(watched):
    before = await watched(3, interval=10)
    watched.clock.time_ns += 95 * SECOND
    restarted_ns = watched.clock.now_ns()

    first, second, third = (tick[0] for tick in await watched(3, interval=10))

    assert before[-1][0] % (10 * SECOND) == 0
    assert restarted_ns - SECOND < first <= restarted_ns
    assert [second, third] == [(first // (10 * SECOND) + n) * 10 * SECOND for n in (1, 2)]


async def test_without_a_gap_nothing_is_merged_and_nothing_left_out(watched):
    before, after = await watched(20), await watched(20)

    times = [tick[0] for tick in before + after]
    assert times == [times[0] + n * SECOND for n in range(40)]


class Until(SimulatedFeed):
    """The same market with an end, and without waiting."""

    def __init__(self, feed, start_ns, end_ns):
        options = {"clock": feed._clock, "seed": feed.seed, "timeframe": feed.timeframe}
        super().__init__(feed.symbols, **options, speed=None, start_ns=start_ns)
        self.end_ns = end_ns

    async def stream(self, after_ns=None):
        async for tick in super().stream(after_ns):
            if tick.time_ns > self.end_ns:
                return
            yield tick


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_in_simulated_time_kills_change_nothing(kills, tmp_path):
    campaign = Campaign(write_setup(None, tmp_path / "killed"), kills)
    campaign.finish()
    processes = campaign.processes()
    found = journal(campaign.database)
    settings = load_settings(write_setup(None, tmp_path / "peace"))

    runner = asyncio.run(in_peace(settings, began_at(campaign.database), found["runs"][0]))

    wanted = journal(settings.database_path)
    wanted["runs"] = found["runs"]  # the one has ended, the other was stopped
    assert len(found["orders"]) > 5 * kills, campaign.told
    assert difference(wanted, found) is None, campaign.told
    account = json.loads(json.dumps(account_of(runner)))
    assert processes[-1]["account"] == account | {"ended_by": "shutdown"}
    assert sum(one["was_killed"] and one["had_lane"] for one in processes) >= kills * 3 // 4


def began_at(database):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT started_ns FROM runs").fetchone()[0]


async def in_peace(settings, start_ns, run):
    """The run in one go, from where the killed one began to where it was stopped."""
    runner = build_runner(settings, make_storage(settings))
    runner.feed = Until(runner.feed, start_ns, run["cursor_ns"])
    await runner.start()
    await runner.wait()
    return runner
