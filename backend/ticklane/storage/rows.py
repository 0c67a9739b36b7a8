"""Core values as rows of plain values, and back. Exact: a Decimal is written out in full."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ticklane.core.account_event import AccountEvent
from ticklane.core.errors import StorageError
from ticklane.core.market import Bar, Observation, Quote
from ticklane.core.order import (
    Fill,
    Order,
    OrderClass,
    OrderEvent,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from ticklane.core.position import Trade
from ticklane.core.trading_state import Restriction, TradingState

Row = dict[str, Any]
_MONEY = ("notional", "limit_price", "stop_price", "trail_amount", "trail_percent")
_SAME = (  # written and read as they are
    "client_order_id",
    "broker_order_id",
    "reason_code",
    "reason",
    "parent_id",
    "replaces_id",
    "tag",
    "valid_until_ns",
)


def exact_text(value: Decimal | None) -> str | None:
    """Write a Decimal in plain notation with every digit it has."""
    return None if value is None else format(value, "f")


def clean(text: str) -> str:
    """Make a strategy's words storable: what is no Unicode text becomes a question mark.

    So does the NUL, which PostgreSQL cannot hold.
    """
    if "\0" in text:
        text = text.replace("\0", "?")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def order_row(order: Order, updated_ns: int) -> Row:
    """The summary of an order as it is now, without its run and number."""
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "broker_order_id": order.broker_order_id,
        "strategy": order.strategy,
        "symbol": clean(order.symbol),
        "side": order.side.value,
        "type": order.type.value,
        "time_in_force": order.time_in_force.value,
        "order_class": order.order_class.value,
        "status": order.status.value,
        "reason_code": order.reason_code,
        "reason": clean(order.reason),
        "parent_id": order.parent_id,
        "replaces_id": order.replaces_id,
        "quantity": format(order.quantity, "f"),
        "filled_quantity": format(order.filled_quantity, "f"),
        "notional": exact_text(order.notional),
        "limit_price": exact_text(order.limit_price),
        "stop_price": exact_text(order.stop_price),
        "trail_amount": exact_text(order.trail_amount),
        "trail_percent": exact_text(order.trail_percent),
        "tag": clean(order.tag),
        "is_cancel_pending": order.is_cancel_pending,
        "created_ns": order.created_ns,
        "updated_ns": updated_ns,
        "valid_until_ns": order.valid_until_ns,
    }


def order_of(row: Any) -> Order:
    """The order of a row; its legs are linked by `link_legs`."""
    order = Order(
        row["id"],
        row["strategy"],
        row["symbol"],
        Side(row["side"]),
        Decimal(row["quantity"]),
        row["created_ns"],
    )
    order.type = OrderType(row["type"])
    order.time_in_force = TimeInForce(row["time_in_force"])
    order.order_class = OrderClass(row["order_class"])
    order.status = OrderStatus(row["status"])
    for name in _SAME:
        setattr(order, name, row[name])
    for name in _MONEY:
        setattr(order, name, _number(row[name]))
    order.filled_quantity = Decimal(row["filled_quantity"])
    order.is_cancel_pending = bool(row["is_cancel_pending"])
    return order


def event_of(row: Any) -> OrderEvent:
    """One line of the journal."""
    before = row["from_status"]
    return OrderEvent(
        row["order_id"],
        None if before is None else OrderStatus(before),
        OrderStatus(row["to_status"]),
        row["at_ns"],
        row["evidence"],
    )


def link_legs(orders: Iterable[Order]) -> None:
    """Give each order the legs among `orders` that name it as their parent, in their order.

    The second half of a flip names the first as its parent as well, but is no leg of it; what is to
    replace a leg is none yet, or an entry that is sent again would have other exits.
    """
    known = {order.id: order for order in orders}
    for order in known.values():
        parent = known.get(order.parent_id or "")
        if parent is None or order.replaces_id is not None:
            continue
        if parent.order_class is not OrderClass.SIMPLE:
            parent.legs = (*parent.legs, order)


def fill_row(fill: Fill, run_id: str, number: int) -> Row:
    """One fill, the `number`-th of its run."""
    return {
        "run_id": run_id,
        "execution_id": fill.execution_id,
        "number": number,
        "order_id": fill.order_id,
        "strategy": fill.strategy,
        "symbol": fill.symbol,
        "quantity": format(fill.quantity, "f"),
        "price": format(fill.price, "f"),
        "fee": format(fill.fee, "f"),
        "fee_asset": fill.fee_asset,
        "filled_ns": fill.filled_ns,
        "seen_ns": fill.seen_ns,
        "rule": fill.rule,
        "detail": clean(fill.detail),
        "source": None if fill.source is None else _source_text(fill.source),
    }


def fill_of(row: Any) -> Fill:
    """The fill of a row, its bar or quote included."""
    source = None if row["source"] is None else _source(row["symbol"], json.loads(row["source"]))
    return Fill(
        row["order_id"],
        row["execution_id"],
        row["strategy"],
        row["symbol"],
        Decimal(row["quantity"]),
        Decimal(row["price"]),
        Decimal(row["fee"]),
        row["filled_ns"],
        row["rule"],
        row["seen_ns"],
        source,
        row["fee_asset"],
        row["detail"],
    )


def _source_text(source: Observation) -> str:
    numbers = dict(zip(source._fields[1:], source[1:], strict=True))
    try:
        return json.dumps(numbers, allow_nan=False)
    except ValueError:  # JSON knows no NaN and no infinity
        return json.dumps({k: v if math.isfinite(v) else None for k, v in numbers.items()})


def _source(symbol: str, numbers: Mapping[str, Any]) -> Observation:
    if None in numbers.values():
        numbers = {k: math.nan if v is None else v for k, v in numbers.items()}
    return Bar(symbol, **numbers) if "open_ns" in numbers else Quote(symbol, **numbers)


def trade_row(trade: Trade, run_id: str) -> Row:
    """One closed round trip."""
    return {
        "run_id": run_id,
        "strategy": trade.strategy,
        "symbol": trade.symbol,
        "side": trade.side.value,
        "quantity": format(trade.quantity, "f"),
        "entry_price": format(trade.entry_price, "f"),
        "exit_price": format(trade.exit_price, "f"),
        "opened_ns": trade.opened_ns,
        "closed_ns": trade.closed_ns,
        "profit": format(trade.profit, "f"),
        "fees": format(trade.fees, "f"),
    }


def account_event_row(event: AccountEvent, run_id: str) -> Row:
    """One entry of the account's own journal."""
    return {
        "run_id": run_id,
        "id": event.id,
        "kind": event.kind,
        "at_ns": event.at_ns,
        "amount": format(event.amount, "f"),
        "symbol": event.symbol,
        "quantity": exact_text(event.quantity),
        "detail": clean(event.detail),
    }


def account_event_of(row: Any) -> AccountEvent:
    """The account event of a row."""
    return AccountEvent(
        row["id"],
        row["kind"],
        row["at_ns"],
        Decimal(row["amount"]),
        row["symbol"],
        _number(row["quantity"]),
        row["detail"],
    )


def restriction_row(restriction: Restriction, run_id: str | None) -> Row:
    """One restriction as it stands."""
    return {
        "code": restriction.code,
        "symbol": restriction.symbol or "",
        "state": restriction.state.value,
        "sentence": clean(restriction.sentence),
        "since_ns": restriction.since_ns,
        "is_latched": restriction.is_latched,
        "run_id": run_id,
    }


def restriction_of(row: Any) -> Restriction:
    """The restriction of a row."""
    return Restriction(
        row["code"],
        TradingState(row["state"]),
        row["sentence"],
        row["since_ns"],
        bool(row["is_latched"]),
        row["symbol"] or None,
    )


def json_text(values: Mapping[str, Any], what: str) -> str:
    """Write JSON; raises StorageError, naming `what`, for values that JSON does not know."""
    try:
        return json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StorageError(
            f"{what} must hold JSON values only (texts, finite numbers, lists, mappings): {error}."
        ) from None
