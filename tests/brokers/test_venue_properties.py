"""What holds in every history of the simulated venue, whatever is sent to it."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_histories import FLAT, Run, steps, venues

from ticklane.core.market import Bar
from ticklane.core.order import OrderStatus, OrderType

CASH_STEP = Decimal("1e-8")


def play(examples, is_random=False):
    """Check everything after each step of random histories."""

    @settings(
        max_examples=examples,
        derandomize=not is_random,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(venues, st.lists(steps, max_size=30))
    def run(venue, history):
        asyncio.run(walk(venue, history))

    run()


async def walk(venue, history):
    run = Run(venue)
    await run.bench.open()
    for step in (FLAT, *history):
        known = len(run.bench.fills)
        await run.take(step)
        check_account(run)
        check_orders(run)
        for fill in run.bench.fills[known:]:
            assert step[0] in ("tick", "quote"), "only prices fill orders"
            check_fill(run, fill)


def check_account(run):
    """The venue's cash and positions are what its fills add up to, and never what is forbidden."""
    fills, broker = run.bench.fills, run.bench.broker
    paid = sum((fill.quantity * fill.price).quantize(CASH_STEP) + fill.fee for fill in fills)
    held = {}
    for fill in fills:
        held[fill.symbol] = held.get(fill.symbol, 0) + fill.quantity
    assert broker.cash == broker.starting_cash - paid
    assert broker.positions == {symbol: quantity for symbol, quantity in held.items() if quantity}
    if not run.venue.get("allow_short"):
        assert min(held.values(), default=0) >= 0
        assert broker.cash >= 0


def check_orders(run):
    """Desk and venue agree on what is open, and nothing fills beyond its size."""
    bench = run.bench
    open_orders = {one.id for one in bench.orders.values() if one.is_open}
    assert open_orders == set(bench.broker.venue.by_id)
    for order in bench.orders.values():
        filled = sum(abs(fill.quantity) for fill in bench.fills_of(order))
        assert filled == order.filled_quantity <= order.quantity
        if order.status is OrderStatus.FILLED:
            assert filled == order.quantity
        if order.legs:
            check_family(run, order)


def check_family(run, head):
    """Exits give back at most what their entry, and what replaced it, has brought."""
    bench = run.bench
    family = [one for one in bench.orders.values() if one.parent_id == head.id]
    ids = {head.id, *(one.id for one in bench.orders.values() if one.broker_order_id == head.id)}
    brought = sum(bench.orders[key].filled_quantity for key in ids)
    out = sum(one.filled_quantity for one in family)
    if head.order_class == "oco":
        assert out + brought <= run.sizes[head.id]
    else:
        assert out <= brought


def check_fill(run, fill):
    """At a price that was there, within the limit, on the tick, after the order's arrival."""
    order, seen = run.bench.orders[fill.order_id], fill.source
    arrival = order.created_ns + run.bench.broker.venue.latency_ns
    opened_ns = seen.open_ns if isinstance(seen, Bar) else seen.time_ns
    assert arrival <= opened_ns <= fill.filled_ns <= fill.seen_ns == run.bench.now_ns
    if order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        limit = order.limit_price
        assert fill.price <= limit if fill.quantity > 0 else fill.price >= limit
    if isinstance(seen, Bar) and "slippage" not in run.venue and "instruments" not in run.venue:
        assert seen.low <= fill.price <= seen.high
    rules = run.bench.broker.instrument(fill.symbol).rules
    assert rules.tick is None or fill.price % rules.tick == 0
    assert rules.lot is None or fill.quantity % rules.lot == 0


def test_in_every_history_money_orders_and_prices_are_sound():
    play(examples=200)


@pytest.mark.slow
def test_in_every_history_money_orders_and_prices_are_sound_many_times():
    play(examples=4_000, is_random=True)
