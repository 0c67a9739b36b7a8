"""Where a database is: a SQLite file, or a PostgreSQL server named by a URL with a password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from ticklane.core.errors import StorageError
from ticklane.core.secret import HIDDEN, Secret
from ticklane.storage.files import database_path

_POSTGRES = re.compile(r"postgres(ql)?(\+asyncpg)?:/")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:@\[\]/]*)(:\d+)?")


class ServerAway(StorageError):
    """No connection came about, but may do so in a moment."""


@dataclass(frozen=True, slots=True)
class Server:
    """A database on a PostgreSQL server; as text it has neither user nor password."""

    url: Secret  # as libpq takes it
    shown: str
    _passwords: Secret = field(default_factory=lambda: Secret(""))  # as written, and as meant

    @classmethod
    def of(cls, url: str) -> Server:
        """Read `postgresql://USER:PASSWORD@HOST:PORT/NAME?...`; raises StorageError."""
        parts = _split(url)
        words = (parts.password or "", *parse_qs(parts.query).get("password", ()))
        secrets = "\n".join(w for word in words for w in (word, unquote(word)) if w)
        place = _host(parts) or _first(parts, "host") or "local"
        shown = f"postgresql://{place}{parts.path}"
        return cls(Secret(f"postgresql://{url.partition('://')[2]}"), shown, Secret(secrets))

    @property
    def name(self) -> str:
        """How it is called in a sentence, as with a path."""
        return self.shown

    def censored(self, text: str) -> str:
        """A text of a driver without the password, should it be in there."""
        for word in self._passwords.reveal().splitlines():
            text = text.replace(word, HIDDEN)
        return text

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"Server({self.shown})"


Place = Path | Server


def place_of(database: str | Path | Secret | Server) -> Place:
    """A path, or a URL (`postgresql://...`, `sqlite:///...`), as a place; raises StorageError."""
    if isinstance(database, Server):
        return database
    text = database.reveal() if isinstance(database, Secret) else str(database)
    if not _POSTGRES.match(text):
        return database_path(text)
    if isinstance(database, Path):  # it has lost a slash, and stood where everybody could see it
        raise StorageError(
            "the path of the database is a PostgreSQL URL; put it into TICKLANE_DATABASE_URL, "
            "where its password is not shown."
        )
    return Server.of(text)


def _split(url: str) -> SplitResult:
    """The parts of the URL; its text is in no error, since the password may be anywhere in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _malformed() from None
    rest = f"{parts.path}{parts.query}{parts.fragment}"
    hosts = _host(parts).split(",")
    if "@" in rest or parts.fragment or not all(_HOST.fullmatch(host) for host in hosts):
        raise _malformed()
    if not parts.path.strip("/") or "/" in parts.path.strip("/"):
        raise _malformed()
    return parts


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _first(parts: SplitResult, name: str) -> str:
    return parse_qs(parts.query).get(name, [""])[0]


def _malformed() -> StorageError:
    return StorageError(
        "the URL of the database cannot be read; write postgresql://USER:PASSWORD@HOST:5432/NAME, "
        "with special characters of the password percent-encoded (@ is %40)."
    )
