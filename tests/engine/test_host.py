"""StrategyHost: what a strategy sees, what it may answer, and what becomes of its errors."""

import asyncio
import math
from collections import UserDict
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lane_builders import (
    Journal,
    a_feed,
    a_recorder,
    a_runner,
    a_strategy,
    minute,
    minutes_of,
    replayed,
    some_bars,
    tape_of,
)
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.errors import StrategyError
from ticklane.core.events import StrategyFaulted
from ticklane.core.order import OrderStatus
from ticklane.core.signal import Intent, Signal
from ticklane.indicators import SMA

BUY = {"symbol": "AAPL", "signal": "BUY", "quantity": 1}


def at_tick(number, act):
    """An on_tick that acts at its n-th tick only."""

    def on_tick(self, data):
        self.count = getattr(self, "count", 0) + 1
        return act(self, data) if self.count == number else None

    return on_tick


def fail(*_arguments):
    raise ValueError("too bad")


def fail_at(*ticks):
    def on_tick(self, data):
        self.count = getattr(self, "count", 0) + 1
        if self.count in ticks:
            raise ValueError(f"tick {self.count}")

    return on_tick


# What a strategy sees


async def test_each_bar_is_seen_once_at_its_close():
    strategy = a_recorder()

    await replayed(strategy, feed=a_feed(some_bars(3)))

    assert strategy.seen == [
        (1, ("AAPL",), {"AAPL": 10.0}),
        (2, ("AAPL",), {"AAPL": 11.0}),
        (3, ("AAPL",), {"AAPL": 12.0}),
    ]


async def test_updated_names_what_is_new_and_the_rest_keeps_its_last_price():
    strategy = a_recorder(symbols=["AAPL", "IBM"])
    feed = a_feed(some_bars(4), some_bars(2, "IBM", minutes=[2, 4], first=50.0))

    await replayed(strategy, feed=feed)

    assert strategy.seen == [
        (1, ("AAPL",), {"AAPL": 10.0}),
        (2, ("AAPL", "IBM"), {"AAPL": 11.0, "IBM": 50.0}),
        (3, ("AAPL",), {"AAPL": 12.0, "IBM": 50.0}),
        (4, ("AAPL", "IBM"), {"AAPL": 13.0, "IBM": 51.0}),
    ]


async def test_a_strategy_sees_its_own_symbols_only_and_no_tick_without_them():
    mine, both = a_recorder("Mine", "IBM"), a_recorder("Both", ["AAPL", "IBM"])
    feed = a_feed(some_bars(3), some_bars(1, "IBM", minutes=[2], first=50.0))

    await replayed(mine, both, feed=feed)

    assert mine.seen == [(2, ("IBM",), {"IBM": 50.0})]
    assert len(both.seen) == 3


async def test_a_bar_that_a_strategy_keeps_never_changes():
    kept = []
    await replayed(a_strategy(lambda self, data: kept.append(data["AAPL"])))

    assert [bar.close for bar in kept] == [10.0, 11.0, 12.0, 13.0, 14.0]


# History


@pytest.mark.parametrize("others", [[], ["IBM"]])  # the direct way to a strategy, and the long one
async def test_history_ends_with_the_present_bar_wherever_it_is_asked(others):
    seen = []

    def look(self, *_):
        seen.append(self.history("AAPL", 2).close.tolist())

    def on_tick(self, data):
        look(self)
        return BUY if len(seen) == 1 else None

    feed = a_feed(some_bars(4), *[some_bars(4, symbol) for symbol in others])
    await replayed(a_strategy(on_tick, on_fill=look), feed=feed)

    # The fill of the second bar is known when the second bar is.
    assert seen == [[10.0], [10.0, 11.0], [10.0, 11.0], [11.0, 12.0], [12.0, 13.0]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 8), st.integers(1, 7))
def test_history_is_what_has_closed_and_nothing_else(start, count):
    bars, seen = some_bars(8), []

    def on_tick(self, data):
        seen.append((data.time_ns, self.history("AAPL", count)))

    asyncio.run(replayed(a_strategy(on_tick), feed=a_feed(bars, start_ns=minute(start))))

    assert len(seen) == 8 - start
    for now_ns, history in seen:
        known = bars.close_ns <= now_ns
        assert history.close.tolist() == bars.close[known][-count:].tolist()
        assert all(column.base is None for column in history.columns())


