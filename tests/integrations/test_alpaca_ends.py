"""What a stop, a restart and a venue with gaps in its answers leave behind at the account."""

import asyncio
from decimal import Decimal
from functools import partial

import pytest
from alpaca_builders import PATIENCE, a_broker, a_runner, an_order, at_venue
from test_alpaca_reconcile import Life, a_memory, copied
from test_alpaca_sending import LIMIT, codes

from lane_builders import a_strategy
from ticklane.clock import SystemClock
from ticklane.core.commands import Lift, Restrict
from ticklane.core.market import DAY
from ticklane.core.order import OrderStatus, OrderUpdate
from ticklane.integrations.alpaca.tracks import UNSURE
from ticklane.testing.builders import a_bracket


async def a_stop_after(venue, path, **options):
    """A run that puts up two limit orders, and stops when the venue has them."""
    acked = asyncio.Event()

    def on_tick(strategy, data):
        if not strategy.orders():
            for price in (89, 90):
                strategy.buy("AAPL", 1, order_type="limit", limit_price=price, time_in_force="gtc")

    def on_order(strategy, order):
        if all(one.status == "ACKED" for one in strategy.orders()):
            acked.set()

    strategy = a_strategy(on_tick, on_order=on_order)
    runner = a_runner(a_broker(venue), path, strategy, **options)
    async with runner, asyncio.timeout(PATIENCE):
        runner.feed.show(100, SystemClock().now_ns())
        await acked.wait()


async def test_a_stop_that_is_to_cancel_waits_until_the_venue_has_done_it(venue, tmp_path):
    venue.price("AAPL", 100)

    await a_stop_after(venue, tmp_path / "runs.db", cancel_on_stop=True)

    assert [one["status"] for one in venue.ledger.orders] == ["canceled"] * 2


async def test_a_stop_leaves_open_orders_where_they_are_unless_told_otherwise(venue, tmp_path):
    venue.price("AAPL", 100)

    await a_stop_after(venue, tmp_path / "runs.db")

    assert [one["status"] for one in venue.ledger.orders] == ["new"] * 2


async def test_an_entry_counts_from_when_it_was_decided_not_from_the_bar_before(venue, tmp_path):
    venue.price("AAPL", 100)
    acked = asyncio.Event()
    strategy = a_strategy(lambda s, data: s.buy("AAPL", 1), on_order=lambda s, order: acked.set())
    runner = a_runner(a_broker(venue), tmp_path / "runs.db", strategy)

    async with runner, asyncio.timeout(PATIENCE):
        runner.feed.show(100, SystemClock().now_ns() - 90_000_000_000)
        await acked.wait()

        assert len(venue.ledger.orders) == 1


async def test_entries_go_on_when_an_operator_has_released_a_fill_beyond_the_quantity(bench):
    order = await bench.submit(an_order(1))
    bench.broker._hearing.note_excess(bench.broker.tracks.by_id[order.id])

    entry = await bench.submit(an_order(1, valid_until_ns=1 << 62))

    assert codes(bench, Restrict) == ["fill_beyond_quantity"]
    assert bench.journey(entry) == "ACKED FILLED"


async def test_what_could_not_be_read_is_asked_for_again_from_the_same_instant(bench):
    reconciler = bench.broker._reconciler
    since_ns = reconciler.since_ns = reconciler.since_ns - 10 * DAY
    bench.venue.fault("GET /v2/account/activities*", "status", status=403, times=1)

    report = await bench.broker.reconcile()
    was_kept = reconciler.since_ns == since_ns
    await bench.broker.reconcile()

    assert (report.is_complete, was_kept) == (False, True)
    assert reconciler.since_ns > since_ns


async def test_exits_of_a_filled_entry_are_named_after_a_restart(venue):
    async with at_venue(venue) as before:
        entry = await before.submit(a_bracket(an_order(2), 110, 90))
        done, legs = copied(entry), [copied(leg) for leg in entry.legs]
        done.legs = ()
        for leg in legs:
            leg.status, leg.broker_order_id = OrderStatus.SENDING, None
        memory = a_memory(before, entry)

    async with Life(venue, **{**memory, "orders": tuple(legs), "closed": (done,)}) as bench:
        await bench.until(lambda: all(leg.broker_order_id for leg in legs))

        assert bench.report.differs == []


async def a_moved_exit(bench, which=0, times=1):
    """A bracket of which the target (0) or the stop (1) was replaced: entry, other exit, moved."""
    entry = await bench.submit(a_bracket(an_order(2, **LIMIT), 110, 90))
    moved = [entry.legs[which]]
    for number in range(times):
        terms = ({"limit_price": 111 + number}, {"stop_price": 89 - number})[which]
        by = an_order(2, side="sell", type=moved[0].type, parent_id=entry.id, **terms)
        moved.append(await bench.replace(moved[-1], by))
    return [entry, entry.legs[1 - which], *moved]


