"""What the limits learn of market and time from the lane's feed, clock and calendars."""

from types import SimpleNamespace

import pytest

from lane_builders import Weekdays, a_feed, some_bars
from ticklane.clock import SimulatedClock
from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, MarketData
from ticklane.engine.surroundings import LaneSurroundings
from ticklane.testing.builders import START


def surroundings(feed=None, clock=None, calendar=None, find_calendar=lambda name: None):
    instrument = Instrument(symbol="AAPL", calendar=calendar)
    return LaneSurroundings(MarketData(), feed, clock, lambda symbol: instrument, find_calendar)


def daily(days, volume=1000):
    """Bars of a day each; `volume` may be a list."""
    bars = some_bars(days, minutes=[DAY // MINUTE * n for n in range(1, days + 1)])
    bars.open_ns[:] = bars.close_ns - DAY
    bars.volume[:] = volume
    return a_feed(bars, timeframe=DAY)


def test_the_usual_volume_is_that_of_the_last_twenty_whole_days():
    feed = daily(25, [10**6] * 5 + [100] * 10 + [300] * 10)

    assert surroundings(feed).daily_volume("AAPL", START + 25 * DAY + HOUR) == 200


def test_bars_of_one_day_are_added_up_and_today_does_not_count():
    bars = some_bars(3 * 1440)

    volume = surroundings(a_feed(bars)).daily_volume("AAPL", START + 2 * DAY + HOUR)

    assert volume == 1440 * 1000


@pytest.mark.parametrize("feed", [None, daily(3), a_feed(some_bars(5), timeframe=SECOND)])
def test_where_no_day_is_over_or_bars_are_too_short_no_volume_is_known(feed):
    assert surroundings(feed).daily_volume("AAPL", START + HOUR) is None


def test_a_market_without_a_calendar_has_no_sessions():
    assert surroundings().session("AAPL", START) is None


def test_sessions_are_those_of_the_instruments_calendar():
    found = surroundings(calendar="WEEKDAYS", find_calendar=lambda name: Weekdays())

    assert found.session("AAPL", START).open_ns == START + 14 * HOUR + 30 * MINUTE


def test_a_calendar_that_nobody_knows_by_name_counts_as_none():
    def unknown(name):
        raise ConfigError("calendar is 'X', but must be a Calendar here.")

    assert surroundings(calendar="X", find_calendar=unknown).session("AAPL", START) is None


@pytest.mark.parametrize(
    ("clock", "is_real", "now"),
    [
        (None, False, START),
        (SimulatedClock(START + HOUR), False, START),
        (SimpleNamespace(now_ns=lambda: START + HOUR), True, START + HOUR),
        (SimpleNamespace(now_ns=lambda: START - HOUR), True, START),
    ],
)
def test_the_clock_counts_only_where_time_is_real_and_never_goes_back(clock, is_real, now):
    found = surroundings(clock=clock)

    assert (found.is_real_time, found.now_ns(START)) == (is_real, now)
