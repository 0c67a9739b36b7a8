"""A local venue at which AAPL costs 100 and BTC 50,000, and alpaca-py's client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alpaca.trading.client import TradingClient
from venue_clients import a_client

from ticklane.testing.venue import LocalVenue


@pytest.fixture
def venue() -> Iterator[LocalVenue]:
    """Open around the clock, with its control side."""
    with LocalVenue(control=True, seed=7) as local:
        local.price("AAPL", 100)
        local.price("BTC/USD", 50_000)
        yield local


@pytest.fixture
def client(venue: LocalVenue) -> Iterator[TradingClient]:
    """alpaca-py's own client."""
    made = a_client(venue)
    yield made
    made._session.close()