def forgotten(bench, entry, *others):
    """What a database knows that was killed before the first answer about any of these orders."""
    lost = [copied(one) for one in (entry, *others)]
    for one in lost:
        one.status, one.broker_order_id, one.filled_quantity = OrderStatus.SENDING, None, Decimal(0)
    lost[0].legs = tuple(one for one in lost[1:] if one.replaces_id is None)
    return a_memory(bench, fills=()) | {"orders": tuple(lost)}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("price", "entry_ends_as"), [(100, "ACKED"), (94, "FILLED")])
async def test_an_exit_replaced_before_its_name_was_kept_is_named_after_a_restart(
    venue, which, times, price, entry_ends_as
):
    async with at_venue(venue) as before:
        orders = await a_moved_exit(before, which, times)
        await before.price(price)
        names = [one.broker_order_id for one in orders]
        memory = forgotten(before, *orders)

    async with Life(venue, **memory) as bench:
        found = memory["orders"]
        await bench.until(lambda: not any(one.status in UNSURE for one in found))

        assert [one.broker_order_id for one in found] == names
        ends = [entry_ends_as, "ACKED", *["REPLACED"] * times, "ACKED"]
        assert [one.status for one in found] == ends
        assert bench.report.differs == []


async def test_a_name_is_kept_before_what_it_was_learned_from(venue):
    async with at_venue(venue) as before:
        orders = await a_moved_exit(before)
        memory = forgotten(before, *orders)

    async with Life(venue, **memory) as bench:
        ids = [message.order_id for message in bench.of(OrderUpdate) if message.broker_order_id]

        assert ids.index(orders[2].id) < ids.index(orders[3].id)


async def test_a_name_that_another_order_has_is_not_taken(venue):
    async with at_venue(venue) as before:
        orders = await a_moved_exit(before, which=1)
        target, by = orders[1].broker_order_id, orders[3].broker_order_id
        await asyncio.to_thread(venue.do, partial(say_it_replaces, venue, by, target))
        memory = forgotten(before, *orders)

    async with Life(venue, **memory) as bench:
        assert bench.broker.tracks.by_broker_id[target].order.id == orders[1].id


def say_it_replaces(venue, broker_id, other):
    """Let the venue claim that this order has replaced that one."""
    venue.exchange.orders[broker_id].replaces = other


async def test_an_exit_that_the_venue_never_made_is_not_told_as_filled(bench):
    order = await bench.submit(an_order(2))
    track, leg = bench.broker.tracks.by_id[order.id], an_order(2, side="sell", **LIMIT)
    bench.orders[leg.id], leg.parent_id = leg, order.id
    track.legs = (bench.broker.tracks.add(leg),)

    await bench.broker._sender.legs.find(track)

    assert leg.status == "CANCELED"


async def test_an_exit_that_is_cancelled_before_it_has_a_name_is_cancelled_later(venue):
    async with at_venue(venue) as bench:
        entry = await bench.submit(a_bracket(an_order(2), 110, 90))
        track = bench.broker.tracks.by_id[entry.id]
        for leg in track.legs:
            del bench.broker.tracks.by_broker_id[leg.broker_id]
            leg.broker_id = None

        await bench.cancel(entry.legs[0])
        await bench.broker._sender.legs.find(track)
        await bench.until(lambda: not entry.legs[0].is_open)

        assert entry.legs[0].status == "CANCELED"


async def test_a_clock_that_cannot_be_read_stops_nothing(bench):
    bench.venue.fault("GET /v2/clock", "status", status=200, body={"timestamp": "soon"})

    await bench.broker._watch.compare_clocks()

    assert codes(bench, Restrict) == []


async def test_a_kill_switch_cancels_orders_of_ours_that_this_run_does_not_know(venue, tmp_path):
    venue.price("AAPL", 100)
    broker = a_broker(venue)
    runner = a_runner(broker, tmp_path / "runs.db", a_strategy(lambda s, data: None))

    async with runner, asyncio.timeout(PATIENCE):
        for name in (broker.tracks.prefix + "r0-9", "by-hand"):
            await asyncio.to_thread(venue.do, partial(a_limit_order, venue, name))
        report = await broker.reconcile()
        await runner.halt("enough")
        while venue.ledger.orders[0]["status"] == "new":  # noqa: ASYNC110
            await asyncio.sleep(0)

        assert [line for line in report.adopted if "does not know" in line]
        assert [one["status"] for one in venue.ledger.orders] == ["canceled", "new"]


def a_limit_order(venue, client_order_id):
    """Somebody's order, put up without us."""
    terms = {"type": "limit", "limit_price": "90", "time_in_force": "gtc"}
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "client_order_id": client_order_id}
    return venue.exchange.submit({**order, **terms})


async def test_a_correction_halts_its_symbol_until_the_account_has_been_compared(bench):
    order = await bench.submit(an_order(2))
    [shown] = bench.venue.ledger.orders
    bench.broker._hearing.take({"event": "trade_correct", "order": shown})
    halted = codes(bench, Restrict)

    await bench.broker.reconcile()

    assert (halted, codes(bench, Lift)) == (["trade_corrected"], ["trade_corrected"])
    assert bench.journey(order) == "ACKED FILLED"
