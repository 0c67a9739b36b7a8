"""The streaming feed in virtual time: every bar once and in order, whatever the stream does."""

import asyncio
import os
import random

import pytest
from catalog_builders import bars_at
from data_builders import at
from jumping_loop import in_virtual_time
from streaming_builders import (
    NOON,
    a_feed,
    a_vendor,
    closes,
    known,
    minutes_of,
    ticks_for,
)

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, Bar, Quote, Timeframe
from ticklane.core.prints import Amendment, Print
from ticklane.data.calendars import calendar_of


def watched(vendor, seconds, during=None, **options):
    """Ticks of a feed of this vendor, and the feed."""

    async def run():
        feed = a_feed(vendor, **options)
        return await ticks_for(feed, seconds, during=during and (lambda: during(vendor))), feed

    return in_virtual_time(run())


# A stream that behaves


def test_warm_up_joins_the_stream_without_hole_or_doubling():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)

    found, feed = watched(vendor, 300)

    assert closes(found) == [1, 2, 3, 4, 5]
    assert known(feed)[-10:] == [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5]


def test_a_start_exactly_on_the_minute_neither_loses_nor_doubles_a_bar():
    for after in (0.0, 0.2, 0.3, 0.4, 1.0, 1.1, 59.9):
        vendor = a_vendor(minutes_of("AAA", -30, 60), after=after)

        found, feed = watched(vendor, 200)

        assert known(feed)[-4:] == [known(feed)[-1] - n for n in (3, 2, 1, 0)]
        assert closes(found) == sorted(set(closes(found)))
        assert closes(found)[-3:] == [1, 2, 3] or closes(found)[-3:] == [2, 3, 4]


def test_a_bar_is_told_as_soon_as_all_symbols_are_there():
    vendor = a_vendor(minutes_of("AAA", -9, 60), minutes_of("BBB", -9, 60), after=30)

    found, _ = watched(vendor, 100, symbols=("AAA", "BBB"))

    came, tick = found[0]
    assert tick.symbols == ("AAA", "BBB")
    assert came - tick.time_ns < 0.35 * SECOND


def test_a_tick_waits_two_seconds_for_a_symbol_that_is_late():
    vendor = a_vendor(minutes_of("AAA", -9, 60), minutes_of("BBB", -9, 10), after=30)

    found, _ = watched(vendor, 40, symbols=("AAA", "BBB"))

    came, tick = found[0]
    assert tick.symbols == ("AAA", "BBB") or tick.symbols == ("AAA",)
    assert came - tick.time_ns <= 2.01 * SECOND


def test_a_bar_that_comes_after_the_grace_stands_just_before_the_next_tick():
    vendor = a_vendor(minutes_of("AAA", -9, 60), minutes_of("BBB", -9, 60), after=30)
    vendor.untold.add(("BBB", NOON + MINUTE))
    late = next(iter(minutes_of("BBB", 0, 1).rows()))
    vendor.extra.append((70, "on_bar", late))

    found, _ = watched(vendor, 100, symbols=("AAA", "BBB"))

    ticks = [tick for _, tick in found]
    assert [tick.symbols for tick in ticks] == [("AAA",), ("BBB",), ("AAA", "BBB")]
    assert [tick.time_ns - NOON for tick in ticks] == [MINUTE, MINUTE + 1, 2 * MINUTE]
    assert found[1][0] == found[2][0]  # at once, so that the lane merges them


def test_minutes_are_joined_into_longer_bars():
    vendor = a_vendor(minutes_of("AAA", -60, 120), after=30)

    found, feed = watched(vendor, 640, timeframe="5m")

    assert closes(found) == [5, 10]
    bar = found[0][1].observed[0]
    assert (bar.open, bar.close) == (100.6, 100.64)  # of the 60th to the 64th minute
    assert bar.volume == pytest.approx(sum((100.6 + n / 100) * 10 for n in range(5)))
    assert found[0][0] - found[0][1].time_ns < 0.4 * SECOND
    assert set(known(feed)) >= {-5, 0, 5, 10}


def test_a_joined_bar_does_not_wait_for_ever_for_its_last_minute():
    vendor = a_vendor(minutes_of("AAA", -60, 64), after=30)  # nothing from 12:04 on

    found, _ = watched(vendor, 400, timeframe="5m")

    assert closes(found) == [5]
    assert found[0][0] - found[0][1].time_ns <= 4.1 * SECOND


# Gaps and silence


def test_what_was_missed_in_a_gap_comes_once_and_in_order():
    async def cut(vendor):
        await asyncio.sleep(100)
        vendor.streams[0].drop(seconds=200)

    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)

    found, feed = watched(vendor, 600, during=cut)

    assert closes(found) == list(range(1, 11))
    assert known(feed)[-10:] == list(range(1, 11))
    assert feed.reconnects == 1


