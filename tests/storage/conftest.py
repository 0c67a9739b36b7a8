"""A real SQLite file for each test."""

import shutil
import tempfile
from pathlib import Path

import pytest
from storage_builders import START

from ticklane.storage.service import StorageService


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
async def storage(path):
    """An open storage in which run r1 has begun."""
    async with StorageService(path, busy_timeout_s=0.05) as service:
        await service.begin_run("print", {"cash": 100_000}, START)
        yield service


@pytest.fixture
def unwritable_folder():
    """A folder that only root may write, in a place where everybody can come."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def resumed(path):
    """Closes the storage given and finds the run again, as after a restart."""
    opened = []

    async def again(service, fingerprint="print", fresh=False):
        await service.close()
        opened.append(StorageService(path))
        recovered = await opened[-1].begin_run(fingerprint, {}, START, fresh)
        await opened[-1].close()
        return recovered

    return again
