"""Adoption: an open order of this very run that its database does not know becomes known.

That is so after a database was taken back from a copy. Only what can be followed safely is taken
over: one order by itself, in a symbol of the run, with the id that this run gave it. What another
run has sent has its row there already; exits of a bracket stay with their entry at the venue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from ticklane.core.adoption import ORPHAN
from ticklane.core.order import Order, OrderStatus, OrderType, TimeInForce
from ticklane.integrations.alpaca.convert import VenueOrder, read_number

_PRICES: Final = {
    "limit_price": "limit_price",
    "stop_price": "stop_price",
    "trail_amount": "trail_price",
    "trail_percent": "trail_percent",
}


def adopted(row: Mapping[str, Any], seen: VenueOrder, prefix: str, run_id: str) -> Order | None:
    """The order as a row of ours; None for what is not to be taken over.

    `prefix` is that of this installation's client order ids.
    """
    is_of_run = re.fullmatch(rf"{re.escape(prefix + run_id)}-[1-9][0-9]{{0,8}}", seen.client_id)
    is_single = not seen.legs and row.get("order_class") in ("", "simple", None)
    if not (prefix and is_of_run and is_single and seen.quantity):
        return None
    try:
        kind, term = OrderType(seen.type), TimeInForce(str(row.get("time_in_force")))
    except ValueError:
        return None
    own_id = seen.client_id.removeprefix(prefix)
    order = Order(own_id, ORPHAN, seen.symbol, seen.side, seen.quantity, seen.submitted_ns)
    order.client_order_id, order.broker_order_id = seen.client_id, seen.id
    order.status, order.type, order.time_in_force = OrderStatus.ACKED, kind, term
    order.tag = "found at the venue"
    for name, theirs in _PRICES.items():
        value: Decimal | None = None if row.get(theirs) is None else read_number(row[theirs])
        setattr(order, name, value)
    return order
