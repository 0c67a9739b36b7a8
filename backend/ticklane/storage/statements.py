"""The statements of the hot path: Core, compiled to SQLite's SQL once.

Each write takes rows with the names of its columns; `k_...` are the keys of the row to change.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Delete, Insert, Update

from ticklane.storage import schema

_DIALECT = sqlite.dialect(paramstyle="named")
_FIXED = frozenset({"id", "run_id", "number", "created_ns", "strategy", "symbol", "side"})


def sql_of(statement: Insert | Update | Delete | Select[Any]) -> str:
    """The SQL of a statement with named parameters, as `sqlite3` takes it."""
    return str(statement.compile(dialect=_DIALECT))


def _upsert(table: Table) -> Insert:
    statement = sqlite.insert(table)
    keys = list(table.primary_key.columns)
    rest = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)


def _numbered(table: Table) -> tuple[str, ...]:
    """The columns that the database counts by itself."""
    return ("id",) if table is schema.reconciliations else ("seq",)


def _insert(table: Table) -> Insert:
    return insert(table).values(
        {c.name: bindparam(c.name) for c in table.columns if c.key not in _numbered(table)}
    )


def _move_order() -> Update:
    changing = [c.name for c in schema.orders.columns if c.name not in _FIXED]
    values: dict[str, Any] = {name: bindparam(name) for name in changing}
    return update(schema.orders).where(schema.orders.c.id == bindparam("k_id")).values(values)


def _revise_trade() -> Update:
    """A trade is found by what was told of it; where two began and ended at once, one is taken."""
    table = schema.trades
    keys = ("run_id", "strategy", "symbol", "opened_ns", "closed_ns")
    found = select(func.max(table.c.seq)).where(
        *(table.c[name] == bindparam(f"k_{name}") for name in keys)
    )
    query = update(table).where(table.c.seq == found.scalar_subquery())
    changing = [c.name for c in table.columns if c.name not in ("seq", "run_id")]
    return query.values({name: bindparam(name) for name in changing})


def _move_run() -> Update:
    def newest(column: Column[Any]) -> Any:
        return func.coalesce(bindparam(column.name), column)

    table = schema.runs
    moving = ("cursor_ns", "venue_marks", "ended_ns", "end_reason", "starting_cash")
    values: dict[str, Any] = {name: newest(table.c[name]) for name in moving}
    return update(table).where(table.c.id == bindparam("k_id")).values(values)


def _counts() -> Select[Any]:
    def newest(table: Table) -> Any:
        number = func.coalesce(func.max(table.c.number), literal_column("0"))
        return select(number).where(table.c.run_id == bindparam("run_id")).scalar_subquery()

    return select(newest(schema.orders), newest(schema.fills))


NEW_ORDER = sql_of(_insert(schema.orders))
MOVED_ORDER = sql_of(_move_order())
ORDER_EVENT = sql_of(_insert(schema.order_events))
FILL = sql_of(_insert(schema.fills))
TRADE = sql_of(_insert(schema.trades))
REVISED_TRADE = sql_of(_revise_trade())
STATE = sql_of(_upsert(schema.strategy_state))
EQUITY = sql_of(_upsert(schema.equity))
SIGNAL = sql_of(_insert(schema.signals))
ACCOUNT_EVENT = sql_of(_upsert(schema.account_events))
RESTRICTION = sql_of(_upsert(schema.restrictions))
RESTRICTION_EVENT = sql_of(_insert(schema.restriction_events))
RECONCILIATION = sql_of(_insert(schema.reconciliations))
RUN = sql_of(_move_run())  # a NULL leaves the column as it is
COUNTS = sql_of(_counts())  # orders and fills that a run has ever had
DELETE_EQUITY = sql_of(
    delete(schema.equity).where(
        schema.equity.c.run_id == bindparam("k_run_id"), schema.equity.c.at_ns == bindparam("k_at")
    )
)
DELETE_SIGNAL = sql_of(delete(schema.signals).where(schema.signals.c.seq == bindparam("k_seq")))
DELETE_RESTRICTION = sql_of(
    delete(schema.restrictions).where(
        schema.restrictions.c.code == bindparam("k_code"),
        schema.restrictions.c.symbol == bindparam("k_symbol"),
    )
)
