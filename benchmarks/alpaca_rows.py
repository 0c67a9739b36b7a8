"""The figures of `alpaca_*.py` as rows of `make bench`: what, value, target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Row = tuple[str, str, str]


def _measured(name: str, *options: str) -> dict[str, Any]:
    """Each in a process of its own, since they change classes to look into them."""
    path = os.pathsep.join([str(HERE.parent / "backend"), str(HERE)])
    done = subprocess.run(
        [sys.executable, str(HERE / f"alpaca_{name}.py"), *options],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def latency() -> list[Row]:
    """From a bar to the POST of its order, and bare calls beside it."""
    found = _measured("latency", "--json")
    targets = {"bar received to POST on the wire": "p50 under 3, p99 under 10 ms"}
    rows = [
        (name, f"{ms['p50']:.2f} / {ms['p99']:.2f} ms", targets.get(name, ""))
        for name, ms in found["ms"].items()
    ]
    return [*rows, _load(found)]


def restart() -> list[Row]:
    """Killed with 10,000 orders, 100 of them open, and 50 positions."""
    found = _measured("restart")
    what = f"{found['orders']:,} orders, {found['open']} open, {found['positions']} positions"
    return [
        (f"start to trading, {what}", f"{found['trading_after']:.1f} s", "at most 10 s"),
        ("stop", f"{found['stop_seconds']:.1f} s", "at most 5 s"),
        ("differences of database and venue", f"{len(found['differs'])}", "0"),
        _load(found),
    ]


def load() -> list[Row]:
    """Ten minutes of quotes."""
    found = _measured("load")
    ages, memory, late = found["age_ms"], found["memory_mb"], found["a_bare_sleeper_is_late_ms"]
    fresh = f"{ages['p50']:.0f} / {ages['p99']:.0f} / {ages['max']:.0f} ms"
    kept = f"{memory['after a tenth']:.0f} / {memory['end']:.0f} MB"
    return [
        ("quotes for ten minutes", f"{found['quotes_a_second']:,} a second", "20,000"),
        (f"bars lost of {found['bars_told']:,}", str(found["bars_lost"]), "0"),
        (f"fills lost of {found['executions']:,}", str(found["fills_lost"]), "0"),
        ("age of the newest price, p50 / p99 / max", fresh, "at most 250 ms"),
        ("a bare sleeper beside it is late by, max", f"{late['max']:.0f} ms", ""),
        ("memory after one minute / at the end", kept, "bounded"),
        ("of a core", f"{found['busy']:.2f}", ""),
        _load(found),
    ]


def soak() -> list[Row]:
    """Thirty days in virtual time."""
    found = _measured("soak")
    first, last = found["notes"][0], found["notes"][-1]
    grown = (last["memory_mb"] / first["memory_mb"] - 1) * 100
    rows = [(f"growth of memory, day 1 to {last['day']:.0f}", f"{grown:.1f} %", "under 5 %")]
    rows += [
        (f"{name}, day 1 / at the end", f"{first[name]} / {last[name]}", "flat")
        for name in ("files", "threads", "tasks")
    ]
    return [*rows, ("reconnects", str(found["stream_reconnects"]), ""), _load(found)]


def _load(found: dict[str, Any]) -> Row:
    return "load of the machine before / after", " / ".join(map(str, found["load"])), ""


PARTS: dict[str, Callable[[], list[Row]]] = {
    "latency": latency,
    "restart": restart,
    "load": load,
    "soak": soak,
}
