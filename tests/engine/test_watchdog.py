"""The watchdog: it names what hangs while it hangs, says so rarely, and counts the time."""

import asyncio
import sys
import threading
import traceback
from functools import partial
from pathlib import Path

import pytest

from ticklane.engine import watchdog as module
from ticklane.engine.watchdog import Hang, Heartbeat, Watchdog


class Bench:
    """A watchdog with a clock that is set by hand and frames that may be chosen."""

    def __init__(self, frames=sys._current_frames):
        self.beat, self.hangs, self.now = Heartbeat(), [], 0.0
        self.watchdog = Watchdog(
            self.beat, self.hangs.append, clock=lambda: self.now, frames=frames
        )

    def look_at(self, *moments):
        for self.now in moments:
            self.watchdog.inspect(self.now)

    def begin(self, strategy):
        self.beat.current = strategy

    def end(self):
        self.beat.current = None
        self.beat.count += 1


@pytest.fixture
def bench():
    return Bench()


def test_a_call_is_reported_at_the_limit_and_at_each_doubling(bench):
    bench.begin("slow")

    bench.look_at(10.0, 11.9, 12.0, 12.5, 13.9, 14.5, 18.9, 19.0, 19.1)

    assert [(hang.strategy, hang.seconds) for hang in bench.hangs] == [
        ("slow", 2.0),
        ("slow", 4.5),
        ("slow", 9.0),
    ]


def test_the_time_of_a_hang_is_counted_when_the_call_has_ended(bench):
    for started, ended in ((10.0, 15.0), (20.0, 23.0)):
        bench.begin("slow")
        bench.look_at(started, started + 2)
        bench.end()
        bench.look_at(ended)

    assert bench.watchdog.hang_seconds == {"slow": 8.0}


def test_many_short_calls_of_one_strategy_are_no_hang(bench):
    for moment in range(20):
        bench.begin("busy")
        bench.look_at(float(moment))
        bench.end()

    assert bench.hangs == []
    assert bench.watchdog.hang_seconds == {}


def test_two_hangs_in_a_row_are_told_apart(bench):
    bench.begin("first")
    bench.look_at(0.0, 3.0)
    bench.end()
    bench.begin("second")
    bench.look_at(3.5, 5.0, 6.0)

    assert [(hang.strategy, hang.seconds) for hang in bench.hangs] == [
        ("first", 3.0),
        ("second", 2.5),
    ]
    assert bench.watchdog.hang_seconds == {"first": 3.5}


def test_a_call_that_ends_while_its_stack_is_taken_is_not_blamed():
    def frames():
        bench.end()
        return sys._current_frames()

    bench = Bench(frames)
    bench.begin("just in time")
    bench.look_at(0.0, 3.0)

    assert bench.hangs == []


def test_a_lane_whose_thread_has_ended_is_said_to_have():
    bench = Bench(dict)
    bench.begin("gone")
    bench.look_at(0.0, 3.0)

    assert bench.hangs == [Hang("gone", 3.0, "(the thread of the lane has ended)\n")]


def test_time_since_the_last_sign_of_life_is_known(bench):
    bench.look_at(5.0)
    assert bench.watchdog.seconds_since_beat() == 5.0

    bench.beat.pulse()
    assert bench.watchdog.seconds_since_beat() == 0.0

    bench.look_at(6.0, 8.5)
    assert bench.watchdog.seconds_since_beat() == 2.5

    bench.end()
    assert bench.watchdog.seconds_since_beat() == 0.0


def run_as(filename):
    """Define `call(then)` as if it stood in that file."""
    names = {}
    exec(compile("def call(then):\n    return then()", filename, "exec"), names)
    return names["call"]


ENGINE = str(Path(module.__file__).parent / "host.py")


def text_of_the_stack(*filenames):
    """What a hang tells when the lane runs through these files, outermost first."""
    bench = Bench()
    bench.begin("slow")

    def hang():
        bench.look_at(0.0, 3.0)

    for filename in reversed(filenames):
        hang = partial(run_as(filename), hang)
    hang()
    return bench.hangs[0].stack_text


def files_in(text):
    return [line.split('"')[1] for line in text.splitlines() if line.startswith('  File "')]


def test_the_stack_begins_with_the_strategy():
    text = text_of_the_stack("daemon.py", ENGINE, ENGINE, "mine.py", "their_library.py")

    assert files_in(text)[0] == "mine.py"
    assert "their_library.py" in files_in(text)
    assert "daemon.py" not in text


def test_the_standard_library_between_engine_and_strategy_is_left_out():
    text = text_of_the_stack(ENGINE, asyncio.events.__file__, ENGINE, "mine.py")

    assert files_in(text)[0] == "mine.py"


def test_what_the_strategy_asks_of_the_engine_stays_in_its_stack():
    text = text_of_the_stack(ENGINE, "mine.py", ENGINE)

    assert [Path(name).name for name in files_in(text)[:2]] == ["mine.py", "host.py"]


def test_without_the_engine_in_sight_the_innermost_frames_are_shown():
    text = text_of_the_stack(*(f"part_{number}.py" for number in range(20)))

    assert len(files_in(text)) == 12


async def test_a_strategy_that_awaits_is_told_from_one_that_blocks():
    loop = asyncio.get_running_loop()
    reported = asyncio.Event()
    hangs = []

    def on_hang(hang):
        hangs.append(hang)
        loop.call_soon_threadsafe(reported.set)

    beat = Heartbeat()
    watchdog = Watchdog(beat, on_hang, limit=0.02, poll=0.01)
    beat.current = "patient"
    watchdog.start()
    await asyncio.wait_for(reported.wait(), 30)
    watchdog.stop()

    assert hangs[0].strategy == "patient"
    assert "awaits something" in hangs[0].stack_text


def test_a_blocked_thread_is_named_with_its_stack_while_it_hangs():
    released, hangs = threading.Event(), []

    def on_hang(hang):
        hangs.append(hang)
        released.set()

    def a_strategy_that_waits_for_its_watchdog():
        assert released.wait(30)

    beat = Heartbeat()
    watchdog = Watchdog(beat, on_hang, limit=0.02, poll=0.01)
    watchdog.start()
    watchdog.start()
    beat.current = "stuck"
    a_strategy_that_waits_for_its_watchdog()
    watchdog.stop()
    watchdog.stop()

    assert hangs[0].strategy == "stuck"
    assert hangs[0].seconds >= 0.02
    assert "a_strategy_that_waits_for_its_watchdog" in hangs[0].stack_text
    assert watchdog.hang_seconds["stuck"] >= 0.02  # the call had not ended: counted by stop


def test_a_stop_ends_the_thread_and_a_start_begins_a_new_one():
    watchdog = Watchdog(Heartbeat(), print, poll=0.01)

    for _ in range(2):
        watchdog.start()
        [thread] = [t for t in threading.enumerate() if t.name == "ticklane-watchdog"]
        assert thread.daemon
        watchdog.stop()
        assert not thread.is_alive()


def test_the_callback_itself_may_stop_the_watchdog():
    stopped = threading.Event()

    def on_hang(_hang):
        watchdog.stop()
        stopped.set()

    beat = Heartbeat()
    watchdog = Watchdog(beat, on_hang, limit=0.02, poll=0.01)
    beat.current = "stuck"
    watchdog.start()

    assert stopped.wait(30)


def test_the_text_of_a_stack_reads_like_a_traceback():
    own_line = traceback.extract_stack()[-1].filename

    assert f'File "{own_line}", line ' in text_of_the_stack("mine.py")
