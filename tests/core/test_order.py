"""Orders: the table of legal steps in orders.md, and nothing beside it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ticklane.core.errors import IllegalStep
from ticklane.core.market import to_ns
from ticklane.core.order import (
    TERMINAL,
    Order,
    OrderClass,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    TimeInForce,
    public,
)

MIDNIGHT = to_ns(datetime(2024, 1, 2, tzinfo=UTC))
VENUE = "ACKED PARTIAL FILLED CANCELED EXPIRED REJECTED REPLACED"

# orders.md, "States", row by row; "any venue state" written out.
TABLE = {
    "DENIED": "",
    "SENDING": "ACKED PARTIAL FILLED CANCELED EXPIRED REJECTED UNKNOWN",
    "UNKNOWN": f"{VENUE} SENDING QUARANTINED",
    "QUARANTINED": f"{VENUE} NOT_SENT",
    "NOT_SENT": VENUE,
    "ACKED": "PARTIAL FILLED CANCELED EXPIRED REJECTED REPLACED",
    "PARTIAL": "PARTIAL FILLED CANCELED EXPIRED REJECTED REPLACED",
    "FILLED": "PARTIAL FILLED",
    "CANCELED": "PARTIAL FILLED",
    "EXPIRED": "PARTIAL FILLED",
    "REJECTED": "PARTIAL FILLED",
    "REPLACED": "PARTIAL FILLED",
}
OPEN = "SENDING UNKNOWN QUARANTINED ACKED PARTIAL"


def an_order(status="SENDING", quantity="10", **fields):
    order = Order("r1-1", "Trend", "AAPL", Side.BUY, Decimal(quantity), MIDNIGHT)
    order.status = OrderStatus(status)
    for name, value in fields.items():
        setattr(order, name, value)
    return order


@pytest.mark.parametrize("after", OrderStatus)
@pytest.mark.parametrize("before", OrderStatus)
def test_an_order_takes_exactly_the_steps_of_the_table(before, after):
    order = an_order(before)

    if after in TABLE[before].split():
        order.advance(after)
        assert order.status is after
    else:
        with pytest.raises(IllegalStep, match=rf"^order r1-1 cannot step from {before} to {after}"):
            order.advance(after)
        assert order.status is before


def test_a_new_order_is_on_its_way():
    order = Order("r1-1", "Trend", "AAPL", Side.SELL, Decimal(3), 0)

    assert (order.status, order.is_open, order.remaining) == (OrderStatus.SENDING, True, 3)
    assert order.client_order_id == "r1-1"


@pytest.mark.parametrize("status", OrderStatus)
def test_an_order_is_open_until_a_terminal_state(status):
    assert an_order(status).is_open is (status in OPEN.split())
    assert (status in TERMINAL) is not (status in OPEN.split())


def test_a_step_keeps_its_reason_until_another_has_one():
    order = an_order("ACKED")

    order.advance(OrderStatus.CANCELED, Refusal("canceled", "cancelled on request."))
    order.advance(OrderStatus.PARTIAL)

    assert (order.reason_code, order.reason) == ("canceled", "cancelled on request.")


def test_what_one_order_is_told_does_not_change_another():
    one, other = an_order(), an_order()

    one.status, one.filled_quantity, one.tag = OrderStatus.ACKED, Decimal(4), "mine"

    assert (other.status, other.filled_quantity, other.tag) == (OrderStatus.SENDING, 0, "")
    assert one.remaining == 6


def test_the_public_form_holds_plain_values_only():
    order = an_order(
        "PARTIAL",
        "10.5",
        filled_quantity=Decimal(4),
        type=OrderType.LIMIT,
        limit_price=Decimal("9.90"),
        time_in_force=TimeInForce.DAY,
        order_class=OrderClass.BRACKET,
        tag="dip",
    )

    shown = public(order)

    assert {key: shown[key] for key in ("side", "type", "status", "time_in_force", "tag")} == {
        "side": "buy",
        "type": "limit",
        "status": "PARTIAL",
        "time_in_force": "day",
        "tag": "dip",
    }
    assert (shown["quantity"], shown["limit_price"], shown["stop_price"]) == ("10.5", "9.9", None)
    assert shown["created_at"] == datetime(2024, 1, 2, tzinfo=UTC).isoformat()
    assert all(type(value) in (str, type(None)) for value in shown.values())


def test_an_order_describes_itself():
    assert repr(an_order()) == "<Order r1-1 buy 10 AAPL market SENDING>"
    assert "notional 500 AAPL" in repr(an_order(quantity="0", notional=Decimal(500)))