async def test_history_of_a_symbol_not_subscribed_is_a_fault():
    runner = await replayed(a_strategy(lambda self, data: self.history("IBM", 1)))

    error = runner.get_status().strategies["Scripted"].error
    assert error == "StrategyError: symbol is 'IBM', but Scripted has only AAPL."


# Warm-up


@pytest.mark.parametrize("start", [0, 2, 3, 5])
async def test_warm_up_comes_from_before_the_start_else_from_the_first_bars(start):
    strategy = a_recorder(warmup=3)

    await replayed(strategy, feed=a_feed(some_bars(6), start_ns=minute(start)))

    assert [tick[0] for tick in strategy.seen] == list(range(max(start, 3) + 1, 7))


async def test_a_symbol_is_missing_until_its_own_warm_up_is_over():
    strategy = a_recorder(symbols=["AAPL", "IBM"], warmup=1)
    feed = a_feed(some_bars(4), some_bars(3, "IBM", minutes=[2, 3, 4], first=50.0))

    await replayed(strategy, feed=feed)

    assert [(at, sorted(prices)) for at, _, prices in strategy.seen] == [
        (2, ["AAPL"]),
        (3, ["AAPL", "IBM"]),
        (4, ["AAPL", "IBM"]),
    ]


async def test_prices_from_before_the_start_are_there_at_the_first_tick():
    strategy = a_recorder(symbols=["AAPL", "IBM"])
    feed = a_feed(some_bars(3), some_bars(1, "IBM", first=50.0), start_ns=minute(1))

    await replayed(strategy, feed=feed)

    assert strategy.seen[0] == (2, ("AAPL",), {"AAPL": 11.0, "IBM": 50.0})


async def test_nothing_trades_while_bars_warm_up_and_equity_begins_after():
    runner = a_runner(a_strategy(lambda self, data: BUY, warmup=3))
    journal = Journal(runner)

    await runner.replay()

    assert minutes_of(order.created_ns for order in tape_of(runner).orders) == [4, 5]
    assert minutes_of(
        fields["at_ns"] for name, fields in journal.lines if name == "EquityMarked"
    ) == [4, 5]


# Indicators


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("start", [0, 4])
async def test_an_indicator_sees_every_bar_also_those_before_the_first_tick(start, warmup):
    values = []

    def on_start(self):
        self.average = self.indicator(SMA, 3)

    def on_tick(self, data):
        values.append(self.average.value)

    feed = a_feed(some_bars(6), start_ns=minute(start))
    await replayed(a_strategy(on_tick, on_start=on_start, warmup=warmup), feed=feed)

    averages = [math.nan, math.nan, 11.0, 12.0, 13.0, 14.0]
    assert values == pytest.approx(averages[max(start, warmup) :], nan_ok=True)


@pytest.mark.parametrize("others", [[], ["IBM"]])
@pytest.mark.parametrize("place", ["on_tick", "on_fill", "on_order"])
async def test_an_indicator_declared_late_has_seen_every_bar_once(place, others):
    fed = []

    class Spy:
        value, warmup = 0.0, 1

        def update(self, bar):
            fed.append(bar.close)

    def declare(self, *_):
        if not getattr(self, "spy", None):
            self.spy = self.indicator(Spy)

    members = {place: declare} if place != "on_tick" else {}
    acts = declare if place == "on_tick" else lambda self, data: BUY
    feed = a_feed(some_bars(6), *[some_bars(6, symbol) for symbol in others])
    await replayed(a_strategy(at_tick(3, acts), **members), feed=feed)

    assert fed == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]


async def test_each_symbol_feeds_its_own_indicators():
    def on_start(self):
        self.averages = {s: self.indicator(SMA, 2, symbol=s) for s in self.symbols}

    strategy = a_strategy(symbols=["AAPL", "IBM"], on_start=on_start)
    await replayed(strategy, feed=a_feed(some_bars(3), some_bars(3, "IBM", first=50.0)))

    assert {s: one.value for s, one in strategy.averages.items()} == {"AAPL": 11.5, "IBM": 51.5}


