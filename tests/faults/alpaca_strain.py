"""Runs a program of `benchmarks/alpaca_*.py` in a process of its own and reads what it found."""

from __future__ import annotations

import json
import subprocess
import sys

from fault_processes import BACKEND, ENVIRONMENT

BENCHMARKS = BACKEND.parent / "benchmarks"


def measured(name, **options):
    """The JSON that `benchmarks/alpaca_NAME.py --option value ...` prints last."""
    command = [sys.executable, BENCHMARKS / f"alpaca_{name}.py"]
    for option, value in options.items():
        command += [f"--{option.replace('_', '-')}", str(value)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
