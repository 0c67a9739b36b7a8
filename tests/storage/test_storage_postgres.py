"""PostgreSQL: its lock and lease, a connection that breaks, and words that hide the password."""

import asyncio
import os
import pickle
import sys
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from storage_builders import START, STATUS, a_holder, a_whole_tick, an_order, born, moved

from postgres_server import ON_SERVER, URL, Schema
from ticklane.core.errors import StorageError
from ticklane.core.events import EquityMarked, RestrictionChanged
from ticklane.core.secret import Secret
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.storage import postgres
from ticklane.storage.backup import back_up
from ticklane.storage.lease import LEASE_SECONDS
from ticklane.storage.reader import Reader
from ticklane.storage.schema import metadata
from ticklane.storage.server import Server, place_of
from ticklane.storage.service import StorageService

SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid = {}"
HOLDER = """
import asyncio, sys
from ticklane.storage.service import StorageService

async def hold():
    sys.argv = ["/usr/bin/ticklane", "run", "--param", "secret"]
    storage = StorageService(sys.stdin.readline().strip())
    await storage.open()
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

asyncio.run(hold())
"""


@pytest.fixture
async def opened(schema):
    """An open storage on the server in which run r1 has begun."""
    async with StorageService(schema.server) as service:
        await service.begin_run("print", {}, START)
        yield service


@pytest.fixture
def holder(schema):
    """Another process that has the database."""
    with a_holder(HOLDER, schema.url) as process:
        yield process


async def sentence_of(url):
    """What opening this database says: one sentence, without the password."""
    with pytest.raises(StorageError) as caught:
        await StorageService(url).open()
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert "secretword" not in text
    return text


def with_parts(url, **parts):
    """The URL with another user, password, host, port or path."""
    old = urlsplit(url)
    user, password = parts.get("user", old.username), parts.get("password", old.password)
    place = f"{parts.get('host', old.hostname)}:{parts.get('port', old.port)}"
    path = parts.get("path", old.path)
    return urlunsplit(old._replace(netloc=f"{user}:{password}@{place}", path=path))


# --- one daemon a database ------------------------------


@ON_SERVER
async def test_the_process_that_has_the_database_is_named_with_its_host(holder, schema):
    text = await sentence_of(schema.url)

    host = os.uname().nodename
    assert f"is in use by process {holder.pid} (ticklane run) on {host}; stop that" in text


@ON_SERVER
async def test_a_killed_process_lets_go_of_the_database(holder, schema):
    holder.kill()
    holder.wait()

    async with StorageService(schema.server):
        (lease,) = await schema.ask("SELECT value FROM meta WHERE key = 'lease'")
    assert f'"process" : {os.getpid()}' in lease["value"]


@ON_SERVER
async def test_a_second_storage_is_refused_until_the_first_closes(opened, schema):
    assert f"process {os.getpid()} " in await sentence_of(schema.url)

    await opened.close()

    async with StorageService(schema.server):
        pass


@ON_SERVER
async def test_a_dead_holder_loses_its_session_when_its_lease_has_run_out(opened, schema):
    await age_lease(schema, LEASE_SECONDS + 1)

    async with StorageService(schema.server) as second:
        await second.begin_run("print", {}, START)
        with pytest.raises(StorageError, match=r"was lost .*no order was sent that is not"):
            await opened.record("r1", a_whole_tick(1))
        await second.record("r1", a_whole_tick(1))


@ON_SERVER
async def test_a_holder_that_has_written_no_lease_yet_is_left_alone(opened, schema):
    await age_lease(schema, LEASE_SECONDS + 1, session=0)

    assert "is in use by process" in await sentence_of(schema.url)
    await opened.record("r1", a_whole_tick(1))


@ON_SERVER
async def test_the_lease_is_renewed_while_nothing_is_recorded(schema, monkeypatch):
    monkeypatch.setattr(postgres, "RENEW_SECONDS", 0.01)
    renewed = "SELECT value::json->>'renewed' AS at FROM meta WHERE key = 'lease'"
    async with StorageService(schema.server):
        first = await schema.ask(renewed)
        async with asyncio.timeout(5):
            while await schema.ask(renewed) == first:
                pass


