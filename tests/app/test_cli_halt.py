"""The kill switch from the command line: with a daemon, without one, and while one is stuck."""

import asyncio
import json
import os
import signal
import time

import pytest
from cli_builders import PATIENCE, a_daemon, spawn, the_error_in, wait_for

from ticklane.app.control_socket import ControlSocket
from ticklane.storage.reader import Reader
from ticklane.testing.venue import LocalVenue

DATABASE = "ticklane-data/ticklane.db"
SIMULATED = ("--feed", "simulated", "--symbols", "A", "--strategy")
PATIENT = (*SIMULATED, "mine.py:Patient")
WHY = ("--reason", "a test")

STUCK = """
import os
from ticklane import StrategyInterface


class Stuck(StrategyInterface):
    '''Leaves an order far below the market, then comes back only when it is let go.'''

    def on_tick(self, market_data):
        n = self.state["n"] = self.state.get("n", 0) + 1
        if n == 1:
            self.buy("A", 1, order_type="limit", limit_price=0.01, time_in_force="gtc")
        if n == 2:
            self.buy("A", 2)
            open("stuck", "w").close()
            while not os.path.exists("free"):
                pass
"""


def status_of(tl):
    return json.loads(tl("status", "--json").out)


def orders(tl):
    return [(one["status"], one["reason_code"]) for one in json.loads(tl("orders", "--json").out)]


def until(is_true):
    """Ask again until it is so; each question is a round trip to the daemon or the disk."""
    give_up_at = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < give_up_at, "it did not come to that"
        os.sched_yield()


@pytest.fixture
def daemon(folder, strategies, tl):
    """A daemon with one order that never fills."""
    with a_daemon(*PATIENT, cwd=folder) as process:
        until(lambda: status_of(tl)["open_orders"] == 1)  # which counts what is not yet sent
        until(lambda: [status for status, _ in orders(tl)] == ["ACKED"])
        yield process


def test_a_halt_cancels_and_a_release_lets_trading_go_on(tl, daemon):
    assert tl("halt", *WHY) == (0, "halted; our open orders: 0\n", "")

    assert orders(tl) == [("CANCELED", "canceled")]
    told = status_of(tl)
    [why] = told["restrictions"]
    assert (told["trading_state"], why["reason"], why["is_latched"]) == ("HALTED", "a test", True)
    said = tl("release", "--reason", "it is over").out
    assert said == "released: operator_halt; trading is ACTIVE\n"
    assert status_of(tl)["restrictions"] == []


def test_the_status_says_who_may_trade_and_since_when(tl, daemon):
    tl("halt", *WHY)

    lines = tl("status").out.splitlines()

    assert "Trading      HALTED" in lines
    [line] = [line for line in lines if line.startswith("  HALTED since 20")]
    assert line.endswith(" UTC, until released: a test")


def test_flatten_closes_what_is_held_while_all_is_halted(tl, folder):
    with a_daemon(*SIMULATED, "buy_and_hold", "--speed", "5", cwd=folder):
        until(lambda: json.loads(tl("positions", "--json").out))
        tl("halt", *WHY)

        said = tl("flatten", *WHY)

        assert said.out.startswith("closing everything; our open orders: ")
        until(lambda: not json.loads(tl("positions", "--json").out))


def test_a_daemon_that_was_killed_starts_halted_and_says_so_first(tl, daemon, folder):
    tl("halt", *WHY)
    daemon.kill()
    daemon.wait(PATIENCE)

    with spawn("run", *PATIENT, cwd=folder) as again:
        try:
            line = wait_for(again, "")
            assert "trading is HALTED: a test; `ticklane release --reason ...` lets it" in line
            assert "run r1 goes on from" in line
            assert status_of(tl)["trading_state"] == "HALTED"
        finally:
            again.kill()


def test_a_signal_sets_the_kill_switch(tl, daemon):
    os.kill(daemon.pid, signal.SIGUSR1)

    until(lambda: orders(tl) == [("CANCELED", "canceled")])
    assert status_of(tl)["restrictions"][0]["reason"] == "signal SIGUSR1"


def test_a_file_made_by_hand_sets_the_kill_switch(tl, daemon, folder):
    (folder / f"{DATABASE}.halt").touch()

    until(lambda: status_of(tl)["restrictions"])
    told = status_of(tl)
    assert told["trading_state"] == "HALTED"
    assert told["restrictions"][0]["reason"] == "the halt file was set."


def test_the_end_of_a_halted_run_says_that_it_is_halted(tl, daemon):
    tl("halt", *WHY)
    tl("stop")

    out, _ = daemon.communicate(timeout=PATIENCE)

    assert "Trading    HALTED until released: a test" in out


@pytest.mark.parametrize("command", ["halt", "release", "flatten"])
def test_a_reason_that_says_nothing_is_refused(tl, daemon, command):
    assert the_error_in(tl(command, "--reason", " ")) == (
        "reason is empty; say in a few words why."
    )
    assert status_of(tl)["trading_state"] == "ACTIVE"


# while a strategy holds up the lane


@pytest.fixture
def stuck(folder):
    """A daemon whose strategy does not come back until it is let go."""
    (folder / "stuck.py").write_text(STUCK)
    with a_daemon(*SIMULATED, "stuck.py:Stuck", "--speed", "5", cwd=folder) as process:
        until((folder / "stuck").exists)
        yield process


def let_go(folder):
    (folder / "free").touch()


