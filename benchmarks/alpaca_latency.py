"""From a bar on the socket to the POST of its order on the wire, beside a bare alpaca-py call.

`python alpaca_latency.py [--bars 600]` runs the daemon's own wiring in this process (settings,
StreamingFeed, lane, limits, SQLite with FULL sync, AlpacaBroker) against a venue in another one.
Every bar is answered by one order. Between the blocks of bars the same number of bare calls
`TradingClient.submit_order` is made, to a second venue, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alpaca_venue import KEYS, VenueProcess

now = time.perf_counter
SYMBOL = "AAPL"
_STRATEGY = '''
from ticklane import StrategyInterface

class Beat(StrategyInterface):
    """Buys one share at every bar."""

    def on_tick(self, market_data):
        return self.buy(self.symbols[0], 1)
'''


class Stamps:
    """When things happened in this process, noted where they happen."""

    def __init__(self) -> None:
        self.received = 0.0
        self.bars: list[tuple[float, float]] = []  # bytes came, message taken
        self.posts: list[float] = []  # body handed to the kernel
        self.commits: list[tuple[float, float]] = []
        self.asked: list[float] = []
        self.sent: list[float] = []  # handed to the broker

    def set(self) -> None:
        """Put the notes into the classes that do the work."""
        import http.client

        from websockets.asyncio.client import ClientConnection

        from ticklane.engine.lane import Lane
        from ticklane.integrations.alpaca import market_stream
        from ticklane.integrations.alpaca.broker import AlpacaBroker
        from ticklane.storage.service import StorageService

        connect, hear = market_stream._connect, ClientConnection.data_received
        take, send = market_stream.MarketStream._take, http.client.HTTPConnection.send
        record, submit, walk = StorageService.record, AlpacaBroker.submit, Lane._walk

        async def connecting(url: str) -> Any:
            socket: Any = await connect(url)
            socket.is_of_prices = True
            return socket

        def hearing(connection: Any, data: bytes) -> None:
            if getattr(connection, "is_of_prices", False):
                self.received = now()
            hear(connection, data)

        def taking(stream: Any, messages: Any) -> None:
            if any(message["T"] == "b" for message in messages):
                self.bars.append((self.received, now()))
            take(stream, messages)

        def sending(connection: Any, data: Any) -> None:
            send(connection, data)
            if isinstance(data, bytes) and b"client_order_id" in data:
                self.posts.append(now())

        async def recording(storage: Any, run_id: str, events: Any) -> None:
            begin = now()
            await record(storage, run_id, events)
            self.commits.append((begin, now()))

        async def submitting(broker: Any, order: Any) -> None:
            self.sent.append(now())
            await submit(broker, order)

        async def walking(lane: Any, ticks: Any) -> None:
            self.asked.append(now())
            await walk(lane, ticks)

        market_stream._connect = connecting
        ClientConnection.data_received = hearing
        market_stream.MarketStream._take = taking
        http.client.HTTPConnection.send = sending
        StorageService.record = recording
        AlpacaBroker.submit = submitting
        Lane._walk = walking


class Bare:
    """alpaca-py by itself, on a venue of its own."""

    def __init__(self, url: str, stamps: Stamps) -> None:
        from alpaca.trading.client import TradingClient

        self._client = TradingClient(*KEYS, paper=True, url_override=url)
        self._stamps = stamps
        self.count = 0
        self.to_wire: list[float] = []
        self.whole: list[float] = []

    def call(self) -> None:
        """One market order, and how long it takes to the wire and to the answer."""
        from alpaca.trading.enums import OrderSide, TimeInForce
        from alpaca.trading.requests import MarketOrderRequest

        self.count += 1
        self._stamps.posts.clear()
        begin = now()
        self._client.submit_order(
            MarketOrderRequest(
                symbol=SYMBOL,
                qty=1,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.DAY,
                client_order_id=f"bare-{self.count}",
            )
        )
        self.whole.append(now() - begin)
        self.to_wire.append(self._stamps.posts[-1] - begin)


class BareCommit:
    """A commit of one row with FULL sync, by the standard library alone, on the same disk."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE rows (text TEXT)")
        self.seconds: list[float] = []

    def call(self) -> None:
        """One commit."""
        begin = now()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO rows VALUES (?)", ("x" * 2_000,))
        self._connection.execute("COMMIT")
        self.seconds.append(now() - begin)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class Measure:
    """The blocks of one run, bars and bare calls in turn."""

    def __init__(
        self, folder: Path, venue: VenueProcess, other: VenueProcess, bars: int, blocks: int
    ) -> None:
        self.venue, self.other, self.bars, self.blocks = venue, other, bars, blocks
        self.commit = BareCommit(folder)
        self.stamps = Stamps()
        self.parts: dict[str, list[float]] = {}
        self.outside: list[float] = []
        self.left_out = 0

    @asynccontextmanager
    async def watch(self, runner: Any) -> AsyncIterator[None]:
        """The daemon is up: measure, and ask it to stop."""
        self.bare = Bare(self.other.url, self.stamps)
        task = asyncio.create_task(self._measure(runner))
        yield
        await task

    async def _measure(self, runner: Any) -> None:
        try:
            if not await asyncio.to_thread(self.venue.ask, "await_listeners", seconds=20):
                raise RuntimeError("the daemon does not listen to prices and trade updates.")
            await self._block(30)  # nothing is warm yet
            self.parts.clear()
            self.outside.clear()
            self._call(30)
            for seconds in (self.bare.to_wire, self.bare.whole, self.commit.seconds):
                seconds.clear()
            for _ in range(self.blocks):
                await self._block(self.bars // self.blocks)
                self._call(self.bars // self.blocks)
        finally:
            runner.request_stop("end")

    async def _block(self, count: int) -> None:
        stamps = self.stamps
        for name in ("bars", "posts", "commits", "asked", "sent"):
            getattr(stamps, name).clear()
        outside = await asyncio.to_thread(
            self.venue.ask, "beats", symbol=SYMBOL, count=count, gap=0.025
        )
        if min(outside) < 0 or not len(stamps.posts) == len(stamps.bars) == count:
            raise RuntimeError(
                f"{count} bars, {len(stamps.bars)} taken, {len(stamps.posts)} orders, "
                f"{outside.count(-1.0)} bars without an answer: not one each."
            )
        self.outside += outside
        for (received, taken), sent, posted in zip(
            stamps.bars, stamps.sent, stamps.posts, strict=True
        ):
            asked = min(at for at in stamps.asked if at > taken)
            begin, end = max(one for one in stamps.commits if one[1] <= sent)
            self._note("bar received to POST on the wire", posted - received)
            self._note("  bar received to lane", asked - received)
            self._note("  lane, strategy, limits", begin - asked)
            self._note("  durable intent", end - begin)
            self._note("  lane to broker", sent - end)
            self._note("  broker, thread, alpaca-py to the wire", posted - sent)

    def _note(self, name: str, seconds: float) -> None:
        self.parts.setdefault(name, []).append(seconds)

    def _call(self, count: int) -> None:
        for _ in range(count):
            self.bare.call()
            self.commit.call()


def settings_of(folder: Path, venue: VenueProcess) -> Any:
    """A settings file as a user would write it; limits `safe`, but for the rates."""
    from ticklane.app.settings import load_settings

    os.environ |= venue.environment()
    (folder / "beat.py").write_text(_STRATEGY)
    (folder / "ticklane.toml").write_text(
        f'broker = "alpaca"\nfeed = "alpaca"\ntimeframe = "1m"\ncalendar = "24/7"\n'
        f'data_dir = "{folder}"\nlog_level = "WARNING"\n'
        "[limits]\norders_per_minute = 100000\norders_per_minute_total = 100000\n"
        f'repeat_seconds = "off"\n'
        f'[[strategy]]\nstrategy = "{folder / "beat.py"}:Beat"\nsymbols = ["{SYMBOL}"]\n'
    )
    return load_settings(folder / "ticklane.toml")


def figures(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    found = {name: ordered[int(len(ordered) * part)] * 1e3 for name, part in at.items()}
    return {name: round(ms, 2) for name, ms in {**found, "max": ordered[-1] * 1e3}.items()}


def run(bars: int = 600, blocks: int = 6) -> dict[str, Any]:
    """Measure; milliseconds by what was measured, and the load of the machine around it."""
    from ticklane.app.daemon import serve

    begin_load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as given,
        VenueProcess(cash=1_000_000) as venue,
        VenueProcess(cash=1_000_000) as other,
    ):
        for one in (venue, other):
            one.ask("prices", prices={SYMBOL: 100.0})
        folder = Path(given)
        measure = Measure(folder, venue, other, bars, blocks)
        measure.stamps.set()
        try:
            asyncio.run(serve(settings_of(folder, venue), measure.watch))
        finally:
            measure.commit.close()
    gc.collect()
    found = {name: figures(values) for name, values in measure.parts.items()}
    found["seen from the venue: bar told to POST arrived"] = figures(measure.outside)
    found["bare alpaca-py: call to POST on the wire"] = figures(measure.bare.to_wire)
    found["bare alpaca-py: call to answer"] = figures(measure.bare.whole)
    found["bare SQLite: a commit with FULL sync"] = figures(measure.commit.seconds)
    load = [round(one, 1) for one in (begin_load, os.getloadavg()[0])]
    return {"bars": bars, "ms": found, "load": load}


def main() -> None:
    """Print it as a table, or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bars", type=int, default=600)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = run(arguments.bars)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, values in found["ms"].items():
        print(f"{name:<52}" + "".join(f"{key} {ms:8.2f}  " for key, ms in values.items()) + "ms")
    print(f"{found['bars']} bars, load average {found['load']}")


if __name__ == "__main__":
    main()
