"""Thirty days of a daemon in minutes: what grows, and what is left open.

`python alpaca_soak.py [--days 30] [--reconnect-minutes 60]` runs the daemon's own wiring with real
sockets, threads and a real SQLite file against a venue in another process. Both share a virtual
time (`virtual_pair.py`). There is a bar of each symbol every minute; every half hour the strategy
trades, and in between it rests an order and cancels it; every hour the venue breaks all sockets.
At the end of each day memory, open files, threads and tasks are noted.

Looks that come every second or two are made every ten here, or the soak would take hours.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alpaca_venue import KEYS, NOT_LIMITED, rss_mb
from virtual_pair import Follower, Leader, Wire

HERE = Path(__file__).parent

BEGIN_NS = 1_767_571_200 * 1_000_000_000  # Monday, 5 January 2026, 00:00 UTC
DAY = 86_400.0
SYMBOLS = ("AAPL", "BTC/USD")
_LOOK = 10.0  # seconds between two looks that are more frequent in earnest
_STRATEGY = '''
from ticklane import StrategyInterface

class Regular(StrategyInterface):
    """Trades a share every half hour, and rests an order for ten minutes every hour."""

    def on_tick(self, market_data):
        if "AAPL" not in market_data.updated:
            return None
        count = self.state["bars"] = self.state.get("bars", 0) + 1
        if count % 60 == 15:
            return self.buy("AAPL", 1)
        if count % 60 == 45:
            return self.sell("AAPL", 1)
        if count % 60 == 20:
            return self.buy("AAPL", 1, order_type="limit", limit_price=97, time_in_force="gtc")
        if count % 60 == 30:
            for order in self.orders("AAPL"):
                self.cancel(order)
        return None
'''


# --- the venue's process -------------------------------------------------------------------------


def serve_venue(wire: Wire, reconnect_seconds: float) -> None:
    """Be the venue, in the leader's time."""
    from ticklane.testing.venue import LocalVenue, server

    server._BEAT = _LOOK
    server._Server.main_loop = _main_loop
    venue = LocalVenue(100_000, keys=KEYS, rate_limit=NOT_LIMITED)
    loop = Follower(wire)
    venue.market.now_ns = lambda: BEGIN_NS + round(loop.seconds * 1e9)
    venue._thread = threading.current_thread()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    venue.port = listening.getsockname()[1]
    wire.say(str(venue.port))

    async def live() -> None:
        await asyncio.gather(
            venue._run(listening), _move_prices(venue), _break_sockets(venue, reconnect_seconds)
        )

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            runner.run(live())
        except (EOFError, BrokenPipeError):
            os._exit(0)


async def _main_loop(server: Any) -> None:
    """uvicorn's looks ten times a second whether it should end."""
    await server.on_tick(0)
    await asyncio.Event().wait()


async def _move_prices(venue: Any) -> None:
    """A trade of each symbol in every minute, from which the minute's bar is made."""
    number = 0
    while True:
        for place, symbol in enumerate(SYMBOLS):
            venue.market.price(symbol, 100.0 + (number * (place + 3)) % 7 / 10)
        number += 1
        await asyncio.sleep(60.0)


