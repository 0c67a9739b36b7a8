"""A venue with simulated prices, an account there, and an impatient sleep."""

from ticklane.clock import SystemClock
from ticklane.core.market import DAY, HOUR, MINUTE, Timeframe
from ticklane.data.feeds import SimulatedFeed
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.testing.venue import LocalVenue

ONE_MINUTE, ONE_HOUR, ONE_DAY = Timeframe(MINUTE), Timeframe(HOUR), Timeframe(DAY)
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
KEYS = ("PKTEST0001", "very-secret-0001")


def a_market(**options):
    """A venue that knows the minutes of three symbols, of all times."""
    feed = SimulatedFeed(SYMBOLS, clock=SystemClock(), timeframe=ONE_MINUTE)
    return LocalVenue(feed=feed, **options)


def an_account(venue, key=KEYS[0], secret=KEYS[1], **options):
    return AlpacaAccount(key=key, secret=secret, url=venue.url, **options)


class NoSleep:
    """Waits for nothing and notes how long it would have been."""

    def __init__(self):
        self.slept = []

    async def __call__(self, seconds):
        self.slept.append(seconds)