async def age_lease(schema, seconds, session="value::json->>'session'"):
    """Make the lease as old as that, as if nobody had renewed it, of this session."""
    await schema.ask(
        "UPDATE meta SET value = json_build_object('host', 'elsewhere', 'process', 1, 'command', "
        f"'ticklane run', 'session', ({session})::int, 'renewed', "
        f"(value::json->>'renewed')::float8 - {seconds})::text WHERE key = 'lease'"
    )


# --- a connection that breaks ------------------------------


@ON_SERVER
async def test_a_lost_connection_writes_nothing_and_says_so_at_once_and_again(opened, schema):
    await opened.record("r1", a_whole_tick(1))
    await end_session(schema)

    async with asyncio.timeout(5):
        told = await opened.wait_lost()

    assert "was lost (" in str(told)
    for number in (2, 3):
        with pytest.raises(StorageError, match="start again when the server answers"):
            await opened.record("r1", a_whole_tick(number))
    await opened.close()
    async with StorageService(schema.server) as again:
        assert (await again.begin_run("print", {}, START)).order_count == 1


@ON_SERVER
async def test_a_session_that_is_ended_during_a_record_leaves_it_whole_or_not_there(schema):
    for turns in range(0, 30, 3):
        async with StorageService(schema.server) as storage:
            before = (await storage.begin_run("print", {}, START)).order_count
            recording = asyncio.create_task(storage.record("r1", a_whole_tick(before + 1)))
            for _ in range(turns):
                await asyncio.sleep(0)
            await end_session(schema)
            await asyncio.gather(recording, return_exceptions=True)
        with Reader(schema.server) as reader:
            assert len(reader.orders()) == len(reader.fills()) == len(reader.signals())


@ON_SERVER
async def test_a_server_that_does_not_answer_any_more_is_lost(schema, monkeypatch):
    monkeypatch.setattr(postgres, "_ANSWER_SECONDS", 0.2)
    async with proxy_to(schema.url) as proxy:
        storage = StorageService(with_parts(schema.url, host="127.0.0.1", port=proxy.port))
        await storage.begin_run("print", {}, START)
        proxy.is_mute = True

        with pytest.raises(StorageError, match="was lost"):
            await storage.record("r1", a_whole_tick(1))
        with pytest.raises(StorageError, match="was lost"):
            await storage.record("r1", a_whole_tick(2))
        await storage.close()


async def end_session(schema):
    """End the session of the writer, as the server does when it stops."""
    (row,) = await schema.ask("SELECT value::json->>'session' AS id FROM meta WHERE key = 'lease'")
    await schema.ask(SESSIONS.format(row["id"]))


