"""The whole journal of a run as plain rows, to compare two of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing

# Everything but row numbers of SQLite, and client order ids, which hold the installation's name.
TABLES = {
    "orders": ("number", {"client_order_id"}),
    "order_events": ("seq", {"seq"}),
    "fills": ("number", set()),
    "trades": ("seq", {"seq"}),
    "signals": ("seq", {"seq"}),
    "equity": ("at_ns", set()),
    "strategy_state": ("strategy", set()),
    "runs": ("id", {"resumed", "venue_marks", "config", "fingerprint"}),
}


def journal(path, until_ns=None):
    """Table -> its rows as dicts, in the order in which they came about.

    `until_ns` leaves out what the run did after this instant.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return {table: _rows(connection, table, until_ns) for table in TABLES}


def _rows(connection, table, until_ns):
    by, hidden = TABLES[table]
    found = connection.execute(f"SELECT * FROM {table} ORDER BY {by}").fetchall()
    return [
        {name: row[name] for name in row.keys() if name not in hidden}  # noqa: SIM118
        for row in found
    ]


def difference(left, right):
    """The first place where two journals differ, in words; None where there is none."""
    for table in TABLES:
        for number, (one, other) in enumerate(zip(left[table], right[table], strict=False)):
            if one != other:
                fields = [f"{k}: {one[k]!r} != {other[k]!r}" for k in one if one[k] != other[k]]
                return f"{table} row {number}: {'; '.join(fields)}\n  in {one}"
        if len(left[table]) != len(right[table]):
            longer = max(left[table], right[table], key=len)
            extra = longer[min(len(left[table]), len(right[table]))]
            return f"{table}: {len(left[table])} rows != {len(right[table])}; first extra {extra}"
    return None
