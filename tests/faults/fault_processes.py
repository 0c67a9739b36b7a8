"""Daemons in processes of their own, and runs in this one that are stopped on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from fault_setups import HERE

import ticklane.core

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
