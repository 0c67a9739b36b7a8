"""The limits of profile `safe`: each one alone, at its edges, and what it does to trading."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, to_ns
from ticklane.core.order import OrderStatus
from ticklane.core.portfolio import Portfolio
from ticklane.core.trading_state import TradingState
from ticklane.interfaces import Session
from ticklane.risk.days import Days
from ticklane.risk.manager import RiskManager, Surroundings
from ticklane.risk.rules import (
    DayLoss,
    FreshData,
    NoRepeat,
    OrderRate,
    OrderSize,
    PriceCollar,
    RejectRun,
    TotalOrderRate,
    VolumeShare,
    read_limits,
)
from ticklane.risk.trading import TradingStates
from ticklane.testing.builders import START, a_bar, a_fill, a_quote, an_order


class Around(Surroundings):
    """A market that says what it is told to."""

    def __init__(self, seen=None, session=None, volume=None, ahead_ns=0):
        self._seen, self._session, self._volume = seen, session, volume
        self._ahead_ns = ahead_ns

    def seen(self, symbol):
        return self._seen

    def session(self, symbol, at_ns):
        return self._session

    def daily_volume(self, symbol, at_ns):
        return self._volume

    def now_ns(self, at_ns):
        return at_ns + self._ahead_ns


class Bench:
    """A risk manager with some rules, a book of 10,000 in cash, and a last price of 100."""

    def __init__(self, *rules, last=100.0, around=None, held=0):
        self.last, self.trading, self.at_ns = last, TradingStates(), START
        self.portfolio = Portfolio(lambda symbol: self.last)
        self.book = self.portfolio.open_book("One", Decimal(10_000))
        if held:
            self.book.apply(a_fill(held, 0, order=an_order(strategy="One")))
        instrument = Instrument(symbol="AAPL")
        self.manager = RiskManager(
            lambda symbol: instrument, True, rules, self.trading, around or Around()
        )

    def code(self, quantity=1, after=0, **terms):
        """The code of the refusal of an order that comes so much later, or None."""
        self.at_ns += after
        order = an_order(quantity, **{"strategy": "One", **terms})
        refusal = self.manager.refusal(order, self.portfolio, {}, self.last, self.at_ns)
        return refusal and refusal.code

    def codes(self, count, after=0, **terms):
        """What became of so many orders of different sizes."""
        return [self.code(n + 1, after, **terms) for n in range(count)]


# --- one order --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "terms", "code"),
    [
        (5, {}, None),
        (6, {}, "order_size"),
        (5, {"type": "limit", "limit_price": 101}, "order_size"),
        (5, {"type": "stop", "stop_price": 101}, "order_size"),
        (0, {"notional": 500}, None),
        (0, {"notional": 501}, "order_size"),
    ],
)
def test_an_order_is_worth_at_most_five_percent_of_equity(quantity, terms, code):
    assert Bench(OrderSize(Decimal(5))).code(quantity, **terms) == code


def test_an_order_of_unknown_worth_is_refused():
    assert Bench(OrderSize(Decimal(5)), last=None).code() == "order_size"


@pytest.mark.parametrize(("held", "side"), [(100, "sell"), (-100, "buy")])
def test_an_order_that_reduces_is_asked_for_no_limit(held, side):
    rules = read_limits("safe")
    bench = Bench(*rules, held=held, around=Around(volume=1.0))

    assert bench.code(100, side=side) is None
    assert bench.code(101, side=side) is not None


@pytest.mark.parametrize(
    ("quantity", "volume", "code"),
    [(10, 1_000, None), (11, 1_000, "volume_share"), (11, None, None), (11, 0.0, None)],
)
def test_an_order_is_at_most_one_percent_of_the_usual_volume(quantity, volume, code):
    bench = Bench(VolumeShare(Decimal(1)), around=Around(volume=volume))

    assert bench.code(quantity) == code


def test_an_amount_of_money_counts_at_the_last_price_in_the_share_of_volume():
    bench = Bench(VolumeShare(Decimal(1)), around=Around(volume=100.0))

    assert bench.code(0, notional=100) is None
    assert bench.code(0, notional=101) == "volume_share"


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"type": "limit", "limit_price": 105}, None),
        ({"type": "limit", "limit_price": "105.01"}, "price_collar"),
        ({"type": "limit", "limit_price": 1}, None),
        ({"type": "limit", "limit_price": 95, "side": "sell"}, None),
        ({"type": "limit", "limit_price": "94.99", "side": "sell"}, "price_collar"),
        ({"type": "limit", "limit_price": 900, "side": "sell"}, None),
        ({"type": "stop", "stop_price": 150}, None),
        ({"type": "stop_limit", "stop_price": 150, "limit_price": 160}, None),
        ({}, None),
    ],
)
def test_only_a_marketable_price_has_to_be_near_the_last(terms, code):
    assert Bench(PriceCollar(Decimal(5))).code(**terms) == code


# --- fresh data -------------------------------------------------------------------------------

OPEN = Session(START - HOUR, START + HOUR)
SECONDS = Decimal(60)


@pytest.mark.parametrize(
    ("seen", "age", "code"),
    [
        (a_quote(at=START), 60 * SECOND, None),
        (a_quote(at=START), 61 * SECOND, "stale_data"),
        (a_bar(at=START - MINUTE), 2 * MINUTE, None),
        (a_bar(at=START - MINUTE), 2 * MINUTE + 1, "stale_data"),
        (a_bar(at=START - HOUR, length=HOUR), 2 * HOUR, None),
        (None, 0, "stale_data"),
    ],
)
def test_a_price_may_be_a_minute_old_or_two_bars(seen, age, code):
    bench = Bench(FreshData(SECONDS), around=Around(seen, Session(START - DAY, START + DAY)))

    assert bench.code(after=age) == code


def test_where_the_market_has_no_calendar_it_is_always_open():
    assert Bench(FreshData(SECONDS), around=Around(a_quote())).code(after=HOUR) == "stale_data"


def test_outside_of_a_session_a_price_may_be_old():
    closed = Session(START + 2 * HOUR, START + 3 * HOUR)

    assert Bench(FreshData(SECONDS), around=Around(a_quote(), closed)).code(after=HOUR) is None


def test_the_price_of_the_evening_before_is_not_stale_just_after_the_opening():
    evening = a_quote(at=OPEN.open_ns - 12 * HOUR)
    bench = Bench(FreshData(SECONDS), around=Around(evening, OPEN))

    assert bench.code(after=-HOUR + 60 * SECOND) is None
    assert bench.code(after=2 * SECOND) == "stale_data"


def test_the_clock_counts_where_the_lane_is_behind_it():
    bench = Bench(FreshData(SECONDS), around=Around(a_quote(), ahead_ns=61 * SECOND))

    assert bench.code() == "stale_data"


# --- many orders ------------------------------------------------------------------------------


def test_the_same_order_within_a_second_is_refused():
    bench = Bench(NoRepeat(Decimal(1)))

    assert bench.code(1) is None
    assert bench.code(1, after=SECOND - 1) == "repeated_order"
    assert bench.code(1, after=1) is None
    assert bench.code(2) is None
    assert bench.code(2, side="sell") is None
    assert bench.code(2, strategy="One", symbol="IBM") is None


def test_an_order_that_another_rule_refused_is_not_taken_for_the_first_of_two():
    bench = Bench(NoRepeat(Decimal(1)), OrderSize(Decimal(5)))

    assert bench.code(6) == "order_size"
    assert bench.code(6) == "order_size"


def test_a_strategy_sends_at_most_ten_orders_a_minute():
    bench = Bench(OrderRate(Decimal(10)))

    assert bench.codes(11, after=SECOND) == [None] * 10 + ["order_rate"]
    assert bench.code(after=MINUTE - 10 * SECOND) is None
    assert bench.code() == "order_rate"


def test_each_strategy_has_a_minute_of_its_own():
    bench = Bench(OrderRate(Decimal(2)))
    bench.portfolio.open_book("Two", Decimal(10_000))

    assert bench.codes(3) == [None, None, "order_rate"]
    assert bench.codes(3, strategy="Two") == [None, None, "order_rate"]


def test_too_many_orders_in_sum_set_the_kill_switch():
    bench = Bench(TotalOrderRate(Decimal(3)))

    assert bench.codes(5) == [None, None, None, "order_rate_total", "trading_halted"]
    [restriction] = bench.trading.restrictions.values()
    assert (restriction.code, restriction.is_kill_switch) == ("order_rate", True)
    assert restriction.since_ns == START


def test_after_a_release_orders_are_counted_anew():
    rule = TotalOrderRate(Decimal(3))
    bench = Bench(rule)
    bench.codes(4)

    bench.trading.release("operator: a mistake")
    rule.restart()

    assert bench.codes(3) == [None] * 3


# --- the account ------------------------------------------------------------------------------


def a_day(*equities, start_ns=START, step=HOUR, deposits=None):
    """A DayLoss that has seen these, and what it said to each."""
    rule, trading = DayLoss(Decimal(3)), TradingStates()
    said = [
        rule.observe(Decimal(one), start_ns + number * step, trading, deposits)
        for number, one in enumerate(equities)
    ]
    return rule, trading, [one is not None for one in said]


@pytest.mark.parametrize(
    ("equities", "is_halted"),
    [
        ((100, 98, "97.01"), [False, False, False]),
        ((100, 98, 97), [False, False, True]),
        ((100, 110, "97.01"), [False, False, False]),
        ((0, -5), [False, False]),
    ],
)
def test_three_percent_less_than_at_the_begin_of_the_day_set_the_kill_switch(equities, is_halted):
    _, trading, said = a_day(*equities)

    assert said == is_halted
    assert trading.is_killed is any(is_halted)


def test_each_day_begins_with_the_last_equity_of_the_one_before():
    rule, trading, _ = a_day(100, 98, start_ns=START + 22 * HOUR)

    assert rule.observe(Decimal("95.5"), START + 25 * HOUR, trading) is None
    assert rule.observe(Decimal("95.06"), START + 26 * HOUR, trading) is not None
    assert "from 98.00 to 95.06 since midnight UTC" in trading.restrictions["day_loss", None][2]


@pytest.mark.parametrize(
    ("evening", "midnight"),
    [
        ("2026-01-14 21:00", "2026-01-15 05:00"),  # winter
        ("2026-07-14 20:00", "2026-07-15 04:00"),  # summer
        ("2026-03-07 21:00", "2026-03-08 05:00"),  # the clocks go forward in this night
        ("2026-03-08 20:00", "2026-03-09 04:00"),
        ("2026-10-31 20:00", "2026-11-01 04:00"),  # and back in this one
        ("2026-11-01 21:00", "2026-11-02 05:00"),
    ],
)
def test_a_day_of_stocks_ends_with_the_night_of_their_exchange(evening, midnight):
    rule, trading = DayLoss(Decimal(3)), TradingStates()
    rule.days = Days("America/New_York")
    close_ns, midnight_ns = instant(evening), instant(midnight)
    rule.observe(Decimal(100), close_ns, trading)
    rule.observe(Decimal(98), midnight_ns - HOUR, trading)  # after midnight UTC, the same day

    assert rule.observe(Decimal("97.01"), midnight_ns - 1, trading) is None
    assert rule.observe(Decimal("95.0"), midnight_ns, trading) is None  # a new day
    said = rule.observe(Decimal("94.0"), midnight_ns + 10 * HOUR, trading)

    assert said == (
        "equity fell from 97.01 to 94.00 since midnight in America/New_York, which is 3 % or more."
    )


def test_a_loss_before_and_after_midnight_utc_is_one_in_new_york():
    rule, trading = DayLoss(Decimal(3)), TradingStates()
    rule.days = Days("America/New_York")

    rule.observe(Decimal(100), instant("2026-01-14 23:00"), trading)
    rule.observe(Decimal("98.4"), instant("2026-01-14 23:59"), trading)
    rule.observe(Decimal("96.9"), instant("2026-01-15 00:01"), trading)

    assert trading.is_killed


def instant(text):
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_what_is_taken_out_of_the_account_is_no_loss():
    rule, trading, _ = a_day(100, deposits=Decimal(100))

    assert rule.observe(Decimal(50), START + HOUR, trading, Decimal(50)) is None
    assert rule.observe(Decimal(50), START + DAY, trading, Decimal(50)) is None
    assert rule.observe(Decimal("48.4"), START + DAY, trading, Decimal(50)) is not None


def test_after_a_release_the_day_begins_anew():
    rule, trading, _ = a_day(100, 97)

    trading.release("operator: I know")
    rule.restart()

    assert rule.observe(Decimal("94.1"), START + 3 * HOUR, trading) is None
    assert rule.observe(Decimal("94.0"), START + 4 * HOUR, trading) is not None


def test_an_order_on_a_day_that_lost_too_much_is_refused_and_halts():
    bench = Bench(DayLoss(Decimal(3)), held=50)
    assert bench.code(1) is None

    bench.last = 90.0

    assert bench.code(1) == "day_loss"
    assert bench.code(1) == "trading_halted"


# --- rejects ----------------------------------------------------------------------------------


def heard(rule, trading, *statuses, at_ns=START):
    for status in statuses:
        rule.hear(OrderStatus(status), "no buying power.", at_ns, trading)
    return trading.state()


def test_five_rejects_in_a_row_stop_entries_for_five_minutes():
    rule, trading = RejectRun(Decimal(5)), TradingStates()

    assert heard(rule, trading, *["REJECTED"] * 4) is TradingState.ACTIVE
    assert heard(rule, trading, "REJECTED") is TradingState.REDUCE_ONLY
    rule.pass_time(START + 5 * MINUTE - 1, trading)
    assert trading.state() is TradingState.REDUCE_ONLY
    rule.pass_time(START + 5 * MINUTE, trading)
    assert trading.state() is TradingState.ACTIVE


def test_an_order_that_the_venue_takes_ends_the_run_of_rejects():
    rule, trading = RejectRun(Decimal(2)), TradingStates()

    assert heard(rule, trading, "REJECTED", "ACKED", "REJECTED") is TradingState.ACTIVE
    assert heard(rule, trading, "REJECTED") is TradingState.REDUCE_ONLY
    assert heard(rule, trading, "FILLED") is TradingState.ACTIVE


# --- profiles ---------------------------------------------------------------------------------


def test_safe_is_all_of_them_and_none_is_none():
    assert [rule.name for rule in read_limits("safe")] == [
        "day_loss",
        "stale_data",
        "order_size",
        "volume_share",
        "price_collar",
        "repeated_order",
        "order_rate",
        "order_rate_total",
        "reject_run",
    ]
    assert read_limits("none") == ()


def test_a_figure_can_be_changed_or_switched_off():
    some = read_limits("none", {"order_percent": "20", "day_loss_percent": 5})
    less = read_limits("safe", {"order_percent": "off"})

    assert some == (DayLoss(Decimal(5)), OrderSize(Decimal(20)))
    assert "order_size" not in [rule.name for rule in less]


def test_the_words_of_a_rule_do_not_change_while_it_counts():
    rule = OrderRate(Decimal(10))
    before = repr(rule)

    Bench(rule).codes(3)

    assert repr(rule) == before == "OrderRate(most=Decimal('10'))"


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("brave", {}, "limits is 'brave', but must be safe or none."),
        ("safe", {"percent": 3}, "'percent' is no limit; in the table limits may stand order_perc"),
        ("safe", {"order_percent": 0}, 'order_percent is 0, but must be above zero, or "off" for'),
        ("safe", {"order_percent": "a lot"}, "order_percent is 'a lot', but must be a number."),
        ("safe", {"order_percent": True}, "order_percent is True, but must be a number"),
    ],
)
def test_what_is_no_limit_is_refused_in_one_sentence(name, changes, said):
    with pytest.raises(ConfigError) as error:
        read_limits(name, changes)

    assert said in str(error.value)
