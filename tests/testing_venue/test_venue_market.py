"""The venue's market: its time, its prices, and the bars that are made of them."""

import asyncio
import time

import pytest
from market_serving import at, row_of_bars

from ticklane.clock import SystemClock
from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, Bar, Quote, Timeframe
from ticklane.data.calendars import ExchangeCalendar
from ticklane.data.feeds import ReplayFeed, SimulatedFeed
from ticklane.data.files import load_bars
from ticklane.testing.venue.market import Market, Trade

START = at("2026-03-02 14:30")


def a_market(time_ns=START, **named):
    """A market without a feed, whose clock stands at an instant."""
    market = Market(**named)
    market.set_time(time_ns)
    return market


def heard_of(market, *channels):
    """What the channels tell from now on, as (channel, event)."""
    heard = []
    for channel in channels:
        market.watch(channel, lambda event, channel=channel: heard.append((channel, event)))
    return heard


def replayed(bars, step_ns):
    """A market with everything of a replay pushed, and what it told."""
    feed = ReplayFeed({bars.symbol: bars}, Timeframe(step_ns))
    market = Market(feed)
    heard = heard_of(market, "bars", "dailyBars", "updatedBars")
    for tick in feed.ticks():
        market.push(*tick.observed)
    return market, heard


def test_a_price_by_hand_is_one_tick_a_quote_around_it_and_a_trade():
    market, ticks = a_market(spread=0.1), []
    market.listen(ticks.append)
    heard = heard_of(market, "quotes", "trades")

    market.price("AAPL", 101.5, size=300)

    quote = Quote("AAPL", START, 101.45, 101.55, 300.0, 300.0)
    assert [(tick.time_ns, tick.observed) for tick in ticks] == [(START, (quote,))]
    assert heard == [("quotes", quote), ("trades", Trade("AAPL", START, 101.5, 300.0, id=1))]
    assert market.price_of("AAPL") == pytest.approx(101.5)
    assert market.last["AAPL"] == quote


def test_what_listens_no_more_is_told_no_more():
    market, ticks, quotes = a_market(), [], []
    ends = [market.listen(ticks.append), market.watch("quotes", quotes.append)]

    market.price("AAPL", 1.0)
    for end in ends:
        end()
    market.price("AAPL", 2.0)

    assert (len(ticks), len(quotes)) == (1, 1)


def test_a_callback_must_be_callable():
    with pytest.raises(ConfigError, match="callback is 'x', but must be callable"):
        a_market().listen("x")


def test_without_a_feed_the_clock_is_the_machines_until_it_is_set():
    market = Market()
    before = time.time_ns()

    assert before <= market.now_ns() <= before + 5 * SECOND

    market.set_time(START)
    market.advance(1.5)

    assert market.now_ns() == START + 3 * SECOND // 2


def test_the_machines_clock_may_be_shown_ahead():
    market = a_market()

    market.clock = "machine"
    market.skew_ns = HOUR

    assert abs(market.now_ns() - time.time_ns() - HOUR) < 5 * SECOND


def test_an_event_later_than_the_clock_moves_it_and_an_earlier_one_does_not():
    market = a_market()

    market.push(Quote("AAPL", START + SECOND, 1.0, 2.0))
    market.push(Quote("MSFT", START - SECOND, 1.0, 2.0))

    assert market.now_ns() == START + SECOND


def test_a_late_quote_is_remembered_but_moves_no_price():
    market, ticks = a_market(), []
    market.push(Quote("AAPL", START, 10.0, 11.0))
    market.listen(ticks.append)

    market.push(Quote("AAPL", START - SECOND, 1.0, 2.0))

    assert ticks == []
    assert market.last_quote("AAPL").bid == 10.0
    assert [quote.bid for quote in market.quotes("AAPL", 0, START)] == [1.0, 10.0]


def test_a_trade_alone_moves_the_price_and_ids_rise():
    market = a_market()

    market.push(Trade("AAPL", START, 10.0, 5.0), Trade("AAPL", START, 10.5, 5.0))

    assert market.price_of("AAPL") == 10.5
    assert [trade.id for trade in market.trades("AAPL", START, START)] == [1, 2]


def test_trades_of_a_minute_become_its_bar_when_it_is_over():
    market = a_market()
    heard = heard_of(market, "bars", "dailyBars")

    for seconds, price in ((5, 100.0), (10, 103.0), (50, 99.0)):
        market.push(Trade("AAPL", START + seconds * SECOND, price, 10.0))
    assert heard == []
    market.set_time(START + MINUTE)

    minute = Bar("AAPL", START, START + MINUTE, 100.0, 103.0, 99.0, 99.0, 30.0)
    midnight = at("2026-03-02 05:00")  # in New York
    assert heard == [("bars", minute), ("dailyBars", minute._replace(open_ns=midnight))]
    assert list(market.bars("AAPL", "1Min", START, START + HOUR).rows()) == [minute]
    assert market.last_bar("AAPL") == minute


