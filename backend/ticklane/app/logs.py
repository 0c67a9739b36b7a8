"""Logging: structlog and the libraries' records by one way, readable or JSON, no secrets."""

from __future__ import annotations

import contextlib
import json as json_module
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

from ticklane.core.errors import ConfigError

HIDDEN = "***"

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Their warnings are for our readers, not each plugin, row or glyph. At DEBUG websockets would show
# frames in parts and as numbers, in which no secret would be found.
_CHATTY = ("aiosqlite", "alembic", "matplotlib", "PIL", "urllib3", "websockets")

_SECRET_WORDS = {"key", "keys", "apikey", "secretkey", "passphrase"}
_SECRET_PARTS = ("secret", "token", "password", "passwd")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# The name and what follows up to the value: `'api_key': 'abc'`, `password="abc"`, `?token=abc`;
# inside JSON the quotes are escaped once more. The look behind keeps long words from costing n^2.
_NAMED = re.compile(
    r"""(?<![\w.-])([A-Za-z][\w.-]*)(?:(?:\\*["']\s*:\s*|\s?=\s?)b?(?P<quote>\\*["'])|=)"""
)
_BARE_VALUE = re.compile(r"""[^\s"'\\,;&)}\]]*""")


class Redactor:
    """Replaces secrets in text: the configured values, and what stands beside a telling name.

    A value is found as it is, and as JSON, `repr` and URLs write it. Names that tell are those
    with key, secret, token or password among their words, such as `api_key` or `secretKey`.
    """

    def __init__(self, secrets: Iterable[Any] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(_text(secret)) if form}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._values = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def known(self, text: str) -> str:
        """The text without the configured values."""
        return text if self._values is None else self._values.sub(HIDDEN, text)

    def text(self, text: str) -> str:
        """The text without secrets."""
        text = self.known(text)
        parts, position = [], 0
        for found in _NAMED.finditer(text):
            if found.start() >= position and _is_telling(found[1]):
                parts += [text[position : found.end()], HIDDEN]
                position = _end_of_value(text, found.end(), found["quote"])
        return "".join([*parts, text[position:]])

    def fields(self, _logger: Any, _method: str, event: Any) -> Any:
        """A structlog processor: hides the values of telling names, and secrets in any text."""
        return {name: self._field(name, value) for name, value in event.items()}

    def _field(self, name: Any, value: Any) -> Any:
        if _is_telling(name) and value is not None and value != "":
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._field(key, item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self._field("", item) for item in value)
        return value


def configure_logging(
    level: str | int = "INFO",
    file: Path | str | None = None,
    json: bool = False,
    secrets: Iterable[Any] = (),
    *,
    console: bool = True,
    stream: TextIO | None = None,
    max_bytes: int = 10_000_000,
    backups: int = 5,
) -> None:
    """Send all logging to the console (`stream`, else stderr) and to a rotating file.

    `json` makes both one JSON object a line. `secrets` (texts or pydantic's SecretStr) never
    appear, not in tracebacks either. The file is renamed when `max_bytes` are reached and
    `backups` old ones are kept. A second call replaces the first. Raises ConfigError for an
    unknown level or a file that cannot be written.
    """
    number = _level(level)
    redactor = Redactor(secrets)
    handlers: list[logging.Handler] = []
    if file is not None:
        handlers.append(_open_file(Path(file), max_bytes, backups, redactor))
        handlers[-1].setFormatter(_formatter(redactor, json, colors=False))
    if console:
        output = stream if stream is not None else sys.stderr
        handlers.append(_Console(output, redactor))
        handlers[-1].setFormatter(_formatter(redactor, json, colors=output.isatty()))
    _install(handlers, number)


class _Reporting(logging.Handler):
    """Tells of a record that could not be written, without the arguments it may have had.

    The standard library prints the record's arguments, and so perhaps a secret.
    """

    redactor: Redactor

    def handleError(self, record: logging.LogRecord) -> None:
        if logging.raiseExceptions and sys.stderr:
            fault = self.redactor.text(traceback.format_exc(limit=-3))
            with contextlib.suppress(OSError):
                sys.stderr.write(f"a log record of {record.name} could not be written:\n{fault}")


class _Console(_Reporting, logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        super().__init__(stream)
        self.redactor = redactor


class _File(_Reporting, RotatingFileHandler):
    def __init__(self, path: Path, max_bytes: int, backups: int, redactor: Redactor) -> None:
        super().__init__(
            path,
            maxBytes=max_bytes,
            backupCount=backups,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self.redactor = redactor


def _level(level: str | int) -> int:
    known = logging.getLevelNamesMapping()
    number = known.get(level.strip().upper()) if isinstance(level, str) else level
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ConfigError(f"log level is {level!r}, but must be one of {', '.join(_LEVELS)}.")
    return number


def _open_file(path: Path, max_bytes: int, backups: int, redactor: Redactor) -> _File:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _File(path, max_bytes, backups, redactor)
    except OSError as error:
        raise ConfigError(
            f"log file {path} cannot be written ({error.strerror}); choose another place."
        ) from None


def _install(handlers: list[logging.Handler], level: int) -> None:
    import structlog

    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Reporting)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _common() -> list[Any]:
    """What each record gets, ours and the libraries' alike."""
    import structlog

    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(redactor: Redactor, json: bool, *, colors: bool) -> logging.Formatter:
    import structlog

    class Formatter(structlog.stdlib.ProcessorFormatter):
        """The last step, so that no rendering can bring a secret back."""

        def format(self, record: logging.LogRecord) -> str:
            return redactor.text(super().format(record))

    rendering: list[Any]
    if json:
        # Text tracebacks: structlog's dictionaries would hold the values of local variables.
        rendering = [
            structlog.processors.format_exc_info,
            redactor.fields,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # Neither rich's tracebacks: they break lines, and a secret would be broken with them.
        plain = structlog.dev.plain_traceback
        readable = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
        rendering = [redactor.fields, readable]
    return Formatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_common()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _text(secret: Any) -> str:
    hidden = getattr(secret, "get_secret_value", None)
    return str(hidden() if hidden is not None else secret or "")


def _forms(secret: str) -> set[str]:
    """The ways to write a secret; of one with several lines (a PEM file), each long line too."""
    inside = slice(1, -1)
    return {
        secret,
        json_module.dumps(secret)[inside],
        json_module.dumps(secret, ensure_ascii=False)[inside],
        repr(secret)[inside],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        *(line for line in secret.splitlines() if len(line) >= 16 and "-----" not in line),
    }


def _is_telling(name: Any) -> bool:
    """Whether a name is that of a secret, such as `API-KEY` or `secretKey`; `monkey` is not."""
    if not isinstance(name, str):
        return False
    lowered = name.lower()
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & _SECRET_WORDS) or any(part in lowered for part in _SECRET_PARTS)


def _end_of_value(text: str, start: int, mark: str | None) -> int:
    if mark is None:
        found = _BARE_VALUE.match(text, start)
    else:
        inside = r"." if len(mark) > 1 else r"(?:\\.|[^\\\n])"
        found = re.compile(f"{inside}*?(?={re.escape(mark)}|$)", re.MULTILINE).match(text, start)
    return found.end() if found else start
