"""The polling feed in virtual time, and which silence is believed."""

import pytest
from catalog_builders import bars_at
from data_builders import at
from jumping_loop import in_virtual_time
from streaming_builders import NOON, a_vendor, closes, known, minutes_of, ticks_for

from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, Bars, Timeframe
from ticklane.data.calendars import AlwaysOpen, calendar_of
from ticklane.data.polling import PollingFeed
from ticklane.data.quiet import QuietWatch

ONE_MINUTE = Timeframe(MINUTE)
XNYS = calendar_of("XNYS")


def polled(vendor, seconds, symbols=("AAA",), timeframe="1m", **options):
    """Ticks of a polling feed of this vendor, and the feed."""

    async def run():
        given = {"calendar": AlwaysOpen(), "warmup": 5, **options}
        feed = PollingFeed(vendor, symbols, timeframe=timeframe, clock=vendor.clock, **given)
        return await ticks_for(feed, seconds), feed

    return in_virtual_time(run())


# Polling


def test_bars_are_polled_once_and_in_order():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)

    found, feed = polled(vendor, 300)

    assert closes(found) == [1, 2, 3, 4, 5]
    assert known(feed) == list(range(known(feed)[0], 6))
    assert all(came - tick.time_ns < 3 * SECOND for came, tick in found)


def test_a_bar_that_the_vendor_has_late_is_asked_for_again():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30, history_lag=4.0)

    found, _ = polled(vendor, 300)

    assert closes(found) == [1, 2, 3, 4, 5]
    assert all(3 * SECOND < came - tick.time_ns < 8 * SECOND for came, tick in found)


def test_a_vendor_that_fails_is_asked_again_and_nothing_is_lost():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)

    async def run():
        feed = PollingFeed(vendor, ["AAA"], timeframe="1m", clock=vendor.clock, warmup=5)

        async def fail():
            vendor.history_fails = 12  # two instants long

        return await ticks_for(feed, 400, during=fail), feed

    found, feed = in_virtual_time(run())

    assert closes(found) == [1, 2, 3, 4, 5, 6, 7]
    assert feed.counts["failed_requests"] == 12


def test_a_symbol_without_a_bar_does_not_hold_the_others_for_long():
    vendor = a_vendor(minutes_of("AAA", -30, 60), minutes_of("BBB", -30, 30), after=30)

    found, _ = polled(vendor, 100, symbols=("AAA", "BBB"))

    assert closes(found)[:1] == [1]
    assert found[0][0] - found[0][1].time_ns <= 15.1 * SECOND


def test_daily_bars_come_after_the_session():
    opens, close = at(2024, 11, 29, 14, 30), at(2024, 11, 29, 18, 0)  # an early close
    day = Bars("AAA", *bars_at("AAA", [opens], step=close - opens).columns())
    vendor = a_vendor(day)
    vendor.clock.start_ns = close - HOUR
    vendor._between = lambda symbol, timeframe, start_ns, end_ns: day.between(
        0, int(day.close_ns[0] <= end_ns)
    )

    found, _ = polled(vendor, 2 * 3600, timeframe="1d", calendar=XNYS)

    ((came, tick),) = found
    assert tick.time_ns == close
    assert came - close < 10 * SECOND


# Silence


def watch(symbol="AAA", calendar=XNYS):
    made = QuietWatch({symbol: calendar}, ONE_MINUTE)
    minutes = range(at(2024, 11, 25, 14, 30), at(2024, 11, 25, 21, 0), MINUTE)
    made.learn(bars_at(symbol, minutes))
    return made


def test_a_liquid_symbol_is_missed_after_one_bar():
    quiet, open_ns = watch(), at(2024, 11, 26, 14, 30)
    quiet.begin(["AAA"], open_ns)

    assert quiet.suspects(open_ns + MINUTE + 2 * SECOND) == []
    assert quiet.suspects(open_ns + MINUTE + 4 * SECOND) == ["AAA"]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (at(2024, 11, 26, 21, 0), at(2024, 11, 27, 14, 30)),  # a night
        (at(2024, 11, 27, 21, 0), at(2024, 11, 29, 14, 30)),  # Thanksgiving
        (at(2024, 11, 29, 18, 0), at(2024, 12, 2, 14, 30)),  # an early close and a weekend
        (at(2024, 3, 8, 21, 0), at(2024, 3, 11, 13, 30)),  # the clocks go forward
        (at(2024, 11, 1, 20, 0), at(2024, 11, 4, 14, 30)),  # and back
    ],
)
def test_no_bar_is_missed_while_the_market_is_closed(since, until):
    quiet = watch()
    quiet.begin(["AAA"], since)

    assert quiet.expected_bars("AAA", since, until) == 0
    assert quiet.suspects(until + 30 * SECOND) == []
    assert quiet.suspects(until + 90 * SECOND) == ["AAA"]


def test_a_rare_symbol_is_given_time():
    quiet = QuietWatch({"AAA": AlwaysOpen()}, ONE_MINUTE)
    quiet.learn(bars_at("AAA", range(NOON - DAY, NOON, 10 * MINUTE)))
    quiet.begin(["AAA"], NOON)

    missed_after = next(n for n in range(100) if quiet.suspects(NOON + n * MINUTE + 4 * SECOND))

    assert 25 < missed_after < 45  # one bar in ten minutes: 0.9 ** 36 = 0.02


def test_many_rare_symbols_are_missed_together():
    names = [f"S{n}" for n in range(80)]
    quiet = QuietWatch(dict.fromkeys(names, AlwaysOpen()), ONE_MINUTE)
    for name in names:
        quiet.learn(bars_at(name, range(NOON - DAY, NOON, 10 * MINUTE)))
    quiet.begin(names, NOON)

    assert quiet.suspects(NOON + MINUTE + 4 * SECOND) == names


def test_without_a_calendar_silence_tells_nothing():
    quiet = QuietWatch({"AAA": None}, ONE_MINUTE)

    assert quiet.suspects(NOON) == []
