"""A disk that is full, read-only or held by others: the lane halts, and later goes on."""

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
from contextlib import asynccontextmanager

import pytest
from fault_journal import difference, journal
from fault_processes import ENVIRONMENT, daemon, stopping_after
from fault_setups import block, write_bars, write_settings

from ticklane.app.build import build_runner
from ticklane.app.daemon import serve
from ticklane.app.settings import load_settings
from ticklane.core.errors import StorageError
from ticklane.storage.service import StorageService

STRATEGIES = [
    block("Dice", "dice", "AAPL", "IBM", "MSFT"),
    block("Answering", "answering", "AAPL", "MSFT", seed=4),
]


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    return write_bars(tmp_path_factory.mktemp("bars") / "bars", 150)


@pytest.fixture(scope="module")
def peace(bars, tmp_path_factory):
    """The journal of a run with which nothing is wrong."""
    folder = tmp_path_factory.mktemp("peace")
    config = configured(folder, bars)
    asyncio.run(serve(load_settings(config)))
    return journal(folder / "runs.db")


def configured(folder, bars, database=None):
    where = {"data_dir": folder, "database": database or folder / "runs.db"}
    return write_settings(folder / "ticklane.toml", STRATEGIES, feed=f"replay:{bars}", **where)


@pytest.fixture
def small_disk(tmp_path):
    """A disk in memory that can be made larger, smaller, read-only and writable again."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs root")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder])
    if made.returncode:
        pytest.skip("this machine lets nobody mount a small disk")

    def change(options):
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    change.folder = folder
    yield change
    subprocess.run(["umount", folder], check=True)


def halted(settings):
    """Run until the storage fails; the runner and the sentence it has said."""
    kept = []

    @asynccontextmanager
    async def watch(runner):
        kept.append(runner)
        yield

    with pytest.raises(StorageError) as raised:
        asyncio.run(serve(settings, watch))
    return kept[0], str(raised.value)


def check_that_no_order_left_unrecorded(runner, database):
    """What the venue has been asked, and may have traded, is in the journal."""
    recorded = {row["id"] for row in journal(database)["orders"]}
    answered = {one.id for one in runner.desk.orders.values() if one.broker_order_id}
    assert answered
    assert answered | set(runner.broker.venue.by_id) <= recorded


def test_a_full_disk_halts_the_lane_and_with_room_it_goes_on(small_disk, tmp_path, bars, peace):
    database = small_disk.folder / "runs.db"
    settings = load_settings(configured(tmp_path, bars, database))

    runner, said = halted(settings)

    assert (runner.state, runner.error) == ("failed", said)
    assert said.startswith(f"the disk of the database {database} is full (")
    assert said.endswith("free some space and start again.")
    small_disk("size=50m")
    check_that_no_order_left_unrecorded(runner, database)
    asyncio.run(serve(settings))
    assert difference(peace, journal(database)) is None


def test_a_daemon_on_a_full_disk_ends_with_exit_code_1_and_one_sentence(
    small_disk, tmp_path, bars, peace
):
    database = small_disk.folder / "runs.db"
    config = configured(tmp_path, bars, database)

    done = subprocess.run(daemon(config), env=ENVIRONMENT, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: the disk of the database {database} ")
    assert "Traceback" not in done.stderr
    small_disk("size=50m")
    asyncio.run(serve(load_settings(config)))
    assert difference(peace, journal(database)) is None


def test_a_read_only_disk_is_refused_and_writable_again_it_goes_on(
    small_disk, tmp_path, bars, peace
):
    small_disk("size=50m")
    database = small_disk.folder / "runs.db"
    settings = load_settings(configured(tmp_path, bars, database))
    asyncio.run(serve(settings, stopping_after(60)))
    small_disk("ro")

    with pytest.raises(StorageError, match=r"^the .*\.$"):
        asyncio.run(serve(settings))

    small_disk("rw")
    asyncio.run(serve(settings))
    assert difference(peace, journal(database)) is None


def test_a_file_that_may_not_grow_halts_the_daemon_and_later_it_goes_on(tmp_path, bars, peace):
    config = configured(tmp_path, bars)
    limit = 500_000

    done = subprocess.run(
        daemon(config),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert done.returncode == 1
    assert "Error: the disk of the database" in done.stderr
    assert "Traceback" not in done.stderr
    asyncio.run(serve(load_settings(config)))
    assert difference(peace, journal(tmp_path / "runs.db")) is None


@pytest.mark.parametrize("at", [20, 90, 250])
def test_a_database_that_others_hold_halts_the_lane_and_later_it_goes_on(at, tmp_path, bars, peace):
    database = tmp_path / "runs.db"
    settings = load_settings(configured(tmp_path, bars))
    other = Holder(database)

    runner, said = asyncio.run(held_up(settings, other, at))

    other.let_go()
    assert said.startswith(f"the database {database} is held by another program")
    assert runner.state == "failed"
    check_that_no_order_left_unrecorded(runner, database)
    asyncio.run(serve(settings))
    assert difference(peace, journal(database)) is None


def test_a_database_that_others_hold_for_a_moment_is_waited_for(tmp_path, bars, peace):
    settings = load_settings(configured(tmp_path, bars))
    other = Holder(tmp_path / "runs.db")

    @asynccontextmanager
    async def watch(_runner):
        other.hold()
        threading.Timer(0.2, other.let_go).start()
        yield

    asyncio.run(serve(settings, watch))

    assert difference(peace, journal(tmp_path / "runs.db")) is None


class Holder:
    """Another program that writes to the database and takes its time."""

    def __init__(self, database):
        self._database = database
        self._connection = None

    def hold(self):
        if self._connection is None:
            self._connection = sqlite3.connect(self._database, check_same_thread=False)
            self._connection.execute("BEGIN IMMEDIATE")

    def let_go(self):
        self._connection.close()


async def held_up(settings, other, at):
    """Run until the database has been held for too long, from the n-th decision on."""
    storage = StorageService(settings.database_path, busy_timeout_s=0.05)
    runner = build_runner(settings, storage)
    left = iter(range(at - 1))
    runner.on_signal_callback = lambda *_: next(left, None) is None and other.hold()
    await runner.start()
    with pytest.raises(StorageError) as raised:
        await runner.wait()
    return runner, str(raised.value)
