"""A database that was taken back from a copy: what it does not know is found and followed."""

import asyncio
import shutil
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from alpaca_builders import PATIENCE, a_broker, a_runner, an_order, at_venue
from test_alpaca_sending import LIMIT

from lane_builders import a_strategy
from ticklane.app.doors import doors_of
from ticklane.clock import SystemClock
from ticklane.core.order import OrderStatus
from ticklane.storage.reader import Reader


@asynccontextmanager
async def a_life(venue, path, **options):
    """A daemon whose strategy does what is asked of it from outside."""
    wishes = []

    def on_tick(strategy, data):
        return [wishes.pop(0)] if wishes else None

    runner = a_runner(a_broker(venue, **options), path, a_strategy(on_tick))
    runner.wishes = wishes
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def wish(runner, venue, **terms):
    """Have the strategy ask for something, and give back the order that came of it."""
    known = set(runner.desk.orders)
    runner.wishes.append({"symbol": "AAPL", "signal": "BUY", "quantity": 1, **terms})
    runner.feed.show(100, SystemClock().now_ns())
    async with asyncio.timeout(PATIENCE):
        while not (new := set(runner.desk.orders) - known):  # noqa: ASYNC110
            await asyncio.sleep(0)
        order = runner.desk.orders[new.pop()]
        while order.status in (OrderStatus.SENDING, OrderStatus.UNKNOWN):  # noqa: ASYNC110
            await asyncio.sleep(0)
    return order


async def until(is_so):
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0)


OFFER = {"order_type": "limit", "limit_price": 90, "time_in_force": "gtc"}


@pytest.fixture
async def lost(venue, tmp_path):
    """A database from before its run's second order, which is open at the venue."""
    path = tmp_path / "runs.db"
    venue.price("AAPL", 100)
    async with a_life(venue, path) as runner:
        first = await wish(runner, venue)
        await until(lambda: not first.is_open)
    shutil.copy(path, tmp_path / "copy.db")
    async with a_life(venue, path) as runner:
        order = await wish(runner, venue, **OFFER, quantity=3)
        assert order.status is OrderStatus.ACKED
    return tmp_path / "copy.db", order


def rows_of(path, **which):
    with Reader(path) as reader:
        return {row["id"]: row for row in reader.orders(**which)}


async def test_an_open_order_of_the_run_is_followed_under_its_own_id(venue, lost):
    path, order = lost
    async with a_life(venue, path) as runner:
        report = await doors_of(runner)["reconcile"]()
        found = runner.desk.orders[order.id]

        assert report["differs"] == []
        assert (found.strategy, found.status, found.limit_price) == ("orphan", "ACKED", 90)
        assert found.client_order_id == order.client_order_id
        assert not runner.trading.restrictions

    row = rows_of(path)[order.id]
    assert (row["status"], row["quantity"], row["strategy"]) == ("ACKED", "3", "orphan")


async def test_it_can_be_cancelled(venue, lost):
    path, order = lost
    async with a_life(venue, path) as runner:
        await runner.cancel(order.id)
        await until(lambda: not runner.desk.orders[order.id].is_open)

    assert rows_of(path)[order.id]["status"] == "CANCELED"
    assert venue.exchange.by_client_id[order.client_order_id].status == "canceled"


async def test_its_fills_are_booked_once_in_a_book_of_its_own(venue, lost):
    path, order = lost
    await asyncio.to_thread(venue.fill, order.client_order_id, 1, 90)
    async with a_life(venue, path) as runner:
        await until(lambda: runner.portfolio.net("AAPL") == 2)
        await asyncio.to_thread(venue.fill, order.client_order_id, 2, 89)
        await until(lambda: runner.portfolio.net("AAPL") == 4)
        report = await doors_of(runner)["reconcile"]()

        assert report["differs"] == []
        assert runner.portfolio.books["orphan"].cash == -90 - 178

    async with a_life(venue, path) as runner:
        report = await doors_of(runner)["reconcile"]()

        assert (report["differs"], report["adopted"]) == ([], [])
        assert runner.portfolio.net("AAPL") == 4
        assert runner.portfolio.cash == Decimal(venue.exchange.account.cash)
        await runner.flatten("enough")
        await until(lambda: not runner.portfolio.net("AAPL"))


async def test_no_later_order_gets_its_id(venue, lost):
    path, order = lost
    async with a_life(venue, path) as runner:
        later = await wish(runner, venue)
        await until(lambda: not later.is_open)
    async with a_life(venue, path) as runner:
        last = await wish(runner, venue)
        await until(lambda: not last.is_open)

    assert len({order.id, later.id, last.id}) == 3
    assert (later.status, last.status) == (OrderStatus.FILLED, OrderStatus.FILLED)


async def test_an_order_that_is_over_and_has_the_same_id_is_not_taken_for_ours(venue, lost):
    path, order = lost
    await asyncio.to_thread(venue.cancel, order.client_order_id)
    async with a_life(venue, path) as runner:
        later = await wish(runner, venue)
        last = await wish(runner, venue)
        await until(lambda: not last.is_open)

    assert (later.id, later.status, later.reason_code) == (order.id, "REJECTED", "id_taken")
    assert last.status is OrderStatus.FILLED


async def test_what_another_run_has_sent_is_shown_and_not_taken_over(venue):
    async with at_venue(venue) as bench:
        order = an_order(1, **LIMIT)
        order.client_order_id = "tl-abc123-r0-7"
        await asyncio.to_thread(
            venue.do,
            lambda: venue.exchange.submit(
                {
                    "symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit",
                    "limit_price": "90", "time_in_force": "gtc",
                    "client_order_id": order.client_order_id,
                }
            ),
        )  # fmt: skip
        report = await bench.broker._reconciler.run("start")

        assert "that this run does not know" in report.adopted[0]
        assert bench.broker._reconciler.orphans


async def test_a_late_fill_of_one_that_was_over_at_the_restart_is_booked(venue, lost):
    path, order = lost
    async with a_life(venue, path) as runner:
        await runner.cancel(order.id)
        await until(lambda: not runner.desk.orders[order.id].is_open)

    async with a_life(venue, path) as runner:
        await asyncio.to_thread(venue.fill, order.client_order_id, 1, 90)
        await until(lambda: runner.portfolio.net("AAPL") == 2)

        assert runner.portfolio.books["orphan"].quantity("AAPL") == 1
        assert runner.state == "running"


async def test_nothing_is_adopted_once_strategies_run(venue, lost, monkeypatch):
    monkeypatch.setattr("ticklane.integrations.alpaca.broker._AGAIN_SECONDS", 0.05)
    path, order = lost
    venue.fault("GET /v2/orders", "status", status=403, times=1)
    async with a_life(venue, path) as runner:
        runner.wishes.append({"symbol": "AAPL", "signal": "BUY", "quantity": 7})
        runner.feed.show(100, SystemClock().now_ns())
        await until(lambda: order.id in runner.desk.orders)
        await until(lambda: not runner.trading.restrictions)

        own = runner.desk.orders[order.id]
        assert (own.strategy, own.status) == ("Scripted", OrderStatus.DENIED)
        assert order.id not in runner.broker.tracks.by_id
        assert order.broker_order_id in runner.broker._reconciler.orphans
