"""`make bench`: every figure as a ratio or a number of one run, on the machine it runs on.

python benchmarks/run.py [--rounds 5] [--bars 1000000] [--json]
    [--only lane,memory,storage,daemon,latency,restart]
`load` (ten minutes of quotes) and `soak` (thirty days in virtual time) run when they are named.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SERVER = os.environ.pop("TICKLANE_TEST_POSTGRES", "")  # a daemon would refuse to know it
sys.path.insert(0, str(HERE))
now = time.perf_counter


def main() -> int:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--only", default="lane,memory,storage,daemon,latency,restart")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import alpaca_rows

    parts: dict[str, Callable[[], list[Any]]] = {
        **alpaca_rows.PARTS,
        "lane": lambda: lane(arguments.rounds, arguments.bars),
        "memory": lambda: memory(arguments.bars),
        "storage": storage,
        "daemon": daemon,
    }
    print(f"python {platform.python_version()}, {os.cpu_count()} cores", file=sys.stderr)
    rows = []
    for name in arguments.only.split(","):
        for row in parts[name]():
            rows.append(row)
            if not arguments.json:
                what, value, target = row
                print(f"{what:<58} {value:>22}   {target}", flush=True)
    if arguments.json:
        print(
            json.dumps([dict(zip(("what", "value", "target"), row, strict=True)) for row in rows])
        )
    return 0


# --- the lane against plain loops ------------------------------


def lane(rounds: int, bars: int) -> list[Any]:
    """Plain loops and backtests, interleaved; medians."""
    import loops

    import ticklane

    one, many = loops.prices(1, bars), loops.prices(50, max(1_000, bars // 50))
    columns = one[loops.SYMBOL]
    first = loops.START
    rows = [list(range(first, first + 60 * bars, 60)), *(c.tolist() for c in columns.values())]
    one_frame, many_frames = loops.frames(one), loops.frames(many)
    count = sum(len(frame) for frame in many_frames.values())

    def through(kind: Any, data: Any) -> Callable[[], Any]:
        config = {"name": "bench", "symbols": list(data)}
        return lambda: ticklane.backtest(kind(config), data, cash=loops.CASH)

    cases: dict[str, tuple[int, Callable[[], Any]]] = {
        "plain W1": (bars, lambda: loops.plain_w1(rows)),
        "lane W1": (bars, through(loops.CrossOne, one_frame)),
        "plain W2": (bars, lambda: loops.plain_w2(rows)),
        "lane W2": (bars, through(loops.Nothing, one_frame)),
        "lane W1, 50 symbols": (count, through(loops.Cross, many_frames)),
        "lane W2, 50 symbols": (count, through(loops.Nothing, many_frames)),
    }
    speed: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        order = list(cases) if number % 2 == 0 else list(reversed(cases))
        for name in order:
            amount, run = cases[name]
            gc.collect()
            begin = now()
            run()
            speed[name].append(amount / (now() - begin))
    middle = {name: statistics.median(values) for name, values in speed.items()}
    ratios = [
        ("W1, lane / plain loop", _ratio(speed, "lane W1", "plain W1"), "at least 0.40"),
        ("W2, lane / plain loop", _ratio(speed, "lane W2", "plain W2"), "at least 0.35"),
        ("W1, 50 symbols / 1 symbol", _ratio(speed, "lane W1, 50 symbols", "lane W1"), "0.40"),
    ]
    return [
        *((f"{name}", f"{value:,.0f} bars/s", "") for name, value in middle.items()),
        *((name, f"{value:.2f}", target) for name, value, target in ratios),
    ]


def _ratio(speed: dict[str, list[float]], above: str, below: str) -> float:
    """The median of the ratios of each round: noise of the machine hits both sides of one."""
    return statistics.median(a / b for a, b in zip(speed[above], speed[below], strict=True))


# --- memory ------------------------------

_MEMORY = """
import sys
sys.path.insert(0, {here!r})
import loops, ticklane
data = loops.frames(loops.prices(1, {bars}))
ticklane.backtest(loops.Cross({{"name": "bench", "symbols": list(data)}}), data, cash=loops.CASH)
status = open("/proc/self/status").read()  # ru_maxrss would tell the parent's peak as well
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def memory(bars: int) -> list[Any]:
    """Peak memory of a whole process that makes the data and runs W1."""
    code = _MEMORY.format(here=str(HERE), bars=bars)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_env()
    )
    peak = float(done.stdout)
    return [(f"peak memory, W1 on {bars:,} bars", f"{peak:.0f} MB", "under 450 MB")]


def _env(**more: str) -> dict[str, str]:
    path = str(HERE.parent / "backend")
    return {**os.environ, "PYTHONPATH": path, **more}


# --- storage ------------------------------


