"""A storm of quotes on a running daemon: what is lost, how old prices get, what memory does.

`python alpaca_load.py [--seconds 600] [--rate 20000] [--symbols 500]` runs the daemon's own wiring
in this process against a venue in another one, which pushes so many quotes a second. Trades among
them make minute bars; in runs of less than two minutes bars are told by hand instead. Once a second
the strategy sends an order, whose fill must be booked.

The age of a price is measured by the strategy, at each tick and for each symbol that is new in it:
the machine's clock then less the instant at which the venue pushed the quote.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alpaca_venue import KEYS, VenueProcess, rss_mb

_LAST_SECONDS = 5.0  # for the last bars and fills to come
_BY_HAND_BELOW = 120.0  # seconds of storm; longer ones see minutes end
_STRATEGY = '''
import time
from ticklane import Bar, StrategyInterface

class Seismograph(StrategyInterface):
    """Notes how old the prices of each tick are, and trades once a second."""

    def on_start(self):
        self.ages, self.gaps, self.asked_at, self.traded_at, self.is_long = [], [], 0, 0, False
        self.is_on = False

    def on_tick(self, market_data):
        now = time.time_ns()
        seen = [market_data[symbol] for symbol in market_data.updated]
        ages = [now - one.time_ns for one in seen if not isinstance(one, Bar)]
        if ages and self.is_on:
            self.ages.append((max(ages), len(ages)))
            if self.asked_at:
                self.gaps.append(now - self.asked_at)
            self.asked_at = now
        if self.is_on and now - self.traded_at > 1_000_000_000:
            self.traded_at, self.is_long = now, not self.is_long
            make = self.buy if self.is_long else self.sell
            return make(self.symbols[0], 1)
'''


_SLEEPER = """
import sys, threading, time
end, late = threading.Event(), []
def sleep():
    while not end.is_set():
        begin = time.monotonic()
        time.sleep(0.05)
        late.append((time.monotonic() - begin - 0.05) * 1e3)
thread = threading.Thread(target=sleep)
thread.start()
sys.stdin.read()
end.set()
thread.join()
late.sort()
print(late[int(len(late) * 0.99)], late[-1])
"""


class Sleeper:
    """A process that does nothing but sleep: how late it wakes is the machine's doing."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SLEEPER], stdin=pipe, stdout=pipe, text=True
        )

    def finish(self) -> dict[str, float]:
        """Milliseconds."""
        out, _ = self._process.communicate()
        p99, most = map(float, out.split())
        return {"p99": round(p99, 1), "max": round(most, 1)}


