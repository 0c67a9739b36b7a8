"""AlpacaBroker passes the contract of brokers, through the real alpaca-py client."""

import pytest
from alpaca_builders import VenueBench, a_broker

from ticklane.testing.contract import BrokerContract
from ticklane.testing.venue import LocalVenue


class ContractBench(VenueBench):
    """The market trades only when a price is shown, as the contract has it."""

    async def price(self, *prices):
        for price in prices:
            self.venue.switch(is_matching=True)
            self.venue.price(self.symbol, price)
            self.venue.switch(is_matching=False)
            await self.settle()


class TestAlpacaBroker(BrokerContract):
    @pytest.fixture
    async def bench(self):
        async with LocalVenue(rate_limit=None) as venue:
            venue.price("AAPL", 100)
            venue.switch(is_matching=False)
            bench = ContractBench(venue, a_broker(venue))
            await bench.open()
            yield bench
            await bench.broker.disconnect()
