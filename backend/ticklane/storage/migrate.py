"""Brings a database to the newest schema, in one transaction.

To change the schema: change schema.py, write the next file in `migrations/versions` (copy the
last one, set `revision` and `down_revision`), add its id to revisions.py. A test compares what
the migrations make with schema.py.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ticklane.storage.revisions import HEAD, VERSION_TABLE, check_owner, check_revision

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, place: object) -> None:
    """Make or migrate the tables; does nothing when the schema is the newest already.

    Raises StorageError for a database of a newer ticklane and for another program's.
    """
    tables = inspect(connection).get_table_names()
    check_owner(place, tables)
    revision = _stored_revision(connection) if VERSION_TABLE in tables else None
    check_revision(place, revision)
    if revision != HEAD:
        _run_alembic(connection)


def _stored_revision(connection: Connection) -> str | None:
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _run_alembic(connection: Connection, revision: str = "head") -> None:
    from alembic import command  # 0.3 s, needed once in the life of a database
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
