"""Orders that are over and out of memory: how they are asked for, and what is given back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ticklane.core.order import Fill, Order


class Sought(NamedTuple):
    """An order by whichever of its ids is known; the others are empty."""

    order_id: str = ""
    client_order_id: str = ""
    broker_order_id: str = ""


class Recalled(NamedTuple):
    """An order as a database knows it, with what belongs to it."""

    order: Order
    family: tuple[Order, ...]  # the entry and its exits, the order among them, oldest first
    fills: tuple[Fill, ...]  # of the family, in booking order


Recall = Callable[[Sought], Awaitable[Recalled | None]]


async def nothing_known(_: Sought) -> Recalled | None:
    """The answer where there is no database."""
    return None


def root_of(order: Order) -> str:
    """The id of the entry that an order belongs to, which may be itself."""
    return order.parent_id or order.id
