"""Every broker of ours passes the contract that strangers run on theirs."""

from datetime import timedelta
from decimal import Decimal

import pytest

from ticklane.brokers.paper import PaperBroker
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.order import OrderStatus, OrderUpdate
from ticklane.interfaces import BrokerInterface
from ticklane.testing.bench import Bench
from ticklane.testing.builders import a_fill, an_order
from ticklane.testing.contract import BrokerContract


async def opened(broker, **options):
    bench = Bench(broker, **options)
    await bench.open()
    await bench.price(100)
    return bench


class TestPaperBrokerOnQuotes(BrokerContract):
    @pytest.fixture
    async def bench(self):
        return await opened(PaperBroker(), has_quotes=True)


class TestPaperBrokerOnBars(BrokerContract):
    @pytest.fixture
    async def bench(self):
        return await opened(PaperBroker(starting_balance=20_000))


class TestReplayBrokerOnBars(BrokerContract):
    @pytest.fixture
    async def bench(self):
        return await opened(ReplayBroker())


class TestReplayBrokerOnQuotes(BrokerContract):
    @pytest.fixture
    async def bench(self):
        return await opened(ReplayBroker(limit_to_quote_size=True), has_quotes=True)


class TestReplayBrokerWithRules(BrokerContract):
    """Rules are data: what they exclude is skipped, the rest must hold."""

    @pytest.fixture
    async def bench(self):
        rules = OrderRules(
            tick=Decimal("0.01"),
            lot=Decimal(1),
            types=frozenset({"market", "limit"}),
            classes=frozenset({"simple"}),
            times_in_force=frozenset({"day", "gtc", "ioc"}),
        )
        instrument = Instrument(symbol="AAPL", rules=rules)
        return await opened(ReplayBroker(instruments=[instrument]))


class TestPaperBrokerWithLatency(BrokerContract):
    @pytest.fixture
    async def bench(self):
        broker = PaperBroker(latency=timedelta(milliseconds=100))
        return await opened(broker, has_quotes=True)


# --- the bench fails a broker that breaks its word ----------------------------------------------


class Scripted(BrokerInterface):
    """A broker that says what it is told to say."""

    name = "scripted"
    starting_cash = Decimal(100_000)

    def __init__(self):
        self.says = []

    def instrument(self, symbol):
        return Instrument(symbol=symbol)

    async def submit(self, order):
        self.says = [OrderUpdate(order.id, OrderStatus.ACKED, 0, broker_order_id="b1")]

    async def cancel(self, order): ...

    async def replace(self, order, by): ...

    def updates(self):
        said, self.says = self.says, []
        return said


@pytest.fixture
async def scripted():
    bench = Bench(Scripted())
    await bench.open()
    return bench


async def test_one_execution_told_twice_fails_the_bench(scripted):
    order = await scripted.submit(an_order(2))
    fill = a_fill(1, order=order)

    scripted.broker.says = [OrderUpdate(order.id, None, 0, fill)] * 2

    with pytest.raises(AssertionError, match="was told twice"):
        scripted.hear()


async def test_an_order_nobody_sent_fails_the_bench(scripted):
    scripted.broker.says = [OrderUpdate("x1", OrderStatus.ACKED, 0)]

    with pytest.raises(AssertionError, match="nobody sent the order x1"):
        scripted.hear()


async def test_a_step_that_is_not_legal_fails_the_bench(scripted):
    order = await scripted.submit(an_order())
    scripted.broker.says = [OrderUpdate(order.id, OrderStatus.ACKED, 0)]

    with pytest.raises(Exception, match=f"order {order.id} cannot step from ACKED to ACKED"):
        scripted.hear()


async def test_the_bench_tells_the_journey_of_an_order(scripted):
    order = await scripted.submit(an_order(2))
    for price in (100, 101):
        fill = a_fill(1, price, order=order)
        scripted.broker.says.append(OrderUpdate(order.id, None, 0, fill))

    scripted.hear()

    assert scripted.journey(order) == "ACKED PARTIAL FILLED"
    assert (scripted.position, len(scripted.fills_of(order))) == (2, 2)
