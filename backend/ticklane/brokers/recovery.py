"""Rebuilds the simulated venue after a crash, from the journal and the marks of the last tick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ticklane.brokers.family import Family
from ticklane.brokers.working import Working
from ticklane.core.instrument import ANY_ORDER
from ticklane.core.money import ZERO
from ticklane.core.order import Fill, Order, OrderClass

if TYPE_CHECKING:
    from ticklane.brokers.venue import Venue


def restore(
    venue: Venue,
    fills: Iterable[Fill],
    orders: Iterable[Order],
    marks: Mapping[str, Any],
    now_ns: int,
) -> None:
    """See Venue.restore."""
    venue.now_ns = now_ns
    counts: dict[str, int] = {}
    for fill in fills:
        venue.account.book(fill)
        counts[fill.order_id] = counts.get(fill.order_id, 0) + 1
    families: dict[str, list[Working]] = {}
    for order in sorted(orders, key=lambda one: _place(one, marks)):
        working = _readmit(venue, order, marks)
        working.filled, working.fills = order.filled_quantity, counts.get(order.id, 0)
        name = _family_of(order)
        if name is not None:
            families.setdefault(name, []).append(working)
    for name, members in families.items():
        family = Family(venue, name, members)
        for leg in family.exits:
            if leg.order.id not in marks:
                _protect(leg, family, marks)


def _place(order: Order, marks: Mapping[str, Any]) -> int:
    """What is newer than the marks comes after them, in the order of its making."""
    saved = marks.get(order.id)
    return len(marks) if saved is None else int(saved["place"])


def _readmit(venue: Venue, order: Order, marks: Mapping[str, Any]) -> Working:
    if venue.instrument_of(order.symbol).rules is not ANY_ORDER:
        venue.is_ruled = True
    saved = marks.get(order.id)
    if saved is not None:
        working = venue.add(order, saved["active_ns"], ZERO)
        working.restore(saved)
    else:  # as at its acceptance; what it reserves is estimated anew
        arrived_ns = max(order.created_ns, venue.now_ns)
        cost = ZERO if order.parent_id is not None else venue.judge(order, arrived_ns)[1]
        working = venue.add(order, arrived_ns + venue.latency_ns, cost)
    working.known_as = order.broker_order_id
    return working


def _family_of(order: Order) -> str | None:
    """The order with which a family began: exits name it, a replaced entry has its venue's id."""
    if order.parent_id is not None:
        return order.parent_id
    return None if order.order_class is OrderClass.SIMPLE else order.broker_order_id or order.id


def _protect(leg: Working, family: Family, marks: Mapping[str, Any]) -> None:
    """An exit newer than the marks is for what those of its family were for, if there were any."""
    known = [mark for mark in marks.values() if mark["family"] == family.id and mark["is_exit"]]
    if known:
        leg.remaining = min(leg.remaining, *(Decimal(mark["remaining"]) for mark in known))
    elif family.entry is not None:
        leg.remaining = ZERO
