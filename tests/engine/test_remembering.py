"""What is long over leaves the memory; what is told of it later is booked once, or halts."""

import asyncio

import pytest

from lane_builders import Gate, a_feed, a_runner, a_strategy, minute, replayed, some_bars
from ticklane.brokers.paper import PaperBroker
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.correction import Correction
from ticklane.core.market import DAY
from ticklane.core.order import OrderUpdate
from ticklane.engine import desk as desks
from ticklane.engine import remembering
from ticklane.storage.reader import Reader
from ticklane.storage.service import StorageService
from ticklane.testing.builders import a_fill

FAR = {"order_type": "limit", "limit_price": 1, "time_in_force": "gtc"}


def a_trader(**protection):
    """Buys a share at the first minute, and rests an order far away at the second."""

    def on_tick(self, data):
        if data.time_ns == minute(1):
            self.first = self.buy("AAPL", 1, **protection)
        elif data.time_ns == minute(2):
            self.buy("AAPL", 1, **FAR)

    return a_strategy(on_tick, on_order=lambda self, order: self.seen.append(order), seen=[])


class Going:
    """A paper run with a database that has seen three bars."""

    def __init__(self, folder, strategy=None, broker=None):
        self.place, self.gate = folder / "runs.db", Gate()
        self.strategy = strategy or a_trader()
        self.runner = a_runner(
            self.strategy,
            feed=a_feed(some_bars(9), sleep=self.gate),
            broker=broker or PaperBroker(),
            storage=StorageService(self.place, minimum_free_bytes=0),
        )

    async def __aenter__(self):
        await self.runner.start()
        self.desk = self.runner.desk
        await self.gate.open(3)
        await self.until(lambda: self.held == 1 and self.strategy.seen[-1].limit_price)
        return self

    async def __aexit__(self, *_):
        await self.runner.stop()

    async def until(self, is_so):
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def pass_time(self, days):
        """Let the lane look at its memory so many days later."""
        now_ns = self.runner._present_ns()
        self.runner._over_since = dict.fromkeys(self.desk.orders, now_ns - days * DAY)
        self.runner._next_look_ns = 0
        await self.runner._forget_old()

    async def tell(self, order, **fields):
        """Have the broker tell of a fill of this order."""
        fill = a_fill(1, 20, order=order, **fields)
        self.runner.broker.put(OrderUpdate(order.id, None, minute(3), fill))
        await self.runner._inbox.drained()

    @property
    def held(self):
        return self.runner.portfolio.net("AAPL")

    @property
    def restricted(self):
        return [one.code for one in self.runner.trading.restrictions.values()]


async def test_two_days_after_its_end_an_order_is_forgotten_and_an_open_one_never(tmp_path):
    async with Going(tmp_path) as going:
        bought, resting = going.desk.orders.values()
        await going.pass_time(1)
        first = list(going.desk.orders)
        await going.pass_time(2)

        assert first == [bought.id, resting.id]
        assert list(going.desk.orders) == [resting.id]
        assert going.held == 1


async def test_an_entry_stays_as_long_as_one_of_its_exits_is_open(tmp_path):
    async with Going(tmp_path, a_trader(take_profit=1000, stop_loss=1)) as going:
        await going.pass_time(9)

        assert len(going.desk.orders) == 4


async def test_what_the_broker_needs_still_is_not_forgotten(tmp_path):
    class Clinging(PaperBroker):
        def forget(self, family):
            return False

    async with Going(tmp_path, broker=Clinging()) as going:
        await going.pass_time(9)

        assert len(going.desk.orders) == 2


async def test_the_desk_forgets_nothing_by_itself_where_there_is_a_database(tmp_path, monkeypatch):
    monkeypatch.setattr(desks, "_MANY", 2)
    async with Going(tmp_path) as going:
        going.desk.tape = None  # which keeps all as well
        for _ in range(3):  # more than is held: denied, so they are over
            wish = {"symbol": "AAPL", "signal": "SELL", "quantity": 5}
            going.desk.decide("Scripted", frozenset(["AAPL"]), wish, minute(3))

        assert len(going.desk.orders) == 5


