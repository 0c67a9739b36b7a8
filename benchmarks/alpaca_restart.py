"""A daemon with 10,000 orders, 100 of them open, and 50 positions is killed and started again.

`python alpaca_restart.py [--orders 10000] [--symbols 50]` lets a daemon (`ticklane run`, a process)
make the orders at a venue (another process), kills it with SIGKILL, and starts it again. Measured
are the seconds from the start of the process to the POST of its first new order, with the 200
requests a minute that Alpaca allows, and from SIGTERM to its end. In between, orders, executions,
positions and cash of the database and of the venue are compared as in the kill test.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from alpaca_venue import VenueProcess

HERE = Path(__file__).parent

RATE_LIMIT = 200  # requests a minute, as at Alpaca
_PATIENCE = 60.0
_STRATEGY = '''
from ticklane import StrategyInterface

class Filler(StrategyInterface):
    """Buys every symbol at each of so many ticks, then leaves two limit orders of each open.

    After a restart it sends one order at the first tick.
    """

    def on_start(self):
        self.is_back = self.state.get("rounds", 0) > self.config["rounds"]

    def on_tick(self, market_data):
        done = self.state.get("rounds", 0)
        self.state["rounds"] = done + 1
        if done < self.config["rounds"]:
            return [self.buy(symbol, 1) for symbol in self.symbols]
        if done == self.config["rounds"]:
            return [self.rest(symbol, price) for symbol in self.symbols for price in (50, 51)]
        if self.is_back:
            self.is_back = False
            return self.buy(self.symbols[0], 1)

    def rest(self, symbol, price):
        return self.buy(symbol, 1, order_type="limit", limit_price=price, time_in_force="gtc")
'''


class Daemon:
    """`ticklane run` on a settings file."""

    def __init__(self, folder: Path, venue: VenueProcess) -> None:
        command = [sys.executable, "-m", "ticklane", "run", "--config", "ticklane.toml"]
        path = str(HERE.parent / "backend")
        self.log = folder / "log"
        self.began = time.monotonic()
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, **venue.environment(), "PYTHONPATH": path},
            )
        if not venue.ask("await_listeners", seconds=_PATIENCE):
            raise RuntimeError(f"the daemon does not listen: {self.log.read_text()[-2000:]}")
        self.listens_after = time.monotonic() - self.began

    def kill(self) -> None:
        """As a power cut would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> float:
        """By SIGTERM; the seconds it took."""
        begin = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(30)
        seconds = time.monotonic() - begin
        if code:
            raise RuntimeError(f"the daemon ended with {code}: {self.log.read_text()[-2000:]}")
        return seconds


def write_settings(folder: Path, symbols: list[str], rounds: int) -> None:
    """A settings file as a user would write it."""
    (folder / "filler.py").write_text(_STRATEGY)
    (folder / "ticklane.toml").write_text(
        f'broker = "alpaca"\nfeed = "alpaca"\ntimeframe = "1m"\ncalendar = "24/7"\n'
        f'limits = "none"\ndata_dir = "{folder}"\n'
        f'[[strategy]]\nstrategy = "{folder / "filler.py"}:Filler"\nrounds = {rounds}\n'
        f"symbols = {json.dumps(symbols)}\n"
    )


def make_orders(venue: VenueProcess, symbols: list[str], rounds: int) -> None:
    """Tell bars until all orders are at the venue, and all but the last ones are filled."""
    each = len(symbols)
    for done in range(rounds + 1):
        venue.ask("tell_bars", symbols=symbols, price=100.0)
        filled = each * min(done + 1, rounds)
        wanted = filled + (2 * each if done == rounds else 0)
        if not venue.ask("await_counts", orders=wanted, executions=filled, seconds=_PATIENCE):
            raise RuntimeError(f"{wanted} orders are wanted: {venue.ask('counts')}")


def settled(folder: Path, url: str) -> list[str]:
    """What differs between database and venue, once nothing moves any more."""
    sys.path.append(str(HERE.parent / "tests" / "faults"))
    from alpaca_books import differences

    until = time.monotonic() + 15.0
    while (found := differences(folder / "ticklane.db", url)) and time.monotonic() < until:
        time.sleep(0.1)
    return list(found)


def first_order(venue: VenueProcess, symbols: list[str], before: int) -> float:
    """Tell a bar every fifth of a second until an order comes; when it did."""
    until = time.monotonic() + 120.0
    while time.monotonic() < until:
        venue.ask("tell_bars", symbols=symbols, price=100.0)
        if venue.ask("await_counts", orders=before + 1, executions=0, seconds=0.2):
            return float(venue.ask("posted_at"))
    raise RuntimeError("no order came within two minutes.")


def run(orders: int = 10_000, symbols: int = 50) -> dict[str, Any]:
    """Make them, kill, start, compare, stop."""
    names = [f"S{number:03}" for number in range(symbols)]
    rounds = (orders - 2 * symbols) // symbols
    begin_load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as given,
        VenueProcess(cash=100_000_000) as venue,
    ):
        folder = Path(given)
        write_settings(folder, names, rounds)
        venue.ask("prices", prices=dict.fromkeys(names, 100.0))
        begin = time.monotonic()
        daemon = Daemon(folder, venue)
        make_orders(venue, names, rounds)
        made_seconds = time.monotonic() - begin
        differed = settled(folder, venue.url)
        daemon.kill()
        before = venue.ask("counts")
        venue.ask("rate", limit=RATE_LIMIT)
        venue.ask("requests")
        daemon = Daemon(folder, venue)
        trading_after = first_order(venue, names, before["orders"]) - daemon.began
        requests = venue.ask("requests")
        differs = settled(folder, venue.url)
        stop_seconds = daemon.stop()
        log = daemon.log.read_text()
    return {
        "orders": before["orders"],
        "open": before["open"],
        "positions": before["positions"],
        "made_in": round(made_seconds, 1),
        "listens_after": round(daemon.listens_after, 2),
        "trading_after": round(trading_after, 2),
        "requests": requests,
        "stop_seconds": round(stop_seconds, 2),
        "differs": [*differed, *differs][:5],
        "said": [line for line in log.splitlines() if "differ" in line or "ERROR" in line][:5],
        "load": [round(one, 1) for one in (begin_load, os.getloadavg()[0])],
    }


def main() -> None:
    """Print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--symbols", type=int, default=50)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.orders, arguments.symbols)))


if __name__ == "__main__":
    main()
