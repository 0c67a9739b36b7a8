"""What is asked of a daemon that is not up yet, or no more."""

import asyncio

import pytest
from cli_builders import the_error_in

from ticklane import BuyAndHoldStrategy, PaperBroker, StrategyRunner
from ticklane.app.doors import doors_of, status_of
from ticklane.core.errors import ConfigError
from ticklane.storage.halt_file import HaltFile
from ticklane.storage.service import StorageService

DATABASE = "ticklane-data/ticklane.db"
WHY = ("--reason", "a test")
A_MOMENT = "the daemon is starting or ending; try again in a moment."


@pytest.fixture
def runner():
    """One that is built, and not started."""
    runner = StrategyRunner(broker=PaperBroker(cash=1_000))
    runner.load_strategy(BuyAndHoldStrategy({"symbols": ["A"], "position_size": 1}))
    return runner


@pytest.fixture
async def in_use(folder):
    """The database is open elsewhere, and no socket is there."""
    (folder / "ticklane-data").mkdir()
    async with StorageService(folder / DATABASE) as storage:
        yield storage


async def test_a_halt_counts_while_the_daemon_starts(runner):
    said = await doors_of(runner)["halt"](reason="a test")

    assert said == "halted; the daemon is starting or ending, and sends no order until a release"


@pytest.mark.parametrize("command", ["release", "flatten"])
async def test_what_needs_a_running_lane_asks_for_a_moment(runner, command):
    with pytest.raises(ConfigError, match=A_MOMENT):
        await doors_of(runner)[command](reason="a test")


def test_the_status_tells_of_a_halt_before_the_lane_knows_it(runner, tmp_path):
    runner.halt_sign = HaltFile(tmp_path / "runs.db")
    before = status_of(runner)["trading_state"]

    runner.halt_sign.set("a test", 1)

    assert (before, status_of(runner)["trading_state"]) == ("ACTIVE", "HALTED")


async def test_a_halt_without_socket_is_left_to_the_file(tl, in_use, folder):
    said = await off_the_loop(tl, "halt", *WHY)

    assert said.out == "halted by the halt file; the daemon is starting or ending, and reads it\n"
    assert said.code == 0
    assert HaltFile(folder / DATABASE).is_set()


async def test_a_release_without_socket_asks_for_a_moment(tl, in_use):
    assert the_error_in(await off_the_loop(tl, "release", *WHY)) == A_MOMENT


async def off_the_loop(tl, *words):
    """A command as another process would give it: with a loop of its own."""
    return await asyncio.to_thread(tl, *words)
