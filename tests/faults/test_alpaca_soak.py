"""Days of a daemon in virtual time: nothing grows, nothing is left open."""

import pytest
from alpaca_strain import measured


def is_healthy(found):
    return (found["trading_state"], found["restrictions"], found["faults"]) == ("ACTIVE", [], 0)


def bars_of(found):
    """Those that came in order, and those that were fetched after a newer one had come."""
    return found["bars"]["new"] + found["bars"].get("late", 0)


POOLED = 2  # connections of a pool that are opened when two requests meet for the first time


def is_flat(notes, name):
    """The same at the end as in the first half: what is lost at each reconnect would show."""
    return notes[-1][name] <= max(note[name] for note in notes[: len(notes) // 2]) + POOLED


def test_an_hour_and_a_half_with_many_reconnects_leaves_nothing_open():
    found = measured("soak", days=0.0625, reconnect_minutes=7, looks_a_day=192)

    notes = found["notes"]
    assert found["stream_reconnects"] >= 11, found
    assert bars_of(found) >= 2 * 89, found
    assert found["orders"] > 0, found
    assert is_healthy(found), found
    assert all(is_flat(notes, name) for name in ("files", "threads", "tasks")), notes


@pytest.mark.slow
def test_thirty_days_with_a_reconnect_an_hour_grow_by_less_than_five_percent():
    found = measured("soak", days=30, reconnect_minutes=60)

    first, last = found["notes"][0], found["notes"][-1]
    assert found["stream_reconnects"] >= 30 * 24 - 1, found
    assert bars_of(found) >= 2 * (30 * 1440 - 1), found
    assert is_healthy(found), found
    assert last["memory_mb"] < 1.05 * first["memory_mb"], found["notes"]
    assert all(is_flat(found["notes"], name) for name in ("files", "threads", "tasks")), found
