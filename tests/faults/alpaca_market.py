"""What the daemon and the venue of the kill test see: the same simulated market, in quick bars."""

from __future__ import annotations

from ticklane.clock import SystemClock
from ticklane.core.market import SECOND, Timeframe
from ticklane.data.feeds import SimulatedFeed

SYMBOLS = ("AAPL", "MSFT")
STEP = Timeframe(SECOND // 40)


def market_feed(symbols, seed):
    """Forty bars a second, in real time."""
    return SimulatedFeed(symbols, clock=SystemClock(), seed=seed, timeframe=STEP)