class Load:
    """One run."""

    def __init__(self, venue: VenueProcess, seconds: float, rate: float, symbols: int) -> None:
        self.venue, self.seconds, self.rate = venue, seconds, rate
        self.symbols = [f"S{number:03}" for number in range(symbols)]
        self.warm = min(2.0, seconds / 4)  # seconds of storm before it counts
        self.bars: set[tuple[str, int]] = set()
        self.memory: list[tuple[float, float]] = []
        self.found: dict[str, Any] = {}

    def feed(self, _settings: Any, symbols: Any, _calendar: Any) -> Any:
        """Alpaca's prices as the daemon makes them, with quotes as ticks."""
        from ticklane.clock import SystemClock
        from ticklane.core.market import Bar
        from ticklane.data.calendars import calendar_of
        from ticklane.data.streaming import StreamingFeed
        from ticklane.integrations.alpaca.account import AlpacaAccount
        from ticklane.integrations.alpaca.market_data import AlpacaMarketData

        counted = self.bars

        class Counted(StreamingFeed):
            """Notes the bars it gives."""

            async def stream(self, after_ns: int | None = None) -> AsyncIterator[Any]:
                async for tick in super().stream(after_ns):
                    counted.update(one[:2] for one in tick.observed if isinstance(one, Bar))
                    yield tick

        account = AlpacaAccount(key=KEYS[0], secret=KEYS[1], url=self.venue.url)
        market, clock = calendar_of("24/7"), SystemClock()
        provider = AlpacaMarketData(account, calendar=market)
        feed = Counted(provider, symbols, timeframe="1m", clock=clock, calendar=market, quotes=True)
        return feed, clock

    @asynccontextmanager
    async def watch(self, runner: Any) -> AsyncIterator[None]:
        """The daemon is up: blow, look, and ask it to stop."""
        task = asyncio.create_task(self._measure(runner))
        yield
        await task

    async def _measure(self, runner: Any) -> None:
        ask = asyncio.to_thread
        try:
            if not await ask(self.venue.ask, "await_listeners", seconds=30):
                raise RuntimeError("the daemon does not listen to prices and trade updates.")
            [host] = runner.hosts.values()
            await ask(self.venue.ask, "storm", **self._storm())
            await asyncio.sleep(self.warm)
            host.strategy.is_on, sleeper = True, Sleeper()
            begin, cpu = time.monotonic(), time.process_time()
            while time.monotonic() < begin + self.seconds:
                await asyncio.sleep(0.5)
                self.memory.append((time.monotonic() - begin, rss_mb()))
                if self.seconds < _BY_HAND_BELOW:
                    await ask(self.venue.ask, "tell_bars", symbols=self.symbols, price=100.0)
            host.strategy.is_on, late = False, sleeper.finish()
            busy = (time.process_time() - cpu) / (time.monotonic() - begin)
            pushed = await ask(self.venue.ask, "storm_end", seconds=self.seconds + 60)
            self.found = await self._judge(runner, host.strategy, pushed)
            until = time.monotonic() + _LAST_SECONDS
            while _lacks(self.found) and time.monotonic() < until:
                await asyncio.sleep(0.1)
                self.found = await self._judge(runner, host.strategy, pushed)
            self.found |= {"busy": round(busy, 2), "a_bare_sleeper_is_late_ms": late}
        finally:
            runner.request_stop("end")

    @property
    def _storm_seconds(self) -> float:
        return self.warm + self.seconds + 0.5

    def _storm(self) -> dict[str, Any]:
        by_hand = self.seconds < _BY_HAND_BELOW
        return {
            "symbols": self.symbols,
            "a_second": self.rate,
            "seconds": self._storm_seconds,
            # A minute that a trade opened would close in between bars that are told by hand.
            "trade_every": 1_000_000_000 if by_hand else 51,  # so that every symbol has its turn
        }

    async def _judge(self, runner: Any, seen: Any, pushed: int) -> dict[str, Any]:
        told = {(str(symbol), at) for symbol, at in await asyncio.to_thread(self.venue.ask, "bars")}
        counts = await asyncio.to_thread(self.venue.ask, "counts")
        fills = sum(len(order.executions) for order in runner.desk.orders.values())
        ages = sorted(age / 1e6 for age, _ in seen.ages)
        early = next(mb for at, mb in self.memory if at > self.seconds / 10)
        return {
            "quotes_a_second": round(pushed / self._storm_seconds),
            "bars_told": len(told),
            "bars_lost": len(told - self.bars),
            "executions": counts["executions"],
            "fills_lost": counts["executions"] - fills,
            "ticks": len(ages),
            "quotes_in_ticks": sum(count for _, count in seen.ages),
            "age_ms": {**_quantiles(ages), "over_250": sum(age > 250 for age in ages)},
            "gap_ms": _quantiles(sorted(gap / 1e6 for gap in seen.gaps)),
            "memory_mb": {"after a tenth": round(early, 1), "end": round(self.memory[-1][1], 1)},
            "feed": {key: n for key, n in runner.feed.status().items() if isinstance(n, int)},
        }


def _lacks(found: dict[str, Any]) -> bool:
    return bool(found["bars_lost"] or found["fills_lost"])


def _quantiles(ordered: list[float]) -> dict[str, float]:
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    found = {name: round(ordered[int(len(ordered) * part)], 1) for name, part in at.items()}
    return {**found, "max": round(ordered[-1], 1)}


def settings_of(folder: Path, load: Load) -> Any:
    """A settings file as a user would write it."""
    from ticklane.app.settings import load_settings

    os.environ |= load.venue.environment()
    (folder / "seismograph.py").write_text(_STRATEGY)
    (folder / "ticklane.toml").write_text(
        f'broker = "alpaca"\nfeed = "alpaca"\ntimeframe = "1m"\ncalendar = "24/7"\n'
        f'data_dir = "{folder}"\nlog_level = "WARNING"\n'
        "[limits]\norders_per_minute = 1000\norders_per_minute_total = 1000\n"
        f'[[strategy]]\nstrategy = "{folder / "seismograph.py"}:Seismograph"\n'
        f"symbols = {json.dumps(load.symbols)}\n"
    )
    return load_settings(folder / "ticklane.toml")


def run(seconds: float = 600.0, rate: float = 20_000, symbols: int = 500) -> dict[str, Any]:
    """Blow for so long; what was lost, how old prices were, what memory did."""
    from ticklane.app import build
    from ticklane.app.daemon import serve

    begin_load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, VenueProcess(cash=1_000_000) as venue:
        load = Load(venue, seconds, rate, symbols)
        venue.ask("prices", prices=dict.fromkeys(load.symbols, 100.0))
        made, build.make_feed = build.make_feed, load.feed
        try:
            asyncio.run(serve(settings_of(Path(folder), load), load.watch))
        finally:
            build.make_feed = made
    loads = [round(one, 1) for one in (begin_load, os.getloadavg()[0])]
    return {"seconds": seconds, **load.found, "load": loads}


def main() -> None:
    """Print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--symbols", type=int, default=500)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.seconds, arguments.rate, arguments.symbols)))


if __name__ == "__main__":
    main()
