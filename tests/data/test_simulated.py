"""The simulated market: a pure function of seed, symbol and time, delivered by a clock."""

import time

import numpy as np
import pytest
from data_builders import Sleeper, at, gathered

from ticklane.clock import SimulatedClock
from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, MINUTE, SECOND, Timeframe
from ticklane.data.feeds import SimulatedFeed

ONE_MINUTE = Timeframe(MINUTE)
NOW = at(2026, 11, 20, 12) + 250_000_000


def a_market(*symbols, clock=None, **options):
    return SimulatedFeed(symbols or ("AAA",), clock=clock or SimulatedClock(NOW), **options)


def test_simulated_prices_depend_on_seed_symbol_and_time_only():
    bars = a_market("AAA", "BBB").history("AAA", 3, NOW)

    assert bars.close.tolist() == a_market("AAA").history("AAA", 3, NOW).close.tolist()
    assert bars.close.tolist() != a_market("BBB").history("BBB", 3, NOW).close.tolist()
    assert bars.close.tolist() != a_market(seed=1).history("AAA", 3, NOW).close.tolist()


def test_simulated_prices_are_the_same_in_every_process_and_on_every_machine():
    bars = a_market(timeframe=ONE_MINUTE).history("AAA", 3, NOW)

    assert [bar[3:] for bar in bars.rows()] == [
        (30.38, 30.4, 30.38, 30.4, 7780.0),
        (30.4, 30.4, 30.38, 30.39, 2299.0),
        (30.39, 30.39, 30.38, 30.39, 8465.0),
    ]


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


async def test_in_real_time_what_closed_before_the_start_is_history():
    clock = SimulatedClock(NOW)
    feed = a_market(clock=clock, sleep=Sleeper(clock))
    feed.start_ns = NOW

    (tick,) = await gathered(feed, 1)

    assert tick.time_ns == NOW + 750_000_000


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


async def test_bars_that_are_late_come_without_anybody_having_to_wait_for_them():
    clock = SimulatedClock(NOW)
    sleeper = Sleeper(clock)
    stream = a_market(clock=clock, sleep=sleeper).stream(NOW)
    await anext(stream)
    before = list(sleeper.slept)

    clock.set(clock.now_ns() + 100 * SECOND)  # something has held up everybody
    late = [await anext(stream) for _ in range(100)]

    assert sleeper.slept == before
    assert late[-1].time_ns <= clock.now_ns() < late[-1].time_ns + SECOND


@pytest.mark.parametrize(("speed", "times"), [(1, 3), (60, 1000), (0.5, 1000)])
async def test_however_late_the_bars_are_others_run_in_between(speed, times):
    clock = SimulatedClock(NOW)
    sleeper = Sleeper(clock)
    stream = a_market(clock=clock, sleep=sleeper, speed=speed).stream(NOW)
    await anext(stream)
    clock.set(NOW + DAY)
    sleeper.slept.clear()

    for _ in range(1000):
        await anext(stream)

    assert sleeper.slept == [0] * times


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
