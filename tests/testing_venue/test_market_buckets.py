"""Timeframes as Alpaca counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_serving import at, row_of_bars

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND
from ticklane.testing.venue.buckets import Buckets, gather

TIMEFRAMES = ["1Min", "7Min", "59Min", "1Hour", "4Hour", "23Hour", "1Day", "1Week", "3Month"]


@pytest.mark.parametrize(
    ("timeframe", "instant", "start", "end"),
    [
        ("1Min", "2026-03-02 14:30:59", "2026-03-02 14:30", "2026-03-02 14:31"),
        ("15T", "2026-03-02 14:44:59", "2026-03-02 14:30", "2026-03-02 14:45"),
        ("4H", "2024-04-15 13:30", "2024-04-15 12:00", "2024-04-15 16:00"),
        ("23Hour", "2026-03-02 23:30", "2026-03-02 23:00", "2026-03-03 00:00"),
        ("1Day", "2026-03-02 21:00", "2026-03-02 05:00", "2026-03-03 05:00"),
        ("1D", "2026-03-03 04:59", "2026-03-02 05:00", "2026-03-03 05:00"),
        ("1Day", "2026-03-08 15:00", "2026-03-08 05:00", "2026-03-09 04:00"),  # 23 hours
        ("1Day", "2026-11-01 15:00", "2026-11-01 04:00", "2026-11-02 05:00"),  # 25 hours
        ("1Week", "2026-03-05 15:00", "2026-03-02 05:00", "2026-03-09 04:00"),
        ("1Month", "2026-12-31 15:00", "2026-12-01 05:00", "2027-01-01 05:00"),
        ("3M", "2026-05-31 15:00", "2026-04-01 04:00", "2026-07-01 04:00"),
        ("12Month", "2026-05-31 15:00", "2026-01-01 05:00", "2027-01-01 05:00"),
    ],
)
def test_an_instant_belongs_to_a_bar(timeframe, instant, start, end):
    buckets = Buckets.parse(timeframe)

    found = buckets.start(at(instant))

    assert (found, buckets.end(found)) == (at(start), at(end))


def test_days_of_coins_begin_at_midnight_in_chicago():
    assert Buckets.parse("1Day", is_crypto=True).start(at("2026-01-02 05:59")) == at(
        "2026-01-01 06:00"
    )


@given(
    st.sampled_from(TIMEFRAMES),
    st.booleans(),
    st.lists(st.integers(at("1990-01-01"), at("2040-01-01")), min_size=1, max_size=20),
)
def test_many_instants_at_once_give_the_same_and_each_lies_in_its_bar(name, crypto, instants):
    buckets = Buckets.parse(name, crypto)

    starts = buckets.starts(np.array(instants, np.int64)).tolist()

    assert starts == [buckets.start(instant) for instant in instants]
    for start, instant in zip(starts, instants, strict=True):
        assert start <= instant < buckets.end(start)
        assert buckets.start(start) == buckets.start(buckets.end(start) - 1) == start


@pytest.mark.parametrize(
    "wrong", ["", "Min", "0Min", "60Min", "24Hour", "2Day", "2Week", "5Month", "1Year", "-1Min"]
)
def test_a_timeframe_that_alpaca_does_not_know_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"timeframe is .*, but must be 1Min to 59Min"):
        Buckets.parse(wrong)


@pytest.mark.parametrize(
    ("length", "amount", "unit"),
    [(MINUTE, 1, "Min"), (90 * MINUTE, 90, "Min"), (HOUR, 1, "Hour"), (DAY, 1, "Day")],
)
def test_a_timeframe_may_be_nanoseconds(length, amount, unit):
    buckets = Buckets.parse(length)

    assert (buckets.amount, buckets.unit) == (amount, unit)


def test_bars_of_a_bucket_are_one_bar_and_only_stamps_in_the_range_count():
    base = row_of_bars("AAPL", at("2026-03-02 14:30"), MINUTE, 12)
    buckets = Buckets.parse("5Min")

    found = gather(base, buckets, at("2026-03-02 14:30") + SECOND, at("2026-03-02 14:40"))

    assert found.open_ns.tolist() == [at("2026-03-02 14:35"), at("2026-03-02 14:40")]
    assert found.open.tolist() == [105.0, 110.0]
    assert found.high.tolist() == [110.5, 112.5]
    assert found.low.tolist() == [104.5, 109.5]
    assert found.close.tolist() == [110.0, 112.0]
    assert found.volume.tolist() == [6.0 + 7 + 8 + 9 + 10, 11.0 + 12]