async def test_an_indicator_of_an_unknown_symbol_or_of_no_symbol_is_a_fault():
    errors = []
    for symbols, options in (["AAPL"], {"symbol": "IBM"}), (["AAPL", "IBM"], {}):

        def on_start(self, options=options):
            self.indicator(SMA, 2, **options)

        strategy = a_strategy(symbols=symbols, on_start=on_start)
        runner = await replayed(strategy, feed=a_feed(some_bars(), some_bars(symbol="IBM")))
        errors.append(runner.get_status().strategies["Scripted"].error)

    assert errors == [
        "StrategyError: symbol is 'IBM', but Scripted has only AAPL.",
        "StrategyError: Scripted has 2 symbols, so indicator() needs symbol=.",
    ]


# What a strategy may answer


def a_generator(self, data):
    yield BUY
    yield Intent("AAPL", Signal.BUY, 2)


async def a_coroutine(self, data):
    await asyncio.sleep(0)
    return [BUY]


async def an_async_generator(self, data):
    yield BUY
    await asyncio.sleep(0)
    yield BUY


def a_helper_too(self, data):
    return [self.buy("AAPL", 1), BUY]


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (lambda self, data: None, 0),
        (lambda self, data: [], 0),
        (lambda self, data: {}, 0),
        (lambda self, data: data["AAPL"].close > 99 and BUY, 0),
        (lambda self, data: BUY, 1),
        (lambda self, data: UserDict(BUY), 1),
        (lambda self, data: Intent("AAPL", Signal.BUY, 1), 1),
        (lambda self, data: [BUY, None, Intent("AAPL", Signal.BUY, 1)], 2),
        (lambda self, data: (BUY, BUY, BUY), 3),
        (lambda self, data: iter([BUY, None]), 1),
        (lambda self, data: {"first": BUY}.values(), 1),
        (a_generator, 2),
        (a_coroutine, 1),
        (an_async_generator, 2),
        (lambda self, data: self.buy("AAPL", 1), 1),
        (lambda self, data: bool(self.buy("AAPL", 1)) and None, 1),
        (lambda self, data: [self.buy("AAPL", 1)] * 1, 1),
        (a_helper_too, 2),
        (lambda self, data: [BUY, BUY], 2),
        (lambda self, data: [{"symbol": "AAPL", "signal": "HOLD"}], 0),
    ],
)
async def test_on_tick_may_answer_in_many_ways(answer, count):
    runner = await replayed(a_strategy(at_tick(2, answer)))

    assert len(tape_of(runner).orders) == len(tape_of(runner).fills) == count
    assert runner.get_status().strategies["Scripted"].faults == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("BUY", "StrategyError: on_tick returned 'BUY', but must return nothing, an intent or"),
        (5, "StrategyError: on_tick returned 5, but must"),
        (object(), "StrategyError: on_tick returned <object object"),
    ],
)
@pytest.mark.parametrize("number", [1, 3])
async def test_an_answer_of_another_kind_is_a_fault_of_that_strategy_alone(number, answer, error):
    wrong = a_strategy(at_tick(number, lambda self, data: answer), name="Wrong")
    other = a_recorder()

    runner = await replayed(wrong, other)

    status = runner.get_status().strategies["Wrong"]
    assert (status.faults, status.state) == (1, "stopped")
    assert status.error.startswith(error)
    assert len(other.seen) == 5


@pytest.mark.parametrize("number", [1, 3])
async def test_a_column_of_numbers_is_no_more_than_so_many_malformed_wishes(number):
    numbers, other = np.array([1.0, 2.0]), a_recorder()

    runner = await replayed(a_strategy(at_tick(number, lambda self, data: numbers)), other)

    assert [order.reason_code for order in tape_of(runner).orders] == ["malformed"] * 2
    assert len(other.seen) == 5


def declare(self, *_arguments):
    self.average = self.indicator(SMA, 3)


