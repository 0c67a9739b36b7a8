"""Frames that break a rule: one sentence that names the place, the value and the remedy."""

import pandas as pd
import pytest
from data_builders import a_frame
from data_builders import refused_frame as refusal

from ticklane.core.errors import ConfigError
from ticklane.data.frames import bars_of_frame

NAN, INF = float("nan"), float("inf")


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

    assert refusal(frame) == ("AAA has both a date and a time column; join them into one datetime.")


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
