"""Orders that were over and forgotten: whatever Alpaca tells of them later is booked once."""

import asyncio

import pytest
from alpaca_builders import PATIENCE
from test_alpaca_run import Life

from lane_builders import a_strategy
from ticklane.core.market import DAY
from ticklane.engine import remembering
from ticklane.integrations.alpaca import strangers
from ticklane.storage import runs
from ticklane.storage.reader import Reader

RESTING = {"order_type": "limit", "limit_price": 90, "time_in_force": "gtc"}


class Trading(Life):
    """One life of a daemon that does what it is told, a wish a bar."""

    def __init__(self, venue, path, **options):
        super().__init__(venue, path, **options)
        self.wishes, self.path = [], path
        name = "Told"

        def on_tick(strategy, data):
            self.asked.set()
            for wish in self.wishes:
                wish(strategy)
            self.wishes.clear()

        strategy = a_strategy(on_tick, name=name, on_fill=lambda s, fill: self.filled.set())
        self.runner.hosts.clear()
        self.runner.load_strategy(strategy)

    async def want(self, wish):
        """Let the strategy do this at a bar, and wait until Alpaca has answered."""
        self.wishes.append(wish)
        await self.bar(100, self.asked)
        await self.until(lambda: not self.runner.broker.tracks.unsure())
        return list(self.runner.desk.orders.values())[-1]

    async def until(self, is_so):
        async with asyncio.timeout(PATIENCE):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def rest_and_cancel(self):
        """An order that was cancelled before it had filled."""
        order = await self.want(lambda s: s.buy("AAPL", 2, **RESTING))
        await self.until(lambda: order.status == "ACKED")
        await self.want(lambda s: s.cancel(order))
        await self.until(lambda: order.status == "CANCELED")
        return order

    async def buy(self):
        order = await self.want(lambda s: s.buy("AAPL", 2))
        await self.until(lambda: order.status == "FILLED")
        return order

    async def forget(self, *orders):
        """Let the lane look at its memory long after; what is under way is not forgotten yet."""
        ids, tracks = {one.id for one in orders}, self.broker.tracks
        async with asyncio.timeout(PATIENCE):
            while ids & {*self.runner.desk.orders, *tracks.by_id}:
                self.runner._next_look_ns = 0
                await self.runner._forget_old()
                await asyncio.sleep(0)
        assert not {one.broker_order_id for one in orders} & {*tracks.by_broker_id}

    async def report(self):
        """What a comparison with the venue finds to be different."""
        return (await self.broker.reconcile()).differs

    @property
    def booked(self):
        with Reader(self.path) as reader:
            return [(fill["order_id"], fill["quantity"]) for fill in reader.fills()]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """What is over is long over."""
    monkeypatch.setattr(remembering, "_KEPT_NS", 0)
    monkeypatch.setattr(strangers, "_READ_BACK_NS", -2 * DAY)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


async def test_a_late_fill_that_the_stream_tells_is_booked_once(venue, path):
    async with Trading(venue, path) as life:
        order = await life.rest_and_cancel()
        await life.forget(order)
        venue.fill(order.client_order_id, 1, 90)
        await life.until(lambda: life.held == 1)

        assert await life.report() == await life.report() == []
        known = life.runner.desk.orders[order.id]
        assert (known.status, known.filled_quantity) == ("CANCELED", 1)
        assert life.runner.trading.state() == "ACTIVE"
    assert life.booked == [(order.id, "1")]


async def test_a_late_fill_that_only_a_comparison_finds_is_ours(venue, path):
    async with Trading(venue, path) as life:
        order = await life.rest_and_cancel()
        await life.forget(order)
        venue.fault("SEND /stream", "lost", times=None)
        venue.fill(order.client_order_id, 2, 90)
        found = await life.broker.reconcile()
        await life.until(lambda: life.held == 2)

        assert found.differs == []
        assert f"a fill of order {order.id}: 2 AAPL at 90." in found.adopted
        assert not any("not ours" in line for line in found.found)
    assert life.booked == [(order.id, "2")]


async def test_fills_of_forgotten_orders_that_are_read_again_are_known(venue, path):
    async with Trading(venue, path) as life:
        order = await life.buy()
        await life.forget(order)

        assert await life.report() == []
        assert life.held == 2
    assert life.booked == [(order.id, "2")]


async def test_a_late_fill_of_a_forgotten_exit_is_booked_by_its_own_id(venue, path):
    async with Trading(venue, path) as life:
        exits = {"take_profit": 150, "stop_loss": 50}
        await life.want(lambda s: s.buy("AAPL", 2, **exits))
        entry, *legs = life.runner.desk.orders.values()
        await life.until(lambda: entry.status == "FILLED" and all(o.broker_order_id for o in legs))
        for leg in legs:
            await life.want(lambda s, leg=leg: s.cancel(leg))
        await life.until(lambda: not any(leg.is_open for leg in legs))
        await life.forget(entry, *legs)
        venue.fill(legs[0].broker_order_id, 1)
        await life.until(lambda: life.held == 1)

        assert await life.report() == []
    assert life.booked == [(entry.id, "2"), (legs[0].id, "-1")]


@pytest.mark.parametrize("days", [2, -2], ids=["lately", "long ago"])
async def test_a_fill_of_an_order_closed_before_the_restart_is_booked_once(
    venue, path, monkeypatch, days
):
    monkeypatch.setattr(runs, "_LATELY_NS", days * DAY)
    async with Trading(venue, path) as first:
        bought, canceled = await first.buy(), await first.rest_and_cancel()
    venue.fill(canceled.client_order_id, 1, 90)
    async with Trading(venue, path) as second:
        await second.until(lambda: second.held == 3)

        assert second.runner.is_resumed
        assert await second.report() == []
        assert second.runner.portfolio.cash == 100_000 - 2 * 100 - 90
    async with Trading(venue, path) as third:
        assert await third.report() == []
        assert third.held == 3
    assert third.booked == [(bought.id, "2"), (canceled.id, "1")]


@pytest.mark.parametrize("days", [2, -2], ids=["lately", "long ago"])
async def test_a_fill_of_an_order_closed_before_a_reconnect_is_booked_once(
    venue, path, monkeypatch, days
):
    async with Trading(venue, path) as life:
        order = await life.rest_and_cancel()
        if days < 0:
            await life.forget(order)
        venue.fault("CONNECT /stream", "refuse", status=503)
        venue.drop_sockets()
        await life.until(lambda: not life.broker._stream.is_up)
        venue.fill(order.client_order_id, 1, 90)
        await life.until(lambda: life.held == 1)
        await life.until(lambda: life.runner.trading.state() == "ACTIVE")

        assert await life.report() == []
    assert life.booked == [(order.id, "1")]


async def test_somebody_elses_order_stays_somebody_elses(venue, path):
    async with Trading(venue, path) as life:
        await life.forget(await life.buy())
        body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market"}
        terms = {"time_in_force": "day", "client_order_id": "by-hand"}
        await asyncio.to_thread(venue.do, lambda: venue.exchange.submit({**body, **terms}))
        await asyncio.to_thread(venue.price, "AAPL", 100)
        found = await life.broker.reconcile()

        assert any("a fill that is not ours: buy 1 AAPL" in line for line in found.found)
        assert (found.differs, life.held) == ([], 2)
