"""Our orders as Alpaca's requests, and Alpaca's orders and executions as our values.

Amounts travel as text, both ways, so that no float comes between two Decimals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from ticklane.core.account_event import AccountEvent
from ticklane.core.errors import ConfigError
from ticklane.core.market import to_datetime
from ticklane.core.money import ZERO, plain
from ticklane.core.order import Order, OrderClass, OrderStatus, OrderType, Side, TimeInForce
from ticklane.core.symbols import normal_symbol

_S = OrderStatus
ENDED: Final[Mapping[str, OrderStatus]] = {
    "filled": _S.FILLED,
    "canceled": _S.CANCELED,
    "expired": _S.EXPIRED,
    "rejected": _S.REJECTED,
    "replaced": _S.REPLACED,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION: Final = re.compile(r"\.(\d+)")


class VenueOrder(NamedTuple):
    """An order as Alpaca shows it."""

    id: str
    client_id: str
    symbol: str
    side: Side
    type: str
    status: str  # Alpaca's word
    quantity: Decimal | None  # None: sized by an amount of money
    filled: Decimal
    average_price: Decimal | None
    replaced_by: str | None
    replaces: str | None
    updated_ns: int
    submitted_ns: int
    legs: tuple[VenueOrder, ...]

    @property
    def end(self) -> OrderStatus | None:
        """How it ended, in our words; None while it is open."""
        return ENDED.get(self.status)


class Execution(NamedTuple):
    """One execution as Alpaca tells it, in the stream or as an activity."""

    id: str
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal  # unsigned
    price: Decimal
    total: Decimal | None  # filled of the order after it: tells it apart as well as the id does
    at_ns: int
    held: Decimal | None = None  # the account's position after it, where that is told


# --- what we send ------------------------------------------------------------------------------


def order_body(order: Order, extended_hours: bool = False) -> dict[str, Any]:
    """The body of a POST: the same for the same order, whenever it is made."""
    body: dict[str, Any] = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "time_in_force": order.time_in_force.value,
        "client_order_id": order.client_order_id,
    }
    if order.notional is not None and not order.quantity:
        body["notional"] = plain(order.notional)
    else:
        body["qty"] = plain(order.quantity)
    body |= _prices(order)
    if order.order_class is not OrderClass.SIMPLE:
        body["order_class"] = order.order_class.value
        body |= _protection(order)
        if order.order_class is not OrderClass.OCO and order.type is OrderType.MARKET:
            body["time_in_force"] = TimeInForce.GTC.value  # or its exits would end with the day
    elif extended_hours and order.type is OrderType.LIMIT:
        body["extended_hours"] = order.time_in_force is TimeInForce.DAY
    return body


def _prices(order: Order) -> dict[str, str]:
    named = {
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "trail_price": order.trail_amount,
        "trail_percent": order.trail_percent,
    }
    return {name: plain(value) for name, value in named.items() if value is not None}


def _protection(order: Order) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if order.order_class is OrderClass.OCO and order.limit_price is not None:
        found["take_profit"] = {"limit_price": plain(order.limit_price)}
    for leg in order.legs:
        if leg.type is OrderType.LIMIT:
            found["take_profit"] = _prices(leg)
        else:
            found["stop_loss"] = _prices(leg)
    return found


def replacement_body(old: Order, new: Order, filled: Decimal) -> dict[str, Any]:
    """The body of a PATCH: the id of the new order and what is different in it.

    Without a quantity Alpaca takes the old one's whole quantity, also what of it has filled.
    """
    body: dict[str, Any] = {"client_order_id": new.client_order_id}
    if new.quantity and (filled or new.quantity != old.quantity):
        body["qty"] = plain(new.quantity)
    if new.time_in_force is not old.time_in_force:
        body["time_in_force"] = new.time_in_force.value
    before = _prices(old)
    for name, value in _prices(new).items():
        if before.get(name) != value:
            body["trail" if name.startswith("trail") else name] = value
    return body


def is_of(order: Order, seen: VenueOrder) -> bool:
    """True for our order; False for one with its id that something else was sent under."""
    return (seen.symbol, seen.side) == (order.symbol, order.side)


# --- what we read ------------------------------------------------------------------------------


def read_order(body: Any) -> VenueOrder | None:
    """An order out of an answer or event; None for what does not look like one."""
    try:
        return _order(body)
    except (AttributeError, KeyError, TypeError, ValueError, InvalidOperation):
        return None


def _order(body: Mapping[str, Any]) -> VenueOrder:
    quantity = body.get("qty")
    return VenueOrder(
        id=_text(body["id"]),
        client_id=_text(body["client_order_id"]),
        symbol=read_symbol(body["symbol"]),
        side=Side(body["side"]),
        type=str(body.get("type") or body.get("order_type") or ""),
        status=_text(body["status"]),
        quantity=None if quantity is None else read_number(quantity),
        filled=read_number(body.get("filled_qty") or 0),
        average_price=None
        if body.get("filled_avg_price") is None
        else read_number(body["filled_avg_price"]),
        replaced_by=body.get("replaced_by"),
        replaces=body.get("replaces"),
        updated_ns=read_instant(body.get("updated_at") or body.get("created_at")),
        submitted_ns=read_instant(body.get("submitted_at") or body.get("created_at")),
        legs=tuple(_order(leg) for leg in body.get("legs") or ()),
    )


def read_event(data: Mapping[str, Any], order: VenueOrder) -> Execution | None:
    """The execution of a `fill` or `partial_fill` event; None where it lacks something."""
    try:
        return Execution(
            id=_text(data["execution_id"]),
            broker_order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            quantity=read_number(data["qty"]),
            price=read_number(data["price"]),
            total=order.filled or None,
            at_ns=read_instant(data.get("timestamp")),
            held=None if data.get("position_qty") is None else read_number(data["position_qty"]),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None


def read_fill(row: Mapping[str, Any]) -> Execution | None:
    """The execution of a FILL activity; its id ends in the stream's `execution_id`."""
    try:
        total = row.get("cum_qty")
        return Execution(
            id=_text(row["id"]).rpartition("::")[2],
            broker_order_id=_text(row["order_id"]),
            symbol=read_symbol(row["symbol"]),
            side=Side.SELL if str(row["side"]).startswith("sell") else Side.BUY,
            quantity=read_number(row["qty"]),
            price=read_number(row["price"]),
            total=None if total is None else read_number(total),
            at_ns=read_instant(row["transaction_time"]),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None


def read_account_event(row: Mapping[str, Any]) -> AccountEvent | None:
    """Any other activity: a fee, a dividend, a deposit."""
    try:
        symbol, quantity = row.get("symbol"), row.get("qty")
        return AccountEvent(
            id=_text(row["id"]),
            kind=_text(row["activity_type"]),
            at_ns=read_instant(row.get("created_at") or row.get("date")),
            amount=read_number(row.get("net_amount") or 0),
            symbol=read_symbol(symbol) if symbol else None,
            quantity=None if quantity is None else read_number(quantity),
            detail=str(row.get("description") or ""),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None


def read_positions(body: Any) -> dict[str, Decimal]:
    """Signed quantities by symbol, crypto with its slash."""
    found: dict[str, Decimal] = {}
    for row in body if isinstance(body, list) else ():
        quantity = abs(read_number(row["qty"]))
        is_short = row.get("side") == "short" or str(row["qty"]).startswith("-")
        found[read_symbol(row["symbol"])] = -quantity if is_short else quantity
    return found


def read_symbol(text: Any) -> str:
    """Our way to write a symbol of Alpaca's; positions name crypto without the slash."""
    try:
        return normal_symbol(str(text))
    except ConfigError:  # an option, or something else that we do not trade
        return str(text)


def read_number(value: Any) -> Decimal:
    """A finite Decimal out of text or a JSON number; raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted")
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError("a finite number is wanted")
    return number if number else ZERO


def read_instant(text: Any) -> int:
    """Nanoseconds of an RFC 3339 text, all nine digits of it; 0 where there is none."""
    if not text:
        return 0
    found = _FRACTION.search(str(text))
    digits = found[1][:9] if found else ""
    bare = _FRACTION.sub("", str(text)).replace("Z", "+00:00")
    read = datetime.fromisoformat(bare)
    whole = (read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH
    return whole // timedelta(seconds=1) * 1_000_000_000 + int(digits.ljust(9, "0") or 0)


def to_text(time_ns: int) -> str:
    """An instant as Alpaca takes it."""
    return to_datetime(time_ns).isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text is wanted")
    return value
