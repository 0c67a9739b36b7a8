"""The schema: migrations make exactly the tables that schema.py declares."""

import re
import sqlite3
from functools import partial

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from ticklane.core.events import TickCompleted
from ticklane.storage import migrate
from ticklane.storage.revisions import HEAD, REVISIONS
from ticklane.storage.schema import metadata
from ticklane.storage.service import StorageService

TABLES = {
    *("runs", "orders", "order_events", "fills", "trades", "strategy_state", "equity", "signals"),
    *("meta", "account_events", "restrictions", "restriction_events", "reconciliations"),
}


def declarations(path):
    """The parts of the SQL of every table and index in a file, in any order."""
    connection = sqlite3.connect(path)
    query = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql <> ''"
    found = dict(connection.execute(query).fetchall())
    connection.close()
    return {name: parts_of(sql) for name, sql in found.items()}


def parts_of(sql):
    """What stands between the commas outside of inner brackets: an added column comes last."""
    head, _, body = " ".join(sql.split()).partition("(")
    body, _, tail = body.rpartition(")")
    parts = re.split(r",(?![^(]*\))", body)
    return head.strip(), sorted(part.strip() for part in parts), tail.strip()


async def test_the_migrated_schema_is_the_declared_one(path, tmp_path):
    async with StorageService(path):
        pass
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    metadata.create_all(declared)
    declared.dispose()

    assert declarations(path) == declarations(tmp_path / "declared.db")
    assert {table.name for table in metadata.sorted_tables} == TABLES


async def test_alembic_sees_no_difference_either(path):
    async with StorageService(path):
        pass
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_known_revisions_are_those_of_the_migrations():
    config = Config()
    config.set_main_option("script_location", str(migrate._MIGRATIONS))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]

    assert tuple(reversed(found)) == REVISIONS
    assert REVISIONS[-1] == HEAD


async def test_alembic_is_not_asked_when_the_schema_is_the_newest(storage, path, monkeypatch):
    await storage.close()
    monkeypatch.setattr(migrate, "_MIGRATIONS", path / "nowhere")

    async with StorageService(path):
        pass


async def test_a_migration_that_was_cut_off_left_nothing_and_runs_again(path, monkeypatch):
    def cut_off(connection):
        connection.exec_driver_sql("CREATE TABLE runs (id TEXT)")
        raise RuntimeError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "_run_alembic", cut_off)
        with pytest.raises(RuntimeError):
            await StorageService(path).open()

    assert declarations(path) == {}
    async with StorageService(path):
        assert set(declarations(path)) >= TABLES


async def test_a_database_of_the_first_schema_is_migrated_with_what_it_holds(place, monkeypatch):
    run = "INSERT INTO runs (id, fingerprint, config, started_ns, resumed)"
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "_run_alembic", partial(migrate._run_alembic, revision=REVISIONS[0]))
        async with StorageService(place) as first, first._database.transaction() as connection:
            await connection.exec_driver_sql(f"{run} VALUES ('r1', 'print', '{{}}', 5, 0)")

    async with StorageService(place) as storage:
        recovered = await storage.begin_run("print", {}, 9)
        await storage.record("r1", [TickCompleted(7)])

    assert (recovered.run_id, recovered.is_resumed, recovered.started_ns) == ("r1", True, 5)