def test_while_there_is_no_stream_bars_are_fetched():
    async def cut(vendor):
        await asyncio.sleep(40)
        vendor.streams[0].drop(seconds=10_000)

    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)

    found, feed = watched(vendor, 300, during=cut)

    assert closes(found) == [1, 2, 3, 4, 5]
    assert all(came - tick.time_ns < 8 * SECOND for came, tick in found)
    assert not feed.is_up


def test_a_mute_stream_is_found_and_nothing_is_lost():
    async def silence(vendor):
        await asyncio.sleep(100)
        vendor.is_mute = True

    vendor = a_vendor(minutes_of("AAA", -120, 150), after=30)

    found, feed = watched(vendor, 600, during=silence, warmup=100)

    assert vendor.streams[0].reconnected == ["mute: 1 bars were not told"]
    assert closes(found) == list(range(1, 11))
    assert max(came - tick.time_ns for came, tick in found) < 12 * SECOND
    assert feed.counts["mute"] == 1


def test_a_symbol_without_trades_is_looked_up_but_the_stream_stays():
    vendor = a_vendor(minutes_of("AAA", -30, 60), minutes_of("BBB", -30, 30), after=30)

    found, feed = watched(vendor, 900, symbols=("AAA", "BBB"))

    assert vendor.streams[0].reconnected == []
    assert closes(found) == list(range(1, 16))
    assert len(vendor.asked) > 3  # it was looked up
    assert feed.counts["mute"] == 0


def test_one_mute_symbol_among_others_is_found():
    vendor = a_vendor(minutes_of("AAA", -120, 150), minutes_of("BBB", -120, 150), after=30)
    vendor.untold |= {("BBB", NOON + n * MINUTE) for n in (3, 4, 5, 8)}

    found, _ = watched(vendor, 600, symbols=("AAA", "BBB"), warmup=100)

    assert vendor.streams[0].reconnected == ["mute: 2 bars were not told"]
    assert closes(found, "BBB") == list(range(1, 11))


def test_silence_outside_sessions_is_believed():
    opens, close = at(2024, 11, 29, 14, 30), at(2024, 11, 29, 18, 0)  # an early close
    bars = bars_at("AAA", range(opens, close, MINUTE))
    vendor = a_vendor(bars)
    vendor.clock.start_ns = close - 10 * MINUTE

    found, feed = watched(vendor, 20 * 3600, calendar=calendar_of("XNYS"), warmup=100)

    assert len(found) == 10
    assert feed.counts["mute"] == 0
    assert len(vendor.asked) < 10


def test_ticks_wait_for_the_gap_but_not_for_ever():
    async def cut(vendor):
        await asyncio.sleep(100)
        vendor.history_fails = 100
        vendor.streams[0].drop(seconds=100)

    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)

    found, feed = watched(vendor, 400, during=cut)

    assert closes(found)[:2] == [1, 2]
    assert closes(found)[-2:] == [6, 7]  # what is missing stays missing, and trading goes on
    assert feed.counts["failed_requests"] > 1


def test_wrong_keys_end_the_start_with_one_sentence():
    vendor = a_vendor(minutes_of("AAA", -30, 60))
    vendor.refuses = "the vendor refused the keys; check them."

    with pytest.raises(DataError, match="refused the keys"):
        watched(vendor, 10)


# Corrections and bad bars


def test_a_late_correction_changes_history_and_is_marked():
    vendor = a_vendor(minutes_of("AAA", -9, 60), after=30)
    before = next(iter(minutes_of("AAA", -9, 10).between(9, 10).rows()))
    vendor.extra.append((80, "on_correction", before._replace(volume=7.0)))

    found, feed = watched(vendor, 100)

    (correction,) = feed.corrections
    assert (correction.before, correction.after.volume) == (before, 7.0)
    row = known(feed).index(1)
    assert feed.history("AAA", None, NOON + HOUR).volume[row] == 7.0
    assert closes(found) == [1, 2]


def test_a_correction_of_a_minute_corrects_the_longer_bar():
    vendor = a_vendor(minutes_of("AAA", -60, 120), after=30)
    minute = next(iter(vendor.series["AAA"].between(62, 63).rows()))
    vendor.extra.append((330, "on_correction", minute._replace(high=500.0)))

    found, feed = watched(vendor, 400, timeframe="5m")

    assert closes(found) == [5]
    assert [one.after.high for one in feed.corrections] == [500.0]


