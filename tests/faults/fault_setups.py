"""Settings files of several kinds for the fault tests, on real bars of AAPL, IBM and MSFT."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from ticklane.data.files import SAMPLES

HERE = Path(__file__).parent
STRATEGIES = HERE / "fault_strategies.py"


def write_bars(folder, count=400):
    """The first real daily bars; one symbol begins later than the next, and one has holes."""
    folder.mkdir()
    for number, symbol in enumerate(("AAPL", "IBM", "MSFT")):
        with gzip.open(SAMPLES / f"{symbol}.csv.gz", "rt") as file:
            head, *rows = file.read().splitlines()
        rows = rows[(0, 40, 13)[number] : count]
        if symbol == "IBM":
            del rows[60:100:3]
        (folder / f"{symbol}.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def block(kind, name, *symbols, **terms):
    """One [[strategy]] block."""
    strategy = kind if kind.islower() else f"{STRATEGIES}:{kind}"
    return {"strategy": strategy, "name": name, "symbols": list(symbols), **terms}


def write_settings(path, strategies, **settings):
    """A settings file."""
    lines = [f"{key} = {toml(value)}" for key, value in settings.items()]
    for one in strategies:
        lines += ["[[strategy]]", *(f"{key} = {toml(value)}" for key, value in one.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(str(value) if isinstance(value, Path) else value)


SETUPS = {
    "partial fills and schedules": {
        "costs": {"per_order": 1, "rate": 0.0005},
        "slippage": {"cap": 0.00001, "impact": 0.1},
        "strategies": [
            block("Dice", "dice", "AAPL", "IBM", "MSFT", cash=50_000),
            block("Answering", "answering", "MSFT", "AAPL", seed=3),
            block("Weekly", "weekly", "IBM", "MSFT", interval="7d"),
            block("Weekly", "noons", "IBM", interval="0 12 * * 3"),
            block("moving_average_crossover", "cross", "AAPL", fast=20, slow=50),
        ],
    },
    "sessions of New York": {
        "calendar": "XNYS",
        "costs": {"per_share": 0.01},
        "sizing": {"percent": 7},
        "strategies": [
            block("Answering", "answering", "MSFT", "AAPL", seed=3),
            block("Dice", "dice", "AAPL", "IBM", "MSFT", interval="5d"),
            block("Weekly", "noons", "IBM", interval="0 12 * * 3"),
        ],
    },
    "short sales and latency": {
        "allow_short": True,
        "latency": 3600,
        "costs": {"maker": 0.1, "taker": 0.2},
        "slippage": {"spread_percent": 0.05},
        "sizing": {"notional": 1500},
        "strategies": [
            block("Answering", "answering", "MSFT", "AAPL", "IBM", seed=5, shorts=True),
            block("Weekly", "mornings", "IBM", "AAPL", interval="30 9 * * 1,4"),
        ],
    },
    "strategies that fail": {
        "slippage": {"fixed": 0.01},
        "strategies": [
            block("Faulty", "parked", "AAPL", "IBM", "MSFT", in_a_row=5),
            block("Faulty", "nearly", "MSFT", "AAPL", in_a_row=2),
            block("Dice", "dice", "IBM", "AAPL", seed=2),
        ],
    },
    "rare ticks": {
        "strategies": [
            block("Weekly", "weekly", "MSFT", "AAPL", "IBM", interval="7d"),
            block("Weekly", "noons", "IBM", "AAPL", interval="0 12 * * 3"),
        ],
    },
    "the direct way": {
        "strategies": [
            block("Plain", "plain", "AAPL", "IBM", "MSFT"),
            block("Plain", "other", "MSFT", "IBM", "AAPL"),
            block("buy_and_hold", "hold", "AAPL", "IBM", "MSFT"),
        ],
    },
}
SIMULATED = {
    "feed": "simulated",
    "speed": 500,
    "seed": 11,
    "slippage": {"cap": 0.0001},
    "strategies": [
        block("Dice", "dice", "AAPL", "IBM"),
        block("Answering", "answering", "IBM", "MSFT", seed=1),
        block("Weekly", "sevens", "AAPL", interval="7s"),
    ],
}


def write_setup(name, folder, bars=None, **more):
    """The settings of a setup with a database in this folder."""
    folder.mkdir()
    settings = {"database": folder / "runs.db", "data_dir": folder, **more}
    if bars is not None:
        settings["feed"] = f"replay:{bars}"
    setup = SETUPS[name] if bars is not None else SIMULATED
    chosen = {key: value for key, value in setup.items() if key != "strategies"}
    path = folder / "ticklane.toml"
    return write_settings(path, setup["strategies"], **settings, **chosen)