@pytest.mark.parametrize(
    "members",
    [
        {"on_tick": at_tick(3, lambda self, data: BUY), "on_fill": fail},
        {"on_tick": at_tick(3, lambda self, data: BUY), "on_fill": declare},
        {"on_tick": at_tick(3, lambda self, data: BUY), "on_order": fail},
        {"on_tick": at_tick(3, lambda self, data: BUY), "on_order": declare},
        {"on_tick": at_tick(3, declare)},
        {"on_tick": fail_at(3)},
    ],
)
@pytest.mark.parametrize("is_alone", [True, False])
async def test_each_tick_is_counted_once_whatever_happens_in_between(members, is_alone):
    others = [] if is_alone else [a_recorder()]

    runner = await replayed(a_strategy(**members), *others, feed=a_feed(some_bars(9)))

    assert {one.ticks for one in runner.get_status().strategies.values()} == {9}


class Unreadable(UserDict):
    def __getitem__(self, key):
        raise LookupError(key)


class Unspeakable:
    def __repr__(self):
        raise LookupError("no words")


@pytest.mark.parametrize(
    "wish",
    [
        {**BUY, "reason": np.array([1.0, 2.0])},
        {**BUY, "order_type": np.array(["limit", "stop"])},
        {**BUY, "quantity": Unspeakable()},
        Unreadable(BUY),
        Unspeakable(),
    ],
    ids=["reason", "order type", "quantity", "mapping", "no words"],
)
@pytest.mark.parametrize("number", [1, 3])
async def test_an_intent_that_cannot_be_read_is_refused_and_stops_nobody(number, wish):
    heard, other = [], a_recorder()
    answer = at_tick(number, lambda self, data: [wish])
    odd = a_strategy(answer, name="Odd", on_order=lambda self, order: heard.append(order.reason))

    runner = await replayed(odd, other)

    [order] = tape_of(runner).orders
    assert order.reason_code == "malformed"
    assert heard == [order.reason]
    assert order.reason.startswith("the intent cannot be read (")
    assert len(other.seen) == 5


async def wait_for_a_cancelled_task(self, data):
    task = asyncio.create_task(asyncio.sleep(0))
    task.cancel()
    await task


def leave(*_arguments):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("act", "error"), [(wait_for_a_cancelled_task, "CancelledError: "), (leave, "SystemExit: 3")]
)
@pytest.mark.parametrize("is_alone", [True, False])
async def test_whoever_leaves_or_awaits_what_was_cancelled_has_a_fault(act, error, is_alone):
    others = [] if is_alone else [a_recorder()]

    runner = await replayed(a_strategy(at_tick(3, act), name="Odd"), *others)

    status = runner.get_status().strategies["Odd"]
    assert (status.faults, status.state, status.error) == (1, "stopped", error)
    assert [len(other.seen) for other in others] == [5] * len(others)


async def test_the_end_of_the_lane_itself_is_no_fault_of_who_is_waited_for():
    waits = asyncio.Event()

    async def wait(self, data):
        waits.set()
        await asyncio.Event().wait()

    runner = a_runner(a_strategy(wait, name="Waiting"))
    run = asyncio.create_task(runner.replay())
    await waits.wait()
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert runner.get_status().strategies["Waiting"].faults == 0


@pytest.mark.parametrize("warmup", ["x", None, math.nan, 2.5, True])
def test_a_warmup_that_is_no_number_of_bars_is_refused(warmup):
    with pytest.raises(StrategyError, match=r"warmup of Odd is .*, but must be a whole number"):
        a_runner(a_strategy(name="Odd", warmup=warmup))


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"symbol": "IBM", "signal": "BUY"}, "symbol is 'IBM', but Scripted has only AAPL."),
        ({"symbol": ["AAPL"], "signal": "BUY"}, "symbol is ['AAPL'], but must be a text."),
        ({**BUY, "quantity": 0}, "quantity is 0, but must be above zero."),
        ({**BUY, "qty": 1}, "the intent key 'qty' is unknown; the known ones are symbol,"),
        ({**BUY, "order_type": "limit"}, "a limit order needs limit_price; give it a price."),
        (["AAPL"], "an intent is ['AAPL'], but must be an Intent or a mapping"),
    ],
)
async def test_a_malformed_wish_reaches_on_order_as_a_denied_order_of_nothing(wish, sentence):
    heard = []
    strategy = a_strategy(
        at_tick(2, lambda self, data: [wish, BUY]), on_order=lambda self, order: heard.append(order)
    )

    runner = await replayed(strategy)

    assert (heard[0].status, heard[0].quantity) == (OrderStatus.DENIED, 0)
    assert heard[0].reason.startswith(sentence)
    assert len(tape_of(runner).fills) == 1
    assert runner.get_status().strategies["Scripted"].faults == 0