class Proxy:
    """Hands everything on until it is mute."""

    def __init__(self, host, port):
        self._there = host, port
        self.is_mute = False
        self.port = 0
        self._tasks = set()

    async def meet(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(*self._there)
        pairs = ((reader, far_writer), (far_reader, writer))
        self._tasks |= {asyncio.create_task(self._hand_on(*pair)) for pair in pairs}

    async def _hand_on(self, reader, writer):
        try:
            while data := await reader.read(65536):
                if not self.is_mute:
                    writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()

    async def end(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy_to(url):
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.meet, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()


# --- one exchange with the server a record ------------------------------


@pytest.fixture
def ways(opened, monkeypatch):
    """Which way each record took: "at once", or "one by one"."""
    taken = []
    for name in ("at_once", "one_by_one"):
        way = getattr(opened._database, f"_{name}")

        async def noted(*given, way=way, name=name):
            taken.append(name)
            return await way(*given)

        monkeypatch.setattr(opened._database, f"_{name}", noted)
    return taken


@ON_SERVER
async def test_an_intent_is_one_statement(opened, ways):
    await opened.record("r1", a_whole_tick(1))

    assert ways == ["at_once"]


@ON_SERVER
async def test_many_rows_go_one_after_the_other_and_in_their_order(opened, schema, ways):
    await opened.record("r1", [born(an_order(number)) for number in range(1, 20)])

    with Reader(schema.server) as reader:
        assert [order["id"] for order in reader.orders()] == [f"r1-{n}" for n in range(1, 20)]
    assert ways == ["one_by_one"]


@ON_SERVER
async def test_a_row_that_is_written_twice_is_as_it_was_last(opened, schema, ways):
    marks = [EquityMarked(START, value, Decimal(1)) for value in (1.0, 2.0)]
    await opened.record("r1", [born(an_order(1)), *marks])

    with Reader(schema.server) as reader:
        assert (reader.equity()[1].tolist(), len(reader.orders())) == ([2.0], 1)
    assert ways == ["at_once", "one_by_one"]


@ON_SERVER
async def test_a_restriction_that_is_over_at_once_is_gone(opened, schema, ways):
    halt = Restriction("loss", TradingState.HALTED, "Too much is lost.", START)
    both = [RestrictionChanged(halt, is_set, START, "limits") for is_set in (True, False)]
    await opened.record("r1", both)

    with Reader(schema.server) as reader:
        assert (reader.restrictions(), len(reader.restriction_events())) == ([], 2)
    assert ways == ["one_by_one"]


@ON_SERVER
async def test_steps_of_several_orders_stay_in_their_order(opened, schema, ways):
    orders = [an_order(number) for number in (1, 2, 3)]
    await opened.record("r1", [born(order) for order in orders])
    steps = [moved(order, STATUS.ACKED) for order in reversed(orders)]
    await opened.record("r1", [*steps, *(moved(order, STATUS.CANCELED) for order in orders)])

    told = await schema.ask("SELECT order_id, to_status FROM order_events ORDER BY seq")
    assert [tuple(row) for row in told[3:]] == [
        *((f"r1-{number}", "ACKED") for number in (3, 2, 1)),
        *((f"r1-{number}", "CANCELED") for number in (1, 2, 3)),
    ]
    assert ways == ["at_once", "at_once"]


# --- schema and session ------------------------------


@ON_SERVER
async def test_the_migrated_schema_is_the_declared_one_on_the_server_too(opened):
    def difference(connection):
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return compare_metadata(context, metadata)

    async with opened._database.transaction() as connection:
        assert await connection.run_sync(difference) == []


@ON_SERVER
async def test_a_newer_schema_is_refused_by_the_service_and_by_the_reader(opened, schema):
    await opened.close()
    await schema.ask("UPDATE alembic_version SET version_num = '9999'")

    assert "has schema 9999, made by a newer ticklane" in await sentence_of(schema.url)
    with pytest.raises(StorageError, match="made by a newer ticklane"):
        Reader(schema.server)


@ON_SERVER
async def test_a_database_of_another_program_is_refused(schema):
    await schema.ask("CREATE TABLE bookmarks (url TEXT)")

    assert "belongs to another program" in await sentence_of(schema.url)
    with pytest.raises(StorageError, match="belongs to another program"):
        Reader(schema.url)


@ON_SERVER
async def test_an_empty_database_has_nothing_to_read(schema):
    with pytest.raises(StorageError, match="is empty; start a run first"):
        Reader(schema.url)


@ON_SERVER
async def test_a_commit_is_durable_whatever_the_database_is_set_to(opened):
    assert (await opened._database.fetch("SHOW synchronous_commit", {}))[0][0] == "on"


@ON_SERVER
async def test_a_reader_cannot_write(opened, schema):
    with Reader(schema.server) as reader, pytest.raises(StorageError, match="is read-only"):
        reader._fetch("DELETE FROM runs")


@ON_SERVER
async def test_a_step_of_an_unknown_order_leaves_the_connection_as_it_was(opened):
    with pytest.raises(StorageError, match="never recorded"):
        await opened.record("r1", [born(an_order(2)), moved(an_order(1), STATUS.ACKED)])

    await opened.record("r1", a_whole_tick(1))


@ON_SERVER
async def test_words_with_a_nul_can_be_kept(opened, schema):
    await opened.record("r1", [born(an_order(tag="a\0b"))])

    with Reader(schema.server) as reader:
        assert reader.orders()[0]["tag"] == "a?b"


@ON_SERVER
async def test_an_encoding_that_cannot_hold_every_text_is_refused(schema):
    name = f"{schema.name}_ascii"
    await schema.ask(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        text = await sentence_of(with_parts(URL, path=f"/{name}"))
    finally:
        await schema.ask(f"DROP DATABASE {name} WITH (FORCE)")
    assert "has the encoding SQL_ASCII" in text


@ON_SERVER
async def test_a_user_who_may_not_make_tables_is_told_what_to_grant(schema):
    role = schema.name
    await schema.ask(f"CREATE ROLE {role} LOGIN PASSWORD 'secretword'")
    await schema.ask(f"GRANT USAGE ON SCHEMA {schema.name} TO {role}")
    try:
        text = await sentence_of(with_parts(schema.url, user=role, password="secretword"))
    finally:
        await schema.ask(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert f"permission denied for schema {schema.name}" in text
    assert "grant it CREATE on the schema" in text


@ON_SERVER
async def test_runs_in_two_schemas_of_a_database_do_not_meet(opened):
    with Schema() as other:
        async with StorageService(other.server) as second:
            assert (await second.begin_run("print", {}, START)).is_resumed is False


def test_a_backup_is_the_servers_own(tmp_path):
    with pytest.raises(StorageError, match="back it up there, with pg_dump"):
        back_up(Server.of("postgresql://me:secretword@db/runs"), tmp_path / "copy")


# --- no way to the server, and the password ------------------------------


@ON_SERVER
@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"password": "secretwords"}, "refuses the login (password authentication failed"),
        ({"user": "nobody"}, "refuses the login"),
        ({"path": "/nowhere"}, "does not exist; make it with createdb"),
    ],
)
async def test_a_login_that_fails_is_told_without_the_password(parts, words):
    assert words in await sentence_of(with_parts(URL, **parts))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secretword@127.0.0.1:1/runs",
        "postgresql+asyncpg://me:secretword@127.0.0.1:1/runs",
        "postgres://me@127.0.0.1:1/runs?password=secretword",
        "postgresql://me:secretword@no-such-host.invalid/runs",
        "postgresql://me:secretword@/runs?host=/nowhere",
    ],
)
async def test_a_server_that_is_not_there_is_named_without_the_password(url):
    assert "cannot be reached (" in await sentence_of(url)


