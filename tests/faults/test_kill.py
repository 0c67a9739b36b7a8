"""SIGKILL at any instant: the next process goes on, with nothing done twice and nothing skipped."""

import asyncio
import json
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from fault_journal import difference, journal
from fault_processes import BACKEND, ENVIRONMENT, Campaign, Nursery, start
from fault_setups import SETUPS, write_bars, write_setup
from nursery import account_of

from ticklane.app import build
from ticklane.app.daemon import serve
from ticklane.app.example import _settings as example_settings
from ticklane.app.settings import load_settings
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.instrument import Instrument
from ticklane.core.order import public
from ticklane.engine.tape import Tape
from ticklane.storage.reader import Reader
from ticklane.storage.rows import trade_row


class Peace:
    """The same run in one go, in this process."""

    def __init__(self, name, folder, bars):
        settings = load_settings(write_setup(name, folder, bars))
        runner = asyncio.run(serve(settings))
        self.settings = settings
        self.account = json.loads(json.dumps(account_of(runner)))
        self.journal = journal(settings.database_path)


def kill(name, tmp_path, *, bars, kills, rounds=1):
    """Run campaigns of one setup, two at a time; returns how often a running lane was killed."""
    total, reference = 0, Peace(name, tmp_path / "peace", bars)
    for number in range(rounds):
        pair = [
            Campaign(write_setup(name, tmp_path / f"{number}-{n}", bars), kills) for n in range(2)
        ]
        for campaign in pair:
            campaign.finish()
        total += sum(c.lane_kills(reference.journal, reference.account) for c in pair)
    return total


@pytest.mark.parametrize("name", ["partial fills and schedules", "strategies that fail"])
def test_a_run_that_is_killed_again_and_again_ends_like_one_left_in_peace(name, tmp_path):
    bars = write_bars(tmp_path / "bars", 250)

    assert kill(name, tmp_path, bars=bars, kills=5) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("name", SETUPS)
def test_many_kills_change_nothing(name, tmp_path):
    bars = write_bars(tmp_path / "bars", 800)

    assert kill(name, tmp_path, bars=bars, kills=30, rounds=2) >= 60


@pytest.mark.slow
@pytest.mark.parametrize(
    "styles", [("in commit", "after send"), ("after commit",)], ids=" and ".join
)
def test_a_kill_at_each_commit_and_at_each_order_of_a_run_changes_nothing(styles, tmp_path):
    name, bars = "partial fills and schedules", write_bars(tmp_path / "bars", 52)
    reference = Peace(name, tmp_path / "peace", bars)
    configs = [write_setup(name, tmp_path / style, bars) for style in styles]
    nurseries = [Nursery(one, "each", style) for one, style in zip(configs, styles, strict=True)]
    for nursery in nurseries:
        nursery.finish()

    for config, nursery in zip(configs, nurseries, strict=True):
        found = nursery.outcomes()
        kills = sum(one["was_killed"] and one["had_lane"] for one in found)
        assert kills > 20
        assert {json.dumps(one["account"]) for one in found if one["account"]} == {
            json.dumps(reference.account)
        }
        for number in range(1, kills + 1):
            killed = journal(config.with_name(f"{number}.db"))
            assert difference(reference.journal, killed) is None, (config, number)


@pytest.mark.parametrize("name", SETUPS)
def test_a_backtest_of_the_same_bars_gives_the_same_orders_fills_and_trades(name, tmp_path):
    settings = Peace(name, tmp_path / "peace", write_bars(tmp_path / "bars", 250)).settings

    tape = asyncio.run(replayed(settings))

    with Reader(settings.database_path) as reader:
        orders, fills = reader.orders(), reader.fills_of()
    numbered = [public(order) for order in tape.orders if not order.id.endswith("-0")]
    assert [in_r1(order) for order in orders] == [in_r1(order) for order in numbered]
    assert fills == [
        fill._replace(order_id=in_r1(fill.order_id), execution_id=in_r1(fill.execution_id))
        for fill in tape.fills
    ]
    trades = journal(settings.database_path)["trades"]
    assert trades == [trade_row(trade, "r1") for trade in tape.trades]


def test_the_setups_use_every_kind_of_order_and_reach_every_state(tmp_path):
    bars = write_bars(tmp_path / "bars", 250)
    rows = {"orders": [], "fills": [], "signals": []}
    for number, name in enumerate(SETUPS):
        peace = Peace(name, tmp_path / str(number), bars)
        for table, found in rows.items():
            found += peace.journal[table]

    seen = {field: {row[field] for row in rows["orders"]} for field in rows["orders"][0]}
    assert seen["type"] == {"market", "limit", "stop", "stop_limit", "trailing_stop"}
    assert seen["order_class"] == {"simple", "bracket", "oco", "oto"}
    assert seen["time_in_force"] == {"day", "gtc", "ioc", "fok"}
    assert seen["status"] >= {
        *("ACKED", "CANCELED", "DENIED", "EXPIRED", "FILLED", "PARTIAL", "REJECTED", "REPLACED")
    }
    assert len(rows["fills"]) > len({row["order_id"] for row in rows["fills"]})  # partial fills
    assert {row["reason_code"] for row in rows["signals"]} >= {
        *("malformed", "self_cross", "insufficient_cash", "strategy_fault", "strategy_parked")
    }


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_the_example_may_be_killed_at_any_moment(kills, tmp_path, monkeypatch):
    program = [sys.executable, str(BACKEND / "run_strategy_example.py")]
    killed, peace = tmp_path / "killed", tmp_path / "peace"
    for folder in (killed, peace):
        folder.mkdir()

    for _ in range(kills):
        kill_while_it_runs(program, killed)
    done = subprocess.run([*program, "--fast"], cwd=killed, env=ENVIRONMENT, capture_output=True)

    monkeypatch.chdir(peace)
    asyncio.run(serve(example_settings(fresh=False, replay_seconds=None)))
    database = Path("ticklane-data", "ticklane.db")
    assert done.returncode == 0, done.stderr
    assert difference(journal(peace / database), journal(killed / database)) is None


def kill_while_it_runs(program, folder):
    """Wait until the lane of a new process runs and a moment more, and kill it."""
    process = start(program, until=", database ", cwd=folder)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(random.uniform(0.1, 1.0))
    process.kill()
    process.communicate()


async def replayed(settings):
    """What the same strategies do in a backtest: another broker, no storage, no inbox."""
    strategies = build.make_strategies(settings)
    symbols = tuple(dict.fromkeys(symbol for one in strategies for symbol in one.symbols))
    calendar = build.find_calendar(settings.calendar)
    feed, _ = build.make_feed(settings, symbols, calendar)
    broker = ReplayBroker(
        settings.cash,
        costs=build.read_costs(settings.costs),
        slippage=build.read_slippage(settings.slippage),
        latency=timedelta(seconds=settings.latency),
        allow_short=settings.allow_short,
        calendars=[calendar] if calendar else [],
        instruments=[Instrument(symbol=s, calendar=calendar.name) for s in symbols]
        if calendar
        else [],
    )
    tape = Tape()
    runner = build.StrategyRunner(broker, feed=feed, sizing=settings.sizing or None, tape=tape)
    for block, strategy in zip(settings.strategy, strategies, strict=True):
        runner.load_strategy(strategy, block.interval, calendar, cash=block.cash)
    await runner.replay()
    return tape


def in_r1(value):
    """A backtest's run has no number and no installation: its ids begin with r0."""
    if isinstance(value, dict):
        return {k: in_r1(v) for k, v in value.items() if k != "client_order_id"}
    return value.replace("r0-", "r1-") if isinstance(value, str) else value