async def test_a_malformed_wish_by_a_helper_is_refused_in_the_same_way():
    heard = []

    def act(self, data):
        return [self.buy("AAPL", -1), self.buy("AAPL", 1), self.sell("AAPL", 1, limit_price="x")]

    strategy = a_strategy(at_tick(2, act), on_order=lambda self, order: heard.append(order.reason))
    runner = await replayed(strategy)

    assert "quantity is -1, but must be above zero." in heard
    assert "limit_price is 'x', but must be a number." in heard
    assert len(tape_of(runner).fills) == 1
    assert runner.get_status().strategies["Scripted"].faults == 0


NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.decimals(),
    st.sampled_from([10**30, 1e300, 1e-300, "1e999999", "nan", "", "7", True, None, [], b"1"]),
)
JUNK = st.one_of(st.none(), st.booleans(), st.text(max_size=3), NUMBERS, st.lists(st.none()))
WISHES = st.one_of(
    JUNK,
    st.fixed_dictionaries(
        {"symbol": st.sampled_from(["AAPL", "AAPL", "IBM", 5, None])},
        optional={
            "signal": st.sampled_from(["BUY", "SELL", "CLOSE", "HOLD", "buy", 5, ()]),
            "quantity": NUMBERS,
            "notional": NUMBERS,
            "fraction": NUMBERS,
            "order_type": st.sampled_from(["limit", "stop", "stop_limit", "trailing_stop", 5]),
            "limit_price": NUMBERS,
            "stop_price": NUMBERS,
            "trail_percent": NUMBERS,
            "time_in_force": st.sampled_from(["day", "ioc", "fok", "opg", "cls", "gtx", None]),
            "take_profit": NUMBERS,
            "stop_loss": NUMBERS,
            "leverage": NUMBERS,
            "reason": JUNK,
        },
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(WISHES, max_size=4), min_size=1, max_size=4))
def test_no_wish_ever_breaks_the_lane(wishes):
    left = iter(wishes)
    strange = a_strategy(lambda self, data: next(left, None), name="Strange")
    other = a_recorder()

    asyncio.run(replayed(strange, other, sizing={"percent": 10}))

    assert len(other.seen) == 5


# Faults


async def test_three_faults_in_a_row_park_a_strategy_and_the_others_miss_nothing():
    wrong, other = a_strategy(fail_at(2, 3, 4, 5), name="Wrong"), a_recorder()
    runner = a_runner(wrong, other, feed=a_feed(some_bars(8)))
    journal = Journal(runner)

    await runner.replay()

    status = runner.get_status().strategies["Wrong"]
    assert (status.state, status.faults, status.error) == ("parked", 3, "ValueError: tick 4")
    assert wrong.count == 4
    assert not wrong.is_running
    assert [tick[0] for tick in other.seen] == [1, 2, 3, 4, 5, 6, 7, 8]
    told = [(f["strategy"], f["error"], f["is_parked"]) for f in journal.of(StrategyFaulted)]
    assert told == [
        ("Wrong", "ValueError: tick 2", False),
        ("Wrong", "ValueError: tick 3", False),
        ("Wrong", "ValueError: tick 4", True),
    ]


@pytest.mark.parametrize("ticks", [(1, 2, 4, 5, 7, 8), (1, 3, 5, 7), (3, 4, 6, 7)])
async def test_faults_that_are_not_in_a_row_do_not_park(ticks):
    wrong = a_strategy(fail_at(*ticks))

    runner = await replayed(wrong, feed=a_feed(some_bars(10)))

    status = runner.get_status().strategies["Scripted"]
    assert (status.faults, status.state, wrong.count) == (len(ticks), "stopped", 10)


