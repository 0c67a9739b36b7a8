"""Thinning for drawing: few points, and no extreme is lost."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklane.analytics.thinning import column_starts, envelope, first_of_columns, thin

prices = st.lists(st.integers(-5, 5), min_size=1, max_size=300)


@settings(deadline=None)
@given(prices, st.integers(1, 20), st.randoms(use_true_random=False))
def test_each_column_keeps_its_first_lowest_highest_and_last_point(values, columns, random):
    values = np.array(values, float)
    steps = np.array([random.randint(1, 1000) for _ in values])
    times = np.cumsum(steps)

    kept = thin(times, values, columns)

    assert (np.diff(kept) > 0).all()
    assert len(kept) <= max(2 * columns, 4 * columns)
    starts = column_starts(times, columns)
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        inside = kept[(kept >= start) & (kept < end)]
        assert {start, end - 1} <= set(inside)
        assert values[inside].min() == values[start:end].min()
        assert values[inside].max() == values[start:end].max()


def test_a_short_series_is_kept_whole():
    assert thin(np.arange(5), np.ones(5), 3).tolist() == [0, 1, 2, 3, 4]
    assert thin(np.empty(0, np.int64), np.empty(0), 3).tolist() == []


def test_a_flat_series_is_thinned_too():
    assert len(thin(np.arange(10_000), np.ones(10_000), 10)) == 20


def test_an_envelope_holds_the_range_of_each_column():
    times = np.arange(6)

    band = envelope(times, np.array([5.0, 1, 5, 7, 6, 7]), np.array([6.0, 2, 9, 8, 8, 8]), 2)

    assert band.time_ns.tolist() == [1, 4]
    assert band.low.tolist() == [1, 6]
    assert band.high.tolist() == [9, 8]


def test_markers_are_thinned_to_one_a_column():
    times = np.array([0, 0, 1, 50, 51, 99])

    assert first_of_columns(times, 0, 99, 2).tolist() == [0, 3]