def storage() -> list[Any]:
    """Durable intents, and orders through runner, venue and SQLite with FULL sync.

    The same on the PostgreSQL server of TICKLANE_TEST_POSTGRES, if it names one.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows = _durable(Path(folder) / "bench.db", "SQLite", ("under 5 ms", "at least 300"))
    if SERVER:
        rows += asyncio.run(_on_server(SERVER))
    return rows


async def _on_server(url: str) -> list[Any]:
    import asyncpg

    name = f"bench_{os.getpid()}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE SCHEMA {name}")
    try:
        place = f"{url}{'&' if '?' in url else '?'}search_path={name}"
        return await asyncio.to_thread(_durable, place, "PostgreSQL", ("", ""))
    finally:
        await connection.execute(f"DROP SCHEMA {name} CASCADE")
        await connection.close()


def _durable(place: Path | str, kind: str, targets: tuple[str, str]) -> list[Any]:
    times, rate = asyncio.run(_orders(place))
    ordered = sorted(times)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    name = "durable intent" if kind == "SQLite" else f"durable intent, {kind}"
    through = f"orders through runner, venue and {kind}"
    return [
        (f"{name}, p50", f"{p50 * 1e3:.2f} ms", ""),
        (f"{name}, p99", f"{p99 * 1e3:.2f} ms", targets[0]),
        (through, f"{rate:,.0f} orders/s", targets[1]),
    ]


async def _orders(database: Path | str) -> tuple[list[float], float]:
    import loops

    from ticklane import PaperBroker, StorageService, StrategyInterface, StrategyRunner
    from ticklane.core.market import Timeframe
    from ticklane.data.feeds import ReplayFeed
    from ticklane.data.frames import bars_of_frames

    class Busy(StrategyInterface):
        """One order a bar."""

        def on_tick(self, market_data: Any) -> Any:
            self.is_long = not getattr(self, "is_long", False)
            make = self.buy if self.is_long else self.sell
            return make(loops.SYMBOL, 1)

    class Timed(StorageService):
        """Times each durable write."""

        async def record(self, run_id: str, events: Any) -> None:
            begin = now()
            await super().record(run_id, events)
            times.append(now() - begin)

    times: list[float] = []
    count = 3_000
    bars, step = bars_of_frames(loops.frames(loops.prices(1, count)), Timeframe.parse("1m"))
    runner = StrategyRunner(
        broker=PaperBroker(cash=loops.CASH), storage=Timed(database), feed=ReplayFeed(bars, step)
    )
    runner.load_strategy(Busy({"symbols": [loops.SYMBOL]}))
    begin = now()
    await runner.start()
    await runner.wait()
    return times, count / (now() - begin)


# --- the daemon ------------------------------


def daemon() -> list[Any]:
    """Idle memory and time to the first tick of a paper daemon; the command line's start."""
    rows = []
    for calendar, target in ((None, "under 150 MB"), ("XNYS", "under 220 MB")):
        rss, seconds = _idle(calendar)
        name = "with a calendar" if calendar else "without a calendar"
        rows.append((f"daemon idle on paper, {name}", f"{rss:.0f} MB", target))
        if calendar is None:
            rows.append(("daemon, process start to first tick", f"{seconds:.2f} s", "under 3 s"))
    rows.append(("ticklane --help", f"{_best(['-m', 'ticklane', '--help']):.2f} s", "under 0.4 s"))
    rows.append(("import ticklane", f"{_best(['-c', 'import ticklane']):.2f} s", ""))
    return rows


def _best(arguments: list[str]) -> float:
    seconds = []
    for _ in range(5):
        begin = now()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=_env())
        seconds.append(now() - begin)
    return min(seconds)


def _idle(calendar: str | None) -> tuple[float, float]:
    from ticklane.app.control_socket import ask

    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "ticklane", "run", "--strategy", "moving_average_crossover",
            "--symbols", "AAPL,MSFT,IBM", "--feed", "simulated",
        ]  # fmt: skip
        command += ["--calendar", calendar] if calendar else []
        begin = now()
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=_env(TICKLANE_DATA_DIR=folder), cwd=folder
            )
            try:
                seconds = _until_tick(ask, Path(folder) / "ticklane.db", begin, calendar)
                time.sleep(10)
                rss = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            finally:
                process.terminate()
                process.wait(10)
    return rss * os.sysconf("SC_PAGE_SIZE") / 1e6, seconds


def _until_tick(ask: Any, database: Path, begin: float, calendar: str | None) -> float:
    from ticklane.core.errors import TicklaneError

    while now() - begin < 30:
        try:
            status = ask(database, "status")
        except TicklaneError:
            status = None
        if status and (calendar or any(s["ticks"] for s in status["strategies"])):
            return now() - begin
        time.sleep(0.02)
    raise SystemExit("the daemon did not tick within 30 s")


if __name__ == "__main__":
    sys.exit(main())
