"""The replay: every tick once and in order, at a pace, and nothing that is not known yet."""

import asyncio
import copy
import itertools
import pickle
from collections import deque

import numpy as np
import pytest
from data_builders import Sleeper, gathered, some_bars
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, MINUTE, Bar, Bars, Tick, Timeframe
from ticklane.data.feeds import ReplayFeed, even_offsets, paced_offsets

ONE_MINUTE = Timeframe(MINUTE)


class Watch:
    """A clock that only moves when somebody works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, feed, seconds_a_tick):
        """Take all ticks of the feed, each of which is so much work."""
        for _ in feed.ticks():
            self.now += seconds_a_tick


def a_replay(*series, **options):
    return ReplayFeed({bars.symbol: bars for bars in series}, ONE_MINUTE, **options)


def minutes(ticks):
    return [tick.time_ns // MINUTE for tick in ticks]


def expected_ticks(*series):
    """The same ticks, made one by one."""
    rows = sorted(
        ((bar.close_ns, number, bar) for number, bars in enumerate(series) for bar in bars.rows()),
        key=lambda row: row[:2],
    )
    for instant, group in itertools.groupby(rows, key=lambda row: row[0]):
        bars = tuple(row[2] for row in group)
        yield Tick(instant, tuple(bar.symbol for bar in bars), bars)


# Replay: what comes


def test_a_replay_gives_each_bar_as_a_tick():
    ticks = list(a_replay(some_bars("AAA", 1, 2, 3)).ticks())

    assert minutes(ticks) == [1, 2, 3]
    assert ticks[1].symbols == ("AAA",)
    assert ticks[1].observed == (Bar("AAA", MINUTE, 2 * MINUTE, 2.0, 3.0, 1.0, 2.0, 20.0),)


def test_the_bars_of_a_replay_are_bars_in_every_respect():
    tick = next(a_replay(some_bars("AAA", 1)).ticks())
    bar = tick.observed[0]

    assert isinstance(bar, Bar)
    assert isinstance(tick, Tick)
    assert (bar.__class__, tick.__class__) == (Bar, Tick)
    assert bar["close"] == bar.close == bar.price == 1.0
    assert repr(bar).startswith("Bar(symbol='AAA', open_ns=0")
    assert repr(tick).startswith("Tick(time_ns=60000000000")
    assert hash(tick) == hash(Tick(*tick))
    assert bar._replace(close=2.0).close == 2.0
    assert type(pickle.loads(pickle.dumps(tick))) is Tick
    assert copy.deepcopy(tick) == tick == pickle.loads(pickle.dumps(tick))
    assert all(type(value) in (int, float) for value in bar[1:])


def test_bars_of_one_instant_come_in_one_tick_in_the_order_of_the_symbols():
    ticks = list(a_replay(some_bars("BBB", 1, 2), some_bars("AAA", 1, 2)).ticks())

    assert minutes(ticks) == [1, 2]
    assert ticks[0].symbols == ("BBB", "AAA")
    assert [bar.symbol for bar in ticks[0].observed] == ["BBB", "AAA"]


def test_a_tick_holds_only_the_symbols_that_completed_a_bar():
    ticks = list(a_replay(some_bars("AAA", 1, 3), some_bars("BBB", 2, 3, 4)).ticks())

    assert minutes(ticks) == [1, 2, 3, 4]
    assert [tick.symbols for tick in ticks] == [("AAA",), ("BBB",), ("AAA", "BBB"), ("BBB",)]


def test_bars_that_close_together_but_opened_apart_keep_their_openings():
    hour = Bars("HOUR", *some_bars("HOUR", 60).columns())
    hour.open_ns[0] = 0

    (tick,) = a_replay(some_bars("AAA", 60), hour).ticks()

    assert [bar.open_ns // MINUTE for bar in tick.observed] == [59, 0]


@given(
    st.lists(st.sets(st.integers(1, 30), min_size=1), min_size=1, max_size=4), st.integers(0, 31)
)
def test_any_series_are_merged_as_one_by_one(closes, after):
    series = [
        some_bars(f"S{number}", *sorted(chosen), scale=number + 1.0)
        for number, chosen in enumerate(closes)
    ]

    found = list(a_replay(*series).ticks(after * MINUTE))

    assert found == [t for t in expected_ticks(*series) if t.time_ns > after * MINUTE]


@pytest.mark.parametrize("missing", [[], [0], [700], [80, 81, 82], [4048, 4049, 4050], [8999]])
def test_long_series_are_whole_across_blocks(missing):
    whole = some_bars("AAA", *range(1, 9001))
    torn = some_bars("BBB", *np.delete(np.arange(1, 9001), missing))

    found = list(a_replay(whole, torn, clock=Watch()).ticks(17 * MINUTE))

    assert found == [t for t in expected_ticks(whole, torn) if t.time_ns > 17 * MINUTE]


def test_ticks_lie_after_the_start_and_up_to_the_end():
    feed = a_replay(some_bars("AAA", *range(1, 9)), start_ns=2 * MINUTE, end_ns=6 * MINUTE)

    assert minutes(feed.ticks()) == [3, 4, 5, 6]
    assert minutes(feed.ticks(4 * MINUTE)) == [5, 6]
    assert minutes(feed.ticks(MINUTE)) == [3, 4, 5, 6]
    assert minutes(feed.ticks(9 * MINUTE)) == []
    assert (feed.instants(4 * MINUTE) // MINUTE).tolist() == [5, 6]


def test_the_start_is_the_first_opening_until_somebody_sets_it():
    feed = a_replay(some_bars("AAA", 3, 4), some_bars("BBB", 2, 3))
    assert feed.start_ns == MINUTE

    feed.start_ns = 3 * MINUTE

    assert minutes(feed.ticks()) == [4]


def test_ticks_can_be_taken_again():
    feed = a_replay(some_bars("AAA", 1, 2, 3))

    assert list(feed.ticks()) == list(feed.ticks())


def test_progress_is_told_after_each_block():
    told = []
    feed = a_replay(
        some_bars("AAA", *range(1, 13001)),
        progress=lambda done, total: told.append((done, total)),
        clock=Watch(),
    )

    deque(feed.ticks(1000 * MINUTE), maxlen=0)

    ends = [8, 24, 56, 120, 248, 504, 1016, 2040, 4088, 8184, 12_000]
    assert told == [(end, 12_000) for end in ends]


@pytest.mark.parametrize(
    ("seconds_a_tick", "sizes"),
    [
        (0.0001, [8, 16, 32, 64, 128, 256, 512, 512, 512]),  # 0.05 s is neither quick nor slow
        (0.01, [8, 8, 8]),
        (0.03, [8, 4, 4]),
        (1.0, [8, 4, 2, 1, 1, 1]),
    ],
)
def test_blocks_are_as_long_as_it_takes_to_hear_a_stop_soon(seconds_a_tick, sizes):
    watch, ends = Watch(), []
    feed = a_replay(
        some_bars("AAA", *range(1, 3001)), progress=lambda done, _: ends.append(done), clock=watch
    )

    watch.work(feed, seconds_a_tick)

    assert np.diff([0, *ends])[: len(sizes)].tolist() == sizes
    assert ends[-1] == 3000


def test_blocks_grow_again_when_the_work_gets_quick():
    watch, ends = Watch(), []
    feed = a_replay(
        some_bars("AAA", *range(1, 201)), progress=lambda done, _: ends.append(done), clock=watch
    )

    for number, _ in enumerate(feed.ticks()):
        watch.now += 0.01 if number < 90 else 0.0

    assert np.diff([0, *ends]).tolist() == [8] * 12 + [16, 32, 56]


@pytest.mark.parametrize("seconds_a_tick", [0.0, 0.003, 5.0])
def test_no_tick_depends_on_how_long_it_takes(seconds_a_tick):
    whole = some_bars("AAA", *range(1, 801))
    torn = some_bars("BBB", *range(1, 801, 3))
    watch, found = Watch(), []

    for tick in a_replay(whole, torn, clock=watch).ticks():
        watch.now += seconds_a_tick
        found.append(tick)

    assert found == list(expected_ticks(whole, torn))


def test_a_stopped_replay_ends_with_its_block():
    feed = a_replay(some_bars("AAA", *range(1, 9001)))
    ticks = feed.ticks()
    next(ticks)

    feed.stop()

    assert feed.is_stopped
    assert len(list(ticks)) == 7
    assert list(feed.ticks()) == []


def test_a_replay_needs_bars():
    with pytest.raises(DataError, match="There are no bars to replay; give at least one symbol"):
        ReplayFeed({}, ONE_MINUTE)


# Replay: history


def test_history_is_what_was_complete_at_that_instant():
    feed = a_replay(some_bars("AAA", 1, 2, 3, 4), start_ns=3 * MINUTE)

    assert feed.history("AAA", 2, 3 * MINUTE).close.tolist() == [2, 3]
    assert feed.history("AAA", 9, 3 * MINUTE + 1).close.tolist() == [1, 2, 3]
    assert feed.history("AAA", None, 9 * MINUTE).close.tolist() == [1, 2, 3, 4]
    assert len(feed.history("AAA", 2, 0)) == 0


def test_history_reaches_nothing_later():
    bars = a_replay(some_bars("AAA", 1, 2, 3, 4)).history("AAA", 2, 3 * MINUTE)

    for column in bars.columns():
        assert column.base is None
        assert not column.flags.writeable


def test_history_of_an_unknown_symbol_is_refused():
    with pytest.raises(DataError, match="The feed has no symbol 'BBB'; it has AAA"):
        a_replay(some_bars("AAA", 1)).history("BBB", 1, MINUTE)


# Replay: pace


async def test_a_stream_gives_the_same_ticks():
    feed = a_replay(some_bars("AAA", 1, 2, 3), some_bars("BBB", 2))

    assert await gathered(feed) == list(feed.ticks())
    assert minutes(await gathered(feed, after_ns=2 * MINUTE)) == [3]


async def test_a_stream_without_a_pace_lets_others_run_after_each_tick():
    order = []

    async def other():
        for _ in range(3):
            order.append("other")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for tick in a_replay(some_bars("AAA", 1, 2, 3)).stream():
        order.append(tick.time_ns // MINUTE)
    await task

    assert order == ["other", 1, "other", 2, "other", 3]


async def test_a_stream_with_a_duration_spreads_its_ticks_evenly():
    sleeper = Sleeper()
    feed = a_replay(some_bars("AAA", *range(1, 11)), duration=200.0, sleep=sleeper)

    await gathered(feed, after_ns=5 * MINUTE)

    assert sleeper.slept == pytest.approx([40, 80, 120, 160, 200], abs=1)


async def test_a_stream_with_a_speed_keeps_the_steps_of_the_bars():
    sleeper = Sleeper()

    await gathered(a_replay(some_bars("AAA", 1, 2, 3), speed=0.5, sleep=sleeper))

    assert sleeper.slept == pytest.approx([0, 120, 240], abs=1)


async def test_a_stopped_stream_ends_at_its_next_tick():
    feed = a_replay(some_bars("AAA", 1, 2, 3))
    found = []
    async for tick in feed.stream():
        found.append(tick)
        feed.stop()

    assert minutes(found) == [1]


def test_offsets_at_a_speed_are_the_steps_of_the_bars_with_short_gaps():
    instants = np.array([0, 1, 2, 1000, 1001], np.int64) * MINUTE

    assert paced_offsets(instants, MINUTE, 60.0).tolist() == [0, 1, 2, 3, 4]
    assert paced_offsets(instants, MINUTE, 600.0).tolist() == pytest.approx([0, 0.1, 0.2, 1.2, 1.3])
    assert paced_offsets(instants, MINUTE, 1.0).tolist() == [0, 60, 120, 180, 240]
    assert paced_offsets(instants[:0], MINUTE, 1.0).tolist() == []


def test_a_weekend_of_daily_bars_takes_no_longer_than_a_day():
    friday_to_tuesday = np.array([0, 3, 4], np.int64) * DAY

    assert paced_offsets(friday_to_tuesday, DAY, 86_400.0).tolist() == [0, 1, 2]


def test_a_short_gap_takes_its_time():
    instants = np.array([0, 1, 3], np.int64) * MINUTE

    assert paced_offsets(instants, MINUTE, 240.0).tolist() == [0, 0.25, 0.75]


def test_even_offsets_end_with_the_duration():
    assert even_offsets(4, 20.0).tolist() == [5, 10, 15, 20]
    assert even_offsets(0, 20.0).tolist() == []


@pytest.mark.parametrize("options", [{"speed": 0}, {"speed": -1.0}, {"duration": float("nan")}])
def test_a_pace_must_be_above_zero(options):
    name = next(iter(options))

    with pytest.raises(ConfigError, match=f"^{name} is .*, but must be a number above zero"):
        a_replay(some_bars("AAA", 1), **options)
