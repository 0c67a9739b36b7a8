"""Tables for people, tab-separated values for pipes, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Columns = Sequence[tuple[str, str]]  # field and its heading

MANY = 50  # rows that a terminal shows unless more are asked for
_NUMBERS = frozenset(
    "price entry_price exit_price average_price limit_price stop_price equity cash notional "
    "quantity filled_quantity fee fees profit realised_profit trail_amount trail_percent "
    "orders fills trades resumed".split()
)
_OFTEN_ZERO = ("fee", "fees", "resumed")
_LEAST_WIDTH = 10  # of a text: a date, and most names, in one piece
_WIDEST = 1000
_MIDNIGHT = " 00:00:00"


def is_terminal() -> bool:
    """True when somebody reads along."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Write one JSON document."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_rows(
    rows: Sequence[Row], fields: Sequence[str], columns: Columns, *, title: str, empty: str
) -> None:
    """Write rows: all fields, tab-separated, into a pipe; the columns as a table on a terminal.

    A column in which nothing stands is left out of the table. `empty` is the sentence for no rows.
    """
    if not is_terminal():
        _print_tabs(rows, fields)
    elif rows:
        _print_table(rows, columns, title)
    else:
        print(empty)


def _print_tabs(rows: Iterable[Row], fields: Sequence[str]) -> None:
    print("\t".join(fields))
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

    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(title, style="bold"),
        title_justify="left",
        pad_edge=False,
        padding=(0, 0, 0, 1),
    )
    cells = {field: _cells(rows, field) for field, _ in columns}
    shown = [(field, heading) for field, heading in columns if any(cells[field])]
    for field, heading in shown:
        if field in _NUMBERS:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            longest = max(map(len, [heading, *cells[field]]))
            table.add_column(heading, overflow="fold", min_width=min(longest, _LEAST_WIDTH))
    for values in zip(*(cells[field] for field, _ in shown), strict=True):
        table.add_row(*(Text(value) for value in values))
    console = Console()
    # A number broken in two is worse than a line that the terminal wraps.
    unbound = console.options.update(width=_WIDEST)
    console.width = max(console.width, console.measure(table, options=unbound).minimum)
    console.print(table)


def _cells(rows: Sequence[Row], field: str) -> list[str]:
    values = [_cell(row.get(field), field) for row in rows]
    if field in _OFTEN_ZERO and set(values) <= {"0", ""}:
        return [""] * len(values)
    if field.endswith("_at") and all(v.endswith(_MIDNIGHT) for v in values if v):
        return [value.removesuffix(_MIDNIGHT) for value in values]
    return values


def _cell(value: Any, field: str) -> str:
    if value is None:
        return ""
    text = str(value)
    if field.endswith("_at"):
        return text[:19].replace("T", " ")
    if field in _NUMBERS:
        return text.rstrip("0").rstrip(".") if "." in text else text
    return printable(text)


def printable(text: str) -> str:
    """A text without what steers a terminal, such as a strategy's own words."""
    return "".join(c if c.isprintable() else " " for c in text)