@pytest.mark.parametrize(
    "change",
    [
        {"close": float("nan")},
        {"close": 0.0},
        {"low": -1.0},
        {"high": float("inf")},
        {"high": 1.0},
        {"close": 10_000.0, "high": 10_001.0},
        {"open_ns": NOON + HOUR, "close_ns": NOON + HOUR + MINUTE},
    ],
)
@pytest.mark.parametrize("seconds", [15, 45])  # before the right one, and after it
def test_a_bar_that_cannot_be_makes_no_tick(change, seconds):
    vendor = a_vendor(minutes_of("AAA", -9, 60), after=30)
    good = next(iter(minutes_of("AAA", -9, 10).between(9, 10).rows()))
    vendor.extra.append((seconds, "on_bar", good._replace(**change)))

    found, feed = watched(vendor, 100)

    assert closes(found) == [1, 2]
    assert feed.counts["unsound"] + feed.counts["future"] == 1


def test_a_leap_that_stays_is_believed_in_the_end():
    vendor = a_vendor(
        bars_at("AAA", [NOON + n * MINUTE for n in range(-9, 0)]),
        after=30,
    )
    for minute in range(6):
        opened = NOON + minute * MINUTE
        bar = Bar("AAA", opened, opened + MINUTE, 9e3, 9e3, 9e3, 9e3, 1.0)
        vendor.extra.append((minute * 60 + 60.2, "on_bar", bar))

    found, feed = watched(vendor, 400)

    assert closes(found) == [4, 5, 6]
    assert feed.counts["unsound"] == 3


# Trades and quotes


def a_print(seconds, price, size=1.0):
    return (seconds, "on_trade", Print("AAA", NOON + round(seconds * SECOND), price, size))


def test_bars_shorter_than_a_minute_are_made_of_trades():
    vendor = a_vendor(after=1)
    vendor.extra += [a_print(11, 5), a_print(12, 7), a_print(13, 4), a_print(21, 6)]

    found, _ = watched(vendor, 60, source="trades", timeframe="10s")

    first, second = (tick.observed[0] for _, tick in found)
    assert first[1:] == (NOON + 10 * SECOND, NOON + 20 * SECOND, 5, 7, 4, 4, 3)
    assert second.close == 6
    assert found[1][0] - found[1][1].time_ns < 0.3 * SECOND


def numbered(seconds, price, size, number):
    return (seconds, "on_trade", Print("AAA", NOON + seconds * SECOND, price, size, number))


@pytest.mark.parametrize(
    ("after", "low", "volume"),
    [(Print("AAA", 0, 9.5, 2.0, "9"), 9.5, 6.0), (None, 10.0, 4.0)],
)
def test_a_bar_of_trades_is_corrected_and_marked(after, low, volume):
    vendor = a_vendor(after=1)
    vendor.extra = [numbered(*one) for one in [(12, 10.0, 3, "1"), (13, 5.0, 1, "2")]]
    vendor.extra.append(numbered(14, 11.0, 1, "3"))
    wrong = Amendment(Print("AAA", 0, 5.0, 1, "2"), after)
    vendor.extra.append((25, "on_amendment", wrong))

    found, feed = watched(vendor, 40, source="trades", timeframe="10s")

    [told] = [bar for _, tick in found for bar in tick.observed]
    [correction] = feed.corrections
    assert (correction.before, told.low, told.volume) == (told, 5.0, 5.0)
    assert (correction.after.low, correction.after.volume) == (low, volume)
    assert list(feed.history("AAA", 1, NOON + DAY).rows()) == [correction.after]


def test_what_nobody_remembers_is_counted_and_changes_nothing():
    vendor = a_vendor(after=1)
    vendor.extra = [numbered(12, 10.0, 3, "1")]
    never = Print("AAA", 0, 5.0, 1, "77")
    vendor.extra.append((25, "on_amendment", Amendment(never, None)))

    _, feed = watched(vendor, 40, source="trades", timeframe="10s")

    assert feed.counts["unknown_amendments"] == 1
    assert not feed.corrections


def test_of_the_quotes_of_a_symbol_only_the_newest_waits():
    vendor = a_vendor(after=1)
    for number in range(1, 101):
        at_ns = NOON + 10 * SECOND + number * MINUTE // 60_000
        quote = Quote("AAA", at_ns, 10.0 + number, 11.0 + number)
        vendor.extra.append((10 + number / 1000, "on_quote", quote))

    found, feed = watched(vendor, 30, quotes=True)

    ticks = [tick for _, tick in found]
    assert len(ticks) <= 4
    assert ticks[-1].observed[0].bid == 110.0
    assert [tick.time_ns for tick in ticks] == sorted({tick.time_ns for tick in ticks})
    assert feed.counts["merged_quotes"] >= 96


