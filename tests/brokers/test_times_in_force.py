"""How long an order lives, and when it may trade: sessions made by hand, and those of New York."""

from datetime import UTC, datetime

import pytest
from brokers_builders import told

from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, to_ns
from ticklane.data.calendars import AlwaysOpen, calendar_of
from ticklane.testing.builders import START, HandMadeCalendar, a_bar, a_tick, an_order

OPEN, CLOSE = 14 * HOUR + 30 * MINUTE, 21 * HOUR
DAYS = [(START + day * DAY + OPEN, START + day * DAY + CLOSE) for day in range(4)]
FIRST_OPEN, FIRST_CLOSE = DAYS[0]
NEXT_OPEN, NEXT_CLOSE = DAYS[1]


@pytest.fixture
def exchange(a_venue):
    """Opens a bench at an exchange with sessions; one bar has closed at `at`."""

    async def build(at=FIRST_OPEN + MINUTE, *, length=MINUTE, calendar=None, **rules):
        calendar = calendar or HandMadeCalendar(*DAYS)
        instrument = Instrument(symbol="AAPL", calendar=calendar.name, rules=OrderRules(**rules))
        return await a_venue(
            100, at=at - length, length=length, instruments=[instrument], calendars=[calendar]
        )

    return build


# --- immediate or cancel, fill or kill ---------------------------------------------------------


@pytest.mark.parametrize("term", ["ioc", "fok"])
async def test_an_order_at_once_fills_at_the_next_open(term, a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order(type="limit", limit_price=99, time_in_force=term))

    bar = await bench.bar(98, 99, 97, 98)

    assert told(bench, [bar]) == ["1 @ 98 limit_at_open, open of 1"]
    assert bench.journey(order) == "ACKED FILLED"


@pytest.mark.parametrize("term", ["ioc", "fok"])
@pytest.mark.parametrize(
    "terms",
    [
        {"type": "limit", "limit_price": 99},
        {"type": "stop", "stop_price": 101},
        {"type": "stop_limit", "stop_price": 101, "limit_price": 102},
        {"type": "trailing_stop", "trail_amount": 1},
    ],
    ids=lambda terms: terms["type"],
)
async def test_an_order_at_once_is_not_tested_inside_the_bar(term, terms, a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order(time_in_force=term, **terms))

    await bench.bar(100, 105, 95, 100)

    assert (bench.fills, bench.journey(order)) == ([], "ACKED CANCELED")
    assert order.reason == f"what could not trade at once was cancelled ({term})."
    assert order.reason_code == term


@pytest.mark.parametrize("term", ["ioc", "fok"])
async def test_an_order_at_once_is_refused_while_the_market_is_closed(term, exchange):
    bench = await exchange(FIRST_CLOSE)

    order = await bench.submit(an_order(time_in_force=term))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", "market_closed")
    assert order.reason == f"{term} orders need an open market; XTST is not."


async def test_an_order_at_once_does_not_outlive_its_session(exchange):
    bench = await exchange(FIRST_CLOSE - MINUTE)
    order = await bench.submit(an_order(time_in_force="ioc"))

    await bench.beat(a_tick(a_bar(90, at=NEXT_OPEN)))

    assert (bench.fills, bench.journey(order)) == ([], "ACKED EXPIRED")


# --- day ----------------------------------------------------------------------------------------


async def test_a_day_order_on_daily_bars_lives_one_bar(a_venue):
    bench = await a_venue(100, length=DAY)
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))

    await bench.bar(100)
    await bench.bar(90)

    assert (bench.fills, bench.journey(order)) == ([], "ACKED EXPIRED")
    assert (order.reason_code, order.reason) == (
        "expired",
        "the session of this day order is over.",
    )


async def test_a_day_order_may_fill_in_the_last_bar_of_its_day(a_venue):
    bench = await a_venue(100, length=DAY)
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))

    await bench.bar(100, 100, 90, 95)

    assert bench.journey(order) == "ACKED FILLED"