async def _break_sockets(venue: Any, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        venue.drop_sockets()


# --- the daemon's process ------------------------------------------------------------------------


class Soak:
    """The run of the daemon, and what is noted of it."""

    def __init__(self, loop: Leader, days: float, look_every: float) -> None:
        self.loop, self.days, self.look_every = loop, days, look_every
        self.notes: list[dict[str, float]] = []
        self.end: dict[str, Any] = {}

    @asynccontextmanager
    async def watch(self, runner: Any) -> AsyncIterator[None]:
        """The daemon is up: let time run, and note."""
        task = asyncio.create_task(self._watch(runner))
        yield
        await task

    async def _watch(self, runner: Any) -> None:
        self.loop.is_slow = False
        try:
            while self.loop.seconds < self.days * DAY:
                await asyncio.sleep(self.look_every - self.loop.seconds % self.look_every)
                self.notes.append(self._note())
        finally:
            self.loop.is_slow = True
        status = runner.get_status()
        self.end = {
            "trading_state": status.trading_state,
            "restrictions": status.restrictions,
            "ticks": {name: one.ticks for name, one in status.strategies.items()},
            "faults": sum(one.faults for one in status.strategies.values()),
            "stream_reconnects": status.venue["stream"]["reconnects"],
            "price_reconnects": runner.feed.reconnects,
            "orders": len(runner.desk.orders),
            "bars": dict(runner.feed.counts),
        }
        runner.request_stop("end")

    def _note(self) -> dict[str, float]:
        gc.collect()
        return {
            "day": round(self.loop.seconds / DAY, 2),
            "memory_mb": round(rss_mb(), 2),
            "files": len(os.listdir("/proc/self/fd")) - 1,  # without the one that lists them
            "threads": threading.active_count(),
            "tasks": len(asyncio.all_tasks()),
        }


def _slow_down() -> None:
    """The looks that are frequent in earnest."""
    from ticklane.data.streaming import StreamingFeed
    from ticklane.engine import messages
    from ticklane.integrations.alpaca import stream, watch

    watch._BEAT = watch._IN_FLIGHT_EVERY = _LOOK
    stream._PING_SECONDS = 60.0
    messages._PATROL_SECONDS = _LOOK
    looking = sys.modules[StreamingFeed._look_after.__module__]
    assert hasattr(looking, "_LOOK_SECONDS")
    looking._LOOK_SECONDS = _LOOK


def _share_time(loop: Leader) -> None:
    """The machine's clock is the virtual one, and no time passes while a thread works."""
    import aiosqlite.core

    from ticklane.clock import SystemClock
    from ticklane.integrations.alpaca.client import Threads

    execute, run = aiosqlite.core.Connection._execute, Threads.run

    def executing(connection: Any, *arguments: Any, **named: Any) -> Any:
        return loop.timeless(execute(connection, *arguments, **named))

    def running(threads: Any, call: Any) -> Any:
        return loop.timeless(run(threads, call))

    SystemClock.now_ns = lambda _: BEGIN_NS + round(loop.seconds * 1e9)
    aiosqlite.core.Connection._execute = executing
    Threads.run = running


def settings_of(folder: Path, port: int) -> Any:
    """A settings file as a user would write it."""
    from ticklane.app.settings import load_settings

    os.environ |= {
        "ALPACA_API_KEY": KEYS[0],
        "ALPACA_API_SECRET": KEYS[1],
        "ALPACA_BASE_URL": f"http://127.0.0.1:{port}",
    }
    (folder / "regular.py").write_text(_STRATEGY)
    (folder / "ticklane.toml").write_text(
        f'broker = "alpaca"\nfeed = "alpaca"\ntimeframe = "1m"\ncalendar = "24/7"\n'
        f'data_dir = "{folder}"\n'
        f'[[strategy]]\nstrategy = "{folder / "regular.py"}:Regular"\n'
        f"symbols = {json.dumps(SYMBOLS)}\n"
    )
    return load_settings(folder / "ticklane.toml")


def run(days: float = 30.0, reconnect_minutes: float = 60.0, looks_a_day: int = 1) -> Any:
    """Let so many days pass; what was noted at the end of each, and how it ended."""
    from ticklane.app.daemon import serve

    logging.disable(logging.WARNING)  # each broken socket is told
    begin, begin_load = time.monotonic(), os.getloadavg()[0]
    hear, said = os.pipe()
    heard, say = os.pipe()
    command = [sys.executable, str(HERE / "alpaca_soak.py"), "--venue", f"{heard},{said}"]
    command += ["--reconnect-minutes", str(reconnect_minutes)]
    path = os.pathsep.join([str(HERE.parent / "backend"), str(HERE)])
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, pass_fds=(heard, said), env={**os.environ, "PYTHONPATH": path}
        ) as process,
    ):
        os.close(heard)
        os.close(said)
        wire = Wire(hear, say)
        loop = Leader(wire)
        soak = Soak(loop, days, DAY / looks_a_day)
        try:
            _slow_down()
            _share_time(loop)
            settings = settings_of(Path(folder), int(wire.hear()))
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve(settings, soak.watch))
        finally:
            os.close(say)
            process.wait(10)
    loads = [round(one, 1) for one in (begin_load, os.getloadavg()[0])]
    took = round(time.monotonic() - begin)
    return {"notes": soak.notes, **soak.end, "jumps": loop.jumps, "took": took, "load": loads}


def main() -> None:
    """Print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--reconnect-minutes", type=float, default=60.0)
    parser.add_argument("--looks-a-day", type=int, default=1)
    parser.add_argument("--venue", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.venue:
        serve_venue(Wire(*map(int, given.venue.split(","))), given.reconnect_minutes * 60)
    else:
        print(json.dumps(run(given.days, given.reconnect_minutes, given.looks_a_day)))


if __name__ == "__main__":
    main()
