"""Tables for people, tab-separated values for pipes, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Columns = Sequence[tuple[str, str]]  # field and its heading

MANY = 50  # rows that a terminal shows unless more are asked for
PRICES = frozenset(
    "price entry_price exit_price average_price limit_price stop_price equity".split()
)
_NUMBERS = PRICES | frozenset(
    "quantity filled_quantity fee fees profit realised_profit cash notional trail_amount "
    "trail_percent orders fills trades ticks signals faults merged resumed".split()
)
_MIDNIGHT = " 00:00:00"


def is_terminal() -> bool:
    """True when somebody reads along."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Write one JSON document."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_rows(
    rows: Sequence[Row],
    fields: Sequence[str],
    columns: Columns,
    *,
    title: str,
    empty: str,
    label: str = "",
) -> None:
    """Write rows: all fields, tab-separated, into a pipe; the columns as a table on a terminal.

    `label` says what kind of prices they hold ("SIMULATED"). A column in which nothing stands is
    left out of the table. `empty` is the sentence for no rows.
    """
    if not is_terminal():
        _print_tabs(rows, fields, label)
    elif rows:
        _print_table(rows, columns, title + (f"  [{label}]" if label else ""))
    else:
        print(empty)


def _print_tabs(rows: Iterable[Row], fields: Sequence[str], label: str) -> None:
    print("\t".join(f"{f} {label}" if label and f in PRICES else f for f in fields))
    for row in rows:
        print("\t".join(_tab_cell(row[field]) for field in fields))


def _tab_cell(value: Any) -> str:
    if isinstance(value, dict | list):
        value = json.dumps(value)
    return "" if value is None else " ".join(str(value).split())


def _print_table(rows: Sequence[Row], columns: Columns, title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False)
    cells = {field: _cells(rows, field) for field, _ in columns}
    shown = [(field, heading) for field, heading in columns if any(cells[field])]
    for field, heading in shown:
        justify: Any = "right" if field in _NUMBERS else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for values in zip(*(cells[field] for field, _ in shown), strict=True):
        table.add_row(*(Text(value) for value in values))
    Console().print(table)


def _cells(rows: Sequence[Row], field: str) -> list[str]:
    values = [_cell(row.get(field), field) for row in rows]
    if field.endswith("_at") and all(v.endswith(_MIDNIGHT) for v in values if v):
        return [value.removesuffix(_MIDNIGHT) for value in values]
    return values


def _cell(value: Any, field: str) -> str:
    if value is None:
        return ""
    if field == "at" or field.endswith("_at"):
        return str(value)[:19].replace("T", " ")
    return _printable(str(value))


def _printable(text: str) -> str:
    """A strategy's words must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
