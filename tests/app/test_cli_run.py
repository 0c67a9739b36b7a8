"""`ticklane run`: what it trades, how it ends, and how it goes on after any kind of end."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cli_builders import (
    PATIENCE,
    a_daemon,
    environment,
    run_process,
    the_error_in,
)

from ticklane.app.build import build_runner
from ticklane.app.settings import load_settings

ROOT = Path(__file__).parents[2]
RECORDED = ("--feed", "replay:X.csv", "--strategy", "mine.py:Mine")
SIMULATED = ("--strategy", "buy_and_hold", "--symbols", "A,B", "--timeframe", "1s")


def listed(tl, what, *words):
    return json.loads(tl(what, "--json", *words).out)


def runs_of(tl):
    return [(run["id"], run["end_reason"], run["resumed"]) for run in listed(tl, "runs")]


def test_a_recording_is_traded_to_its_end_and_summed_up(tl, bars, strategies):
    said = tl("run", *RECORDED)

    assert said.code == 0
    assert said.out.splitlines() == [
        "Run        r1, ended; the next start is a new run",
        "Equity     100,000.00 -> 100,030.00 (+0.03 %)  [REPLAY]",
        "Cash       100,030.00, fees 0.00",
        "Activity   2 orders (0 open), 2 fills, 1 trades closed",
        "Positions  none",
        "Database   ticklane-data/ticklane.db",
    ]


def test_the_log_tells_of_fills_and_labels_their_prices(tl, bars, strategies, folder):
    said = tl("run", *RECORDED)

    log = (folder / "ticklane-data" / "ticklane.log").read_text()
    for text in (said.err, log):
        assert "run r1 is up [REPLAY], database ticklane-data/ticklane.db" in text
        assert "Mine bought 10 X at 101 [REPLAY], order r1-1" in text
        assert "run r1 stopped (end)" in text


def test_a_simulated_market_needs_nothing_and_is_labelled(tl):
    said = tl("run", *SIMULATED, "--speed", "200", "--duration", "0.3")

    assert said.code == 0
    assert "[SIMULATED]" in said.out
    assert "bought 100 A at " in said.err
    assert {fill["feed"] for fill in listed(tl, "fills")} == {"SIMULATED"}


def test_flags_say_what_is_traded(tl, bars, strategies):
    said = tl("run", *RECORDED, "--param", "size=3", "--cash", "500", "--database", "other.db")

    assert "500.00 -> 509.00" in said.out
    assert [f["quantity"] for f in listed(tl, "fills", "--database", "other.db")] == ["3", "-3"]


@pytest.fixture
def configured(bars, strategies, folder):
    (folder / "ticklane.toml").write_text(
        'feed = "replay:X.csv"\n[[strategy]]\nstrategy = "mine.py:Mine"\nsize = 5\ninterval = "3d"'
    )


def test_the_config_file_of_the_folder_is_used(tl, configured):
    tl("run")

    assert [fill["quantity"] for fill in listed(tl, "fills")] == ["5", "-5"]


def test_parameters_and_an_interval_from_flags_win_over_the_only_block(tl, configured):
    tl("run", "--param", "size=7", "--interval", "1d")

    assert [(f["quantity"], f["filled_at"][:10]) for f in listed(tl, "fills")] == [
        ("7", "2024-01-02"),
        ("-7", "2024-01-05"),
    ]


def test_a_strategy_flag_replaces_the_blocks(tl, configured):
    tl("run", "--strategy", "buy_and_hold", "--param", "position_size=2")

    assert [(f["strategy"], f["quantity"]) for f in listed(tl, "fills")] == [
        ("BuyAndHoldStrategy", "2")
    ]


def test_two_strategies_share_the_account(tl, bars, strategies, folder):
    (folder / "ticklane.toml").write_text(
        'feed = "replay:X.csv"\ncash = 1000\n'
        '[[strategy]]\nstrategy = "mine.py:Mine"\nname = "quick"\nsize = 1\n'
        '[[strategy]]\nstrategy = "buy_and_hold"\nname = "slow"\nposition_size = 1\ncash = 300\n'
    )

    said = tl("run")

    assert "1,000.00 -> 1,013.50" in said.out
    assert {fill["strategy"] for fill in listed(tl, "fills")} == {"quick", "slow"}


def test_parameters_for_nobody_in_particular_are_refused(tl):
    said = tl("run", "--param", "size=7")

    assert "--symbols and --param need --strategy" in the_error_in(said)


def test_the_shipped_config_has_two_strategies_and_can_be_wired(folder):
    settings = load_settings(ROOT / "deploy" / "ticklane.toml")

    runner = build_runner(settings)

    assert {name: host.status.schedule for name, host in runner.hosts.items()} == {
        "crossover": "every 1m",
        "hold": "every 1m",
    }
    assert runner.feed.label == "SIMULATED"


# How it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_with_0(folder, tl, number):
    with a_daemon(*SIMULATED, cwd=folder) as daemon:
        daemon.send_signal(number)
        out, err = daemon.communicate(timeout=PATIENCE)

    assert daemon.returncode == 0, err
    assert "r1, stopped; start it again and it goes on from here" in out
    assert "Database   ticklane-data/ticklane.db" in out
    assert runs_of(tl) == [("r1", None, 0)]


def test_a_stopped_run_goes_on_and_a_finished_one_is_followed_by_a_new_one(folder, tl):
    with a_daemon(*SIMULATED, cwd=folder) as daemon:
        daemon.terminate()
        daemon.communicate(timeout=PATIENCE)

    tl("run", *SIMULATED, "--duration", "0.2")
    tl("run", *SIMULATED, "--duration", "0.2")

    assert runs_of(tl) == [("r1", "end", 1), ("r2", "end", 0)]


def test_fresh_begins_a_new_run_in_any_case(folder, tl):
    with a_daemon(*SIMULATED, cwd=folder) as daemon:
        daemon.terminate()
        daemon.communicate(timeout=PATIENCE)

    tl("run", *SIMULATED, "--duration", "0.2", "--fresh")

    assert runs_of(tl) == [("r1", "fresh", 0), ("r2", "end", 0)]


SUICIDAL = """
import os, signal
from pathlib import Path
from mine import Mine