async def test_a_day_order_around_the_clock_ends_at_midnight_utc(a_venue):
    bench = await a_venue(100, at=START + DAY - 3 * MINUTE)
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))

    await bench.bar(100)
    before = bench.journey(order)
    await bench.bar(100)

    assert bench.now_ns == START + DAY
    assert (before, bench.journey(order)) == ("ACKED", "ACKED EXPIRED")


async def test_a_day_order_sent_at_midnight_lives_the_whole_new_day(a_venue):
    bench = await a_venue(100, at=START + DAY - HOUR, length=HOUR)
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))

    for _ in range(23):
        await bench.bar(100)
    before = bench.journey(order)
    await bench.bar(100)

    assert (before, bench.journey(order)) == ("ACKED", "ACKED EXPIRED")


async def test_a_day_order_does_not_fill_from_a_bar_after_its_day(a_venue):
    bench = await a_venue(100, at=START + DAY - 3 * MINUTE)
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))
    await bench.bar(100)

    await bench.beat(a_tick(a_bar(80, at=START + DAY + HOUR)))

    assert (bench.fills, bench.journey(order)) == ([], "ACKED EXPIRED")


@pytest.mark.parametrize("name", ["24/7", "XTST"])
async def test_a_day_order_with_a_calendar_ends_with_the_session(name, exchange):
    calendar = AlwaysOpen() if name == "24/7" else None
    close = START + DAY if name == "24/7" else FIRST_CLOSE
    bench = await exchange(close - 2 * MINUTE, calendar=calendar)
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))

    await bench.bar(100)
    before = bench.journey(order)
    await bench.bar(100)

    assert (before, bench.journey(order)) == ("ACKED", "ACKED EXPIRED")


async def test_a_day_order_on_daily_bars_with_a_calendar_lives_the_next_session(exchange):
    length = FIRST_CLOSE - FIRST_OPEN
    bench = await exchange(FIRST_CLOSE, length=length)
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))

    await bench.beat(a_tick(a_bar(100, low=95, at=NEXT_OPEN, length=length)))
    await bench.beat(a_tick(a_bar(80, at=DAYS[2][0], length=length)))

    assert (bench.fills, bench.journey(order)) == ([], "ACKED EXPIRED")


# --- closed markets -----------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["day", "gtc"])
async def test_an_order_sent_while_the_market_is_closed_waits_for_the_next_session(term, exchange):
    bench = await exchange(FIRST_CLOSE + HOUR)
    order = await bench.submit(an_order(time_in_force=term))

    await bench.beat(a_tick(a_bar(105, at=NEXT_OPEN - HOUR)))
    early = bench.journey(order)
    await bench.beat(a_tick(a_bar(101, at=NEXT_OPEN)))

    assert early == "ACKED"
    assert [fill.price for fill in bench.fills] == [101]


async def test_a_bar_outside_the_sessions_fills_nothing(exchange):
    bench = await exchange(FIRST_CLOSE - MINUTE)
    order = await bench.submit(an_order(type="limit", limit_price=99, time_in_force="gtc"))

    await bench.bar(100)
    await bench.bar(98)

    assert bench.now_ns == FIRST_CLOSE + MINUTE
    assert (bench.fills, bench.journey(order)) == ([], "ACKED")


async def test_a_quote_outside_the_sessions_fills_nothing(exchange):
    bench = await exchange(FIRST_CLOSE)
    order = await bench.submit(an_order(time_in_force="gtc"))

    await bench.quote(99, 101, at=FIRST_CLOSE + HOUR)
    early = bench.journey(order)
    await bench.quote(98, 102, at=NEXT_OPEN + SECOND)

    assert early == "ACKED"
    assert [(fill.price, fill.filled_ns) for fill in bench.fills] == [(102, NEXT_OPEN + SECOND)]


async def test_a_weekly_bar_holds_sessions_and_fills(exchange):
    bench = await exchange(FIRST_OPEN)
    await bench.submit(an_order(time_in_force="gtc"))

    await bench.beat(a_tick(a_bar(101, at=START + DAY, length=7 * DAY)))

    assert [fill.price for fill in bench.fills] == [101]