async def fail_later(self, data):
    self.buy("AAPL", 1)
    await asyncio.sleep(0)
    fail()


def fail_while_yielding(self, data):
    yield BUY
    fail()


@pytest.mark.parametrize(
    "act",
    [lambda self, data: [self.buy("AAPL", 1), fail()], fail_later, fail_while_yielding],
)
@pytest.mark.parametrize("number", [1, 3])
async def test_a_fault_drops_what_that_tick_asked_for_and_nothing_else(number, act):
    def on_tick(self, data):
        self.count = getattr(self, "count", 0) + 1
        return act(self, data) if self.count == number else [BUY]

    runner = await replayed(a_strategy(on_tick))

    asked = minutes_of(order.created_ns for order in tape_of(runner).orders)
    assert asked == [at for at in (1, 2, 3, 4, 5) if at != number]
    assert runner.get_status().strategies["Scripted"].error == "ValueError: too bad"


@pytest.mark.parametrize("callback", ["on_fill", "on_order"])
async def test_faults_of_callbacks_park_as_well_and_then_nobody_asks(callback):
    ticks = []

    def on_tick(self, data):
        ticks.append(data.time_ns)
        return BUY

    runner = await replayed(a_strategy(on_tick, **{callback: fail}), feed=a_feed(some_bars(9)))

    status = runner.get_status().strategies["Scripted"]
    assert (status.state, status.faults) == ("parked", 3)
    assert len(ticks) < 6


async def test_callback_faults_with_good_ticks_between_them_do_not_park():
    def on_tick(self, data):
        self.count = getattr(self, "count", 0) + 1
        return BUY if self.count % 3 == 1 else None

    runner = await replayed(a_strategy(on_tick, on_fill=fail), feed=a_feed(some_bars(15)))

    status = runner.get_status().strategies["Scripted"]
    assert (status.state, status.faults) == ("stopped", 5)


async def test_a_strategy_that_does_not_start_is_parked_with_its_error():
    wrong = a_recorder(on_start=fail)

    runner = await replayed(wrong)

    status = runner.get_status().strategies["Recorder"]
    assert (status.state, status.error, len(wrong.seen)) == ("parked", "ValueError: too bad", 0)


async def test_state_that_is_not_json_is_a_fault():
    def on_tick(self, data):
        self.state["when"] = data.time

    runner = a_runner(a_strategy(on_tick), feed=a_feed(some_bars(6)))
    Journal(runner)  # somebody listens, so state is saved

    await runner.replay()

    status = runner.get_status().strategies["Scripted"]
    assert status.state == "parked"
    assert status.error.startswith("StrategyError: state must hold JSON values only: ")


# Fills and orders told to a strategy


def told(heard):
    async def later(self, what):
        await asyncio.sleep(0)
        heard.append(what)

    return {"now": lambda self, what: heard.append(what), "later": later}


@pytest.mark.parametrize("when", ["now", "later"])
async def test_fills_and_order_steps_are_told_in_their_order(when):
    heard = []

    async def on_order(self, order):
        heard.append(order.status)

    strategy = a_strategy(
        at_tick(1, lambda s, d: BUY), on_fill=told(heard)[when], on_order=on_order
    )
    await replayed(strategy)

    assert [type(one).__name__ for one in heard] == ["OrderStatus", "Fill", "OrderStatus"]
    assert (heard[0], heard[2]) == (OrderStatus.ACKED, OrderStatus.FILLED)
    assert (heard[1].price, heard[1].strategy, heard[1].quantity) == (10, "Scripted", 1)


async def test_nobody_hears_of_the_fills_of_others():
    heard = []
    buyer = a_strategy(at_tick(1, lambda self, data: BUY), name="Buyer")
    other = a_strategy(name="Other", on_fill=lambda self, fill: heard.append(fill))

    await replayed(buyer, other)

    assert heard == []


