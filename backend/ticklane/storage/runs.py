"""Begins a run: finds the unfinished one and what it left behind, or makes a new one."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ticklane.core.market import DAY, HOUR
from ticklane.core.order import TERMINAL, Order, OrderStatus
from ticklane.core.trading_state import Restriction
from ticklane.interfaces import Recovered
from ticklane.storage.rows import (
    account_event_of,
    event_of,
    fill_of,
    link_legs,
    order_of,
    restriction_of,
)
from ticklane.storage.schema import (
    account_events,
    equity,
    fills,
    meta,
    order_events,
    orders,
    restrictions,
    runs,
    strategy_state,
)

_OPEN = [status.value for status in OrderStatus if status not in TERMINAL]
_LATELY_NS = 2 * DAY  # so long a venue may still speak of an order that has ended
_MOST = 20_000
_QUARTER_NS = HOUR // 4  # every midnight of the world is at one
_LONGEST_DAY_NS = DAY + HOUR  # the one in which the clocks go back


async def begin(
    connection: AsyncConnection,
    fingerprint: str,
    config: Mapping[str, Any],
    at_ns: int,
    fresh: bool,
) -> Recovered:
    """Resume the newest unfinished run with this fingerprint, or make a new one."""
    installation = await _installation(connection)
    unfinished = (runs.c.fingerprint == fingerprint) & runs.c.ended_ns.is_(None)
    if fresh:
        await connection.execute(
            update(runs).where(unfinished).values(ended_ns=at_ns, end_reason="fresh")
        )
    found = await _rows(connection, select(runs).where(unfinished))
    latched = await _latched(connection)
    if found:
        return await _resume(connection, max(found, key=_number), installation, latched)
    run_id = await _make(connection, fingerprint, config, at_ns)
    return Recovered(run_id, started_ns=at_ns, installation=installation, restrictions=latched)


async def _latched(connection: AsyncConnection) -> tuple[Restriction, ...]:
    """What only an operator releases; whatever else restricted the last run is found anew."""
    await connection.execute(delete(restrictions).where(~restrictions.c.is_latched))
    query = select(restrictions).order_by(restrictions.c.since_ns)
    return tuple(restriction_of(row) for row in await _rows(connection, query))


def _number(run: Mapping[str, Any]) -> int:
    return int(run["id"][1:])


async def _rows(connection: AsyncConnection, query: Select[Any]) -> list[Mapping[str, Any]]:
    return list((await connection.execute(query)).mappings())


async def _installation(connection: AsyncConnection) -> str:
    query = select(meta.c.value).where(meta.c.key == "installation")
    known = (await connection.execute(query)).scalar()
    if known is not None:
        return str(known)
    made = secrets.token_hex(3)
    await connection.execute(insert(meta).values(key="installation", value=made))
    return made


async def _make(
    connection: AsyncConnection, fingerprint: str, config: Mapping[str, Any], at_ns: int
) -> str:
    known = await _rows(connection, select(runs.c.id))
    run_id = f"r{max(map(_number, known), default=0) + 1}"
    values = {
        "id": run_id,
        "fingerprint": fingerprint,
        "config": _for_people(config),
        "started_ns": at_ns,
        "resumed": 0,
    }
    await connection.execute(insert(runs).values(values))
    return run_id


def _for_people(config: Mapping[str, Any]) -> str:
    def plain(value: Any) -> Any:
        return dict(value) if isinstance(value, Mapping) else str(value)

    try:
        return json.dumps(dict(config), default=plain)
    except (TypeError, ValueError):  # keys that JSON does not know
        return json.dumps(str(config))


async def _resume(
    connection: AsyncConnection,
    run: Mapping[str, Any],
    installation: str,
    latched: tuple[Restriction, ...],
) -> Recovered:
    run_id = run["id"]
    await connection.execute(
        update(runs).where(runs.c.id == run_id).values(resumed=runs.c.resumed + 1)
    )
    listed = [order_of(row) for row in await _rows(connection, _with_relatives(run_id))]
    link_legs(listed)
    unsent = {order.replaces_id for order in listed if order.status is OrderStatus.SENDING}
    strategies = await _rows(connection, _strategies(run_id))
    booked = select(fills).where(fills.c.run_id == run_id).order_by(fills.c.number)
    marks = await _equity_marks(connection, run)
    cash = run["starting_cash"]
    return Recovered(
        run_id,
        is_resumed=True,
        started_ns=run["started_ns"],
        cursor_ns=run["cursor_ns"],
        order_count=await _order_count(connection, run_id),
        has_begun=bool(marks),
        orders=tuple(order for order in listed if order.is_open or order.id in unsent),
        steps=tuple(event_of(row) for row in await _rows(connection, _steps(run_id))),
        fills=tuple(fill_of(row) for row in await _rows(connection, booked)),
        states={row["strategy"]: row["state"] for row in strategies},
        standings={row["strategy"]: (row["status"], row["faults"]) for row in strategies},
        venue_marks=json.loads(run["venue_marks"] or "{}"),
        installation=installation,
        starting_cash=None if cash is None else Decimal(cash),
        closed=await _closed(connection, run),
        account_events=tuple(
            account_event_of(row) for row in await _rows(connection, _account_events(run_id))
        ),
        restrictions=latched,
        equity_marks=marks,
    )


async def _equity_marks(
    connection: AsyncConnection, run: Mapping[str, Any]
) -> tuple[tuple[int, Decimal], ...]:
    """The account in the last day and before it: the last mark of each quarter of an hour, so that
    the one before midnight is there whatever the time zone, and the first of all."""
    last_ns = run["started_ns"] if run["cursor_ns"] is None else run["cursor_ns"]
    since_ns = (last_ns - _LONGEST_DAY_NS) // _QUARTER_NS * _QUARTER_NS
    own, at = equity.c.run_id == run["id"], equity.c.at_ns
    last_ones = select(func.max(at)).where(own, at >= since_ns).group_by(at // _QUARTER_NS)
    query = select(at, equity.c.equity).where(own)
    found: dict[int, Decimal] = {}
    for part in (
        query.where(at < since_ns).order_by(at.desc()).limit(1),
        query.where(at >= since_ns).order_by(at).limit(1),
        query.where(at.in_(last_ones)),
    ):
        for row in await _rows(connection, part):
            found[row["at_ns"]] = Decimal(repr(row["equity"]))
    return tuple(sorted(found.items()))


async def _closed(connection: AsyncConnection, run: Mapping[str, Any]) -> tuple[Order, ...]:
    """Orders that were sent and have ended in the last days before the run stood still."""
    since_ns = (run["cursor_ns"] or run["started_ns"]) - _LATELY_NS
    over = [status.value for status in TERMINAL if status is not OrderStatus.DENIED]
    query = (
        select(orders)
        .where(orders.c.run_id == run["id"], orders.c.status.in_(over))
        .where(orders.c.updated_ns >= since_ns)
        .order_by(orders.c.number.desc())
        .limit(_MOST)
    )
    return tuple(order_of(row) for row in reversed(await _rows(connection, query)))


async def _order_count(connection: AsyncConnection, run_id: str) -> int:
    """How many order ids a run has used up: numbers that were skipped stay skipped."""
    query = select(orders.c.id, orders.c.number).where(orders.c.run_id == run_id)
    newest = await _rows(connection, query.order_by(orders.c.number.desc()).limit(1))
    if not newest:
        return 0
    # One that was found at the venue has its own old number, whenever its row was made.
    by_id = query.order_by(func.length(orders.c.id).desc(), orders.c.id.desc()).limit(1)
    ids = [newest[0]["id"], (await _rows(connection, by_id))[0]["id"]]
    own = [int(found[1]) for one in ids if (found := re.search(r"-(\d+)$", one))]
    number: int = newest[0]["number"]
    return max(number, *own, 0)


def _strategies(run_id: str) -> Select[Any]:
    return select(strategy_state).where(strategy_state.c.run_id == run_id)


def _account_events(run_id: str) -> Select[Any]:
    mine = select(account_events).where(account_events.c.run_id == run_id)
    return mine.order_by(account_events.c.at_ns, account_events.c.id)


def _steps(run_id: str) -> Select[Any]:
    """The journal of the open orders of a run."""
    is_open = (orders.c.run_id == run_id) & orders.c.status.in_(_OPEN)
    chosen = select(orders.c.id).where(is_open).scalar_subquery()
    query = select(order_events).where(order_events.c.order_id.in_(chosen))
    return query.order_by(order_events.c.seq)


def _with_relatives(run_id: str) -> Select[Any]:
    """The open orders of a run, their legs and what they replace, closed ones too."""
    mine = orders.c.run_id == run_id
    is_open = mine & orders.c.status.in_(_OPEN)
    parents = select(orders.c.id).where(is_open).scalar_subquery()
    replaced = select(orders.c.replaces_id).where(is_open).scalar_subquery()
    related = orders.c.parent_id.in_(parents) | orders.c.id.in_(replaced)
    return select(orders).where(is_open | (mine & related)).order_by(orders.c.number)
