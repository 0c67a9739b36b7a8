"""Dates and datetimes become the first and the last instant of a span."""

from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from data_builders import at, some_bars

from ticklane.core.errors import ConfigError
from ticklane.core.market import MINUTE
from ticklane.data.dates import instant_of, rows_between, span_of


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (None, None),
        ("2024-01-31", at(2024, 1, 31)),
        (" 20240131 ", at(2024, 1, 31)),
        (date(2024, 1, 31), at(2024, 1, 31)),
        ("2024-01-31T14:30", at(2024, 1, 31, 14, 30)),
        ("2024-01-31 14:30Z", at(2024, 1, 31, 14, 30)),
        ("2024-01-31T14:30-05:00", at(2024, 1, 31, 19, 30)),
        (datetime(2024, 1, 31, 14), at(2024, 1, 31, 14)),  # noqa: DTZ001
        (datetime(2024, 1, 31, tzinfo=timezone(timedelta(hours=1))), at(2024, 1, 30, 23)),
        (pd.Timestamp("2024-01-31 14:30"), at(2024, 1, 31, 14, 30)),
        (np.datetime64("2024-01-31T14:30"), at(2024, 1, 31, 14, 30)),
    ],
)
def test_every_usual_form_of_an_instant_is_read(value, instant):
    assert instant_of(value, "start") == instant


def test_an_end_date_means_the_end_of_that_day_and_an_instant_itself():
    assert instant_of("2024-01-31", "end", is_end=True) == at(2024, 2, 1)
    assert instant_of(date(2024, 1, 31), "end", is_end=True) == at(2024, 2, 1)
    assert instant_of("2024-01-31T00:00", "end", is_end=True) == at(2024, 1, 31)


@pytest.mark.parametrize("value", ["soon", "", 20240131, 1.5, pd.NaT, np.datetime64("NaT"), True])
def test_anything_else_is_refused(value):
    with pytest.raises(ConfigError, match=r"^end is .*, but must be a date or time such as 2024-0"):
        instant_of(value, "end")


def test_a_span_may_be_open_on_both_sides():
    assert span_of(None, None) == (None, None)
    assert span_of("2024-01-31", "2024-01-31") == (at(2024, 1, 31), at(2024, 2, 1))


@pytest.mark.parametrize("end", ["2024-01-30", "2024-01-31T00:00"])
def test_a_span_must_run_forward(end):
    with pytest.raises(ConfigError, match=f"start is 2024-01-31, which is not before end {end}"):
        span_of("2024-01-31", end)


def test_the_bar_that_closed_at_the_start_is_out_and_that_at_the_end_is_in():
    bars = some_bars("AAA", 1, 2, 3, 4)

    assert rows_between(bars, MINUTE, 3 * MINUTE).close.tolist() == [2, 3]
    assert rows_between(bars, None, None).close.tolist() == [1, 2, 3, 4]
    assert len(rows_between(bars, 3 * MINUTE, 2 * MINUTE)) == 0
