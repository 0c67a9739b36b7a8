"""Signals, stops and new starts: what ends in order, what is cut off, and which run goes on."""

import asyncio
import signal
import subprocess
import time

import pytest
from fault_journal import difference, journal
from fault_processes import ENVIRONMENT, daemon, start, stopping_after
from fault_setups import block, write_bars, write_settings

from ticklane.app.build import build_runner
from ticklane.app.daemon import serve
from ticklane.app.settings import load_settings
from ticklane.core.errors import StorageError
from ticklane.storage.reader import Reader


@pytest.fixture
def bars(tmp_path):
    return write_bars(tmp_path / "bars", 150)


@pytest.fixture
def configured(tmp_path, bars):
    """Writes a settings file: the strategies, the folder of the database and further settings."""

    def write(*strategies, name="run", **settings):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        chosen = {"feed": f"replay:{bars}", "data_dir": folder, "database": folder / "runs.db"}
        return write_settings(folder / "ticklane.toml", strategies, **(chosen | settings))

    return write


def run(config, watch=None, **flags):
    """The daemon in this process, to its end."""
    return asyncio.run(serve(load_settings(config, **flags), watch))


def reader_of(config):
    return Reader(load_settings(config).database_path)


def statuses(config, **chosen):
    with reader_of(config) as reader:
        return [order["status"] for order in reader.orders(**chosen)]


def runs(config):
    with reader_of(config) as reader:
        return [(one["id"], one["end_reason"], one["resumed"]) for one in reader.runs()]


RESTING = block("Resting", "resting", "AAPL")
DICE = block("Dice", "dice", "AAPL", "IBM", "MSFT")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_in_order_and_the_next_start_goes_on(configured, number):
    config = configured(DICE, RESTING, replay_seconds=10)
    process = start(daemon(config), until="dice bought")
    with pytest.raises(StorageError, match=f"in use by process {process.pid} "):
        run(config)

    begin = time.monotonic()
    process.send_signal(number)
    said, _ = process.communicate(timeout=10)

    assert (process.returncode, time.monotonic() - begin < 5) == (0, True), said
    assert runs(config) == [("r1", None, 0)]
    assert "ACKED" in statuses(config, strategy="resting")
    run(config, replay_seconds=0.1)
    peace = configured(DICE, RESTING, name="peace")
    run(peace)
    assert runs(config) == [("r1", "end", 1)]
    found, wanted = (journal(load_settings(one).database_path) for one in (config, peace))
    found["strategy_state"] = wanted["strategy_state"]  # it counts its starts
    assert difference(wanted, found) is None


def test_a_strategy_that_blocks_cannot_hold_up_the_end(configured, tmp_path):
    marker = tmp_path / "marker"
    config = configured(block("Blocking", "blocking", "AAPL", marker=str(marker)))
    process = start(daemon(config), until="blocked")

    begin = time.monotonic()
    process.terminate()
    process.communicate(timeout=10)

    assert time.monotonic() - begin < 5.5
    assert process.returncode == 1
    run(config)
    assert runs(config) == [("r1", "end", 1)]
    assert statuses(config) == ["FILLED"]
    with reader_of(config) as reader:
        assert reader.state() == {"blocking": {"ticks": 150}}


@pytest.mark.parametrize(("is_set", "status"), [(False, "ACKED"), (True, "CANCELED")])
def test_open_orders_are_kept_at_a_stop_unless_told_otherwise(configured, is_set, status):
    config = configured(RESTING, DICE, cancel_on_stop=is_set)

    run(config, stopping_after(20))

    assert set(statuses(config, strategy="resting")) == {status}
    assert runs(config) == [("r1", None, 0)]


def test_a_finished_run_is_followed_by_a_new_one_on_a_new_account(configured):
    config = configured(DICE)
    first, second = run(config), run(config)

    assert runs(config) == [("r1", "end", 0), ("r2", "end", 0)]
    assert first.portfolio.cash == second.portfolio.cash != 100_000


def test_a_fresh_start_leaves_an_unfinished_run_behind(configured):
    config = configured(DICE)
    run(config, stopping_after(30))

    runner = run(config, fresh=True)

    assert runner.run_id == "r2"
    assert runs(config) == [("r1", "fresh", 0), ("r2", "end", 0)]


CHANGES = [
    {"cash": 90_000},
    {"allow_short": True},
    {"costs": {"per_order": 1}},
    {"slippage": {"percent": 0.1}},
    {"latency": 1.5},
    {"sizing": {"quantity": 3}},
    {"calendar": "24/7"},
    {"interval": "5d"},
    {"strategy": [DICE | {"seed": 1}]},
    {"strategy": [DICE | {"cash": 50_000}]},
    {"strategy": [DICE | {"symbols": ["AAPL"]}]},
    {"strategy": [DICE | {"name": "other"}]},
    {"strategy": [DICE, RESTING]},
]


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_a_changed_config_begins_a_new_run(configured, change):
    config = configured(DICE)
    run(config, stopping_after(1))

    run(config, stopping_after(1), **change)

    assert [one[0] for one in runs(config)] == ["r1", "r2"]


@pytest.mark.parametrize("change", [{"replay_seconds": 0.1}, {"log_level": "ERROR"}], ids=" ".join)
def test_what_decides_nothing_may_change(configured, change):
    config = configured(DICE)
    run(config, stopping_after(1))

    run(config, **change)

    assert runs(config) == [("r1", "end", 1)]


def test_the_unfinished_run_of_an_earlier_config_is_still_there(configured):
    config = configured(DICE)
    run(config, stopping_after(30))
    run(config, allow_short=True)

    run(config)

    assert runs(config) == [("r1", "end", 1), ("r2", "end", 0)]


def test_after_a_stop_in_order_a_parked_strategy_gets_another_chance(configured):
    failing = block("Faulty", "faulty", "AAPL", "MSFT", in_a_row=60)
    config = configured(failing, DICE)
    parked = run(config, stopping_after(100))
    assert parked.hosts["faulty"].status.state == "parked"

    again = run(config)

    assert again.hosts["faulty"].status.faults > 0
    assert again.hosts["dice"].status.ticks > 0
    assert runs(config) == [("r1", "end", 1)]


def test_a_pause_that_was_answered_outlives_a_kill(configured):
    config = configured(DICE, RESTING, replay_seconds=10)
    process = start(daemon(config), until="dice bought")
    pause = [*daemon(config)[:3], "pause", "resting", "--config", str(config)]
    subprocess.run(pause, env=ENVIRONMENT, check=True, capture_output=True)
    process.kill()
    process.communicate()

    runner = run(config, replay_seconds=0.1)

    assert runner.hosts["resting"].status.ticks == 0
    assert runner.hosts["dice"].status.ticks > 0
    with reader_of(config) as reader:
        assert reader.state()["resting"]["ticks"] < 150


async def test_a_run_without_storage_is_stopped_and_forgotten(configured):
    config = configured(DICE, RESTING)
    first = build_runner(load_settings(config))
    first.on_signal_callback = lambda *_: first.request_stop("shutdown")
    await first.start()
    await first.wait()

    second = build_runner(load_settings(config))
    await second.start()
    await second.wait()

    assert (first.ended_by, second.ended_by) == ("shutdown", "end")
    assert second.desk.orders["r0-1"].created_ns == first.desk.orders["r0-1"].created_ns
    assert not load_settings(config).database_path.exists()
