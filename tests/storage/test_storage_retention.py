"""Retention thins equity and signals, never anything else; a backup is whole."""

import asyncio
import contextlib
import sqlite3
from decimal import Decimal

import pytest
from storage_builders import START, a_whole_tick, an_order

from ticklane.core.errors import ConfigError, StorageError
from ticklane.core.events import EquityMarked, StrategyFaulted
from ticklane.core.market import DAY, HOUR
from ticklane.storage.reader import Reader
from ticklane.storage.retention import CHUNK, EquityKeep, Pruned, SignalsKeep
from ticklane.storage.service import StorageService

MIDNIGHT = START // DAY * DAY


async def record_hours(storage, count, step=HOUR, run="r1"):
    """A mark of equity and a row of signals at each step from midnight on."""
    events = []
    for number in range(count):
        at_ns = MIDNIGHT + number * step
        events += [
            EquityMarked(at_ns, float(number), Decimal(number)),
            StrategyFaulted("Trend", at_ns, f"row {number}", is_parked=False),
        ]
    await storage.record(run, events)


async def test_by_default_everything_is_kept(storage, place):
    await record_hours(storage, 100)

    assert await storage.prune() == Pruned(equity=0, signals=0)
    with Reader(place) as reader:
        assert len(reader.equity()[0]) == len(reader.signals()) == 100


async def test_old_equity_is_thinned_to_the_last_point_of_each_day(storage, place):
    await record_hours(storage, 24 * 5)
    storage.equity_keep = EquityKeep(days=2)

    await storage.prune()

    with Reader(place) as reader:
        kept = reader.equity()[1].tolist()
    newest_old = 24 * 3 - 1 - 1  # the last point more than two days older than the newest
    assert kept == [23.0, 47.0, newest_old, *range(newest_old + 1, 120)]


async def test_old_equity_is_thinned_to_the_last_point_of_each_hour(storage, place):
    await record_hours(storage, 48 * 4, step=HOUR // 4)
    storage.equity_keep = EquityKeep(days=1, then="hour")

    await storage.prune()

    with Reader(place) as reader:
        kept = reader.equity()[1].tolist()
    assert kept[:3] == [3.0, 7.0, 11.0]
    assert kept[-97:] == list(range(95, 192))


async def test_signals_are_cut_by_age_and_by_number(storage, place):
    await record_hours(storage, 100)
    storage.signals_keep = SignalsKeep(days=2)
    assert (await storage.prune()).signals == 51
    storage.signals_keep = SignalsKeep(rows=10)
    assert (await storage.prune()).signals == 39

    with Reader(place) as reader:
        assert [s["reason"] for s in reader.signals()] == [f"row {n}" for n in range(90, 100)]


async def test_each_run_is_cut_by_its_own_newest_row(storage, place):
    await storage.begin_run("other", {}, START)
    await record_hours(storage, 30 * 24)
    await record_hours(storage, 5, run="r2")
    storage.signals_keep, storage.equity_keep = SignalsKeep(days=1, rows=20), EquityKeep(days=1)

    await storage.prune()

    with Reader(place) as reader:
        assert len(reader.signals("r1")) == 20
        assert len(reader.signals("r2")) == len(reader.equity("r2")[0]) == 5


async def test_pruning_much_lets_records_through_and_touches_nothing_else(storage, place):
    await record_hours(storage, 3 * CHUNK)
    storage.signals_keep = SignalsKeep(rows=1)

    pruning = asyncio.create_task(storage.prune())
    for number in range(1, 4):
        await storage.record("r1", a_whole_tick(number))
    await pruning

    with Reader(place) as reader:
        assert len(reader.orders()) == len(reader.fills()) == len(reader.trades()) == 3
        assert len(reader.order_events(an_order(1).id)) == 1
        assert len(reader.signals()) <= 1 + 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EquityKeep(0), "equity_keep days is 0"),
        (lambda: EquityKeep(True), "equity_keep days is True"),
        (lambda: EquityKeep(1, then="week"), "must be hour or day"),
        (lambda: SignalsKeep(days=-1), "signals_keep days is -1"),
        (lambda: SignalsKeep(rows=1.5), "signals_keep rows is 1.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


async def test_a_backup_is_whole_and_can_be_opened_as_a_database(storage, path, tmp_path):
    for number in range(1, 20):
        await storage.record("r1", a_whole_tick(number))
    copy = tmp_path / "copy.db"

    await storage.backup(copy)
    await storage.record("r1", a_whole_tick(20))

    async with StorageService(copy) as other:
        recovered = await other.begin_run("print", {}, START)
    assert (recovered.run_id, recovered.order_count) == ("r1", 19)
    with contextlib.closing(sqlite3.connect(copy)) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list(tmp_path.glob("*.part"))  # hidden ones are among them


async def test_a_backup_while_records_are_written_is_of_one_instant(storage, path, tmp_path):
    async def write():
        for number in range(1, 100):
            await storage.record("r1", a_whole_tick(number))

    writing = asyncio.create_task(write())
    await storage.backup(tmp_path / "copy.db")
    await writing

    with Reader(tmp_path / "copy.db") as reader:
        (run,) = reader.runs()
        assert run["orders"] == run["fills"] == run["trades"] == len(reader.signals())


async def test_a_backup_replaces_nothing(storage, path, tmp_path):
    (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(StorageError, match="exists already; choose another name"):
        await storage.backup(tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_text() == "precious"


async def test_a_backup_to_nowhere_is_refused(storage, path, tmp_path):
    with pytest.raises(StorageError, match="of the backup does not exist"):
        await storage.backup(tmp_path / "nowhere" / "copy.db")
