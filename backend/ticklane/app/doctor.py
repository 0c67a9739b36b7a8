"""Looks at an installation and says what is wrong with it."""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ticklane.core.errors import TicklaneError

if TYPE_CHECKING:
    from ticklane.app.settings import Settings
    from ticklane.storage.server import Place

State = Literal["ok", "notice", "failed"]

PYTHON = (3, 11)
PACKAGES = {  # the least versions of pyproject.toml; the last two come with sqlalchemy[aiosqlite]
    "alembic": "1.20",
    "alpaca-py": "0.44",
    "apscheduler": "3.11",
    "exchange_calendars": "4.13",
    "httptools": "0.6",
    "jinja2": "3.1",
    "matplotlib": "3.10",
    "msgpack": "1.1",
    "numpy": "2.2",
    "pandas": "3.1",
    "pydantic-settings": "2.16",
    "requests": "2.32",
    "rich": "15",
    "sqlalchemy": "2.1",
    "starlette": "0.50",
    "structlog": "26",
    "typer": "0.29",
    "uvicorn": "0.38",
    "websockets": "15",
    "aiosqlite": "0",
    "greenlet": "0",
}
OPTIONAL = {"pyarrow": "Parquet files", "asyncpg": "PostgreSQL"}


class Check(NamedTuple):
    """What was looked at and found; a notice is worth a look but stops nothing."""

    name: str
    state: State
    text: str


class Problem(Exception):
    """A check has failed for this reason."""


class Notice(Exception):
    """A check has found something worth a look."""


def examine(
    config: Path | None = None, database: Path | None = None, is_connecting: bool = True
) -> list[Check]:
    """Look at everything, also when parts of it are broken; nothing is changed or created.

    With keys, or where Alpaca is configured, its servers are asked as well if `is_connecting`.
    """
    checks = [check("python", _python), check("clock", _clock), check("packages", _packages)]
    if checks[-1].state == "failed":
        return checks  # what follows needs them
    from ticklane.app.account_check import examine_account
    from ticklane.app.settings import load_settings

    settings = None
    try:
        settings = load_settings(config, database=database)
    except TicklaneError as error:
        checks.append(Check("settings", "failed", str(error)))
    else:
        checks += _of_settings(settings)
    return [*checks, check("data", _data), *examine_account(settings, is_connecting)]


def _of_settings(settings: Settings) -> Iterator[Check]:
    path = settings.database_path
    yield check("settings", lambda: _settings(settings))
    yield check("database", lambda: _database(settings))
    yield check("daemon", lambda: _daemon(path))
    yield check("permissions", lambda: _permissions(settings))
    if not settings.database_url:  # the server has its own
        yield check("disk", lambda: _disk(path))


def check(name: str, look: Callable[[], str]) -> Check:
    """What came of one look."""
    try:
        return Check(name, "ok", look())
    except Notice as notice:
        return Check(name, "notice", str(notice))
    except (Problem, TicklaneError) as problem:
        return Check(name, "failed", str(problem))
    except OSError as error:
        return Check(name, "failed", f"{error.filename or name}: {error.strerror or error}.")


def _python() -> str:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < PYTHON:
        raise Problem(f"{found}, but ticklane needs 3.11 or newer.")
    return found


def _packages() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for name in (*PACKAGES, *OPTIONAL):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    missing = [name for name in PACKAGES if name not in found]
    old = [name for name, least in PACKAGES.items() if _is_older(found.get(name, least), least)]
    if missing or old:
        words = [f"{name} is missing" for name in missing]
        words += [f"{name} is {found[name]}, but must be {PACKAGES[name]} or newer" for name in old]
        raise Problem(f"{'; '.join(words)}; install ticklane anew with pip.")
    absent = [f"{name} ({use})" for name, use in OPTIONAL.items() if name not in found]
    listed = ", ".join(f"{name} {found[name]}" for name in ("numpy", "pandas", "sqlalchemy"))
    return f"all {len(PACKAGES)} there ({listed}, ...)" + (
        f"; not installed: {', '.join(absent)}" if absent else ""
    )


def _is_older(found: str, least: str) -> bool:
    return _numbers(found) < _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())


