"""Days of a daemon in virtual time: nothing grows, nothing is left open."""

import pytest
from alpaca_strain import measured


def is_healthy(found):
    return (found["trading_state"], found["restrictions"], found["faults"]) == ("ACTIVE", [], 0)


def is_flat(notes, name):
    """The same at the end as at the beginning."""
    return notes[-1][name] <= max(note[name] for note in notes[: len(notes) // 2])


def test_a_few_hours_with_many_reconnects_leave_no_file_and_no_task_behind():
    found = measured("soak", days=0.125, reconnect_minutes=10, looks_a_day=96)

    notes = found["notes"]
    assert found["stream_reconnects"] >= 16, found
    assert found["bars"]["new"] >= 2 * 179, found
    assert found["orders"] > 0, found
    assert is_healthy(found), found
    assert all(is_flat(notes, name) for name in ("files", "threads", "tasks")), notes


@pytest.mark.slow
def test_thirty_days_with_a_reconnect_an_hour_grow_by_less_than_five_percent():
    found = measured("soak", days=30, reconnect_minutes=60)

    first, last = found["notes"][0], found["notes"][-1]
    assert found["stream_reconnects"] >= 30 * 24 - 1, found
    assert found["bars"]["new"] >= 2 * (30 * 1440 - 1), found
    assert is_healthy(found), found
    assert last["memory_mb"] < 1.05 * first["memory_mb"], found["notes"]
    assert all(is_flat(found["notes"], name) for name in ("files", "threads", "tasks")), found
