"""Writes trades, fills, orders or equity as CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from ticklane.core.errors import ConfigError, StorageError
from ticklane.storage.reader import FIELDS, Reader
from ticklane.storage.rows import Row
from ticklane.whole_file import whole_file

FORMATS = ("csv", "json", "parquet")
TABLES = ("trades", "fills", "orders", "equity")


def export(
    reader: Reader, what: str, format: str, path: str | Path | None = None, run: str | None = None
) -> str | None:
    """Write a table of one run (the newest by default) to `path`, or return it as text.

    The columns are `reader.FIELDS`; exact numbers stay texts in JSON and Parquet. A file that
    exists is replaced, by the whole one or not at all. Raises ConfigError for an unknown table or
    format, StorageError when the file cannot be written.
    """
    _check(what, TABLES, "table")
    _check(format, FORMATS, "format")
    rows = reader.equity_rows(run) if what == "equity" else getattr(reader, what)(run)
    if format == "parquet":
        _parquet(rows, FIELDS[what], _target(reader, path))
        return None
    text = _csv(rows, FIELDS[what]) if format == "csv" else json.dumps(rows, indent=2) + "\n"
    if path is None:
        return text
    file = Path(path)
    _refuse_database(reader, file)
    try:
        with whole_file(file) as part:
            part.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise _unwritable(file, error) from None
    return None


def format_of(path: Path | None) -> str:
    """The format that a file's ending names, else CSV."""
    ending = path.suffix[1:].lower() if path else ""
    return ending if ending in FORMATS else "csv"


def _check(value: str, choices: tuple[str, ...], what: str) -> None:
    if value not in choices:
        raise ConfigError(f"{what} is {value!r}, but must be one of {', '.join(choices)}.")


def _target(reader: Reader, path: str | Path | None) -> Path:
    if path is None:
        raise ConfigError("parquet is not text, so it needs a file; name one, or choose csv.")
    _refuse_database(reader, Path(path))
    return Path(path)


def _refuse_database(reader: Reader, file: Path) -> None:
    if file.resolve() == reader.place:
        raise StorageError(f"the export would replace the database {file}; choose another name.")


def _unwritable(file: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the export {file} cannot be written ({error.strerror or error}); choose another place."
    )


def _csv(rows: list[Row], fields: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([[_flat(row[name]) for name in fields] for row in rows])
    return text.getvalue()


def _flat(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _parquet(rows: list[Row], fields: tuple[str, ...], file: Path) -> None:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigError(
            "parquet needs pyarrow; install it with pip install 'ticklane[parquet]', or choose csv."
        ) from None
    kinds = {name: _kind(pa, name) for name in fields}
    columns = [pa.array([_typed(row[n], n) for row in rows], kinds[n]) for n in fields]
    try:
        with whole_file(file) as part:
            pq.write_table(pa.table(columns, schema=pa.schema(list(kinds.items()))), part)
    except OSError as error:
        raise _unwritable(file, error) from None


def _is_instant(name: str) -> bool:
    return name == "at" or name.endswith("_at")


def _kind(pa: Any, name: str) -> Any:
    if _is_instant(name):
        return pa.timestamp("us", tz="UTC")
    return pa.float64() if name == "equity" else pa.string()


def _typed(value: Any, name: str) -> Any:
    if value is not None and _is_instant(name):
        return datetime.fromisoformat(value)
    return _flat(value)
