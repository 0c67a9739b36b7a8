"""Everything that can be wrong with the file or its disk gives one clear sentence."""

import os
import shutil
import sqlite3
import subprocess

import pytest
from storage_builders import START, a_whole_tick, somebody_else

from ticklane.core.errors import StorageError
from ticklane.storage import service as service_module
from ticklane.storage.backup import back_up
from ticklane.storage.reader import Reader
from ticklane.storage.service import StorageService


async def sentence_of(path):
    """What opening this path says; the sentence has one full stop, at its end."""
    with pytest.raises(StorageError) as caught:
        await StorageService(path).open()
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


async def test_a_missing_folder_is_named(tmp_path):
    text = await sentence_of(tmp_path / "nowhere" / "runs.db")

    assert text.startswith(f"the folder {tmp_path / 'nowhere'} of the database does not exist")


async def test_a_folder_is_not_a_database(tmp_path):
    assert "is a folder; give the path of a file in it" in await sentence_of(tmp_path)


async def test_a_folder_that_may_not_be_written_is_named(unwritable_folder):
    with somebody_else():
        text = await sentence_of(unwritable_folder / "runs.db")

    assert f"the folder {unwritable_folder} of the database cannot be written" in text


async def test_a_file_of_another_kind_is_left_alone(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("buy milk " * 1000)

    assert "is not a SQLite database" in await sentence_of(notes)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


async def test_an_empty_file_becomes_a_database(path):
    path.touch()

    async with StorageService(path) as storage:
        assert (await storage.begin_run("print", {}, START)).run_id == "r1"


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
async def test_a_database_of_another_program_is_refused_and_left_alone(path, mode):
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA journal_mode = {mode}")
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = path.read_bytes()

    assert "belongs to another program" in await sentence_of(path)
    with pytest.raises(StorageError, match="belongs to another program"):
        back_up(path, path.with_name("copy.db"))
    with pytest.raises(StorageError, match="belongs to another program"):
        Reader(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_database_that_another_program_has_open_is_refused_too(path):
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    beside = sorted(path.parent.iterdir())

    assert "belongs to another program" in await sentence_of(path)
    assert sorted(path.parent.iterdir()) == beside
    other.close()


async def test_a_newer_schema_is_refused_by_the_service_and_by_the_reader(storage, path):
    await storage.close()
    other = sqlite3.connect(path)
    with other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.close()

    text = await sentence_of(path)

    assert "has schema 9999, made by a newer ticklane" in text
    with pytest.raises(StorageError, match="made by a newer ticklane"):
        Reader(path)


async def test_a_damaged_file_is_found_when_it_is_opened(storage, path):
    for number in range(1, 200):
        await storage.record("r1", a_whole_tick(number))
    await storage.close()
    size = path.stat().st_size // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)

    text = await sentence_of(path)

    assert "is damaged (" in text
    assert "restore a backup" in text


async def test_a_file_cut_in_half_is_damaged(storage, path):
    for number in range(1, 50):
        await storage.record("r1", a_whole_tick(number))
    await storage.close()
    os.truncate(path, path.stat().st_size // 2)

    assert "is damaged (" in await sentence_of(path)


async def test_a_reader_says_that_a_file_is_damaged(storage, path):
    await storage.record("r1", a_whole_tick(1))
    await storage.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))

    with pytest.raises(StorageError, match="is damaged"), Reader(path) as reader:
        reader.runs()


async def test_another_program_that_holds_the_file_is_waited_for_and_then_named(storage, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageError, match="held by another program for too long"):
        await storage.record("r1", a_whole_tick(1))

    other.execute("ROLLBACK")
    other.close()
    await storage.record("r1", a_whole_tick(1))


async def test_a_full_database_loses_nothing_and_goes_on_when_there_is_room(storage, path):
    await limit_pages(storage, 0)  # no page more than there are

    written = await fill_up(storage)

    await limit_pages(storage, 1_000_000)
    await storage.record("r1", a_whole_tick(written + 1))
    assert whole_ticks(path) == written + 1


async def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(small_disk):
    async with StorageService(small_disk / "runs.db") as storage:
        await storage.begin_run("print", {}, START)

        written = await fill_up(storage)

        (small_disk / "ballast").unlink()
        await storage.record("r1", a_whole_tick(written + 1))
    assert whole_ticks(small_disk / "runs.db") == written + 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, half of it ballast."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    (disk / "ballast").write_bytes(b"x" * 1_000_000)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def limit_pages(storage, count):
    async with storage._database.transaction() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {max(count, 1)}")


async def fill_up(storage):
    """Record until the disk is full; return how many ticks were written."""
    written = 0

    async def go_on():
        nonlocal written
        while True:
            await storage.record("r1", a_whole_tick(written + 1))
            written += 1

    full = r"is full \(.* MB free\) and the last record was not written; free some space"
    with pytest.raises(StorageError, match=full):
        await go_on()
    return written


def whole_ticks(path):
    with Reader(path) as reader:
        (run,) = reader.runs()
        assert run["orders"] == run["fills"] == run["trades"] == len(reader.equity()[0])
    return run["orders"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mysql://me:secretword@somewhere/db", "the database mysql://... is not supported"),
        (":memory:", "':memory:' names no file"),
        ("", "'' names no file"),
        ("sqlite://", "'sqlite://' names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_database_that_is_no_file_is_refused(name, words):
    with pytest.raises(StorageError) as caught:
        StorageService(name)

    assert words in str(caught.value)


def test_paths_and_urls_name_the_same_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    names = ["a?b %41.db", "sqlite:///a?b %41.db", f"sqlite+aiosqlite:///{tmp_path}/a?b %41.db"]

    assert {StorageService(name).place for name in names} == {tmp_path / "a?b %41.db"}


async def test_a_path_with_odd_characters_is_taken_as_it_is(tmp_path):
    path = tmp_path / "a?b #1 %41&mode=ro.db"
    async with StorageService(path) as storage:
        await storage.begin_run("print", {}, START)
        with Reader(path) as reader:
            assert reader.newest_run() == "r1"
        assert path.is_file()


async def test_little_room_on_the_disk_is_told(storage, path):
    assert storage.free_space_warning() is None

    storage.minimum_free_bytes = 10**18

    assert "MB left; free some space" in storage.free_space_warning()
    assert service_module.MINIMUM_FREE_BYTES == 200_000_000
