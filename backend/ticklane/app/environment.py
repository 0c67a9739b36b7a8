"""What the process was given: environment, .env, credential files; the only reader of os.environ.

A name is looked for in the environment, then among systemd's credentials, then in `.env`. For a
secret NAME, NAME_FILE may name a file that holds it, so that it stands in no environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from ticklane.core.errors import ConfigError
from ticklane.core.secret import Secret

Environment = Mapping[str, str]

ENV_FILE = ".env"
ALIASES = {  # the names of ticklane and of alpaca-py's examples, and those of the older library
    "ALPACA_API_KEY": "APCA_API_KEY_ID",
    "ALPACA_API_SECRET": "APCA_API_SECRET_KEY",
    "ALPACA_BASE_URL": "APCA_API_BASE_URL",
    "ALPACA_DATA_URL": "APCA_API_DATA_URL",
    "ALPACA_STREAM_URL": "APCA_API_STREAM_URL",
    "ALPACA_DATA_STREAM_URL": "APCA_API_DATA_STREAM_URL",
}
KEYS = ("ALPACA_API_KEY", "ALPACA_API_SECRET")
SECRETS = (*KEYS, *(ALIASES[name] for name in KEYS), "TICKLANE_DATABASE_URL")

_PREFIXES = ("ALPACA_", "APCA_", "TICKLANE_")
_MOST = 65_536  # bytes of a file that holds a secret
_LEAST = 8  # characters: hiding anything shorter in a log would hide ordinary words


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given, and where; it is not shown, and its file only read when asked."""

    source: str
    text: str = field(repr=False, default="")
    file: Path | None = None
    what: str = ""  # the file in words

    def read(self) -> str:
        """The value. Raises ConfigError for a file that cannot be read."""
        return self.text if self.file is None else _text_of(self.file, self.what)


def environment() -> Environment:
    """The process environment, for systemd's protocol."""
    return os.environ


def everything() -> dict[str, Given]:
    """All that was given, by name; what is empty counts as not given. Raises ConfigError."""
    found: dict[str, Given] = {}
    for given in (_environment(), _credentials(), _dotenv()):
        for name, value in given.items():
            found.setdefault(name, value)
    return found


def lookup(name: str, found: Mapping[str, Given]) -> Given | None:
    """A name or its other name; both with different values are refused."""
    first, second = found.get(name), found.get(ALIASES.get(name, ""))
    if first is not None and second is not None and first.read() != second.read():
        raise ConfigError(
            f"{name} ({first.source}) and {ALIASES[name]} ({second.source}) differ; leave one out."
        )
    return first or second


def present_keys() -> dict[str, str | None]:
    """Where the keys of brokers come from, None for one that is not set; never what they are."""
    found = everything()
    keys = {name: lookup(name, found) for name in KEYS}
    return {name: key.source if key else None for name, key in keys.items()}


def secret_files() -> list[Path]:
    """`.env` and the files that variables name, as far as they are there."""
    named = [given.file for given in everything().values() if given.file is not None]
    return [file for file in (Path(ENV_FILE), *named) if file.is_file()]


def known_secrets() -> list[Secret]:
    """Every secret the process was given: what no log and no error may show."""
    texts: set[str] = set()
    found: dict[str, Given] = {}
    with suppress(ConfigError):
        found = everything()
    for name in SECRETS:
        with suppress(ConfigError, KeyError):  # whoever needs one that cannot be read says so
            texts |= _secrets_in(found[name].read())
    return [Secret(text) for text in sorted(texts) if len(text) >= _LEAST]


def _secrets_in(text: str) -> set[str]:
    """A secret; of the address of a database its password, too, as it is sent."""
    if "://" not in text:
        return {text}
    password = text.partition("://")[2].rpartition("@")[0].partition(":")[2]
    return {text, password, unquote(password)}


def _environment() -> dict[str, Given]:
    return _with_files(os.environ, "environment")


def _dotenv() -> dict[str, Given]:
    from dotenv import dotenv_values

    try:
        values = dotenv_values(ENV_FILE)
    except UnicodeDecodeError:
        raise ConfigError(f"the file {ENV_FILE} cannot be read (it is not UTF-8 text).") from None
    except OSError as error:
        raise ConfigError(f"the file {ENV_FILE} cannot be read ({error.strerror}).") from None
    return _with_files(values, ENV_FILE)


def _with_files(values: Mapping[str, str | None], source: str) -> dict[str, Given]:
    """Texts as they are, and the files that hold secrets under the secrets' names."""
    found = {_name(name): Given(source, text) for name, text in values.items() if text}
    for name in SECRETS:
        path = values.get(f"{name}_FILE")
        if path and name not in found:
            file = Path(path).expanduser()
            found[name] = Given(
                f"{source}, file {file}", "", file, f"the file {file} of {name}_FILE"
            )
    return found


def _name(name: str) -> str:
    """Our own variables may be written in small letters."""
    return name.upper() if name.upper().startswith("TICKLANE_") else name


def _credentials() -> dict[str, Given]:
    """systemd's credentials for us: `LoadCredential=ticklane:DIR` names each `ticklane_FILE`."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder or not Path(folder).is_dir():
        return {}
    return {
        name: Given("credential file", "", file, f"the credential {file.name}")
        for file in sorted(Path(folder).iterdir())
        if (name := _credential_name(file.name)) is not None
    }


def _credential_name(file: str) -> str | None:
    """`ticklane_alpaca_api_key` and `ALPACA_API_KEY` are ALPACA_API_KEY; others are not ours."""
    name = file.upper()
    inner = name.removeprefix("TICKLANE_")
    name = inner if inner.startswith(_PREFIXES) else name
    return name if name.startswith(_PREFIXES) else None


def _text_of(file: Path, what: str) -> str:
    """What a file holds, without blanks around it; it is not to be empty."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST).decode().strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{what} cannot be read (it is not UTF-8 text).") from None
    except OSError as error:
        raise ConfigError(f"{what} cannot be read ({error.strerror}).") from None
    if not text:
        raise ConfigError(f"{what} is empty.")
    return text
