"""Finds an order again that the lane has forgotten, with its family and their fills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Select, Table, bindparam, select

from ticklane.core.recalled import Recalled, Sought
from ticklane.storage.rows import Row, fill_of, link_legs, order_of
from ticklane.storage.schema import fills, orders
from ticklane.storage.statements import sql_of

Fetch = Callable[[str, Row], Awaitable[list[Any]]]


def _by(name: str) -> Select[Any]:
    mine = orders.c.run_id == bindparam("run_id")
    return select(orders).where(mine, orders.c[name] == bindparam("value"))


def _related(columns: Any) -> Any:
    """The entry with this id and its exits."""
    is_root = (orders.c.id == bindparam("root")) | (orders.c.parent_id == bindparam("root"))
    return select(columns).where(orders.c.run_id == bindparam("run_id"), is_root)


def _fills() -> Select[Any]:
    mine = fills.c.run_id == bindparam("run_id")
    theirs = fills.c.order_id.in_(_related(orders.c.id).scalar_subquery())
    return select(fills).where(mine, theirs).order_by(fills.c.number)


_BY_ID, _BY_CLIENT_ID = sql_of(_by("id")), sql_of(_by("client_order_id"))
_BY_BROKER_ID = sql_of(_by("broker_order_id"))
_FAMILY, _FILLS = sql_of(_related(orders).order_by(orders.c.number)), sql_of(_fills())


async def recall(fetch: Fetch, run_id: str, sought: Sought) -> Recalled | None:
    """The order that is sought, if the run has it; its fills are among its executions."""
    found = await _first(fetch, run_id, sought)
    if found is None:
        return None
    asked = {"run_id": run_id, "root": found["parent_id"] or found["id"]}
    family = {row["id"]: order_of(row) for row in _named(orders, await fetch(_FAMILY, asked))}
    booked = tuple(fill_of(row) for row in _named(fills, await fetch(_FILLS, asked)))
    link_legs(family.values())
    for fill in booked:
        owner = family[fill.order_id]
        owner.executions = (*owner.executions, fill.execution_id)
    return Recalled(family[found["id"]], tuple(family.values()), booked)


async def _first(fetch: Fetch, run_id: str, sought: Sought) -> Row | None:
    for statement, value in zip((_BY_ID, _BY_CLIENT_ID, _BY_BROKER_ID), sought, strict=True):
        rows = await fetch(statement, {"run_id": run_id, "value": value}) if value else []
        for row in _named(orders, rows):
            return row
    return None


def _named(table: Table, rows: list[Any]) -> list[Row]:
    """Rows of either database as mappings."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in rows]