@pytest.mark.parametrize("callback", ["on_fill", "on_order"])
async def test_a_callback_may_ask_for_orders_by_return_and_by_helper(callback):
    def answer(self, what):
        if getattr(what, "status", None) is OrderStatus.ACKED or self.state.get("done"):
            return None
        self.state["done"] = True
        self.sell("AAPL", 1, order_type="limit", limit_price=20)
        return {"symbol": "AAPL", "signal": "BUY", "quantity": 2}

    strategy = a_strategy(at_tick(1, lambda self, data: BUY), **{callback: answer})
    runner = await replayed(strategy)

    asked = [(*minutes_of([o.created_ns]), o.side, o.quantity) for o in tape_of(runner).orders]
    assert sorted(asked) == [(1, "buy", 1), (2, "buy", 2), (2, "sell", 1)]


async def test_a_refusal_of_what_on_start_asked_for_is_heard_before_the_first_tick():
    heard = []
    strategy = a_strategy(
        lambda self, data: heard.append("tick"),
        on_start=lambda self: [{**BUY, "quantity": -1}],
        on_order=lambda self, order: heard.append(order.reason_code),
    )

    await replayed(strategy)

    assert heard[:2] == ["malformed", "tick"]


def again_when_denied(self, order):
    return {**BUY, "quantity": -1}


def again_when_acknowledged(self, order):
    return {**BUY, "order_type": "limit", "limit_price": 1}


def again_when_rejected(self, order):
    return {**BUY, "quantity": 10**9}


@pytest.mark.parametrize(
    "answer", [again_when_denied, again_when_acknowledged, again_when_rejected]
)
async def test_a_strategy_that_answers_its_own_orders_without_end_is_parked(answer):
    heard = []
    endless = a_strategy(at_tick(2, lambda self, data: BUY), name="Endless", on_order=answer)
    other = a_strategy(
        lambda self, data: {**BUY, "quantity": -1},
        name="Other",
        on_order=lambda self, order: heard.append(order.reason_code),
    )

    runner = await replayed(endless, other, broker=ReplayBroker(10_000))

    status = runner.get_status().strategies
    assert (status["Endless"].state, status["Other"].state) == ("parked", "stopped")
    assert status["Endless"].error == "StrategyError: it answers its own orders without end"
    assert heard == ["malformed"] * 5


async def test_a_thousand_answers_to_a_thousand_orders_are_no_endless_loop():
    def on_order(self, order):
        if order.reason_code == "malformed" and len(self.state) < 1200:
            self.state[str(len(self.state))] = 1

    bad = {**BUY, "quantity": -1}
    strategy = a_strategy(at_tick(2, lambda self, data: [bad] * 1200), on_order=on_order)
    runner = await replayed(strategy)

    assert len(strategy.state) == 1200
    assert runner.get_status().strategies["Scripted"].state == "stopped"


# Orders of one's own


async def test_a_strategy_lists_cancels_and_replaces_its_own_orders_only():
    lists = []

    def on_tick(self, data):
        mine = self.orders()
        lists.append([str(order.limit_price) for order in mine])
        if not mine and len(lists) == 1:
            self.buy("AAPL", 1, order_type="limit", limit_price=5)
        elif mine and len(lists) == 2:
            self.replace(mine[0], limit_price=6)
        elif mine and len(lists) == 3:
            self.cancel(mine[0])

    other = a_strategy(
        at_tick(1, lambda s, d: s.buy("AAPL", 1, order_type="limit", limit_price=2)), name="Other"
    )
    runner = await replayed(a_strategy(on_tick), other)

    assert lists == [[], ["5"], ["6"], [], []]
    mine = [o for o in tape_of(runner).orders if o.strategy == "Scripted"]
    assert [order.status for order in mine] == [OrderStatus.REPLACED, OrderStatus.CANCELED]
    assert other.orders("AAPL")[0].limit_price == Decimal(2)
    assert other.orders("IBM") == []


async def test_the_portfolio_of_a_strategy_is_its_own_book():
    seen = []

    def look(self, data):
        view = self.portfolio
        seen.append((view.cash, view.position("AAPL").quantity, view.account.cash))

    buyer = a_strategy(at_tick(1, lambda self, data: BUY), name="Buyer")
    await replayed(buyer, a_strategy(look, name="Other"), broker=ReplayBroker(1000))

    assert seen[-1] == (500, 0, 990)
    assert (buyer.portfolio.cash, buyer.portfolio.position("AAPL").quantity) == (490, 1)