async def test_a_gtc_order_outlives_sessions(exchange):
    bench = await exchange()
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="gtc"))

    await bench.beat(a_tick(a_bar(100, at=NEXT_OPEN)))
    await bench.beat(a_tick(a_bar(90, at=DAYS[2][0])))

    assert bench.journey(order) == "ACKED FILLED"


# --- at the open --------------------------------------------------------------------------------


async def test_an_opg_order_fills_in_the_next_opening_only(exchange):
    bench = await exchange()
    order = await bench.submit(an_order(time_in_force="opg"))

    await bench.bar(101)
    early = bench.journey(order)
    await bench.beat(a_tick(a_bar(102, at=NEXT_OPEN)))

    assert early == "ACKED"
    assert [(fill.price, fill.rule) for fill in bench.fills] == [(102, "market_at_open")]


@pytest.mark.parametrize(
    "at", [NEXT_OPEN, NEXT_OPEN + 5 * MINUTE], ids=["opening bar", "a later one"]
)
async def test_an_opg_limit_order_ends_with_its_opening(at, exchange):
    bench = await exchange()
    terms = {"type": "limit", "limit_price": 99, "time_in_force": "opg"}
    order = await bench.submit(an_order(**terms))

    await bench.beat(a_tick(a_bar(100, low=98, at=at)))

    assert (bench.fills, bench.journey(order)) == ([], "ACKED EXPIRED")
    assert order.reason == "the auction of this opg order is over."


async def test_an_opg_order_fills_at_the_first_quote_of_the_session(exchange):
    bench = await exchange()
    order = await bench.submit(an_order(time_in_force="opg"))

    await bench.quote(99, 101, at=FIRST_OPEN + HOUR)
    early = bench.journey(order)
    await bench.quote(101, 103, at=NEXT_OPEN + SECOND)

    assert early == "ACKED"
    assert [(fill.price, fill.rule) for fill in bench.fills] == [(103, "market_at_ask")]


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        (NEXT_OPEN - 2 * MINUTE, "ACKED"),
        (NEXT_OPEN - 2 * MINUTE + SECOND, "REJECTED"),
        (NEXT_OPEN, "REJECTED"),
        (NEXT_OPEN + SECOND, "ACKED"),  # for the opening after that
    ],
    ids=["in time", "too late", "at the open", "for the next one"],
)
async def test_an_opg_order_must_be_there_before_the_cutoff(at, answer, exchange):
    bench = await exchange(at, opg_cutoff_ns=2 * MINUTE)

    order = await bench.submit(an_order(time_in_force="opg"))

    assert bench.journey(order) == answer
    if answer == "REJECTED":
        assert (order.reason_code, order.reason) == (
            "past_cutoff",
            "it is too late for this opg order.",
        )


# --- at the close -------------------------------------------------------------------------------


async def test_a_cls_order_fills_at_the_close_of_the_session(exchange):
    bench = await exchange(FIRST_CLOSE - 2 * MINUTE)
    order = await bench.submit(an_order(time_in_force="cls"))

    bars = [await bench.bar(100, close=101), await bench.bar(101, close=102)]

    assert told(bench, bars) == ["1 @ 102 market_at_close, close of 2"]
    assert bench.journey(order) == "ACKED FILLED"


@pytest.mark.parametrize(
    ("close", "fills", "journey"),
    [
        (99, ["1 @ 99 limit_at_close, close of 1"], "ACKED FILLED"),
        (99.5, ["1 @ 99.5 limit_at_close, close of 1"], "ACKED FILLED"),
        (100, [], "ACKED EXPIRED"),
    ],
)
async def test_a_cls_limit_order_is_tested_against_the_close_only(close, fills, journey, exchange):
    bench = await exchange(FIRST_CLOSE - MINUTE)
    terms = {"type": "limit", "limit_price": 99.5, "time_in_force": "cls"}
    order = await bench.submit(an_order(**terms))

    bar = await bench.bar(98, 101, 97, close)

    assert (told(bench, [bar]), bench.journey(order)) == (fills, journey)


