"""Frames become checked columns."""

import gc
import time
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from data_builders import Weekdays, a_frame, at, refused_frame, shared

from ticklane.core.errors import DataError
from ticklane.core.market import DAY, HOUR, MINUTE, Timeframe
from ticklane.data.calendars import AlwaysOpen, calendar_of
from ticklane.data.frames import bars_of_frame, bars_of_frames


def closes(bars):
    return [str(time)[:16] for time in bars.time]


# Times


def test_a_frame_stamps_its_bars_with_their_opening_and_naive_means_utc():
    bars, timeframe = bars_of_frame(a_frame(2), "AAA")

    assert str(timeframe) == "1m"
    assert bars.symbol == "AAA"
    assert bars.open_ns.tolist() == [at(2024, 1, 2), at(2024, 1, 2, 0, 1)]
    assert bars.close_ns.tolist() == [at(2024, 1, 2, 0, 1), at(2024, 1, 2, 0, 2)]
    assert bars.close.tolist() == [10, 11]


def test_stamp_close_says_that_the_times_are_closes():
    bars, _ = bars_of_frame(a_frame(2), "AAA", stamp="close")

    assert bars.close_ns.tolist() == [at(2024, 1, 2), at(2024, 1, 2, 0, 1)]
    assert bars.open_ns.tolist() == [at(2024, 1, 1, 23, 59), at(2024, 1, 2)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_index_of_any_unit_becomes_nanoseconds(unit):
    frame = a_frame()
    frame.index = frame.index.as_unit(unit)

    bars, _ = bars_of_frame(frame, "AAA")

    assert bars.open_ns.dtype == np.int64
    assert bars.open_ns[0] == at(2024, 1, 2)


def test_aware_times_are_turned_into_utc():
    bars, _ = bars_of_frame(a_frame(tz="America/New_York"), "AAA")

    assert bars.open_ns[0] == at(2024, 1, 2, 5)


@pytest.mark.parametrize("name", ["date", "Datetime", "TIME", "timestamp", "Ts", " Date "])
def test_the_time_column_may_have_one_of_five_names_in_any_case(name):
    bars, _ = bars_of_frame(a_frame().reset_index(names=name), "AAA")

    assert bars.open_ns[0] == at(2024, 1, 2)


@pytest.mark.parametrize("factor", [1, 10**3, 10**6, 10**9])
def test_numbers_are_unix_times_told_apart_by_their_size(factor):
    seconds = [at(2024, 1, 2) // 10**9, at(2024, 1, 2, 0, 1) // 10**9]
    frame = a_frame(2).reset_index(drop=True).assign(ts=[factor * each for each in seconds])

    bars, _ = bars_of_frame(frame, "AAA")

    assert bars.open_ns.tolist() == [at(2024, 1, 2), at(2024, 1, 2, 0, 1)]


def test_unix_seconds_may_have_a_fraction():
    frame = a_frame(2).reset_index(drop=True).assign(ts=[1_704_153_600.25, 1_704_153_660.25])

    bars, timeframe = bars_of_frame(frame, "AAA")

    assert bars.open_ns[0] == at(2024, 1, 2) + 250_000_000
    assert str(timeframe) == "1m"


@pytest.mark.parametrize(
    "times",
    [
        [20240102, 20240103],
        ["20240102", "20240103"],
        ["2024-01-02", "2024-01-03"],
        ["2024-01-02T00:00Z", "2024-01-03 00:00+00:00"],
        [date(2024, 1, 2), date(2024, 1, 3)],
        pd.period_range("2024-01-02", periods=2, freq="D"),
    ],
    ids=["yyyymmdd", "text", "dashes", "zones", "dates", "periods"],
)
def test_dates_are_read_in_every_plain_form(times):
    frame = a_frame(2).reset_index(drop=True).assign(date=times)

    bars, timeframe = bars_of_frame(frame, "AAA")

    assert bars.open_ns.tolist() == [at(2024, 1, 2), at(2024, 1, 3)]
    assert str(timeframe) == "1d"


def test_an_index_of_texts_or_periods_is_read_as_well():
    texts = a_frame(2)
    texts.index = pd.Index(["2024-01-02 09:30", "2024-01-02 09:31"])
    periods = a_frame(2)
    periods.index = pd.period_range("2024-01-02 09:30", periods=2, freq="min")

    assert bars_of_frame(texts, "AAA")[0].open_ns[0] == at(2024, 1, 2, 9, 30)
    assert bars_of_frame(periods, "AAA")[0].open_ns[0] == at(2024, 1, 2, 9, 30)


def test_a_datetime_column_goes_before_a_date_column():
    stamps = pd.date_range("2024-01-02 09:30", periods=2, freq="1min")
    frame = a_frame(2).reset_index(drop=True).assign(date="2024-01-02", datetime=stamps)

    assert bars_of_frame(frame, "AAA")[0].open_ns[0] == at(2024, 1, 2, 9, 30)


# Timeframe and spans


def test_the_timeframe_is_the_most_frequent_step():
    frame = a_frame(5, freq="1h").iloc[[0, 1, 3, 4]]

    bars, timeframe = bars_of_frame(frame, "AAA")

    assert timeframe == Timeframe(HOUR)
    assert closes(bars)[1] == "2024-01-02T02:00"  # not the opening of the bar after the gap


def test_the_shortest_of_equally_frequent_steps_is_the_timeframe():
    frame = a_frame(4, freq="1D").iloc[[0, 2, 3]]

    assert bars_of_frame(frame, "AAA")[1] == Timeframe(DAY)


def test_a_single_bar_needs_a_timeframe():
    assert refused_frame(a_frame(1)) == (
        "AAA has a single bar, so its length is unknown; give timeframe=."
    )
    assert bars_of_frame(a_frame(1), "AAA", timeframe="5m")[0].close_ns[0] == at(2024, 1, 2, 0, 5)


def test_a_given_timeframe_may_be_shorter_than_the_steps_but_not_longer():
    bars, _ = bars_of_frame(a_frame(freq="1h"), "AAA", timeframe=timedelta(minutes=1))

    assert bars.close_ns[0] - bars.open_ns[0] == MINUTE
    assert refused_frame(a_frame(freq="1min"), timeframe="1h") == (
        "AAA has a bar every 1m, but timeframe is 1h; leave timeframe out or resample the bars."
    )


def test_a_bar_never_closes_after_the_next_one_opens():
    frame = a_frame(4, freq="1h")
    frame.index = pd.to_datetime(
        ["2024-01-02 13:00", "2024-01-02 14:00", "2024-01-02 14:30", "2024-01-02 15:30"]
    )

    bars, _ = bars_of_frame(frame, "AAA")

    assert [text[11:] for text in closes(bars)] == ["14:00", "14:30", "15:30", "16:30"]


def test_a_bar_stamped_with_its_close_never_opens_before_the_one_before_closed():
    frame = a_frame(3, freq="1h")
    frame.index = pd.to_datetime(["2024-01-02 14:00", "2024-01-02 15:00", "2024-01-02 15:30"])

    bars, _ = bars_of_frame(frame, "AAA", stamp="close")

    assert bars.open_ns[2] == at(2024, 1, 2, 15)


def test_monthly_bars_close_where_the_next_month_opens():
    bars, timeframe = bars_of_frame(a_frame(5, freq="MS", start="2024-01-01"), "AAA")

    assert str(timeframe) == "31d"
    assert [text[:10] for text in closes(bars)[:3]] == ["2024-02-01", "2024-03-01", "2024-04-01"]


# Daily bars with a calendar


def test_daily_bars_open_and_close_with_the_session_of_their_date():
    bars, _ = bars_of_frame(a_frame(3, freq="1D"), "AAA", calendar=Weekdays())

    assert bars.open_ns[0] == at(2024, 1, 2, 14, 30)
    assert closes(bars) == ["2024-01-02T21:00", "2024-01-03T21:00", "2024-01-04T21:00"]


def test_daily_bars_without_a_calendar_last_until_midnight():
    bars, _ = bars_of_frame(a_frame(2, freq="1D"), "AAA")

    assert closes(bars) == ["2024-01-03T00:00", "2024-01-04T00:00"]
    always, _ = bars_of_frame(a_frame(2, freq="1D"), "AAA", calendar=AlwaysOpen())
    assert always.close_ns.tolist() == bars.close_ns.tolist()


@pytest.mark.parametrize(
    ("market", "tz", "clock"),
    [
        ("XNYS", "America/New_York", "T21:00"),
        ("XNYS", "UTC", "T21:00"),
        ("XTKS", "Asia/Tokyo", "T06:30"),
        ("XTKS", "UTC", "T06:30"),
        ("CMES", "America/Chicago", "T23:00"),
        ("CMES", "UTC", "T23:00"),
    ],
)
def test_midnight_here_or_there_means_the_session_of_that_date(market, tz, clock):
    frame = a_frame(3, freq="1D", start="2025-01-14", tz=tz)

    bars, _ = bars_of_frame(frame, "AAA", calendar=calendar_of(market))

    assert closes(bars) == [f"2025-01-{day}{clock}" for day in (14, 15, 16)]


@pytest.mark.parametrize("clock", ["21:00", "21:05", "23:59"])
def test_daily_closes_mean_the_session_that_closed_last(clock):
    frame = a_frame(3, freq="1D", start=f"2024-01-02 {clock}")

    bars, _ = bars_of_frame(frame, "AAA", stamp="close", calendar=Weekdays())

    assert closes(bars) == ["2024-01-02T21:00", "2024-01-03T21:00", "2024-01-04T21:00"]


def test_daily_closes_mean_the_right_session_around_an_early_close():
    days = ["2026-11-25 21:00", "2026-11-27 18:00", "2026-11-30 21:00", "2026-12-01 21:00"]
    frame = a_frame(4)
    frame.index = pd.to_datetime(days)

    bars, _ = bars_of_frame(frame, "AAA", "1d", stamp="close", calendar=calendar_of("XNYS"))

    assert [text.replace("T", " ") for text in closes(bars)] == days


def test_a_daily_bar_without_a_session_is_refused():
    frame = a_frame(4, freq="1D")

    assert refused_frame(frame, calendar=Weekdays(date(2024, 1, 4))) == (
        "AAA: the daily bar of 2024-01-04 (row 3) has no session in the calendar WEEKDAYS; "
        "remove that row or choose another calendar."
    )
    assert "2024-01-04 (row 3)" in refused_frame(
        frame, stamp="close", calendar=Weekdays(date(2024, 1, 3))
    )


def test_two_daily_bars_of_one_session_are_refused():
    frame = a_frame(4, freq="1D")
    frame.index = [*frame.index[:3], pd.Timestamp("2024-01-04 14:30")]

    assert refused_frame(frame, calendar=Weekdays()) == (
        "AAA: the daily bar of 2024-01-04 14:30:00 UTC (row 4) falls into the same session of "
        "WEEKDAYS as the row before; remove one of them."
    )


def test_the_calendar_leaves_bars_of_a_session_alone():
    bars, _ = bars_of_frame(a_frame(2, freq="1h"), "AAA", calendar=Weekdays())

    assert closes(bars) == ["2024-01-02T01:00", "2024-01-02T02:00"]


def test_real_daily_bars_close_with_the_sessions_of_new_york():
    path = shared("bokeh/IBM.csv")

    bars, _ = bars_of_frame(pd.read_csv(path), "IBM", calendar=calendar_of("XNYS"))

    assert len(bars) == 3270
    assert closes(bars)[0] == "2000-03-01T21:00"
    assert closes(bars)[-1] == "2013-03-01T21:00"
    assert "2001-07-03T17:00" in closes(bars)  # the day before Independence Day


# Columns


def test_columns_may_be_in_any_case_and_order_and_others_are_left_alone():
    frame = a_frame()[["volume", "close", "low", "high", "open"]]
    frame.columns = ["Volume", "CLOSE", "Low ", "High", "Open"]

    bars, _ = bars_of_frame(frame.assign(**{"Adj Close": 1.0}), "AAA")

    assert bars.high.tolist() == [11, 12, 13]


def test_volume_is_zero_where_it_is_absent():
    bars, _ = bars_of_frame(a_frame().drop(columns="volume"), "AAA")

    assert bars.volume.tolist() == [0, 0, 0]


def test_numbers_may_be_integers_decimals_text_or_nullable():
    frame = a_frame(2)
    frame["open"] = [10, 11]
    frame["high"] = pd.Series([Decimal("11.5"), Decimal(12)], frame.index, dtype=object)
    frame["low"] = ["9.5", "10"]
    frame["close"] = frame["close"].astype("Float64")

    bars, _ = bars_of_frame(frame, "AAA")

    assert next(iter(bars.rows()))[3:7] == (10, 11.5, 9.5, 10)
    assert all(column.dtype == np.float64 for column in bars.columns()[2:])


CHANGES = {
    "the column": lambda frame: frame.__setitem__("close", 999.0),
    "by label": lambda frame: frame.loc.__setitem__((frame.index[0], "close"), 999.0),
    "by place": lambda frame: frame.iloc.__setitem__((slice(None), 3), 999.0),
    "one row": lambda frame: frame.iloc.__setitem__(0, 999.0),
    "at": lambda frame: frame.at.__setitem__((frame.index[0], "close"), 999.0),
    "in place": lambda frame: frame.replace(10.0, 999.0, inplace=True),
    "update": lambda frame: frame.update(frame + 999.0),
    "its array": lambda frame: frame["close"].array.__setitem__(0, 999.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_columns_do_not_follow_a_frame_that_is_changed(change):
    frame = a_frame(2).astype(float)

    bars, _ = bars_of_frame(frame, "AAA")
    change(frame)

    assert bars.close.tolist() == [10, 11]


def test_the_columns_outlive_their_frame():
    frame = a_frame(50_000).astype(float)
    before = frame.copy()

    bars, _ = bars_of_frame(frame, "AAA")
    del frame
    gc.collect()
    others = [np.full(50_000, 999.0) for _ in range(20)]

    assert np.array_equal(bars.close, before["close"])
    assert len(others) == 20


def test_the_columns_are_read_only():
    frame = a_frame(2).astype(float)

    bars, _ = bars_of_frame(frame, "AAA")

    assert not any(column.flags.writeable for column in bars.columns())
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 999.0


def test_a_high_that_is_too_low_by_float_rounding_only_is_mended():
    close = np.array([0.1 + 0.2, 0.3])
    frame = a_frame(2, open=close, close=close, high=[0.3, 0.3], low=[0.3, 0.3])

    bars, _ = bars_of_frame(frame, "AAA")

    assert bars.high[0] == 0.1 + 0.2
    assert bars.low[0] == 0.3


# Several symbols


def test_several_frames_share_one_timeframe():
    bars, timeframe = bars_of_frames({"AAA": a_frame(), "BBB": a_frame(1)})

    assert timeframe == Timeframe(MINUTE)
    assert list(bars) == ["AAA", "BBB"]
    assert bars["BBB"].close_ns[0] == at(2024, 1, 2, 0, 1)


def test_frames_of_different_timeframes_are_refused():
    with pytest.raises(DataError, match="AAA has a bar every 1m, but BBB every 1h; give bars"):
        bars_of_frames({"AAA": a_frame(), "BBB": a_frame(freq="1h")})


def test_no_frames_at_all_are_refused():
    with pytest.raises(DataError, match="There are no prices"):
        bars_of_frames({})


# Speed


def test_a_million_bars_are_read_and_checked_in_a_moment():
    frame = a_frame(1_000_000)
    fastest = float("inf")

    for _ in range(3):
        start = time.perf_counter()
        bars, _ = bars_of_frame(frame, "AAA")
        fastest = min(fastest, time.perf_counter() - start)

    assert len(bars) == 1_000_000
    assert fastest < 0.6  # 0.03 s on a quiet core