def test_a_trade_that_comes_too_late_corrects_its_minute():
    market = a_market()
    market.price("AAPL", 100.0, size=10)
    market.advance(60)
    heard = heard_of(market, "updatedBars")

    market.push(Trade("AAPL", START + 30 * SECOND, 105.0, 1.0))

    corrected = Bar("AAPL", START, START + MINUTE, 100.0, 105.0, 100.0, 105.0, 11.0)
    assert heard == [("updatedBars", corrected)]
    assert list(market.bars("AAPL", "1Min", START, START).rows()) == [corrected]


def test_a_minute_bar_pushed_again_corrects_the_first():
    market = a_market()
    first = Bar("AAPL", START, START + MINUTE, 1.0, 2.0, 1.0, 2.0, 10.0)
    market.push(first)
    heard = heard_of(market, "bars", "updatedBars")

    market.push(first._replace(high=3.0))

    assert heard == [("updatedBars", first._replace(high=3.0))]
    assert list(market.bars("AAPL", "1Min", START, START).rows()) == [first._replace(high=3.0)]


def test_a_correction_by_hand_stands_before_what_the_feed_tells():
    market, heard = replayed(row_of_bars("AAPL", START, MINUTE, 5), MINUTE)
    heard.clear()
    second = list(market.bars("AAPL", "1Min", 0, market.now_ns()).rows())[1]

    market.push(second._replace(high=999.0))

    assert heard == [("updatedBars", second._replace(high=999.0))]
    highs = market.bars("AAPL", "1Min", 0, market.now_ns()).high.tolist()
    assert highs == [101.5, 999.0, 103.5, 104.5, 105.5]
    assert market.last_bar("AAPL").close == 105.0


def test_a_late_trade_gives_no_tick():
    market, ticks = a_market(), []
    market.push(Quote("AAPL", START, 10.0, 11.0))
    market.listen(ticks.append)

    market.push(Trade("AAPL", START - SECOND, 10.5, 1.0))

    assert ticks == []


def test_the_days_bar_grows_with_each_minute_and_begins_anew_the_next_day():
    market = a_market()
    heard = heard_of(market, "dailyBars")

    for number, bar in enumerate(row_of_bars("AAPL", START, 12 * HOUR, 3).rows()):
        market.push(bar._replace(open_ns=bar.open_ns, close_ns=bar.open_ns + MINUTE))
        assert len(heard) == number + 1

    stamps = [bar.open_ns for _, bar in heard]
    assert stamps == [at("2026-03-02 05:00")] * 2 + [at("2026-03-03 05:00")]
    assert [bar.volume for _, bar in heard] == [1.0, 3.0, 3.0]


