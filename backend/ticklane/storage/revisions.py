"""Which schemas this ticklane knows; no SQLAlchemy here, so that readers start fast."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ticklane.core.errors import StorageError

REVISIONS = ("0001",)  # oldest first
HEAD = REVISIONS[-1]
VERSION_TABLE = "alembic_version"


def check_owner(path: Path, tables: Collection[str]) -> None:
    """Refuse a database that has tables, but none of ours."""
    if tables and VERSION_TABLE not in tables:
        raise StorageError(
            f"the database {path} belongs to another program (it has no ticklane tables); choose "
            "another path."
        )


def check_revision(path: Path, revision: str | None) -> None:
    """Refuse a schema that this ticklane does not know."""
    if revision is not None and revision not in REVISIONS:
        raise StorageError(
            f"the database {path} has schema {revision}, made by a newer ticklane (this one knows "
            f"schemas up to {HEAD}); install that version or choose another database."
        )
