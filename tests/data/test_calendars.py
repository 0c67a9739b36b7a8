"""Sessions: equal to the days on which a real ETF traded, holidays and early closes included."""

import io
import time
import zipfile
from datetime import UTC, date, datetime

import pytest
from data_builders import at, shared

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, HOUR, to_datetime
from ticklane.data.calendars import AlwaysOpen, ExchangeCalendar, calendar_of
from ticklane.interfaces import Session


def new_york():
    return calendar_of("XNYS")


def days(sessions):
    return [to_datetime(session.open_ns).date() for session in sessions]


def test_a_market_that_never_closes_has_the_utc_days_as_its_sessions():
    always = AlwaysOpen()

    assert always.session(at(2024, 1, 6, 13)) == Session(at(2024, 1, 6), at(2024, 1, 7))
    assert always.session(at(2024, 1, 7)).open_ns == at(2024, 1, 7)
    assert always.session(-1) == Session(-DAY, 0)
    assert always.session_of_date(date(2024, 1, 6)).open_ns == at(2024, 1, 6)


def test_the_days_between_two_instants_are_those_that_begin_there():
    between = AlwaysOpen().sessions_between(at(2024, 1, 6, 1), at(2024, 1, 8))

    assert days(between) == [date(2024, 1, 7)]


def test_a_session_is_the_one_that_is_open_else_the_next():
    tuesday = Session(at(2024, 1, 2, 14, 30), at(2024, 1, 2, 21))

    assert new_york().session(at(2024, 1, 1, 12)) == tuesday  # New Year's Day
    assert new_york().session(tuesday.open_ns) == tuesday
    assert new_york().session(tuesday.close_ns - 1) == tuesday
    assert new_york().session(tuesday.close_ns).open_ns == at(2024, 1, 3, 14, 30)


def test_2026_has_ten_holidays_and_two_early_closes():
    weekdays = [
        day
        for number in range(365)
        if (day := date.fromordinal(date(2026, 1, 1).toordinal() + number)).weekday() < 5
    ]
    sessions = {day: new_york().session_of_date(day) for day in weekdays}
    hours = {day: (s.close_ns - s.open_ns) / HOUR for day, s in sessions.items() if s}

    assert [f"{day:%d %b}" for day, session in sessions.items() if session is None] == [
        "01 Jan", "19 Jan", "16 Feb", "03 Apr", "25 May", "19 Jun", "03 Jul", "07 Sep", "26 Nov",
        "25 Dec",
    ]  # fmt: skip
    early = [day for day, length in hours.items() if length != 6.5]
    assert early == [date(2026, 11, 27), date(2026, 12, 24)]
    assert sessions[date(2026, 11, 27)].close_ns == at(2026, 11, 27, 18)


def test_sessions_follow_the_daylight_saving_of_the_exchange():
    opening = [new_york().session_of_date(date(2024, 3, day)) for day in (8, 11)]

    assert opening[0].open_ns == at(2024, 3, 8, 14, 30)
    assert opening[1].open_ns == at(2024, 3, 11, 13, 30)


def test_weekends_have_no_session_and_dates_of_futures_begin_the_evening_before():
    assert new_york().session_of_date(date(2024, 1, 6)) is None

    monday = calendar_of("CMES").session_of_date(date(2024, 1, 8))

    assert monday.open_ns == at(2024, 1, 7, 23)
    assert calendar_of("CMES").session(at(2024, 1, 6)) == monday


def test_sessions_between_are_those_that_open_there():
    between = new_york().sessions_between(at(2024, 1, 2, 14, 30), at(2024, 1, 4, 14, 30))

    assert days(between) == [date(2024, 1, 2), date(2024, 1, 3)]


def test_an_instant_outside_the_first_build_widens_the_calendar():
    calendar = ExchangeCalendar("XNYS")

    assert calendar.session(at(1990, 1, 1)).open_ns == at(1990, 1, 2, 14, 30)
    assert calendar.session(at(2035, 1, 1)).open_ns == at(2035, 1, 2, 14, 30)
    assert len(calendar.sessions_between(at(1998, 1, 1), at(1999, 1, 1))) == 252


def test_an_instant_without_recorded_holidays_is_refused():
    with pytest.raises(ConfigError, match=r"XTKS knows the holidays of 1997-01-01 to .* but 1990-"):
        calendar_of("XTKS").session(at(1990, 1, 1))

    assert calendar_of("XTKS").session(at(1997, 1, 1)).open_ns == at(1997, 1, 6)
    with pytest.raises(ConfigError, match="XNYS knows the holidays of 1700-01-01 to 2250-12-31"):
        new_york().session(at(1690, 1, 1))


def test_the_spy_traded_on_every_session_and_on_no_other_day():
    with zipfile.ZipFile(shared("lean/equity/usa/daily/spy.zip")) as archive:
        text = io.TextIOWrapper(archive.open("spy.csv"), "utf-8")
        traded = [datetime.strptime(line[:8], "%Y%m%d").replace(tzinfo=UTC).date() for line in text]

    sessions = new_york().sessions_between(at(1998, 1, 2), at(2021, 4, 1))

    assert len(traded) == 5849
    assert days(sessions) == traded


def test_a_calendar_is_found_by_any_of_its_names_and_built_once():
    assert calendar_of(None) is None
    assert isinstance(calendar_of("24/7"), AlwaysOpen)
    assert calendar_of("XNYS") is calendar_of("XNYS")
    assert calendar_of("nyse").name == "XNYS"


@pytest.mark.parametrize("name", ["NOWHERE", "", "XNY"])
def test_an_unknown_calendar_is_refused_with_some_that_are_known(name):
    with pytest.raises(ConfigError, match=r"^calendar is '.*', but must be .* XNYS, .* or 24/7\.$"):
        calendar_of(name)


def test_asking_for_a_session_costs_next_to_nothing():
    calendar = new_york()
    start = time.perf_counter()

    for number in range(20_000):
        calendar.session(1_600_000_000_000_000_000 + number * HOUR)

    assert time.perf_counter() - start < 0.5  # 0.01 s on a quiet core
