"""The whole journal of a run as plain rows, to compare two of them."""

from __future__ import annotations

import json
from contextlib import closing

from ticklane.storage.reading import open_reading

# Table -> what it is sorted by, and what may differ: row numbers of the database, how often the run
# was taken up again, and the name of the installation, which client order ids begin with.
TABLES = {
    "orders": ("number", {"client_order_id"}),
    "order_events": ("seq", {"seq"}),
    "fills": ("number", set()),
    "trades": ("seq", {"seq"}),
    "signals": ("seq", {"seq"}),
    "equity": ("at_ns", set()),
    "strategy_state": ("strategy", set()),
    "runs": ("id", {"resumed", "config", "fingerprint", "started_ns"}),
}


def journal(place, run="r1"):
    """Table -> its rows as dicts, in the order in which they came about."""
    with closing(open_reading(place)) as reading:
        return {table: _rows(reading, table, run) for table in TABLES}


def _rows(reading, table, run):
    by, hidden = TABLES[table]
    key = "id" if table == "runs" else "run_id"
    found = reading.fetch(f"SELECT * FROM {table} WHERE {key} = ? ORDER BY {by}", [run])
    return [{k: _plain(k, v) for k, v in dict(row).items() if k not in hidden} for row in found]


def _plain(name, value):
    """The venue's marks are a mapping: their order is that of symbols, and says nothing."""
    return json.loads(value or "{}") if name == "venue_marks" else value


def difference(left, right):
    """The first place where two journals differ, in words; None where there is none."""
    for table in TABLES:
        for number, (one, other) in enumerate(zip(left[table], right[table], strict=False)):
            if one != other:
                fields = [f"{k}: {one[k]!r} != {other[k]!r}" for k in one if one[k] != other[k]]
                return f"{table}, row {number}: {'; '.join(fields)}; in {one}"
        if len(left[table]) != len(right[table]):
            longer = max(left[table], right[table], key=len)
            extra = longer[min(len(left[table]), len(right[table]))]
            return f"{table}: {len(left[table])} rows != {len(right[table])}; the next is {extra}"
    return None
