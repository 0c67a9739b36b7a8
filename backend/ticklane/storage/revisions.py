"""Which schemas this ticklane knows; no SQLAlchemy here, so that readers start fast."""

from __future__ import annotations

from collections.abc import Collection

from ticklane.core.errors import StorageError

REVISIONS = ("0001", "0002")  # oldest first
HEAD = REVISIONS[-1]
VERSION_TABLE = "alembic_version"


def check_owner(place: object, tables: Collection[str]) -> None:
    """Refuse a database that has tables, but none of ours."""
    if tables and VERSION_TABLE not in tables:
        raise StorageError(
            f"the database {place} belongs to another program (it has no ticklane tables); choose "
            "another database."
        )


def check_revision(place: object, revision: str | None) -> None:
    """Refuse a schema that this ticklane does not know."""
    if revision is not None and revision not in REVISIONS:
        raise StorageError(
            f"the database {place} has schema {revision}, made by a newer ticklane (this one knows "
            f"schemas up to {HEAD}); install that version or choose another database."
        )