async def test_of_too_many_orders_the_oldest_are_forgotten_earlier(tmp_path, monkeypatch):
    async with Going(tmp_path) as going:
        await going.pass_time(0.1)
        before = len(going.desk.orders)
        monkeypatch.setattr(remembering, "_MOST", 1)
        await going.pass_time(0.1)

        assert (before, len(going.desk.orders)) == (2, 1)


async def test_a_late_fill_of_a_forgotten_order_is_booked_once_and_durably(tmp_path):
    async with Going(tmp_path) as going:
        bought = next(iter(going.desk.orders.values()))
        await going.pass_time(2)
        for _ in range(2):
            await going.tell(bought, execution_id="late")
        held, known = going.held, going.desk.orders[bought.id]

    assert (held, known.executions[-1], len(known.executions)) == (2, "late", 2)
    with Reader(going.place) as reader:
        assert [fill["quantity"] for fill in reader.fills()] == ["1", "1"]
        steps = [step["to_status"] for step in reader.order_events(bought.id)]
    assert steps == ["SENDING", "ACKED", "FILLED", "FILLED"]


async def test_what_is_inferred_of_a_forgotten_order_is_booked_too(tmp_path):
    async with Going(tmp_path) as going:
        bought = next(iter(going.desk.orders.values()))
        await going.pass_time(2)
        fill = a_fill(1, 20, order=bought, execution_id="B:2:inferred", rule="inferred")
        going.runner.broker.put(Correction(OrderUpdate(bought.id, None, minute(3), fill)))
        await going.until(lambda: going.held == 2)

        assert going.desk.orders[bought.id].executions[-1] == "B:2:inferred"


async def test_a_fill_that_the_database_has_is_not_booked_again(tmp_path):
    async with Going(tmp_path) as going:
        bought = next(iter(going.desk.orders.values()))
        [execution] = bought.executions
        await going.pass_time(2)
        await going.tell(bought, execution_id=execution)

        assert (going.held, going.restricted) == (1, [])


async def test_a_fill_of_an_order_that_not_even_the_database_knows_halts(tmp_path):
    async with Going(tmp_path) as going:
        stranger = a_fill(1).order_id
        going.runner.broker.put(OrderUpdate(stranger, None, minute(3), a_fill(3, 20)))
        await going.runner._inbox.drained()

        [halt] = going.runner.trading.restrictions.values()
        assert (halt.code, halt.state, halt.is_latched) == ("order_not_known", "HALTED", True)
        assert halt.sentence.startswith(f"a fill of 3 AAPL at 20 was told for order {stranger},")
        assert going.held == 1


async def test_without_a_database_nothing_is_forgotten_and_what_is_not_known_halts():
    told = [OrderUpdate("r0-99", None, minute(2), a_fill(3, 20))]

    class Confused(ReplayBroker):
        def observe(self, tick):
            return [*super().observe(tick), *(told.pop() for _ in tuple(told))]

        watches = True

    runner = await replayed(a_trader(), broker=Confused())
    runner._next_look_ns = 0
    await runner._forget_old()

    [halt] = runner.trading.restrictions.values()
    assert (halt.code, halt.state) == ("order_not_known", "HALTED")
    assert len(runner.desk.orders) == 2


@pytest.mark.parametrize("days", [0, 2])
async def test_to_cancel_what_is_over_is_no_mistake_forgotten_or_not(tmp_path, days):
    async with Going(tmp_path) as going:
        bought = next(iter(going.desk.orders.values()))
        await going.pass_time(days)
        told = len(going.strategy.seen)
        going.strategy.cancel(bought)
        await going.gate.open()
        await going.runner._inbox.drained()

        assert going.strategy.seen[told:] == []
