"""Frames, bars and calendars made by hand, and the way to the real data."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ticklane.clock import SimulatedClock
from ticklane.core.errors import DataError
from ticklane.core.market import DAY, MINUTE, SECOND, Bars, to_ns
from ticklane.data.frames import bars_of_frame
from ticklane.interfaces import Session

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared(name):
    """A real data file; the test is skipped, by its name, where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{name}, which is absent")
    return path


def at(*parts):
    """Nanoseconds of a UTC instant: at(2024, 1, 31, 14, 30)."""
    return to_ns(datetime(*parts, tzinfo=UTC))


def a_frame(rows=3, *, freq="1min", start="2024-01-02", tz=None, **columns):
    """Sound bars 10, 11, 12 ...; `columns` replace whole columns."""
    close = np.arange(10.0, 10.0 + rows)
    made = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": close}
    index = pd.date_range(start, periods=rows, freq=freq, tz=tz)
    return pd.DataFrame({**made, **columns}, index=index)


def refused_frame(frame, **options):
    """The sentence with which a frame of the symbol AAA is refused."""
    with pytest.raises(DataError) as caught:
        bars_of_frame(frame, "AAA", **options)
    return one_sentence(caught.value)


def one_sentence(error):
    """The message of an error, after a look at its form."""
    message = str(error)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def some_bars(symbol, *minutes, scale=1.0):
    """One-minute bars that close at these minutes after 1970, at a price of the minute x scale."""
    closes = np.array(minutes, np.int64) * MINUTE
    price = np.array(minutes, float) * scale
    return Bars(symbol, closes - MINUTE, closes, price, price + 1, price - 1, price, price * 10)


class Sleeper:
    """A sleep that takes no time: it keeps the seconds and moves a clock."""

    def __init__(self, clock=None):
        self.clock = clock or SimulatedClock()
        self.slept = []

    async def __call__(self, seconds):
        self.slept.append(seconds)
        self.clock.set(self.clock.now_ns() + round(seconds * SECOND))


async def gathered(feed, count=None, after_ns=None):
    """The ticks of a stream, at most `count`."""
    found = []
    async for tick in feed.stream(after_ns):
        found.append(tick)
        if len(found) == count:
            break
    return found


class Weekdays:
    """A calendar made by hand: 14:30 to 21:00 UTC on Mondays to Fridays, but not on holidays."""

    name = "WEEKDAYS"

    def __init__(self, *holidays):
        self._holidays = {day.toordinal() for day in holidays}

    def session(self, at_ns):
        day = at_ns // DAY
        while not self._is_open(day) or at_ns >= day * DAY + 21 * 60 * MINUTE:
            day += 1
        return Session(day * DAY + 870 * MINUTE, day * DAY + 21 * 60 * MINUTE)

    def _is_open(self, day):
        ordinal = day + datetime(1970, 1, 1, tzinfo=UTC).toordinal()
        return (day + 3) % 7 < 5 and ordinal not in self._holidays
