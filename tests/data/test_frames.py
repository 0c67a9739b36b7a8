"""Frames become checked columns; every broken rule is one sentence that names the row."""

import time
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from data_builders import Weekdays, a_frame, at, shared

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, HOUR, MINUTE, Timeframe
from ticklane.data.calendars import AlwaysOpen, calendar_of
from ticklane.data.frames import bars_of_frame, bars_of_frames

NAN, INF = float("nan"), float("inf")


def refusal(frame, **options):
    with pytest.raises(DataError) as caught:
        bars_of_frame(frame, "AAA", **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


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
    assert refusal(a_frame(1)) == (
        "AAA has a single bar, so its length is unknown; give timeframe=."
    )
    assert bars_of_frame(a_frame(1), "AAA", timeframe="5m")[0].close_ns[0] == at(2024, 1, 2, 0, 5)


def test_a_given_timeframe_may_be_shorter_than_the_steps_but_not_longer():
    bars, _ = bars_of_frame(a_frame(freq="1h"), "AAA", timeframe=timedelta(minutes=1))

    assert bars.close_ns[0] - bars.open_ns[0] == MINUTE
    assert refusal(a_frame(freq="1min"), timeframe="1h") == (
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

    assert refusal(frame, calendar=Weekdays(date(2024, 1, 4))) == (
        "AAA: the daily bar of 2024-01-04 (row 3) has no session in the calendar WEEKDAYS; "
        "remove that row or choose another calendar."
    )
    assert "2024-01-04 (row 3)" in refusal(
        frame, stamp="close", calendar=Weekdays(date(2024, 1, 3))
    )


def test_two_daily_bars_of_one_session_are_refused():
    frame = a_frame(4, freq="1D")
    frame.index = [*frame.index[:3], pd.Timestamp("2024-01-04 14:30")]

    assert refusal(frame, calendar=Weekdays()) == (
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


def test_the_columns_are_read_only_copies():
    frame = a_frame()

    bars, _ = bars_of_frame(frame, "AAA")
    frame.loc[frame.index[0], "close"] = 999.0

    assert bars.close[0] == 10
    assert not any(column.flags.writeable for column in bars.columns())


def test_a_high_that_is_too_low_by_float_rounding_only_is_mended():
    close = np.array([0.1 + 0.2, 0.3])
    frame = a_frame(2, open=close, close=close, high=[0.3, 0.3], low=[0.3, 0.3])

    bars, _ = bars_of_frame(frame, "AAA")

    assert bars.high[0] == 0.1 + 0.2
    assert bars.low[0] == 0.3


# Bad input


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
def test_a_missing_column_is_named_with_those_that_are_there(name):
    message = refusal(a_frame().drop(columns=name))

    assert message.startswith(f"AAA has no column {name}: it needs open, high, low and close")
    assert "its columns are" in message


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_number_that_is_not_finite_is_refused(name, value):
    frame = a_frame()
    frame.loc[frame.index[1], name] = value

    assert refusal(frame) == (
        f"AAA: {name} is {value!r} at 2024-01-02 00:01:00 UTC (row 2), but must be a finite "
        "number; repair or remove that row."
    )


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [0.0, -1.5])
def test_a_price_must_be_above_zero(name, value):
    frame = a_frame()
    frame.loc[frame.index[2], name] = value

    assert refusal(frame) == (
        f"AAA: {name} is {value!r} at 2024-01-02 00:02:00 UTC (row 3), but must be above zero; "
        "repair or remove that row."
    )


def test_a_negative_volume_is_refused():
    assert refusal(a_frame(volume=[1, -2, 3])) == (
        "AAA: volume is -2.0 at 2024-01-02 00:01:00 UTC (row 2), but must not be negative; "
        "repair or remove that row."
    )


def test_a_high_below_the_low_is_refused():
    assert refusal(a_frame(high=[11, 9, 13])) == (
        "AAA: high is 9.0 at 2024-01-02 00:01:00 UTC (row 2), below the low 10.0; repair or "
        "remove that row."
    )


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("open", [20, 11, 12], "high is 11.0 at 2024-01-02 (row 1), below the open 20.0"),
        ("close", [10, 20, 12], "(row 2), below the close 20.0"),
        ("open", [10, 11, 1], "(row 3), above the open 1.0"),
        ("close", [10, 11, 1], "low is 11.0 at 2024-01-02 00:02:00 UTC (row 3), above the close"),
    ],
)
def test_open_and_close_must_lie_between_low_and_high(column, values, words):
    assert words in refusal(a_frame(**{column: values}))


