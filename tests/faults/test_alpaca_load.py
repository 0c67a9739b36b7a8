"""A storm of quotes: no bar and no fill is lost, prices stay fresh, memory is bounded."""

import pytest
from alpaca_strain import measured


def loses_nothing(found):
    is_stormy = found["bars_told"] > 0 and found["executions"] > 0
    return is_stormy and found["bars_lost"] == 0 and found["fills_lost"] == 0


def is_fresh(found, most_ms):
    """No price is older, but for what the machine itself was late by: venue, wire and daemon."""
    return found["age_ms"]["max"] <= most_ms + 3 * found["a_bare_sleeper_is_late_ms"]["max"]


def test_stale_quotes_are_merged_and_no_bar_and_no_fill_is_lost():
    found = measured("load", seconds=2, rate=5_000, symbols=100)

    assert loses_nothing(found), found
    assert found["feed"]["merged_quotes"] > found["quotes_in_ticks"] / 4, found
    assert found["age_ms"]["p50"] <= 250.0, found


@pytest.mark.slow
def test_twenty_thousand_quotes_a_second_for_ten_minutes_lose_nothing_and_stay_fresh():
    found = measured("load", seconds=600, rate=20_000, symbols=500)

    assert loses_nothing(found), found
    assert found["quotes_a_second"] >= 19_500, found
    assert is_fresh(found, 250.0), found
    assert found["memory_mb"]["end"] <= 1.05 * found["memory_mb"]["after a tenth"], found
