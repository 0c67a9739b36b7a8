"""Feeds: every tick once and in order, at a pace, and nothing that is not known yet."""

import asyncio
import itertools
import pickle
import time
from collections import deque

import numpy as np
import pytest
from data_builders import at, some_bars
from hypothesis import given
from hypothesis import strategies as st

from ticklane.clock import SimulatedClock
from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, MINUTE, SECOND, Bar, Bars, Tick, Timeframe
from ticklane.data.feeds import ReplayFeed, SimulatedFeed, even_offsets, paced_offsets

ONE_MINUTE = Timeframe(MINUTE)


def a_replay(*series, **options):
    return ReplayFeed({bars.symbol: bars for bars in series}, ONE_MINUTE, **options)


def minutes(ticks):
    return [tick.time_ns // MINUTE for tick in ticks]


async def gathered(feed, count=None, after_ns=None):
    """The ticks of a stream, at most `count`."""
    found = []
    async for tick in feed.stream(after_ns):
        found.append(tick)
        if len(found) == count:
            break
    return found


def expected_ticks(*series):
    """The same ticks, made one by one."""
    rows = sorted(
        ((bar.close_ns, number, bar) for number, bars in enumerate(series) for bar in bars.rows()),
        key=lambda row: row[:2],
    )
    for instant, group in itertools.groupby(rows, key=lambda row: row[0]):
        bars = tuple(row[2] for row in group)
        yield Tick(instant, tuple(bar.symbol for bar in bars), bars)


class Sleeper:
    """A sleep that takes no time: it keeps the seconds and moves a clock."""

    def __init__(self, clock=None):
        self.clock = clock or SimulatedClock()
        self.slept = []

    async def __call__(self, seconds):
        self.slept.append(seconds)
        self.clock.set(self.clock.now_ns() + round(seconds * SECOND))


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
    assert bar["close"] == bar.close == bar.price == 1.0
    assert repr(bar).startswith("Bar(symbol='AAA', open_ns=0")
    assert repr(tick).startswith("Tick(time_ns=60000000000")
    assert hash(tick) == hash(Tick(*tick))
    assert bar._replace(close=2.0).close == 2.0
    assert pickle.loads(pickle.dumps(tick)) == tick
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


@given(st.lists(st.sets(st.integers(1, 30), min_size=1), min_size=1, max_size=4), st.integers(0, 31))
def test_any_series_are_merged_as_one_by_one(closes, after):
    series = [
        some_bars(f"S{number}", *sorted(chosen), scale=number + 1.0)
        for number, chosen in enumerate(closes)
    ]

    found = list(a_replay(*series).ticks(after * MINUTE))

    assert found == [t for t in expected_ticks(*series) if t.time_ns > after * MINUTE]


@pytest.mark.parametrize("missing", [[], [0], [700], [4095, 4096, 4097], [8999]])
def test_long_series_are_whole_across_blocks(missing):
    whole = some_bars("AAA", *range(1, 9001))
    torn = some_bars("BBB", *np.delete(np.arange(1, 9001), missing))

    found = list(a_replay(whole, torn).ticks(17 * MINUTE))

    assert found == [t for t in expected_ticks(whole, torn) if t.time_ns > 17 * MINUTE]


def test_ticks_lie_after_the_start_and_up_to_the_end():
    feed = a_replay(some_bars("AAA", *range(1, 9)), start_ns=2 * MINUTE, end_ns=6 * MINUTE)

    assert minutes(feed.ticks()) == [3, 4, 5, 6]
    assert minutes(feed.ticks(4 * MINUTE)) == [5, 6]
    assert minutes(feed.ticks(MINUTE)) == [3, 4, 5, 6]
    assert minutes(feed.ticks(9 * MINUTE)) == []
    assert (feed.instants(4 * MINUTE) // MINUTE).tolist() == [5, 6]


def test_ticks_can_be_taken_again():
    feed = a_replay(some_bars("AAA", 1, 2, 3))

    assert list(feed.ticks()) == list(feed.ticks())


def test_progress_is_told_after_each_block():
    told = []
    feed = a_replay(
        some_bars("AAA", *range(1, 9001)), progress=lambda done, total: told.append((done, total))
    )

    deque(feed.ticks(1000 * MINUTE), maxlen=0)

    assert told == [(4096, 8000), (8000, 8000)]


def test_a_stopped_replay_ends_with_its_block():
    feed = a_replay(some_bars("AAA", *range(1, 9001)))
    ticks = feed.ticks()
    next(ticks)

    feed.stop()

    assert feed.is_stopped
    assert len(list(ticks)) == 4095
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
    assert paced_offsets(instants, MINUTE, 600.0).tolist() == pytest.approx(
        [0, 0.1, 0.2, 1.2, 1.3]
    )
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


# Replay: speed


@pytest.mark.parametrize("count", [1, 50])
def test_a_replay_is_fast(count):
    rows = 200_000 // count
    series = [some_bars(f"S{number}", *range(1, rows + 1)) for number in range(count)]
    feed = a_replay(*series)
    fastest = float("inf")

    for _ in range(3):
        start = time.perf_counter()
        deque(feed.ticks(), maxlen=0)
        fastest = min(fastest, time.perf_counter() - start)

    assert 200_000 / fastest > 800_000  # bars a second; 4 to 6 million on a quiet core


# Simulated


def a_market(*symbols, clock=None, **options):
    return SimulatedFeed(symbols or ("AAA",), clock=clock or SimulatedClock(NOW), **options)


NOW = at(2026, 11, 20, 12) + 250_000_000


def test_simulated_prices_depend_on_seed_symbol_and_time_only():
    bars = a_market("AAA", "BBB").history("AAA", 3, NOW)

    assert bars.close.tolist() == a_market("AAA").history("AAA", 3, NOW).close.tolist()
    assert bars.close.tolist() != a_market("BBB").history("BBB", 3, NOW).close.tolist()
    assert bars.close.tolist() != a_market(seed=1).history("AAA", 3, NOW).close.tolist()


def test_simulated_prices_are_the_same_in_every_process_and_on_every_machine():
    bars = a_market(timeframe=ONE_MINUTE).history("AAA", 3, NOW)

    assert [tuple(bar)[3:] for bar in bars.rows()] == PINNED


PINNED = []


def test_simulated_history_ends_with_the_newest_completed_bar():
    bars = a_market().history("AAA", 5, NOW)

    assert len(bars) == 5
    assert bars.close_ns[-1] == NOW - 250_000_000
    assert (np.diff(bars.close_ns) == SECOND).all()
    assert not any(column.flags.writeable for column in bars.columns())
    assert len(a_market().history("AAA", None, NOW)) == 10_000
    assert len(a_market().history("AAA", 5, 2 * SECOND)) == 2


def test_any_window_of_the_simulated_history_shows_the_same_bars():
    whole = a_market().history("AAA", 5000, NOW)

    for count, until in ((1, NOW), (17, NOW - 100 * SECOND), (3000, NOW - 1500 * SECOND)):
        part = a_market().history("AAA", count, until)
        first = int(np.searchsorted(whole.close_ns, part.close_ns[0]))
        for column, expected in zip(part.columns(), whole.columns(), strict=True):
            assert column.tolist() == expected[first : first + count].tolist()


@pytest.mark.parametrize("text", ["1s", "1m", "1h", "1d"])
def test_simulated_bars_are_sound(text):
    bars = a_market(timeframe=Timeframe.parse(text)).history("AAA", 2000, NOW)

    assert bars.open[1:].tolist() == bars.close[:-1].tolist()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.close > 0).all()
    assert np.round(bars.close, 2).tolist() == bars.close.tolist()
    assert (bars.volume >= 1).all()


def test_timeframes_agree_with_each_other():
    seconds = a_market().history("AAA", 600, at(2026, 11, 20, 12))
    minutes = a_market(timeframe=ONE_MINUTE).history("AAA", 10, at(2026, 11, 20, 12))

    assert minutes.close.tolist() == seconds.close[59::60].tolist()
    assert minutes.open.tolist() == seconds.open[::60].tolist()


def test_simulated_bars_may_be_shorter_than_a_second():
    bars = a_market(timeframe=Timeframe(100_000_000)).history("AAA", 50, NOW)

    assert (np.diff(bars.close_ns) == 100_000_000).all()


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD", "EURUSD"])
def test_the_simulated_market_moves_like_a_stock(symbol):
    feed = a_market(symbol, timeframe=Timeframe(DAY))
    bars = feed.history(symbol, 7300, NOW)

    returns = np.diff(np.log(bars.close))

    assert 0.18 < returns.std() * np.sqrt(365) < 0.44
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.06
    assert 5 < bars.close.min() < bars.close.max() < 5000


def test_symbols_of_the_simulated_market_move_apart():
    feed = a_market("AAA", "BBB", timeframe=Timeframe(DAY))
    moves = [np.diff(np.log(feed.history(name, 3000, NOW).close)) for name in ("AAA", "BBB")]

    assert abs(np.corrcoef(*moves)[0, 1]) < 0.1


def test_an_unknown_symbol_and_no_symbols_are_refused():
    with pytest.raises(DataError, match="The feed has no symbol 'BBB'; it has AAA"):
        a_market().history("BBB", 1, NOW)
    with pytest.raises(ConfigError, match="a simulated market needs one or more"):
        SimulatedFeed([], clock=SimulatedClock())
    with pytest.raises(ConfigError, match="each once"):
        a_market("AAA", "AAA")


async def test_in_real_time_the_newest_bar_comes_at_once_and_the_next_when_it_is_complete():
    clock = SimulatedClock(NOW)
    sleeper = Sleeper(clock)
    arrived = []

    async for tick in a_market("AAA", "BBB", clock=clock, sleep=sleeper).stream(NOW - DAY):
        arrived.append((tick.time_ns, clock.now_ns()))
        if len(arrived) == 3:
            break

    newest = NOW - 250_000_000
    assert arrived == [
        (newest, NOW),
        (newest + SECOND, newest + SECOND),
        (newest + 2 * SECOND, newest + 2 * SECOND),
    ]
    assert sleeper.slept == [0, 0.75, 1]


async def test_in_real_time_a_bar_that_was_seen_does_not_come_again():
    clock = SimulatedClock(NOW)
    feed = a_market(clock=clock, sleep=Sleeper(clock))

    (tick,) = await gathered(feed, 1, after_ns=NOW - 250_000_000)

    assert tick.time_ns == NOW + 750_000_000


async def test_in_real_time_a_slow_caller_gets_every_bar():
    clock = SimulatedClock(NOW)
    times = []

    async for tick in a_market(clock=clock, sleep=Sleeper(clock)).stream():
        times.append(tick.time_ns)
        clock.set(clock.now_ns() + 5 * SECOND)
        if len(times) == 4:
            break

    assert np.diff(times).tolist() == [SECOND] * 3


async def test_a_timer_that_goes_off_early_is_set_again():
    clock = SimulatedClock(NOW)
    sleeper = Sleeper(clock)

    async def early(seconds):
        await sleeper(seconds * 0.9 if seconds > 0.01 else seconds)

    feed = a_market(clock=clock, sleep=early)
    (tick,) = await gathered(feed, 1, after_ns=NOW)

    assert clock.now_ns() >= tick.time_ns


async def test_at_another_speed_every_bar_comes_so_many_times_faster():
    clock = SimulatedClock(NOW)
    sleeper = Sleeper(clock)
    feed = a_market(clock=clock, speed=60.0, timeframe=ONE_MINUTE, sleep=sleeper)
    start = at(2020, 1, 1)

    ticks = await gathered(feed, 3, after_ns=start)

    assert [tick.time_ns for tick in ticks] == [start + n * MINUTE for n in (1, 2, 3)]
    assert clock.now_ns() - NOW == 3 * SECOND


@pytest.mark.parametrize("speed", [None, 0])
async def test_without_a_speed_nothing_waits_and_the_start_may_be_chosen(speed):
    sleeper = Sleeper()
    start = at(2020, 1, 1)
    feed = a_market(speed=speed, start_ns=start, sleep=sleeper)

    ticks = await gathered(feed, 600)

    assert ticks[0].time_ns == start + SECOND
    assert set(sleeper.slept) == {0}
    history = feed.history("AAA", 600, ticks[-1].time_ns)
    assert [tick.observed[0] for tick in ticks] == list(history.rows())


def test_ten_thousand_simulated_bars_take_a_moment():
    feed = a_market()
    fastest = float("inf")

    for _ in range(3):
        start = time.perf_counter()
        feed.history("AAA", 10_000, NOW)
        fastest = min(fastest, time.perf_counter() - start)

    assert fastest < 0.3  # 0.02 s on a quiet core
