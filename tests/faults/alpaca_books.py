"""The daemon's database beside the ledger of the venue: every difference, in words."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections import Counter, defaultdict
from contextlib import closing
from decimal import Decimal

UNSENT = {"DENIED", "QUARANTINED", "NOT_SENT", "REJECTED"}
ENDS = {
    "filled": "FILLED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "replaced": "REPLACED",
}
CENT = Decimal("0.00000001")


def control(url, name, **given):
    """Ask the control side of the venue; without arguments of a POST it is a GET."""
    body = json.dumps(given).encode() if given else None
    request = urllib.request.Request(f"{url}/control/{name}", data=body)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def rows_of(database):
    """All orders, fills and account events, and the cash the run began with."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")

        def rows(query):
            return [dict(row) for row in connection.execute(query)]

        return {
            "orders": rows("SELECT * FROM orders"),
            "fills": rows("SELECT * FROM fills ORDER BY number"),
            "events": rows("SELECT * FROM account_events"),
            "runs": rows("SELECT * FROM runs"),
        }


def differences(database, url):
    """Orders, executions, positions and cash of both sides; empty when they are the same."""
    ours = rows_of(database)
    listed = control(url, "ledger/orders")
    executions = control(url, "ledger/executions")
    state = control(url, "state")
    return [
        *_orders(ours["orders"], listed),
        *_executions(ours, listed, executions),
        *_positions(ours, state),
        *_cash(ours, state),
    ]


def _orders(rows, listed):
    clients = Counter(one["client_order_id"] for one in listed)
    for client_id, count in clients.items():
        if count > 1:
            yield f"{client_id} stands at the venue {count} times."
    by_id = {one["id"]: one for one in listed}
    known = Counter(row["broker_order_id"] for row in rows if row["broker_order_id"])
    for one in listed:
        if one["status"] != "rejected" and known[one["id"]] != 1:
            yield f"{one['client_order_id']} ({one['status']}) is in {known[one['id']]} rows."
    for row in rows:
        one = by_id.get(row["broker_order_id"] or "")
        if one is None:
            if row["status"] not in UNSENT:
                yield f"{row['id']} is {row['status']}, but the venue does not have it."
        elif ENDS.get(one["status"], row["status"]) != row["status"]:
            yield f"{row['id']} is {row['status']}, but {one['status']} at the venue."


def _executions(ours, listed, executions):
    broker_ids = {row["id"]: row["broker_order_id"] for row in ours["orders"]}
    booked, traded = defaultdict(Decimal), defaultdict(Decimal)
    for fill in ours["fills"]:
        key = (broker_ids[fill["order_id"]], Decimal(fill["price"]))
        booked[key] += abs(Decimal(fill["quantity"]))
    for one in executions:
        traded[one["order_id"], Decimal(one["price"])] += Decimal(one["qty"])
    for key in booked.keys() | traded.keys():
        if booked[key] != traded[key]:
            yield f"order {key[0]} at {key[1]}: {booked[key]} booked, {traded[key]} traded."
    if len({fill["execution_id"] for fill in ours["fills"]}) != len(executions):
        yield f"{len(ours['fills'])} fills, but {len(executions)} executions."


def _positions(ours, state):
    held = defaultdict(Decimal)
    for fill in ours["fills"]:
        held[fill["symbol"]] += Decimal(fill["quantity"])
    found = {symbol: quantity for symbol, quantity in held.items() if quantity}
    shown = {symbol: Decimal(quantity) for symbol, quantity in state["positions"].items()}
    if found != shown:
        yield f"held are {found}, at the venue {shown}."


def _cash(ours, state):
    start = ours["runs"][-1]["starting_cash"]
    if start is None:
        yield "the run's first cash is not recorded."
        return
    cash = Decimal(start)
    for fill in ours["fills"]:
        value = Decimal(fill["quantity"]) * Decimal(fill["price"])
        cash -= value.quantize(CENT) + Decimal(fill["fee"])
    cash += sum((Decimal(event["amount"]) for event in ours["events"]), Decimal(0))
    if cash != Decimal(state["cash"]):
        yield f"the cash is {cash}, at the venue {state['cash']}."
