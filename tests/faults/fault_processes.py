"""Daemons in processes of their own, and runs in this one that are stopped on the way."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from fault_journal import difference, journal
from fault_setups import HERE

import ticklane.core
from ticklane.app.settings import load_settings

BACKEND = Path(ticklane.core.__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(BACKEND), str(HERE)])}


def start(command, *, until, cwd=None):
    """Start a process and wait for a line that holds these words; what it says is one stream."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if until in line:
            return process
    process.communicate()
    raise AssertionError(f"it ended without saying {until!r}: {''.join(said)}")


def daemon(config):
    """The command that runs a settings file."""
    return [sys.executable, "-m", "ticklane", "run", "--config", str(config)]


class Nursery:
    """The program nursery.py, or another one, with these arguments, in the background."""

    def __init__(self, *arguments, program="nursery.py"):
        command = [sys.executable, HERE / program, *map(str, arguments)]
        self._process = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def finish(self):
        """Wait for its end."""
        self._out, self._err = self._process.communicate(timeout=900)

    def outcomes(self):
        """What became of each process it has started."""
        found = [json.loads(line) for line in self._out.splitlines()]
        assert self._process.returncode == 0, self._err
        assert [one for one in found if one["error"]] == [], (self._process.args, self._err)
        return found


class Campaign:
    """One run that is killed again and again, from its settings to its end, in the background."""

    def __init__(self, config, kills):
        self.seed = random.randrange(1_000_000)  # by pytest-randomly's seed
        self.database = load_settings(config).store
        self._nursery = Nursery(config, self.seed, kills)

    def finish(self):
        """Wait for its end."""
        self._nursery.finish()

    def processes(self):
        """What became of each process of the run."""
        found = self._nursery.outcomes()
        self.told = f"seed {self.seed}, plans {[one['plan'] for one in found]}"
        return found

    def lane_kills(self, wanted, account):
        """Compare the journal with one of a run left in peace; how often a running lane died."""
        found = self.processes()
        assert difference(wanted, journal(self.database)) is None, self.told
        assert found[-1]["account"] in (None, account), self.told  # None: killed after the end
        return sum(one["was_killed"] and one["had_lane"] for one in found)


def stopping_after(decisions, reason="shutdown"):
    """A `watch` for `serve` that asks for the end once so many decisions have been made."""

    @asynccontextmanager
    async def watch(runner):
        left = iter(range(decisions - 1))

        def decided(*_):
            if next(left, None) is None:
                runner.request_stop(reason)

        runner.on_signal_callback = decided
        yield

    return watch