def test_quotes_and_bars_come_in_one_order_of_time():
    vendor = a_vendor(minutes_of("AAA", -9, 60), after=30)
    for tenth in range(1, 900):
        quote = Quote("AAA", NOON + (300 + tenth) * SECOND // 10, 10.0, 11.0)
        vendor.extra.append((30 + tenth / 10, "on_quote", quote))

    found, _ = watched(vendor, 80, quotes=True)

    instants = [tick.time_ns for _, tick in found]
    bars = [(came, t.observed[0]) for came, t in found if isinstance(t.observed[0], Bar)]
    assert instants == sorted(set(instants))
    assert [came - bar.close_ns < 0.4 * SECOND for came, bar in bars] == [True]


def test_crossed_empty_and_old_quotes_are_left_out():
    vendor = a_vendor(after=1)
    for seconds, bid, ask, behind in ((5, 11, 10, 0), (6, 0, 10, 0), (7, 10, 11, 0), (8, 1, 2, 60)):
        time_ns = NOON + (seconds - behind) * SECOND
        vendor.extra.append((seconds, "on_quote", Quote("AAA", time_ns, bid, ask)))

    found, feed = watched(vendor, 20, quotes=True)

    assert [tick.observed[0].bid for _, tick in found] == [10]
    assert (feed.counts["unusable_quotes"], feed.counts["stale_quotes"]) == (2, 1)


# Names, restarts, refusals


def test_a_symbol_keeps_the_name_the_user_gave_it():
    vendor = a_vendor(minutes_of("BTC/USD", -30, 60), after=30)

    found, feed = watched(vendor, 100, symbols=("BTCUSD",))

    assert closes(found, "BTCUSD") == [1, 2]
    assert known(feed, "BTCUSD")[-2:] == [1, 2]


def test_after_a_restart_one_tick_stands_for_all_that_was_missed():
    vendor = a_vendor(minutes_of("AAA", -600, 700), after=30)
    cursor = NOON - 100 * MINUTE

    async def run():
        feed = a_feed(vendor)
        feed.start_ns = NOON - 200 * MINUTE
        found = await ticks_for(feed, 100, after_ns=cursor)
        return found, feed

    found, feed = in_virtual_time(run())

    assert closes(found) == [0, 1, 2]
    assert known(feed)[0] <= -105  # the warm-up before the cursor
    assert known(feed) == list(range(known(feed)[0], 3))


def test_days_and_parts_of_minutes_are_refused_in_words():
    vendor = a_vendor()
    with pytest.raises(ConfigError, match="take a PollingFeed"):
        a_feed(vendor, timeframe="1d")
    with pytest.raises(ConfigError, match="source trades"):
        a_feed(vendor, timeframe="10s")
    with pytest.raises(ConfigError, match="each once"):
        a_feed(vendor, symbols=("BTC/USD", "BTCUSD"))


def test_an_ended_feed_leaves_no_task_and_no_connection():
    vendor = a_vendor(minutes_of("AAA", -30, 60), after=30)

    async def run():
        await ticks_for(a_feed(vendor), 100)
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert in_virtual_time(run()) == []
    assert vendor.is_closed


@pytest.mark.parametrize("seed", range(int(os.environ.get("TICKLANE_FEED_SEEDS", "12"))))
def test_whatever_the_stream_does_no_bar_is_doubled_lost_or_out_of_order(seed):
    chance = random.Random(seed)
    kinds = ["drop", "mute", "fail"] if seed % 2 else ["drop", "mute"]
    step = 5 if seed % 3 == 2 else 1
    symbols = ("AAA", "BBB")
    vendor = a_vendor(*(minutes_of(symbol, -600, 660) for symbol in symbols), after=30)
    lost = [(s, NOON + n * MINUTE) for s in symbols for n in range(60) if chance.random() < 0.1]
    vendor.untold.update(lost)

    async def trouble(vendor):
        for _ in range(6):
            await asyncio.sleep(chance.uniform(20, 400))
            kind = chance.choice(kinds)
            if kind == "drop":
                vendor.streams[0].drop(chance.uniform(0.1, 300))
            elif kind == "mute":
                vendor.is_mute = True
            else:
                vendor.history_fails = chance.randint(1, 3)

    found, feed = watched(
        vendor, 3_000, during=trouble, symbols=symbols, warmup=100, timeframe=f"{step}m"
    )

    for symbol in symbols:
        told, there = closes(found, symbol), known(feed, symbol)
        assert told == sorted(set(told))
        assert [n for n in range(there[0], 45, step) if n not in there] == []
        if "fail" not in kinds:  # ticks do not wait for ever for a history that is not there
            assert [n for n in range(step + 1, 45) if n % step == 0 and n not in told] == []
        expected = vendor.series[symbol].close[there[-1] + 599]
        assert feed.history(symbol, 1, NOON + HOUR).close.tolist() == [expected]
    instants = [tick.time_ns for _, tick in found]
    assert instants == sorted(set(instants))


def test_a_feed_knows_its_timeframe_and_label():
    vendor = a_vendor()

    feed = a_feed(vendor)

    assert (feed.timeframe, feed.label) == (Timeframe(MINUTE), "VENDOR")
