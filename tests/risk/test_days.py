"""Days from midnight to midnight where the market is, also when the clocks change."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.market import HOUR, to_ns
from ticklane.data.calendars import AlwaysOpen, calendar_of
from ticklane.risk.days import Days

NEW_YORK = "America/New_York"


def at(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("instant", "begin", "end"),
    [
        ("2026-01-15 04:59:59", "2026-01-14 05:00", "2026-01-15 05:00"),
        ("2026-01-15 05:00:00", "2026-01-15 05:00", "2026-01-16 05:00"),
        ("2026-07-15 03:59:59", "2026-07-14 04:00", "2026-07-15 04:00"),
        ("2026-03-08 12:00:00", "2026-03-08 05:00", "2026-03-09 04:00"),  # 23 hours
        ("2026-11-01 12:00:00", "2026-11-01 04:00", "2026-11-02 05:00"),  # 25 hours
    ],
)
def test_a_day_of_new_york_is_that_of_its_clocks(instant, begin, end):
    assert Days(NEW_YORK).around(at(instant)) == (at(begin), at(end))


def test_a_day_of_coins_is_that_of_utc():
    assert Days().around(at("2026-03-08 23:59")) == (at("2026-03-08 00:00"), at("2026-03-09 00:00"))


@given(
    st.sampled_from([NEW_YORK, "UTC", "Asia/Kolkata", "America/Santiago", "Africa/Cairo"]),
    st.integers(at("2000-01-01 00:00"), at("2030-01-01 00:00")),
)
def test_days_follow_each_other_without_a_gap(zone, instant):
    days = Days(zone)
    begin, end = days.around(instant)

    assert begin <= instant < end
    assert 23 * HOUR <= end - begin <= 25 * HOUR
    assert days.around(begin) == (begin, end)
    assert days.around(begin - 1)[1] == begin


@pytest.mark.parametrize(
    ("markets", "timezone"),
    [
        ([], "UTC"),
        ([None], "UTC"),
        ([AlwaysOpen()], "UTC"),
        ([calendar_of("XNYS")], NEW_YORK),
        ([AlwaysOpen(), calendar_of("XNYS"), calendar_of("XNAS"), None], NEW_YORK),
        ([calendar_of("XNYS"), calendar_of("XLON")], "UTC"),
    ],
)
def test_the_exchange_says_whose_midnight_it_is(markets, timezone):
    assert Days.of_markets(markets).timezone == timezone