async def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(postgres, "_CONNECT_SECONDS", 0.1)
    writers = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        text = await sentence_of(f"postgresql://me:secretword@127.0.0.1:{port}/runs")
        writers[0].close()

    assert "cannot be reached (no answer in time)" in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secretword/@db/runs",
        "postgresql://me:secretword#@db/runs",
        "postgresql://me:secretword?@db/runs",
        "postgresql://me:secretword@db:port/runs",
        "postgresql://me:[secretword@db/runs",
        "postgresql://me:secretword@db",
        "postgresql://me:secretword@db/runs/more",
        "postgresql:/me:secretword@db/runs",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url):
    with pytest.raises(StorageError, match="cannot be read; write postgresql://USER") as caught:
        place_of(url)

    assert "secretword" not in str(caught.value)


def test_a_url_given_as_a_path_is_not_repeated():
    with pytest.raises(StorageError, match="put it into TICKLANE_DATABASE_URL") as caught:
        place_of(Path("postgresql://me:secretword@db/runs"))

    assert "secretword" not in str(caught.value)


def test_a_server_shows_host_and_name_only():
    server = place_of(Secret("postgresql://me:secretword@db:5432/runs?sslmode=require"))

    assert str(server) == server.name == "postgresql://db:5432/runs"
    assert repr(server) == "Server(postgresql://db:5432/runs)"
    assert "secretword" not in repr(vars(StorageService(server)))
    with pytest.raises(TypeError):
        pickle.dumps(server)


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(StorageError, match=r"pip install 'ticklane\[postgres\]'"):
        Reader("postgresql://me:secretword@db/runs")