class Killed(Mine):
    '''As Mine, but the machine loses its power once, at the third tick.'''

    def on_tick(self, market_data):
        super().on_tick(market_data)
        if self.state["n"] == 3 and not Path("lost.power").exists():
            Path("lost.power").touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""

KILLED = ("--feed", "replay:X.csv", "--strategy", "killed.py:Killed")


@pytest.fixture
def interrupted(folder, bars, strategies):
    """A run that lost its power at the third bar."""
    (folder / "killed.py").write_text(SUICIDAL)
    said = run_process("run", *KILLED, cwd=folder)
    assert said.code == -signal.SIGKILL


def test_after_kill_9_the_journal_is_that_of_a_run_without_it(tl, interrupted):
    resumed = tl("run", *KILLED)
    whole = tl("run", *KILLED, "--database", "whole.db")

    assert (resumed.code, whole.code) == (0, 0)
    assert runs_of(tl) == [("r1", "end", 1)]
    for what in ("fills", "trades", "positions"):
        assert listed(tl, what) == listed(tl, what, "--database", "whole.db")


def test_a_run_that_goes_on_says_so(tl, interrupted):
    said = tl("run", *KILLED)

    assert "run r1 goes on from 2024-01-0" in said.err


def test_a_run_that_goes_on_says_so_on_a_terminal(folder, interrupted):
    code, shown = on_a_terminal(*KILLED, cwd=folder)

    assert code == 0
    assert "Run r1 goes on from 2024-01-0" in shown


def test_an_unfinished_run_with_another_configuration_is_not_forgotten(tl, interrupted):
    said = tl("run", *RECORDED)

    assert "the configuration is new: r1 stays unfinished" in said.err


def on_a_terminal(*words, cwd):
    """The exit code of `ticklane run`, and all that a terminal was shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ticklane", "run", *words]
    set_up = {**environment(), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=cwd, env=set_up, stdout=theirs, stderr=theirs) as daemon:
        os.close(theirs)
        shown = read_all(ours)
    return daemon.returncode, shown


def test_on_a_terminal_the_run_is_a_live_table(folder, bars, strategies):
    code, shown = on_a_terminal(*RECORDED, cwd=folder)

    assert code == 0
    for words in ("price [REPLAY]", "Mine bought 10 X at 101 [REPLAY]", "Database   ticklane-data"):
        assert words in shown
    assert "[info" not in shown


def test_errors_are_told_beside_the_table(folder, bars, strategies):
    _, shown = on_a_terminal("--feed", "replay:X.csv", "--strategy", "mine.py:Failing", cwd=folder)

    assert "strategy Failing failed: ValueError: no idea" in shown
    assert "parked: ValueError: no idea" in shown


def read_all(terminal):
    """What was written to a terminal until its other end was closed."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # how Linux says that nobody is there any more
        pass
    finally:
        os.close(terminal)
    return b"".join(parts).decode()


def test_a_strategy_that_fails_is_parked_and_named_at_the_end(tl, bars, strategies):
    said = tl("run", "--feed", "replay:X.csv", "--strategy", "mine.py:Failing")

    assert said.code == 0
    assert "Failing    parked, last error: ValueError: no idea" in said.out


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(
    tl, bars, strategies, folder, monkeypatch
):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))

        tl("run", *RECORDED)

        assert [manager.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


def test_a_second_daemon_on_one_database_is_told_who_has_it(folder, tl):
    with a_daemon(*SIMULATED, cwd=folder) as daemon:
        said = tl("run", *SIMULATED)

    assert f"is in use by process {daemon.pid} (" in the_error_in(said)
