"""The whole way: a strategy, the runner, SQLite, AlpacaBroker and the local venue, over lives."""

import asyncio

import pytest
from alpaca_builders import PATIENCE, a_broker, a_runner

from lane_builders import a_strategy
from ticklane.clock import SystemClock


class Life:
    """One life of a daemon that buys one share a bar until it holds two."""

    def __init__(self, venue, path, **options):
        self.venue = venue
        self.filled, self.asked, self.acked = (asyncio.Event() for _ in range(3))
        self.broker = a_broker(venue, **options)

        def on_tick(strategy, data):
            self.asked.set()
            if strategy.portfolio.position("AAPL").quantity < 2 and not strategy.orders():
                strategy.buy("AAPL", 1)

        def on_order(strategy, order):
            if order.status == "ACKED":
                self.acked.set()

        strategy = a_strategy(on_tick, on_fill=lambda s, fill: self.filled.set(), on_order=on_order)
        self.runner = a_runner(self.broker, path, strategy)

    async def __aenter__(self):
        await self.runner.start()
        return self

    async def __aexit__(self, *_):
        await self.runner.stop()

    async def bar(self, price, event):
        """Show a bar and wait for what it leads to."""
        event.clear()
        self.venue.price("AAPL", price)
        self.runner.feed.show(price, SystemClock().now_ns())
        async with asyncio.timeout(PATIENCE):
            await event.wait()

    @property
    def held(self):
        return self.runner.portfolio.net("AAPL")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


async def test_a_run_goes_on_after_a_stop_with_books_equal_to_the_venue(venue, path):
    venue.price("AAPL", 100)
    async with Life(venue, path) as first:
        await first.bar(101, first.filled)
    async with Life(venue, path) as second:
        await second.bar(102, second.filled)
        await second.bar(103, second.asked)

        assert second.runner.is_resumed
        assert (second.held, second.runner.portfolio.cash) == (2, 100_000 - 101 - 102)
        assert len(venue.ledger.executions) == 2


async def test_what_filled_while_the_daemon_was_down_is_booked_before_the_first_tick(venue, path):
    venue.price("AAPL", 100)
    venue.switch(is_matching=False)
    async with Life(venue, path) as first:
        await first.bar(101, first.acked)
    [order] = venue.ledger.orders
    venue.fill(order["id"], price=101)
    async with Life(venue, path) as second:
        async with asyncio.timeout(PATIENCE):
            await second.filled.wait()

        assert second.held == 1


async def test_every_strategy_hears_of_what_filled_while_the_daemon_was_down(venue, path):
    venue.price("AAPL", 100)
    venue.switch(is_matching=False)
    async with asyncio.timeout(PATIENCE):
        first, heard, told = two_buyers(venue, path, "ACKED")
        async with first:
            first.feed.show(101, SystemClock().now_ns())
            await told.wait()
        for order in venue.ledger.orders:
            venue.fill(order["id"], price=101)
        second, heard, told = two_buyers(venue, path, "FILLED")
        async with second:
            await told.wait()

    assert sorted(heard) == ["One", "Two"]


def two_buyers(venue, path, status):
    """A runner, who has heard of an order that is so now, and an event that is set when both."""
    heard, told = [], asyncio.Event()

    def on_tick(strategy, data):
        if not strategy.orders():
            strategy.buy("AAPL", 1)

    def on_order(strategy, order):
        if order.status == status:
            heard.append(strategy.name)
        if len(heard) == 2:
            told.set()

    both = (a_strategy(on_tick, name=name, on_order=on_order) for name in ("One", "Two"))
    return a_runner(a_broker(venue), path, *both), heard, told


async def test_nothing_is_bought_while_the_stream_is_down(venue, path):
    venue.price("AAPL", 100)
    async with Life(venue, path) as life:
        venue.fault("CONNECT /stream", "refuse", times=None, status=503)
        venue.drop_sockets()
        async with asyncio.timeout(PATIENCE):
            while life.runner.trading.state() == "ACTIVE":  # noqa: ASYNC110
                await asyncio.sleep(0)
        await life.bar(101, life.asked)

        assert venue.ledger.orders == []
