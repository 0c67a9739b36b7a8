"""Commands to a running daemon: each is answered, each refusal is one sentence."""

import asyncio
import io
import json
import sys

import pytest
from cli_builders import PATIENCE, a_daemon, the_error_in

from ticklane.app.control_socket import ControlSocket

PATIENT = ("--feed", "simulated", "--strategy", "mine.py:Patient", "--symbols", "A")


@pytest.fixture
def daemon(folder, strategies):
    """A daemon with one order that never fills."""
    with a_daemon(*PATIENT, cwd=folder) as process:
        yield process


def status_of(tl):
    return json.loads(tl("status", "--json").out)


def until(is_true):
    """Ask again until it is so; each question is a round trip through the lane."""
    for _ in range(500):
        if is_true():
            return
    raise AssertionError("it did not come to that")


def test_the_status_tells_run_state_prices_and_strategies(tl, daemon):
    told = status_of(tl)
    said = tl("status")

    assert (told["run_id"], told["state"], told["feed"]) == ("r1", "running", "SIMULATED")
    assert told["pid"] == daemon.pid
    assert [one["name"] for one in told["strategies"]] == ["Patient"]
    assert "Prices       SIMULATED" in said.out
    assert "Equity       100,000.00" in said.out
    assert "Patient: running, A, every bar" in said.out


def test_a_pause_holds_until_the_resume(tl, daemon):
    assert tl("pause", "Patient") == (0, "Patient: paused\n", "")
    assert status_of(tl)["state"] == "paused"

    assert tl("resume") == (0, "all strategies: running\n", "")
    assert status_of(tl)["state"] == "running"


def test_an_open_order_can_be_cancelled(tl, daemon):
    until(lambda: status_of(tl)["open_orders"] == 1)
    [order] = json.loads(tl("orders", "--open", "--json").out)

    assert tl("cancel", order["id"]) == (0, f"{order['id']}: cancel sent\n", "")

    until(lambda: not json.loads(tl("orders", "--open", "--json").out))
    [order] = json.loads(tl("orders", "--json").out)
    assert order["status"] == "CANCELED"


def test_a_position_can_be_closed(tl, folder):
    words = ("--strategy", "buy_and_hold", "--symbols", "A", "--speed", "5")
    with a_daemon(*words, cwd=folder):
        until(lambda: json.loads(tl("positions", "--json").out))

        assert tl("close", "A") == (0, "A: closing\n", "")

        until(lambda: not json.loads(tl("positions", "--json").out))
        said = "A: nothing is held; open orders are cancelled\n"
        assert tl("close", "A") == (0, said, "")


def test_stop_ends_the_daemon_in_order(tl, daemon):
    assert tl("stop") == (0, "stopping\n", "")

    out, _ = daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0
    assert "stopped by an operator" in out
    assert "no daemon is running on" in the_error_in(tl("status"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pause", "Nobody"], "strategy 'Nobody' is not loaded; loaded are Patient."),
        (["cancel", "r1-99"], "order 'r1-99' is not open; `ticklane orders` lists them."),
        (["close", "ZZZ"], "symbol 'ZZZ' is not traded by any loaded strategy."),
        (["close", "A", "--strategy", "Nobody"], "strategy 'Nobody' is not loaded"),
        (["reset", "--yes"], "is in use by process"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(tl, daemon, words, said):
    assert said in the_error_in(tl(*words))


@pytest.mark.parametrize("words", [["status"], ["pause"], ["resume"], ["stop"], ["cancel", "r1-1"]])
def test_without_a_daemon_each_says_so(tl, words):
    assert the_error_in(tl(*words)) == (
        "no daemon is running on ticklane-data/ticklane.db; start one with `ticklane run`."
    )


# reset


@pytest.fixture
def stopped(folder, strategies):
    """A database with a run that waits to be resumed."""
    with a_daemon(*PATIENT, cwd=folder) as process:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_reset_ends_the_unfinished_run_so_that_the_next_is_a_fresh_one(tl, stopped):
    said = tl("reset", "--yes")

    assert said == (0, "Run r1 is ended.\nThe next start is a fresh paper account.\n", "")
    tl("run", *PATIENT, "--duration", "0.2")
    assert [run["id"] for run in json.loads(tl("runs", "--json").out)] == ["r1", "r2"]


def test_reset_with_nothing_to_end_says_so(tl, stopped):
    tl("reset", "--yes")

    assert tl("reset") == (0, "The next start is a fresh paper account.\n", "")


def test_reset_is_refused_where_nobody_can_be_asked(tl, stopped):
    assert the_error_in(tl("reset")) == "reset needs --yes where nobody can be asked."
    assert json.loads(tl("runs", "--json").out)[0]["ended_at"] is None


class Typed(io.StringIO):
    """A terminal at which somebody has typed this."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("typed", "code", "reason"), [("n\n", 1, None), ("y\n", 0, "end")])
def test_reset_does_what_somebody_answers(tl, stopped, monkeypatch, typed, code, reason):
    monkeypatch.setattr(sys, "stdin", Typed(typed))

    said = tl("reset")

    assert "End run r1? The next start begins with new cash, no positions [y/N]: " in said.out
    assert said.code == code
    assert json.loads(tl("runs", "--json").out)[0]["end_reason"] == reason


def test_reset_without_a_database_makes_none(tl, folder):
    assert "does not exist yet" in the_error_in(tl("reset", "--yes"))
    assert list(folder.iterdir()) == []


# what a daemon may answer


async def test_the_status_shows_errors_hangs_and_merged_ticks(folder, tl):
    (folder / "ticklane-data").mkdir()
    strategy = {
        "name": "slow",
        "symbols": ["A"],
        "schedule": "every 1m",
        "state": "parked",
        "ticks": 1200,
        "signals": 3,
        "faults": 3,
        "merged": 2,
        "error": "ValueError: no",
        "hang_seconds": 2.5,
    }

    async def status():
        return {"state": "running", "equity": "1", "cash": "1", "time": None} | {
            "strategies": [strategy]
        }

    async with ControlSocket("ticklane-data/ticklane.db", {"status": status}):
        said = await asyncio.to_thread(tl, "status")

    assert said.out.splitlines()[-4:] == [
        "slow: parked, A, every 1m",
        "  1,200 ticks, 3 signals, 2 merged, 3 faults",
        "  held up the lane for 2.5 s in all",
        "  last error: ValueError: no",
    ]
