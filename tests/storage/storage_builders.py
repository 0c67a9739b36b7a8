"""Builders for the tests of the storage room."""

import os
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import ticklane.core
from ticklane.core.events import (
    EquityMarked,
    FillBooked,
    OrderMoved,
    SignalGiven,
    StateSaved,
    TickCompleted,
)
from ticklane.core.market import SECOND, Bar
from ticklane.core.order import Fill, Order, OrderEvent, OrderStatus, Side
from ticklane.core.position import Trade
from ticklane.core.signal import Intent, Signal

START = 1_700_000_000 * SECOND
BACKEND = Path(ticklane.core.__file__).parents[2]


def an_order(number=1, quantity="10", run="r1", **fields):
    order = Order(
        f"{run}-{number}", "Trend", "AAPL", Side.BUY, Decimal(quantity), START + number * SECOND
    )
    for name, value in fields.items():
        setattr(order, name, value)
    return order


def born(order):
    """The event of a new order in the state it has."""
    line = OrderEvent(order.id, None, order.status, order.created_ns, "intent")
    return OrderMoved(order, line)


def moved(order, status, evidence="venue"):
    """Take a step and tell of it."""
    before = order.status
    order.advance(status)
    line = OrderEvent(order.id, before, status, order.created_ns + SECOND, evidence)
    return OrderMoved(order, line)


def a_bar(close=101.25, at_ns=START):
    return Bar("AAPL", at_ns - 60 * SECOND, at_ns, 100.1, 102.0, 99.5, close, 12345.0)


def a_fill(order, execution_id="x1", quantity="10", price="101.25", fee="0", **fields):
    fill = Fill(
        order.id,
        execution_id,
        order.strategy,
        order.symbol,
        Decimal(quantity),
        Decimal(price),
        Decimal(fee),
        order.created_ns + SECOND,
        "market_open",
        order.created_ns + 2 * SECOND,
        a_bar(),
    )
    return fill._replace(**fields)


def a_trade(closed_ns=START, profit="12.34567891"):
    return Trade(
        "Trend",
        "AAPL",
        Side.BUY,
        Decimal("10"),
        Decimal(100) / 3,
        Decimal("34.5"),
        START - 60 * SECOND,
        closed_ns,
        Decimal(profit),
        Decimal("0.5"),
    )


def a_signal(order, reason_code="", reason=""):
    intent = Intent(order.symbol, Signal.BUY, order.quantity)
    return SignalGiven(
        order.strategy, order.created_ns, intent, "BUY 10 AAPL", order, reason_code, reason
    )


def a_whole_tick(number, run="r1"):
    """One row for each table, all told by the same instant, and the cursor at it."""
    order = an_order(number, run=run)
    at_ns = order.created_ns
    fill = a_fill(order, f"x{number}", filled_ns=at_ns)
    return [
        a_signal(order),
        born(order),
        FillBooked(fill, a_trade(closed_ns=at_ns)),
        EquityMarked(at_ns, 100_000.0 + number, Decimal("100000.01")),
        StateSaved("Trend", at_ns, f'{{"count": {number}}}'),
        TickCompleted(at_ns, {"last": number}),
    ]


def fields_of(order):
    """All an order holds, its legs by id, to compare two of them."""
    fields = {name: getattr(order, name) for name in {*Order.__annotations__, *vars(order)}}
    return {**fields, "legs": [leg.id for leg in order.legs]}


STATUS = OrderStatus
NOBODY = 65534


@contextmanager
def somebody_else():
    """Be a user without rights, where we are root; else change nothing."""
    real, effective, saved = os.getresuid()
    if effective == 0:
        os.setresuid(NOBODY, NOBODY, 0)
    yield
    os.setresuid(real, effective, saved)


@contextmanager
def a_holder(program, place):
    """Another process that has this database, until it is let go or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BACKEND)},
    )
    process.stdin.write(f"{place}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
