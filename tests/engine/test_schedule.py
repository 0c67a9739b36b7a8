"""Schedules: which instants they name, and that they never name one twice or skip one."""

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, EPOCH, HOUR, MINUTE, SECOND, Timeframe, to_datetime, to_ns
from ticklane.engine.schedule import Schedule
from ticklane.interfaces import Session

NEW_YORK = ZoneInfo("America/New_York")


class NewYorkHours:
    """09:30 to 16:00 in New York from Monday to Friday, but for Thanksgiving and Christmas 2026."""

    name = "NYSE"
    timezone = "America/New_York"
    holidays = (date(2026, 11, 26), date(2026, 12, 25))
    early_closes = (date(2026, 11, 27), date(2026, 12, 24))

    def session(self, at_ns):
        day = to_datetime(at_ns).astimezone(NEW_YORK).date()
        while not self.is_open(day) or self.of(day).close_ns <= at_ns:
            day += timedelta(days=1)
        return self.of(day)

    def is_open(self, day):
        return day.weekday() < 5 and day not in self.holidays

    def of(self, day):
        close = time(13) if day in self.early_closes else time(16)
        return Session(*(to_ns(datetime.combine(day, at, NEW_YORK)) for at in (time(9, 30), close)))


class AroundTheClock:
    """One session a day, midnight to midnight UTC."""

    name = "24/7"

    def session(self, at_ns):
        return Session(at_ns // DAY * DAY, (at_ns // DAY + 1) * DAY)


class ClosedHours(NewYorkHours):
    """The same market by somebody who holds that at its close a session is open still."""

    def session(self, at_ns):
        return super().session(at_ns - 1)


def utc(*parts):
    return to_ns(datetime(*parts, tzinfo=UTC))


def new_york(*parts):
    return to_ns(datetime(*parts, tzinfo=NEW_YORK))


def instants(schedule, start, count):
    found = []
    for _ in range(count):
        start = schedule.after(start)
        found.append(start)
    return found


def texts(schedule, start, count, zone=UTC):
    local = (to_datetime(ns).astimezone(zone) for ns in instants(schedule, start, count))
    return [f"{at:%a %d %b %H:%M}" for at in local]


# Reading


def test_none_means_every_bar():
    assert Schedule.parse(None) is None


@pytest.mark.parametrize(
    ("value", "step"),
    [
        (60, MINUTE),
        (np.int64(60), MINUTE),
        (0.25, SECOND // 4),
        (np.float64(0.1), SECOND // 10),
        (Decimal("0.000001"), 1000),
        (timedelta(minutes=5), 5 * MINUTE),
        (Timeframe.parse("15m"), 15 * MINUTE),
        ("30s", 30 * SECOND),
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("1d", DAY),
        ("1.5h", 90 * MINUTE),
        ("500ms", SECOND // 2),
        (" 5 minutes ", 5 * MINUTE),
        ("1H", HOUR),
        ("60", MINUTE),
    ],
)
def test_an_interval_is_read_from_numbers_timedeltas_and_texts(value, step):
    assert instants(Schedule.parse(value), utc(2026, 3, 2), 2) == [
        utc(2026, 3, 2) + step,
        utc(2026, 3, 2) + 2 * step,
    ]


def test_a_schedule_is_taken_as_it_is():
    schedule = Schedule.parse("5m")

    assert Schedule.parse(schedule) is schedule


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, 0, -1, 0.0, -0.5, 1e-12, 1e300, 10**300, float("nan"), float("inf")),
        *(Decimal("sNaN"), timedelta(0), timedelta(seconds=-1), timedelta(days=4000), object(), []),
        *("", "  ", "0s", "-5m", "5x", "m", "soon", "5M", "1e3s", "@daily", "nan", "0 16", "true"),
        *("* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *"),
        *("* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "a * * * *"),
        *("* * last * *", "* * * * mon-fri/x", "* * * * monday", "* * * foo *", "-1 * * * *"),
        *("0 0 30 2 *", "0 0 31 4,6 *", "1-2-3 * * * *", "* * * * sat-mon"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(value):
    with pytest.raises(ConfigError) as error:
        Schedule.parse(value, name="tick_interval")

    assert str(error.value).startswith("tick_interval ")
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_an_interval_of_a_day_and_a_half_is_refused_with_a_calendar_only():
    assert Schedule.parse("36h").after(0) == 36 * HOUR
    with pytest.raises(ConfigError, match="interval is '36h', but with a calendar"):
        Schedule.parse("36h", NewYorkHours())


def test_a_calendar_in_a_zone_nobody_knows_is_refused():
    calendar = NewYorkHours()
    calendar.timezone = "Mars/Olympus"

    with pytest.raises(ConfigError, match="'Mars/Olympus', which this machine does not know"):
        Schedule.parse("0 16 * * *", calendar)


@pytest.mark.parametrize(
    ("value", "calendar", "words"),
    [
        ("300s", None, "every 5m"),
        (0.25, None, "every 0.25s"),
        ("24h", None, "every 1d"),
        ("1h", NewYorkHours(), "every 1h in the sessions of NYSE"),
        ("1d", NewYorkHours(), "every session close of NYSE"),
        ("7d", NewYorkHours(), "every 7d at a session close of NYSE"),
        ("0  16 * * 1-5", NewYorkHours(), "cron 0 16 * * 1-5 America/New_York"),
        ("0 16 * * 1-5", None, "cron 0 16 * * 1-5 UTC"),
    ],
)
def test_a_schedule_describes_itself_to_people(value, calendar, words):
    assert Schedule.parse(value, calendar).describe() == words
    assert words in repr(Schedule.parse(value, calendar))


def test_reading_the_clock_or_importing_apscheduler_is_not_needed_for_intervals():
    code = (
        "import sys; from ticklane.engine.schedule import Schedule; "
        "Schedule.parse('5m').after(0); assert 'apscheduler' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


# Intervals


def test_an_interval_is_aligned_to_the_epoch_and_strictly_later():
    five_minutes = Schedule.parse("5m")

    assert five_minutes.after(utc(2026, 3, 2, 10, 2)) == utc(2026, 3, 2, 10, 5)
    assert five_minutes.after(utc(2026, 3, 2, 10, 5)) == utc(2026, 3, 2, 10, 10)
    assert five_minutes.after(utc(2026, 3, 2, 10, 5) - 1) == utc(2026, 3, 2, 10, 5)


def test_an_interval_below_a_second_is_exact():
    schedule = Schedule.parse(0.1)

    assert schedule.after(1_750_000_000 * SECOND + 99_999_999) == 1_750_000_000_100_000_000


def test_a_day_without_calendar_begins_at_midnight_utc():
    assert texts(Schedule.parse("1d"), utc(2026, 3, 7, 12), 2) == [
        "Sun 08 Mar 00:00",
        "Mon 09 Mar 00:00",
    ]


@pytest.mark.parametrize("seconds", [1, 7, 30, 60, 300, 3600, 5 * 3600, 86400, 129600])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Helsinki"])
def test_intervals_are_those_of_apscheduler_also_where_the_clocks_change(seconds, zone):
    schedule = Schedule.parse(seconds)
    trigger = IntervalTrigger(seconds=seconds, start_date=EPOCH, timezone=ZoneInfo(zone))
    changes = [utc(2026, 3, 8, 7), utc(2026, 3, 29, 1), utc(2026, 10, 25, 1), utc(2026, 11, 1, 6)]
    for ns in (change + step * 1_234_567 * 1000 * 1000 for change in changes for step in (-9, 0)):
        for _ in range(100):
            now = to_datetime(ns) + timedelta(microseconds=1)
            ns = schedule.after(ns)
            assert ns == to_ns(trigger.get_next_fire_time(None, now))


# Sessions


def test_an_interval_with_a_calendar_starts_at_the_open_and_ends_with_the_session():
    schedule = Schedule.parse("2h", NewYorkHours())

    assert texts(schedule, new_york(2026, 11, 25, 9, 30), 5, NEW_YORK) == [
        "Wed 25 Nov 11:30",
        "Wed 25 Nov 13:30",
        "Wed 25 Nov 15:30",
        "Fri 27 Nov 11:30",  # Thursday is a holiday, on Friday the market closes at 13:00
        "Mon 30 Nov 11:30",
    ]


def test_the_close_itself_is_inside_a_session_and_the_open_is_not():
    schedule = Schedule.parse("30m", NewYorkHours())

    assert schedule.after(new_york(2026, 11, 25, 15, 30)) == new_york(2026, 11, 25, 16)
    assert schedule.after(new_york(2026, 11, 25, 16)) == new_york(2026, 11, 27, 10)


@pytest.mark.parametrize("text", ["1m", "7m", "1h"])
def test_session_intervals_are_those_of_apscheduler_from_each_open(text):
    calendar, zone = NewYorkHours(), NEW_YORK
    schedule = Schedule.parse(text, calendar)
    for day in (date(2026, 3, 6), date(2026, 3, 9), date(2026, 10, 30), date(2026, 11, 2)):
        opened, closed = calendar.of(day)
        step = timedelta(microseconds=Timeframe.parse(text).ns // 1000)
        trigger = IntervalTrigger(
            seconds=step.total_seconds(),
            start_date=to_datetime(opened) + step,
            end_date=to_datetime(closed),
            timezone=zone,
        )
        expected, now = [], to_datetime(opened)
        while at := trigger.get_next_fire_time(None, now):
            expected.append(to_ns(at))
            now = at.astimezone(UTC) + timedelta(microseconds=1)
        assert instants(schedule, opened, len(expected)) == expected
        assert schedule.after(expected[-1]) > closed


def test_a_day_with_a_calendar_is_each_close_early_ones_too():
    assert texts(Schedule.parse("1d", NewYorkHours()), new_york(2026, 11, 24, 16), 4, NEW_YORK) == [
        "Wed 25 Nov 16:00",
        "Fri 27 Nov 13:00",
        "Mon 30 Nov 16:00",
        "Tue 01 Dec 16:00",
    ]


def test_several_days_with_a_calendar_are_the_last_close_of_each_block_since_the_epoch():
    # 7 days of blocks from a Thursday on; 26 November, a Thursday, is a holiday.
    assert texts(Schedule.parse("7d", NewYorkHours()), new_york(2026, 11, 16), 3, NEW_YORK) == [
        "Wed 18 Nov 16:00",
        "Wed 25 Nov 16:00",
        "Wed 02 Dec 16:00",
    ]


def test_a_session_that_closes_at_midnight_belongs_to_the_day_it_traded():
    # 1970-01-01 was day 0, so 2026-03-02 and -03 (days 20514 and 20515) are one block of two.
    assert texts(Schedule.parse("2d", AroundTheClock()), utc(2026, 3, 2), 2) == [
        "Wed 04 Mar 00:00",
        "Fri 06 Mar 00:00",
    ]


def test_sessions_that_meet_at_midnight_lose_no_tick():
    assert texts(Schedule.parse("8h", AroundTheClock()), utc(2026, 3, 2), 4) == [
        "Mon 02 Mar 08:00",
        "Mon 02 Mar 16:00",
        "Tue 03 Mar 00:00",
        "Tue 03 Mar 08:00",
    ]
    assert texts(Schedule.parse("1d", AroundTheClock()), utc(2026, 3, 2), 2) == [
        "Tue 03 Mar 00:00",
        "Wed 04 Mar 00:00",
    ]


@pytest.mark.parametrize("text", ["30m", "1d", "3d", "0,30 9-16 * * 1-5"])
def test_whether_a_calendar_counts_the_close_as_open_makes_no_difference(text):
    start = new_york(2026, 11, 20)

    assert instants(Schedule.parse(text, ClosedHours()), start, 60) == instants(
        Schedule.parse(text, NewYorkHours()), start, 60
    )


def test_an_interval_longer_than_any_session_says_so():
    schedule = Schedule.parse("8h", NewYorkHours())

    with pytest.raises(ConfigError, match="no session of NYSE is that long"):
        schedule.after(new_york(2026, 3, 2))


@pytest.mark.parametrize("text", ["0 3 * * *", "*/5 0-3 * * *", "0 20 1 1 *", "0 12 * * sat,sun"])
def test_a_cron_that_never_meets_a_session_says_so(text):
    schedule = Schedule.parse(text, NewYorkHours())

    with pytest.raises(ConfigError, match="none of its instants lies inside a session of NYSE"):
        schedule.after(new_york(2026, 3, 2))


# Cron


def test_cron_follows_the_time_of_the_exchange_over_daylight_saving():
    schedule = Schedule.parse("0 16 * * 1-5", NewYorkHours())

    assert texts(schedule, new_york(2026, 3, 5, 16), 3) == [
        "Fri 06 Mar 21:00",
        "Mon 09 Mar 20:00",
        "Tue 10 Mar 20:00",
    ]


def test_cron_skips_what_lies_outside_sessions():
    schedule = Schedule.parse("30 9,13,15 * * *", NewYorkHours())

    assert texts(schedule, new_york(2026, 11, 25, 14), 4, NEW_YORK) == [
        "Wed 25 Nov 15:30",
        "Mon 30 Nov 13:30",  # 09:30 is the open; on Friday the market closed at 13:00
        "Mon 30 Nov 15:30",
        "Tue 01 Dec 13:30",
    ]


@pytest.mark.parametrize(
    ("weekdays", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("5-7", "Fri Sat Sun"),
        ("0-2", "Mon Tue Sun"),
        ("0-7", "Mon Tue Wed Thu Fri Sat Sun"),
        ("*/2", "Tue Thu Sat Sun"),
        ("1-5/2", "Mon Wed Fri"),
        ("1/2", "Mon Wed Fri"),
        ("0,6", "Sat Sun"),
        ("6,7,1", "Mon Sat Sun"),
        ("mon-fri", "Mon Tue Wed Thu Fri"),
        ("FRI-SUN", "Fri Sat Sun"),
        ("sun,3", "Wed Sun"),
        ("mon-fri/2", "Mon Wed Fri"),
    ],
)
def test_weekdays_are_those_of_crontab(weekdays, days):
    schedule = Schedule.parse(f"0 12 * * {weekdays}")

    found = [text[:3] for text in texts(schedule, utc(2026, 3, 2), len(days.split()))]

    assert " ".join(found) == days  # 2 March 2026 is a Monday


def test_both_day_fields_restricted_mean_either_as_in_crontab():
    assert texts(Schedule.parse("0 0 13 * 5"), utc(2026, 5, 1), 5) == [
        "Fri 08 May 00:00",
        "Wed 13 May 00:00",
        "Fri 15 May 00:00",
        "Fri 22 May 00:00",
        "Fri 29 May 00:00",
    ]


def test_months_lists_and_steps_are_read():
    assert texts(Schedule.parse("*/30 8-9 1 jan,7 *"), utc(2026, 1, 1, 8, 15), 5) == [
        "Thu 01 Jan 08:30",
        "Thu 01 Jan 09:00",
        "Thu 01 Jan 09:30",
        "Wed 01 Jul 08:00",
        "Wed 01 Jul 08:30",
    ]


def test_the_29th_of_february_is_found_over_the_turn_of_a_century():
    leap = Schedule.parse("0 0 29 2 *")

    assert instants(leap, utc(2095, 1, 1), 2) == [utc(2096, 2, 29), utc(2104, 2, 29)]


def test_monday_midnight_is_not_lost_after_the_clocks_went_forward():
    # APScheduler 3.11 itself goes from Friday to Tuesday here.
    around = in_new_york("0 0 * * 1-5")

    assert texts(around, new_york(2026, 3, 6), 2, NEW_YORK) == [
        "Mon 09 Mar 00:00",
        "Tue 10 Mar 00:00",
    ]


def test_a_time_that_daylight_saving_skips_comes_an_hour_later():
    assert texts(in_new_york("30 2 * * *"), new_york(2026, 3, 7), 3, NEW_YORK) == [
        "Sat 07 Mar 02:30",
        "Sun 08 Mar 03:30",
        "Mon 09 Mar 02:30",
    ]


def test_a_time_that_daylight_saving_repeats_comes_once():
    assert texts(in_new_york("30 1 * * *"), new_york(2026, 10, 31), 3) == [
        "Sat 31 Oct 05:30",
        "Sun 01 Nov 05:30",
        "Mon 02 Nov 06:30",
    ]


def test_an_hourly_cron_comes_every_hour_whatever_the_clocks_do():
    hourly = in_new_york("30 * * * *")
    for change in (new_york(2026, 3, 7, 22), new_york(2026, 10, 31, 22)):
        found = instants(hourly, change, 24)

        assert set(np.diff(found).tolist()) == {HOUR}


def test_evenings_west_of_utc_are_found_in_a_week_with_a_change_of_the_clocks():
    assert texts(in_new_york("0 20 * * *"), utc(2026, 3, 6), 2, NEW_YORK) == [
        "Thu 05 Mar 20:00",
        "Fri 06 Mar 20:00",
    ]


def test_clocks_that_change_twice_in_a_month_keep_noon_at_noon():
    calendar, zone = in_zone("Africa/Cairo"), ZoneInfo("Africa/Cairo")
    schedule = Schedule.parse("0 12 * * *", calendar)

    found = texts(schedule, utc(2010, 8, 5), 60, zone)  # winter time from 11 August to 9 September

    assert {text[-5:] for text in found} == {"12:00"}


def in_zone(zone):
    """A calendar of a market that never closes, with a time zone."""
    calendar = AroundTheClock()
    calendar.timezone = zone
    return calendar


def in_new_york(text):
    return Schedule.parse(text, in_zone("America/New_York"))


@pytest.mark.parametrize(
    "text", ["*/5 * * * *", "0 16 * * mon-fri", "7,37 9-15/3 1-10 */2 *", "0 0 1 1 *"]
)
def test_cron_in_utc_is_that_of_apscheduler(text):
    schedule, trigger = Schedule.parse(text), CronTrigger.from_crontab(text, UTC)
    ns = utc(2026, 2, 25, 3, 4)
    for _ in range(400):
        now = to_datetime(ns) + timedelta(microseconds=1)
        ns = schedule.after(ns)
        assert ns == to_ns(trigger.get_next_fire_time(None, now))


# Properties

CRONS = ["*/7 * * * *", "30 1,2 * * *", "0 16 * * 1-5", "15 */6 1,15 * 0", "0 0 29 2 *"]
ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"]
moments = st.integers(utc(1995, 1, 1), utc(2035, 1, 1))
near_changes = st.sampled_from(
    [utc(2011, 12, 30, 10), utc(2020, 4, 19, 2), utc(2020, 5, 31, 2), utc(2026, 3, 8, 7)]
).flatmap(lambda at: st.integers(at - 2 * DAY, at + 2 * DAY))


crons = st.builds(lambda text, zone: (text, in_zone(zone)), *map(st.sampled_from, (CRONS, ZONES)))
others = st.tuples(
    st.sampled_from([0.001, 1, "30s", "7m", "1h", "1d", "5d", "*/20 * * * *", "0 16 * * 1-5"]),
    st.sampled_from([None, NewYorkHours(), AroundTheClock()]),
)


@settings(max_examples=150, deadline=None)
@given(crons | others, st.lists(moments | near_changes, min_size=1, max_size=4), st.data())
def test_no_instant_is_named_twice_skipped_or_out_of_order(kind, starts, data):
    schedule, fresh = Schedule.parse(*kind), Schedule.parse(*kind)
    for start in starts:  # the same object, asked forwards and backwards
        first = schedule.after(start)
        between = data.draw(st.integers(start, first - 1))

        assert first > start
        assert schedule.after(first - 1) == first
        assert schedule.after(between) == first
        assert schedule.after(first) > first
        assert fresh.after(between) == first


def by_hand(minutes, hours, weekdays, zone, start, days):
    """Walk every minute of UTC time and look at the clock on the wall."""
    for ns in range(start + MINUTE, start + days * DAY + 1, MINUTE):
        local = to_datetime(ns).astimezone(zone)
        if local.minute in minutes and local.hour in hours and local.isoweekday() in weekdays:
            yield ns


@settings(max_examples=15, deadline=None)
@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(4, 23), min_size=1, max_size=3),  # the clocks change before four
    st.sets(st.integers(1, 7), min_size=1),
    st.sampled_from([utc(2026, 3, 6), utc(2026, 10, 30)]),
)
def test_cron_names_the_minutes_a_clock_on_the_wall_would(minutes, hours, weekdays, start):
    listed = (",".join(map(str, values)) for values in (minutes, hours, weekdays))
    schedule = in_new_york("{} {} * * {}".format(*listed))

    expected = list(by_hand(minutes, hours, weekdays, NEW_YORK, start, days=5))

    assert instants(schedule, start, len(expected)) == expected