async def test_a_cls_order_ends_with_its_session_when_the_last_bar_is_missing(exchange):
    bench = await exchange(FIRST_CLOSE - 2 * MINUTE)
    order = await bench.submit(an_order(time_in_force="cls"))

    await bench.bar(100)
    await bench.beat(a_tick(a_bar(90, at=NEXT_CLOSE - MINUTE)))

    assert (bench.fills, bench.journey(order)) == ([], "ACKED EXPIRED")


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        (FIRST_CLOSE - 10 * MINUTE, "ACKED"),
        (FIRST_CLOSE - 10 * MINUTE + SECOND, "REJECTED"),
        (FIRST_CLOSE, "ACKED"),  # for the close after that
    ],
    ids=["in time", "too late", "for the next one"],
)
async def test_a_cls_order_must_be_there_before_the_cutoff(at, answer, exchange):
    bench = await exchange(at, cls_cutoff_ns=10 * MINUTE)

    order = await bench.submit(an_order(time_in_force="cls"))

    assert bench.journey(order) == answer


async def test_on_quotes_there_is_no_close_to_trade_at(exchange):
    bench = await exchange()
    await bench.quote(99, 101)

    order = await bench.submit(an_order(time_in_force="cls"))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", "time_in_force")
    assert order.reason == "cls orders need bars, but AAPL has quotes; use day, gtc, ioc or fok."


@pytest.mark.parametrize("term", ["opg", "cls"])
async def test_without_a_calendar_daily_bars_have_an_open_and_a_close(term, a_venue):
    bench = await a_venue(100, length=DAY)
    await bench.submit(an_order(time_in_force=term))

    bar = await bench.bar(101, 103, 100, 102)

    price, part = ("101", "open") if term == "opg" else ("102", "close")
    assert told(bench, [bar]) == [f"1 @ {price} market_at_{part}, {part} of 1"]


@pytest.mark.parametrize("term", ["opg", "cls"])
async def test_without_a_calendar_intraday_bars_have_no_auction(term, a_venue):
    bench = await a_venue(100)

    order = await bench.submit(an_order(time_in_force=term))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", "time_in_force")
    assert order.reason == (
        f"AAPL has no sessions, so {term} orders cannot trade; "
        "give it a calendar or use day, gtc, ioc or fok."
    )


@pytest.mark.parametrize("term", ["opg", "cls"])
async def test_a_stop_order_has_no_place_in_an_auction(term, a_venue):
    bench = await a_venue(100, length=DAY)

    order = await bench.submit(an_order(type="stop", stop_price=105, time_in_force=term))

    assert order.reason == f"{term} orders are market or limit orders, not stop orders."


# --- New York -----------------------------------------------------------------------------------


def at(*parts):
    return to_ns(datetime(*parts, tzinfo=UTC))


async def test_a_day_order_ends_with_the_early_close_after_thanksgiving(exchange):
    early_close = at(2024, 11, 29, 18)
    bench = await exchange(early_close - 2 * MINUTE, calendar=calendar_of("XNYS"))
    order = await bench.submit(an_order(type="limit", limit_price=90, time_in_force="day"))

    await bench.bar(100)
    before = bench.journey(order)
    await bench.bar(100)

    assert (before, bench.journey(order)) == ("ACKED", "ACKED EXPIRED")


async def test_an_order_of_friday_evening_waits_over_a_holiday_monday(exchange):
    bench = await exchange(at(2024, 1, 12, 21), calendar=calendar_of("XNYS"))  # MLK day follows
    order = await bench.submit(an_order(time_in_force="day"))

    await bench.beat(a_tick(a_bar(90, at=at(2024, 1, 15, 15))))
    on_monday = bench.journey(order)
    await bench.beat(a_tick(a_bar(101, at=at(2024, 1, 16, 14, 30))))

    assert on_monday == "ACKED"
    assert [fill.price for fill in bench.fills] == [101]