def _clock() -> str:
    import zoneinfo

    now = datetime.now(UTC)
    built = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if now < built:
        raise Problem(
            f"it says {now:%Y-%m-%d %H:%M} UTC, which is before ticklane was installed; set it."
        )
    try:
        exchange = now.astimezone(zoneinfo.ZoneInfo("America/New_York"))
    except zoneinfo.ZoneInfoNotFoundError:
        raise Problem("the time zones are missing; install the package tzdata.") from None
    local = time.strftime("%Z")
    return f"{now:%Y-%m-%d %H:%M:%S} UTC, {exchange:%H:%M} in New York, local zone {local}"


def _settings(settings: Settings) -> str:
    from ticklane.app.build import make_strategies, read_duration

    read_duration(settings.duration)
    if not settings.strategy:
        return f"{settings.broker} broker, feed {settings.feed}, no strategy configured"
    names = ", ".join(strategy.name for strategy in make_strategies(settings))
    return f"{settings.broker} broker, feed {settings.feed}, strategies {names}"


def _database(settings: Settings) -> str:
    from ticklane.storage.reading import open_reading
    from ticklane.storage.server import Server

    place = settings.store
    if not isinstance(place, Server):
        return _file(place, is_folder_made=settings.database is None)
    reading = open_reading(place)
    try:
        told = {
            name: reading.fetch(f"SHOW {name}")[0][0]
            for name in ("server_version", "server_encoding", "fsync")
        }
        is_empty = not reading.tables()
    finally:
        reading.close()
    if told["server_encoding"] != "UTF8":
        raise Problem(f"{place} has the encoding {told['server_encoding']}, but must have UTF8.")
    if told["fsync"] != "on":
        raise Notice(f"{place} has fsync off and may lose records; set fsync = on on its server.")
    where = f"{place}, PostgreSQL {told['server_version']}"
    return f"{where}, empty; the first run fills it" if is_empty else f"{where}, {_runs(place)}"


def _file(path: Path, is_folder_made: bool) -> str:
    """A run makes the data folder, but not the folder of a database that was named."""
    from ticklane.storage.files import check_is_sqlite, check_place, megabytes

    if not path.exists():
        if path.parent.exists() or not is_folder_made:
            check_place(path.resolve())
        return f"{path} does not exist yet; the first run makes it"
    check_is_sqlite(path)
    return f"{path}, {megabytes(path.stat().st_size)}, {_runs(path)}"


def _runs(place: Place) -> str:
    from ticklane.storage.reader import Reader

    with Reader(place) as reader:
        runs = reader.runs()
    unfinished = sum(run["ended_at"] is None for run in runs)
    counted = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return f"{counted}, {unfinished} unfinished"


def _daemon(path: Path) -> str:
    from ticklane.app.control_socket import ask, socket_path

    if not socket_path(path).exists():
        return "none is running on this database"
    try:
        told = ask(path, "status", timeout=2.0)
    except TicklaneError as error:
        raise Notice(str(error)) from None
    return f"process {told['pid']} is {told['state']}, run {told['run_id']}"


def _permissions(settings: Settings) -> str:
    from ticklane.app.environment import secret_files

    folders = {settings.data_dir.resolve(), settings.database_path.resolve().parent}
    for folder in sorted(folders):
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if not _can_hold_files(there):
            raise Problem(
                f"{there} cannot be written by this user; change its permissions, or set data_dir "
                "or database to another place."
            )
    for secrets in secret_files():
        if secrets.stat().st_mode & 0o077:
            raise Notice(f"others may read {secrets}; run chmod 600 {secrets} if it holds keys.")
    return "data folder and database can be written"


def _can_hold_files(folder: Path) -> bool:
    """Whether this user can make files there; root may, but cannot in /proc."""
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return False
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.errno == errno.ENOSPC  # which the disk's own check tells
    return True


def _disk(path: Path) -> str:
    from ticklane.storage.files import free_bytes, megabytes
    from ticklane.storage.service import MINIMUM_FREE_BYTES

    folder = path.resolve().parent
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = free_bytes(there / path.name)
    if free < MINIMUM_FREE_BYTES:
        raise Notice(f"only {megabytes(free)} are free at {there}.")
    return f"{megabytes(free)} free at {there}"


def _data() -> str:
    from ticklane.data.files import load_bars, sample_names

    names = sample_names()
    if not names:
        raise Problem("the sample bars are missing; install ticklane anew.")
    bars, step = load_bars(f"sample:{','.join(names)}")
    count = sum(len(one) for one in bars.values())
    return f"samples {', '.join(names)}: {count:,} bars of {step}"