def test_a_halt_is_answered_and_counts_while_a_strategy_hangs(tl, stuck, folder):
    said = tl("halt", *WHY)

    assert said.out.startswith("halted: no order leaves any more; Stuck has held up the lane for ")
    assert said.out.endswith("; our open orders are cancelled as soon as it lets go\n")
    told = status_of(tl)
    assert told["trading_state"] == "HALTED"
    assert told["error"].startswith("Stuck has held up the lane for ")
    let_go(folder)
    until(lambda: orders(tl) == [("CANCELED", "canceled"), ("DENIED", "trading_halted")])


def test_a_signal_counts_while_a_strategy_hangs(tl, stuck, folder):
    os.kill(stuck.pid, signal.SIGUSR1)
    until((folder / f"{DATABASE}.halt").exists)

    let_go(folder)

    until(lambda: orders(tl) == [("CANCELED", "canceled"), ("DENIED", "trading_halted")])


@pytest.mark.parametrize(
    ("command", "said"),
    [("flatten", "everything is closed as soon as it"), ("release", "is released as soon as it")],
)
def test_what_has_to_wait_for_the_strategy_says_so(tl, stuck, folder, command, said):
    assert said in tl(command, *WHY).out


def test_the_orders_at_a_broker_are_cancelled_while_a_strategy_hangs(tl, folder):
    (folder / "stuck.py").write_text(STUCK.replace('"A"', '"AAPL"'))
    words = ("--broker", "alpaca", "--feed", "simulated", "--limits", "none", "--symbols", "AAPL")
    with LocalVenue() as venue:
        venue.price("AAPL", 100)
        keys = f"ALPACA_API_KEY=PK0\nALPACA_API_SECRET=secret\nALPACA_BASE_URL={venue.url}/v2\n"
        (folder / ".env").write_text(keys)
        with a_daemon(*words, "--strategy", "stuck.py:Stuck", cwd=folder):
            until((folder / "stuck").exists)

            said = tl("halt", *WHY)

            assert said.out.endswith("; our open orders are cancelled at the broker\n")
            assert [one["status"] for one in venue.ledger.orders] == ["canceled"]
            let_go(folder)
            until(lambda: orders(tl) == [("CANCELED", "canceled"), ("DENIED", "trading_halted")])


# without a daemon


@pytest.fixture
def stopped(folder, strategies):
    """A database whose daemon has ended."""
    with a_daemon(*PATIENT, cwd=folder) as process:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_without_a_daemon_a_halt_waits_for_the_next_one(tl, stopped):
    said = tl("halt", *WHY)

    assert said == (0, "halted; no daemon is running, and the next one starts halted\n", "")
    with Reader(DATABASE) as reader:
        assert [one.code for one in reader.restrictions()] == ["operator_halt"]
    assert "Trading    HALTED until released: a test" in tl("run", *PATIENT, "--duration", "1").out


def test_without_a_daemon_a_release_takes_away_row_and_file(tl, stopped, folder):
    tl("halt", *WHY)

    said = tl("release", "--reason", "it is over")

    assert said.out == (
        "released: operator_halt, the halt file; no daemon is running, and the next one may trade\n"
    )
    assert not (folder / f"{DATABASE}.halt").exists()
    with Reader(DATABASE) as reader:
        assert reader.restrictions() == []
        assert [one["who"] for one in reader.restriction_events()] == [
            "operator",
            "operator: it is over",
        ]
    assert tl("release", *WHY).out.startswith("released: nothing was latched; ")


def test_where_nothing_has_ever_run_a_halt_has_no_place(tl):
    assert "halt cannot be written (No such file or directory)" in the_error_in(tl("halt", *WHY))


@pytest.mark.parametrize("words", [["flatten", *WHY], ["reconcile"]])
def test_what_needs_a_daemon_says_so(tl, words):
    assert the_error_in(tl(*words)).startswith("no daemon is running on ")


# what a daemon may answer


def test_with_an_account_of_its_own_there_is_nothing_to_compare(tl, daemon):
    said = tl("reconcile")

    assert said.out == "There is nothing to compare: the account is in this daemon itself.\n"
    assert json.loads(tl("reconcile", "--json").out) is None


async def said_by(folder, tl, answer, *words):
    """What a command says when the daemon answers this."""
    (folder / "ticklane-data").mkdir()

    async def door():
        return answer

    async with ControlSocket(DATABASE, {words[0]: door}):
        return await asyncio.to_thread(tl, *words)


async def test_a_report_is_shown_line_by_line(folder, tl):
    report = {"found": ["100 AAPL"], "adopted": [], "differs": ["cash: 1 here, 2 there"]}

    said = await said_by(folder, tl, report, "reconcile")

    assert said.out.splitlines() == [
        "Found: 1",
        "  100 AAPL",
        "Adopted: nothing",
        "Differs: 1",
        "  cash: 1 here, 2 there",
    ]


@pytest.mark.parametrize("words", [["--accept", "AAPL"], ["--reason", "x"]])
def test_a_difference_is_accepted_with_a_reason_only(tl, words):
    assert "--accept SYMBOL and --reason TEXT belong together" in the_error_in(
        tl("reconcile", *words)
    )


def test_with_an_account_of_its_own_there_is_nothing_to_accept(tl, daemon):
    said = tl("reconcile", "--accept", "AAPL", *WHY)

    assert "there is nothing to accept: the account is in this daemon itself" in the_error_in(said)


async def test_the_status_shows_what_the_broker_tells_of_itself(folder, tl):
    venue = {"connection": "up", "rate_budget": {"left": 180, "limit": 200}, "in_flight": []}
    told = {"state": "running", "trading_state": "ACTIVE", "equity": "1", "cash": "1"}
    told |= {"time": None, "strategies": [], "restrictions": [], "venue": venue}

    said = await said_by(folder, tl, told, "status")

    assert said.out.splitlines()[-3:] == [
        "Connection   up",
        "Rate budget  left 180, limit 200",
        "In flight    none",
    ]
