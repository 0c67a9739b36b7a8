"""A real database for each test: a SQLite file, and a schema of a PostgreSQL server.

A test that asks for `place` runs on both. A test that asks for `path` is about the file.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from storage_builders import START

from postgres_server import ON_SERVER, Schema
from ticklane.storage.service import StorageService


def pytest_generate_tests(metafunc):
    asked = metafunc.fixturenames
    if "place" in asked:
        both = ["sqlite", pytest.param("postgres", marks=ON_SERVER)]
        metafunc.parametrize("place", both[:1] if "path" in asked else both, indirect=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def place(request, tmp_path):
    if request.param == "sqlite":
        yield tmp_path / "runs.db"
        return
    with Schema() as schema:
        yield schema.server


@pytest.fixture
def schema():
    """An empty schema of the server."""
    with Schema() as made:
        yield made


@pytest.fixture
async def storage(place):
    """An open storage in which run r1 has begun."""
    async with StorageService(place, busy_timeout_s=0.05) as service:
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
def resumed(place):
    """Closes the storage given and finds the run again, as after a restart."""
    opened = []

    async def again(service, fingerprint="print", fresh=False):
        await service.close()
        opened.append(StorageService(place))
        recovered = await opened[-1].begin_run(fingerprint, {}, START, fresh)
        await opened[-1].close()
        return recovered

    return again
