"""One daemon a database; readers need no lock; a dead process holds none."""

import os

import pytest
from storage_builders import START, a_holder

from ticklane.core.errors import StorageError
from ticklane.storage.lock import InstanceLock
from ticklane.storage.reader import Reader
from ticklane.storage.service import StorageService

HOLDER = """
import sys
from pathlib import Path
from ticklane.storage.lock import InstanceLock
sys.argv = ["/usr/bin/ticklane", "run", "--param", "secret"]
InstanceLock(Path(sys.stdin.readline().strip())).acquire()
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(path):
    """Another process that holds the lock of the database."""
    with a_holder(HOLDER, path) as process:
        yield process


async def test_the_process_that_has_the_database_is_named_without_its_arguments(holder, path):
    with pytest.raises(StorageError) as caught:
        await StorageService(path).open()

    assert f"is in use by process {holder.pid} (ticklane run); stop that" in str(caught.value)


async def test_a_killed_process_holds_no_lock(holder, path):
    holder.kill()
    holder.wait()

    async with StorageService(path):
        assert path.with_name("runs.db.lock").read_text().startswith(f"{os.getpid()} ")


async def test_a_second_storage_in_the_same_process_is_refused_until_the_first_closes(
    storage, path
):
    second = StorageService(path)
    with pytest.raises(StorageError, match=f"process {os.getpid()} "):
        await second.open()

    await storage.close()

    await second.open()
    await second.close()


async def test_another_name_for_the_same_file_meets_the_same_lock(storage, path, tmp_path):
    link = tmp_path / "link.db"
    link.symlink_to(path)

    with pytest.raises(StorageError, match="is in use by"):
        await StorageService(link).open()


async def test_an_open_that_fails_leaves_no_lock(path):
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(StorageError):
        await StorageService(path).open()

    lock = InstanceLock(path)
    lock.acquire()
    lock.release()


async def test_a_reader_needs_no_lock(storage, path):
    await storage.begin_run("print", {}, START)

    with Reader(path) as reader:
        assert reader.newest_run() == "r1"
