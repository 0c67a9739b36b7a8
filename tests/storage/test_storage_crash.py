"""Kill -9 and many at once: every transaction is there wholly or not at all."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text
from storage_builders import START, a_whole_tick

import ticklane.core
from ticklane.core.market import SECOND, to_datetime
from ticklane.storage.database import open_engine
from ticklane.storage.reader import Reader
from ticklane.storage.server import Server
from ticklane.storage.service import StorageService

HERE = Path(__file__).parent
BACKEND = Path(ticklane.core.__file__).parents[2]


def record_until_killed(place, count):
    """Let a process record, kill it after `count` durable ticks; return the last it told of."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "crash_child.py"), url_of(place)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(BACKEND), str(HERE)])},
    )
    told = [process.stdout.readline() for _ in range(count)]
    process.kill()
    rest, _ = process.communicate()
    lines = [line for line in [*told, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    return int(lines[-1])


def url_of(place):
    return place.url.reveal() if isinstance(place, Server) else str(place)


def instants(rows, name):
    return [row[name] for row in rows]


def whole_ticks(place):
    """How many ticks there are, after checking that each is in every table."""
    with Reader(place) as reader:
        created = instants(reader.orders(), "created_at")
        assert created == instants(reader.fills(), "filled_at")
        assert created == instants(reader.trades(), "closed_at")
        assert created == instants(reader.signals(), "at")
        assert created == instants(reader.equity_rows(), "at")
        assert all(len(reader.order_events(order["id"])) == 1 for order in reader.orders())
        assert reader.state() == {"Trend": {"count": len(created)}}
        assert reader.runs()[-1]["cursor_at"] == created[-1]
    assert created == [
        to_datetime(START + n * SECOND).isoformat() for n in range(1, len(created) + 1)
    ]
    return len(created)


async def test_after_five_kills_every_tick_is_there_wholly_or_not_at_all(place):
    for _ in range(5):
        last_told = record_until_killed(place, random.randint(1, 60))

        assert whole_ticks(place) in (last_told, last_told + 1)

    async with StorageService(place) as storage:
        recovered = await storage.begin_run("print", {}, START)
    assert recovered.order_count == len(recovered.fills) == recovered.venue_marks["last"]


async def test_a_reader_beside_the_writer_sees_whole_ticks_only(storage, place):
    await storage.record("r1", a_whole_tick(1))

    async def write():
        for number in range(2, 101):
            await storage.record("r1", a_whole_tick(number))

    writing = asyncio.create_task(write())
    seen = []
    while not writing.done():
        seen.append(await asyncio.to_thread(counts, place))
    await writing

    assert all(len(set(found)) == 1 for found in seen)
    assert seen == sorted(seen)
    assert len(seen) > 1


def counts(place):
    """The number of rows in four tables, in one statement and so of one instant."""
    with Reader(place) as reader:
        query = "SELECT " + ", ".join(
            f"(SELECT count(*) FROM {table})" for table in ("orders", "fills", "trades", "equity")
        )
        return list(reader._fetch(query)[0])


async def test_reading_and_then_writing_loses_no_update(storage, path):
    await storage.close()
    engine = open_engine(path, 5.0)

    async def count():
        for _ in range(20):
            async with engine.begin() as connection:
                query = text("SELECT value FROM meta WHERE key = 'count'")
                value = int((await connection.execute(query)).scalar_one())
                await asyncio.sleep(0)
                change = text("UPDATE meta SET value = :value WHERE key = 'count'")
                await connection.execute(change, {"value": str(value + 1)})

    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO meta VALUES ('count', '0')"))
    await asyncio.gather(*(count() for _ in range(4)))
    async with engine.begin() as connection:
        found = (
            await connection.execute(text("SELECT value FROM meta WHERE key = 'count'"))
        ).scalar()
    await engine.dispose()

    assert found == "80"
