"""A local venue for each test, and a bench with a connected AlpacaBroker at it."""

import pytest
from alpaca_builders import at_venue

from ticklane.testing.venue import LocalVenue


@pytest.fixture
async def venue():
    async with LocalVenue(rate_limit=None) as serving:
        yield serving


@pytest.fixture
async def bench(venue):
    async with at_venue(venue) as opened:
        yield opened