def test_unsorted_times_are_refused():
    assert refusal(a_frame().iloc[[0, 2, 1]]) == (
        "AAA is not sorted by time: 2024-01-02 00:01:00 UTC (row 3) comes after "
        "2024-01-02 00:02:00 UTC; sort the rows, oldest first."
    )


def test_a_time_that_stands_there_twice_is_refused():
    assert refusal(a_frame().iloc[[0, 1, 1]]) == (
        "AAA has the time 2024-01-02 00:01:00 UTC twice (row 3), but each time may stand there "
        "once; remove one of the rows."
    )


def test_a_frame_without_rows_is_refused():
    assert refusal(a_frame(0)) == "AAA has no rows; give at least one bar."


@pytest.mark.parametrize(
    "times",
    [
        ["2024-01-02 00:00-05:00", "2024-07-02 00:00-04:00"],
        ["2024-01-02 00:00", "2024-01-03 00:00Z"],
        [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-03", tz="UTC")],
    ],
    ids=["offsets", "naive and aware", "objects"],
)
def test_mixed_time_zones_are_refused(times):
    frame = a_frame(2).reset_index(drop=True).assign(Date=pd.Series(times, dtype=object))

    assert refusal(frame) == (
        "AAA: column Date mixes time zones; write all times in one zone, best in UTC."
    )


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["2024-01-02", "soon"], "column date is 'soon' in row 2, but must be an ISO 8601 time"),
        (["01/02/2024", "01/03/2024"], "column date is '01/02/2024' in row 1, but must be an ISO"),
        ([20240102, 20241340], "column date is '20241340' in row 2, but must be an ISO 8601"),
        (["2024-01-02", None], "column date has no time in row 2"),
        ([1_704_153_600.0, NAN], "column date has no time in row 2"),
        ([1_704_153_600, 1_704_153_660_000], "unix times must all be in seconds, milliseconds"),
        ([1, 2], "column date holds numbers from 1 to 2, but unix times"),
        (["1024-01-02", "2024-01-03"], "but times must lie between the years 1678 and 2261"),
    ],
)
def test_a_time_that_cannot_be_read_is_named(times, words):
    assert words in refusal(a_frame(2).reset_index(drop=True).assign(date=times))


def test_missing_times_in_the_index_are_named():
    frame = a_frame()
    frame.index = frame.index.where([True, False, True])

    assert "AAA: the index has no time in row 2" in refusal(frame)


def test_a_frame_without_times_is_refused():
    assert "AAA has no time column and no DatetimeIndex" in refusal(
        a_frame().reset_index(drop=True)
    )


def test_a_date_and_a_time_column_must_be_joined():
    frame = a_frame(2).reset_index(drop=True).assign(date="2024-01-02", time=["09:30", "09:31"])

    assert refusal(frame) == (
        "AAA has both a date and a time column; join them into one datetime."
    )


def test_a_column_that_is_there_twice_is_refused():
    assert refusal(a_frame().assign(Close=1.0)) == (
        "AAA has the column close twice; keep one of them."
    )


def test_a_value_that_is_no_number_is_named():
    assert refusal(a_frame(close=["10", "eleven", "12"])) == (
        "AAA: close is 'eleven' in row 2, but must be a number; repair or remove that row."
    )
    assert refusal(a_frame(close=True)) == (
        "AAA: close holds values of the kind bool, but must hold numbers."
    )


def test_something_that_is_no_frame_is_refused():
    assert refusal([1, 2, 3]) == "AAA is a list, but must be a pandas DataFrame of bars."


def test_the_source_is_named_where_it_is_known():
    assert refusal(a_frame(0), source="bars.csv") == "bars.csv has no rows; give at least one bar."


def test_an_unknown_stamp_is_refused():
    with pytest.raises(ConfigError, match="stamp is 'end', but must be 'open' or 'close'"):
        bars_of_frame(a_frame(), "AAA", stamp="end")


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
