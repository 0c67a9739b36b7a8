"""A bench with the simulated venue: what it is made with is said by the test."""

import pytest

from ticklane.brokers.paper import PaperBroker
from ticklane.testing.bench import Bench

pytest.register_assert_rewrite("ticklane.testing.contract")


@pytest.fixture
def a_venue():
    """Opens a bench whose market has shown one price: `await a_venue(100, costs=...)`."""

    async def build(price=100.0, *, has_quotes=False, length=None, at=None, **settings):
        bench = Bench(PaperBroker(**{"cash": 100_000, **settings}), has_quotes=has_quotes)
        bench.length = length or bench.length
        bench.now_ns = bench.now_ns if at is None else at
        await bench.open()
        if price is not None:
            await bench.price(price)
        return bench

    return build
