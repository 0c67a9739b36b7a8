"""Builders for the tests of the command line: prices, strategies, daemons of a process."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

BACKEND = Path(__file__).parents[2] / "backend"
PATIENCE = 30  # seconds that a process may take before the test gives up

STRATEGY = """
import os, signal
from pydantic import BaseModel, Field
from ticklane import StrategyInterface


class Mine(StrategyInterface):
    '''Buys at its first tick and sells at its fourth.'''

    class Config(BaseModel):
        size: int = Field(10, ge=1, le=1000, description="shares to buy")

    def on_tick(self, market_data):
        n = self.state["n"] = self.state.get("n", 0) + 1
        if n in (1, 4):
            for symbol in self.symbols:
                self.buy(symbol, self.config["size"]) if n == 1 else self.close(symbol)


class Patient(StrategyInterface):
    '''Leaves a buy order far below the market.'''

    def on_tick(self, market_data):
        if not self.state:
            self.state["asked"] = True
            for symbol in self.symbols:
                self.buy(symbol, 1, order_type="limit", limit_price=0.01, time_in_force="gtc")


class Failing(StrategyInterface):
    '''Raises at every tick.'''

    def on_tick(self, market_data):
        raise ValueError("no idea")


class Interrupted(Mine):
    '''Somebody presses Ctrl-C at its third tick.'''

    def on_tick(self, market_data):
        super().on_tick(market_data)
        if self.state["n"] == 3:
            os.kill(os.getpid(), signal.SIGINT)
"""


class Said(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


def write_bars(path, count=12, first=100.0):
    """Daily bars that rise by one each day, the first on 2024-01-01."""
    lines = ["date,open,high,low,close,volume"]
    for n in range(count):
        price = first + n
        lines.append(f"2024-01-{n + 1:02},{price},{price + 1},{price - 1},{price + 0.5},1000")
    path.write_text("\n".join(lines) + "\n")
    return path


def the_error_in(said):
    """The sentence of a refused command: one line on stderr, code 1, nothing else."""
    lines = said.err.splitlines()
    assert (said.code, len(lines)) == (1, 1), said
    assert lines[0].startswith("Error: ")
    assert lines[0].endswith(".")
    return lines[0].removeprefix("Error: ")


def environment():
    """That of a user who has set nothing of ours."""
    ours = ("TICKLANE_", "ALPACA_", "APCA_", "CREDENTIALS_DIRECTORY")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "PYTHONPATH": str(BACKEND), "PYTHONUNBUFFERED": "1"}


def spawn(*words, cwd, **options):
    """`ticklane ...` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ticklane", *map(str, words)],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run_process(*words, cwd, **options):
    """`ticklane ...` to its end."""
    with spawn(*words, cwd=cwd, **options) as process:
        out, err = process.communicate(timeout=PATIENCE)
    return Said(process.returncode, out, err)


@contextmanager
def a_daemon(*words, cwd):
    """`ticklane run ...` once it says that it is up; killed at the end if it is still there."""
    with spawn("run", *words, cwd=cwd) as process:
        try:
            wait_for(process, "is up")
            yield process
        finally:
            process.kill()


def wait_for(process, words):
    """Read the log of a daemon up to a line with these words."""
    seen = []
    impatient = threading.Timer(PATIENCE, process.kill)
    impatient.start()
    try:
        for line in process.stderr:
            seen.append(line)
            if words in line:
                return line
    finally:
        impatient.cancel()
    raise AssertionError(f"the daemon ended with {process.wait()}: {''.join(seen)}")
