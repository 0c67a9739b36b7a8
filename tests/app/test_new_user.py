"""What a new user does, one command after the other: keys, a look, history, paper, the account."""

import json
import os
import signal
import subprocess
import sys

import pytest
from cli_builders import PATIENCE, environment, run_process, spawn, wait_for

STRATEGY = '''
from ticklane import StrategyInterface


class Mine(StrategyInterface):
    """Buys one at its first tick, and holds it."""

    def on_tick(self, market_data):
        self.state["ticks"] = self.state.get("ticks", 0) + 1
        if self.state["ticks"] == 1:
            self.buy(self.symbols[0], 1, time_in_force="gtc")
'''
TRADED = ("--strategy", "mine.py:Mine", "--symbols", "BTCUSD", "--timeframe", "1s")
REAL_PRICES = ("--feed", "alpaca", *TRADED)
ACCOUNT = ("--broker", "alpaca", *REAL_PRICES)


@pytest.fixture
def venue_url(tmp_path):
    """`ticklane venue` in another terminal."""
    words = ("venue", "--feed", "simulated", "--symbols", "AAPL,SPY,BTC/USD", "--port", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "ticklane", *words, "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as venue:
        try:
            yield json.loads(venue.stdout.readline())["url"]
        finally:
            venue.kill()


@pytest.fixture
def project(folder, venue_url):
    """A folder with keys and a strategy."""
    (folder / "mine.py").write_text(STRATEGY)
    (folder / ".env").write_text(
        f"ALPACA_API_KEY=PKNEWUSER0000000\nALPACA_API_SECRET=new-user-secret\n"
        f"ALPACA_BASE_URL={venue_url}/v2\n"
    )
    (folder / ".env").chmod(0o600)
    return folder


def told(project, *words):
    """What a command has said, which must have gone well."""
    done = run_process(*words, cwd=project)
    assert done.code == 0, done
    return done.out


def rows(project, what):
    return json.loads(told(project, what, "--json"))


def run_until(project, words, text, number):
    """`ticklane run` until its log says this; then it gets a signal."""
    with spawn("run", *words, cwd=project) as daemon:
        try:
            line = wait_for(daemon, text)
            status = json.loads(told(project, "status", "--json"))
            os.kill(daemon.pid, number)
            out, err = daemon.communicate(timeout=PATIENCE)
        finally:
            daemon.kill()
    return line, status, out + err, daemon.returncode


def test_a_look_and_history(project):
    assert "ok      account" in told(project, "doctor")

    fetched = told(project, "download", "AAPL", "--days-back", "1", "--timeframe", "1m")
    tested = told(project, "backtest", "buy_and_hold", "--data", "catalog:AAPL")

    assert "bars fetched" in fetched
    assert "Symbols     AAPL" in tested


def test_real_prices_on_paper(project):
    line, status, said, code = run_until(project, REAL_PRICES, "Mine bought 1", signal.SIGTERM)

    assert "BTC/USD at " in line
    assert "[ALPACA" in line
    assert (status["broker"], code) == ("paper", 0), said
    assert rows(project, "positions")[0]["quantity"] == "1"


def test_the_account_through_a_kill(project):
    line, status, _, code = run_until(project, ACCOUNT, "Mine bought 1", signal.SIGKILL)
    assert "BTC/USD at " in line
    assert (status["broker"], status["trading_state"]) == ("alpaca", "ACTIVE")
    assert code == -signal.SIGKILL

    line, status, said, code = run_until(project, ACCOUNT, "goes on from", signal.SIGTERM)

    assert code == 0, said
    assert status["venue"]["account"] == "PA0TICKLANE"
    assert [(one["symbol"], one["status"]) for one in rows(project, "orders")] == [
        ("BTC/USD", "FILLED")
    ]
    assert [one["quantity"] for one in rows(project, "fills")] == ["1"]
    assert [(one["end_reason"], one["resumed"]) for one in rows(project, "runs")] == [(None, 1)]
