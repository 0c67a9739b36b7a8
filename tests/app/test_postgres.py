"""The command line and the daemon with TICKLANE_DATABASE_URL: everything works without a file."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager, contextmanager

import pytest

from postgres_server import ON_SERVER, Schema
from ticklane.app import waiting
from ticklane.app.build import StrategyRunner, make_feed
from ticklane.app.daemon import serve
from ticklane.app.settings import load_settings
from ticklane.app.waiting import open_patiently
from ticklane.brokers.paper import PaperBroker
from ticklane.core.errors import StorageError, TicklaneError
from ticklane.interfaces import StrategyInterface
from ticklane.storage.reader import Reader
from ticklane.storage.service import StorageService

PASSWORD = "s3cretw0rd"
END_SESSION = """
    SELECT pg_terminate_backend((value::json->>'session')::int) FROM meta WHERE key = 'lease'"""
ABSENT = f"postgresql://me:{PASSWORD}@127.0.0.1:1/runs"


@pytest.fixture
def schema(folder, monkeypatch):
    """An empty schema of the server, which the environment names."""
    with Schema() as made:
        monkeypatch.setenv("TICKLANE_DATABASE_URL", made.url)
        yield made


def ran(tl, *more):
    """A whole paper run of the strategy Mine over twelve bars."""
    words = ("--strategy", "mine.py:Mine", "--symbols", "X", "--feed", "replay:X.csv")
    return tl("run", *words, *more)


@ON_SERVER
def test_a_run_is_recorded_on_the_server_and_read_from_it(schema, bars, strategies, tl, folder):
    said = ran(tl)

    assert said.code == 0, said.err
    assert f"{schema.server}" in said.out + said.err
    assert [order["status"] for order in json.loads(tl("orders", "--json").out)] == ["FILLED"] * 2
    assert [run["fills"] for run in json.loads(tl("runs", "--json").out)] == [2]
    assert tl("export", "fills").out.count("\n") == 3
    assert not list(folder.rglob("*.db"))


@ON_SERVER
def test_a_run_that_was_stopped_goes_on_or_is_ended(schema, bars, strategies, tl):
    ran(tl, "--strategy", "mine.py:Interrupted")
    assert [run["ended_at"] for run in json.loads(tl("runs", "--json").out)] == [None]

    assert "Run r1 is ended." in tl("reset", "--yes").out


@ON_SERVER
def test_doctor_tells_of_the_server(schema, bars, strategies, tl):
    assert "empty; the first run fills it" in tl("doctor").out

    ran(tl)

    said = tl("doctor").out
    assert f"{schema.server}, PostgreSQL " in said or "fsync off" in said
    assert schema.password not in said


@ON_SERVER
def test_a_file_named_on_the_command_line_counts_more(schema, bars, strategies, tl, folder):
    assert ran(tl, "--database", "mine.db").code == 0

    assert (folder / "mine.db").is_file()
    assert tl("runs").code == 1


@ON_SERVER
@pytest.mark.parametrize("timeframe", ["1s", "1h"])  # with something to record, and without
async def test_a_daemon_that_loses_its_database_ends_with_one_sentence(schema, folder, timeframe):
    settings = load_settings(
        feed="simulated",
        timeframe=timeframe,
        strategy=[{"strategy": "buy_and_hold", "symbols": ["X"]}],
    )

    @asynccontextmanager
    async def watch(_runner):
        await schema.ask(END_SESSION)
        yield

    with pytest.raises(TicklaneError, match=r"the connection to the database .* was lost \("):
        async with asyncio.timeout(20):
            await serve(settings, watch)


@ON_SERVER
async def test_a_service_waits_for_its_server(schema, folder, monkeypatch):
    monkeypatch.setattr(waiting, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 20.0)
    with manager(folder) as (environ, listening):
        storage = StorageService(ABSENT)
        opening = asyncio.create_task(open_patiently(storage, environ))
        assert b"EXTEND_TIMEOUT_USEC" in await asyncio.to_thread(listening.recv, 100)
        storage.place = schema.server  # there it is
        await asyncio.wait_for(opening, 20)
    await storage.close()


async def test_a_service_does_not_wait_for_ever_and_a_terminal_not_at_all(folder, monkeypatch):
    with pytest.raises(StorageError, match="cannot be reached"):
        await open_patiently(StorageService(ABSENT), {})
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.0)
    with manager(folder) as (environ, _), pytest.raises(StorageError, match="cannot be reached"):
        await open_patiently(StorageService(ABSENT), environ)


@contextmanager
def manager(folder):
    """The environment of a service, and where its manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "notify"))
        listening.settimeout(20)
        yield {"NOTIFY_SOCKET": str(folder / "notify")}, listening


@ON_SERVER
@pytest.mark.parametrize("last", [1, 2, 3])
async def test_no_order_leaves_that_is_not_on_the_server(schema, folder, bars, last):
    class Busy(StrategyInterface):
        """One order a bar."""

        def on_tick(self, market_data):
            return self.buy("X", 1)

    class Cut(PaperBroker):
        """Its orders are the last that the session of the writer outlives."""

        async def submit(self, order):
            sent.append(order.id)
            await super().submit(order)
            if len(sent) == last:
                await schema.ask(END_SESSION)

    sent = []
    feed, _ = make_feed(load_settings(feed=f"replay:{bars}"), ("X",), None)
    runner = StrategyRunner(Cut(cash=10_000), StorageService(schema.server), feed)
    runner.load_strategy(Busy({"symbols": ["X"]}))

    await runner.start()
    with pytest.raises(StorageError, match="was lost"):
        await asyncio.wait_for(runner.wait(), 20)

    with Reader(schema.server) as reader:
        assert sent == [order["id"] for order in reader.orders()]
    assert len(sent) == last


@pytest.mark.parametrize(
    "words",
    ["runs", "doctor", "reset -y", "run --strategy buy_and_hold --symbols A", "backup x"],
)
def test_the_password_is_in_no_output_of_a_server_that_is_not_there(words, tl, folder, monkeypatch):
    monkeypatch.setenv("TICKLANE_DATABASE_URL", ABSENT)

    said = tl(*words.split())

    assert said.code == 1
    assert "postgresql://127.0.0.1:1/runs" in said.out + said.err
    assert PASSWORD not in said.out + said.err
    assert not any(PASSWORD in file.read_text() for file in folder.rglob("*") if file.is_file())


def test_settings_show_the_server_without_its_password(folder, monkeypatch):
    monkeypatch.setenv("TICKLANE_DATABASE_URL", ABSENT)

    settings = load_settings()

    assert str(settings.store) == "postgresql://127.0.0.1:1/runs"
    assert PASSWORD not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_a_backup_of_a_server_is_not_made_here(tl, folder, monkeypatch):
    monkeypatch.setenv("TICKLANE_DATABASE_URL", ABSENT)

    said = tl("backup", "copy")

    assert (said.code, "pg_dump" in said.err) == (1, True)