@pytest.mark.parametrize("step_ns", [SECOND, 20 * SECOND, MINUTE, 5 * MINUTE, HOUR, DAY])
def test_streamed_minutes_are_the_minutes_of_the_history(step_ns):
    bars = row_of_bars("AAPL", at("2026-03-02 00:00"), step_ns, 400)

    market, heard = replayed(bars, step_ns)

    streamed = [bar for channel, bar in heard if channel == "bars"]
    asked = list(market.bars("AAPL", "1Min", 0, market.now_ns()).rows())
    assert streamed == asked
    assert len(asked) == (400 if step_ns >= MINUTE else 400 * step_ns // MINUTE)
    assert not any(channel == "updatedBars" for channel, _ in heard)


def test_minutes_of_two_symbols_hold_the_last_second_of_both():
    both = {s: row_of_bars(s, at("2026-03-02 00:00"), SECOND, 120) for s in ("AAPL", "MSFT")}
    feed = ReplayFeed(both, Timeframe(SECOND))
    market = Market(feed)
    heard = heard_of(market, "bars", "updatedBars")

    for tick in feed.ticks():
        market.push(*tick.observed)

    assert [(bar.symbol, bar.close) for _, bar in heard] == [
        *(("AAPL", 160.0), ("MSFT", 160.0), ("AAPL", 220.0), ("MSFT", 220.0))
    ]


@pytest.mark.parametrize("timeframe", ["1Min", "1Hour", "1Day"])
def test_history_tells_nothing_later_than_now(timeframe):
    bars = row_of_bars("AAPL", START, MINUTE, 300)
    market = Market(ReplayFeed({"AAPL": bars}, Timeframe(MINUTE)))

    market.set_time(START + 90 * MINUTE + 30 * SECOND)

    found = market.bars("AAPL", timeframe, 0, START + 300 * MINUTE)
    assert found.close[-1] == 190.0
    assert found.volume.sum() == sum(range(1, 91))


def test_daily_bars_are_served_as_days_and_as_the_last_minute_of_each():
    bars, step = load_bars("sample:AAPL")
    market = Market(ReplayFeed(bars, step))
    last = int(bars["AAPL"].close_ns[-1])

    market.set_time(last)

    days = market.bars("AAPL", "1Day", 0, last)
    minutes = market.bars("AAPL", "1Min", 0, last)
    assert len(days) == len(minutes) == len(bars["AAPL"])
    assert (days.close == bars["AAPL"].close).all()
    assert (minutes.close_ns == bars["AAPL"].close_ns).all()
    assert (minutes.open == bars["AAPL"].open).all()


def test_a_session_of_an_exchange_is_one_day_and_one_last_minute():
    bars, step = load_bars("sample:AAPL", calendar=ExchangeCalendar("XNYS"))
    market = Market(ReplayFeed(bars, step))

    market.set_time(at("2001-03-01 21:00"))  # the close in New York

    day, minute = (list(market.bars("AAPL", t, 0, market.now_ns()).rows()) for t in DAY_AND_MINUTE)
    assert day[-1].open_ns == at("2001-03-01 05:00")
    assert minute[-1].open_ns == at("2001-03-01 20:59")
    assert day[-1].close == minute[-1].close == market.price_of("AAPL")


DAY_AND_MINUTE = ("1Day", "1Min")


def test_long_bars_of_a_simulated_market_of_seconds_come_from_its_minutes():
    seconds, minutes = (
        Market(SimulatedFeed(["AAPL"], clock=SystemClock(), timeframe=Timeframe(step)))
        for step in (SECOND, MINUTE)
    )
    for market in (seconds, minutes):
        market.set_time(START)

    for timeframe in ("1Hour", "1Day"):
        ranges = ("AAPL", timeframe, START - 30 * DAY, START)
        found, expected = (m.bars(*ranges) for m in (seconds, minutes))
        assert list(found.rows()) == list(expected.rows())
    closes = [m.bars("AAPL", "1Min", START - HOUR, START).close for m in (seconds, minutes)]
    assert len(closes[0]) == 60
    assert (closes[0] == closes[1]).all()


def test_the_feed_tells_the_last_price_before_its_first_tick():
    feed = SimulatedFeed(["AAPL"], clock=SystemClock(), timeframe=Timeframe(MINUTE))
    market = Market(feed)

    bar = market.last_bar("AAPL")

    assert market.price_of("AAPL") == bar.close
    assert market.last_trade("AAPL").price == bar.close
    assert market.last_quote("AAPL").bid < bar.close < market.last_quote("AAPL").ask
    assert market.symbols == ("AAPL",)


def test_a_symbol_nobody_told_of_has_no_price():
    market = Market(SimulatedFeed(["AAPL"], clock=SystemClock()))

    assert market.price_of("MSFT") is None
    assert market.last_bar("MSFT") is None
    assert market.last_quote("MSFT") is None
    assert market.last_trade("MSFT") is None
    assert len(market.bars("MSFT", "1Min", 0, market.now_ns())) == 0


def test_a_bar_brings_a_quote_and_a_trade_for_those_who_watch():
    market = a_market(spread=0.2)
    heard = heard_of(market, "quotes", "trades")

    market.push(Bar("AAPL", START, START + MINUTE, 1.0, 2.0, 1.0, 2.0, 10.0))

    quote = Quote("AAPL", START + MINUTE, 1.9, 2.1, 1_000.0, 1_000.0)
    assert heard == [("quotes", quote), ("trades", Trade("AAPL", START + MINUTE, 2.0))]
    assert market.last_quote("AAPL") == quote


async def test_run_takes_the_ticks_of_the_feed():
    bars = row_of_bars("AAPL", START, MINUTE, 50)
    market, done = Market(ReplayFeed({"AAPL": bars}, Timeframe(MINUTE))), asyncio.Event()
    market.listen(lambda tick: tick.time_ns == bars.close_ns[-1] and done.set())

    async with asyncio.timeout(10):
        running = asyncio.create_task(market.run())
        await done.wait()
        running.cancel()

    assert market.now_ns() == bars.close_ns[-1]
    assert market.price_of("AAPL") == bars.close[-1]


async def test_a_stream_that_begins_within_a_minute_and_a_day_gives_the_whole_of_both():
    bars = row_of_bars("AAPL", START, SECOND, 400)
    feed = ReplayFeed({"AAPL": bars}, Timeframe(SECOND), start_ns=START + 150 * SECOND)
    market, done = Market(feed), asyncio.Event()
    heard = heard_of(market, "bars", "dailyBars", "updatedBars")
    market.listen(lambda tick: tick.time_ns == bars.close_ns[-1] and done.set())

    async with asyncio.timeout(10):
        running = asyncio.create_task(market.run())
        await done.wait()
        running.cancel()

    assert [channel for channel, _ in heard] == ["bars", "dailyBars"] * 4
    streamed = [bar for channel, bar in heard if channel == "bars"]
    assert streamed == list(market.bars("AAPL", "1Min", 0, market.now_ns()).rows())[2:]
    [day] = market.bars("AAPL", "1Day", 0, market.now_ns()).rows()
    assert heard[-1][1]._replace(close_ns=day.close_ns) == day


async def test_run_completes_minutes_as_the_machines_clock_passes_them():
    market, done = Market(), asyncio.Event()
    market.watch("bars", lambda bar: done.set())
    market.price("AAPL", 100.0)
    market.skew_ns = MINUTE - time.time_ns() % MINUTE - SECOND // 5  # the minute is almost over

    async with asyncio.timeout(10):
        running = asyncio.create_task(market.run())
        await done.wait()
        running.cancel()

    assert market.last_bar("AAPL").close == 100.0
