"""The kill switch, restrictions and watched limits on a lane: what leaves, what is cancelled."""

import asyncio
from decimal import Decimal

import pytest

from lane_builders import (
    START,
    Gate,
    Journal,
    Weekdays,
    a_feed,
    a_recorder,
    a_runner,
    a_strategy,
    minute,
    replayed,
    some_bars,
    tape_of,
)
from ticklane.brokers.paper import PaperBroker
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.commands import Lift, Restrict
from ticklane.core.errors import ConfigError
from ticklane.core.events import RestrictionChanged
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.order import OrderStatus, OrderUpdate
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.interfaces import Recovered
from ticklane.risk.rules import DayLoss, FreshData, OrderSize, RejectRun, TotalOrderRate
from ticklane.storage.halt_file import HaltFile
from ticklane.storage.reader import Reader
from ticklane.storage.service import StorageService
from ticklane.testing.builders import a_fill

FAR = {"order_type": "limit", "limit_price": 1, "time_in_force": "gtc"}


def a_buyer(*wishes, name="Buyer", at=1, **terms):
    """A strategy that wants this at one minute: tuples of quantity and terms."""

    def on_tick(self, data):
        if data.time_ns == minute(at):
            for quantity, more in wishes:
                self.buy("AAPL", quantity, **more)

    return a_strategy(on_tick, name=name, **terms)


def a_restriction(code="stream_down", state=TradingState.REDUCE_ONLY, **fields):
    return Restriction(code, state, "why.", START, **fields)


def statuses(runner):
    return [order.status.value for order in tape_of(runner).orders]


def codes(runner):
    return [order.reason_code for order in tape_of(runner).orders]


@pytest.fixture
def sign(tmp_path):
    return HaltFile(tmp_path / "runs.db")


# --- halt and release ---------------------------------------------------------------------------


async def test_a_halt_cancels_open_orders_and_denies_new_ones_until_a_release():
    gate = Gate()

    def on_tick(self, data):
        self.buy("AAPL", 1, **FAR)

    async with a_runner(a_strategy(on_tick), feed=a_feed(some_bars(3), sleep=gate)) as runner:
        await gate.open()
        await runner.halt("a test")
        await gate.open()
        assert runner.get_status().trading_state == "HALTED"
        await runner.release("it is over")
        await gate.open()

        assert statuses(runner) == ["CANCELED", "DENIED", "ACKED"]
        assert codes(runner)[1] == "trading_halted"
        assert runner.get_status().restrictions == []


async def test_an_order_that_was_decided_before_the_halt_does_not_leave(sign):
    def on_tick(self, data):
        sign.set("while this strategy was asked", START)

    buyer, setter = a_buyer((1, {})), a_strategy(on_tick, name="Setter")
    runner = a_runner(buyer, setter)
    runner.halt_sign = sign
    await runner.start()
    await runner.wait()

    [order] = tape_of(runner).orders
    assert (order.status, order.reason_code) == ("NOT_SENT", "trading_halted")
    assert order.broker_order_id is None
    assert runner.trading.is_killed


async def test_a_halt_file_is_found_without_any_order(sign):
    gate = Gate()
    runner = a_runner(a_buyer((1, FAR)), feed=a_feed(some_bars(2), sleep=gate))
    runner.halt_sign = sign
    async with runner:
        await gate.open()
        sign.set("somebody set it by hand", START)
        await runner._patrol()

        assert statuses(runner) == ["CANCELED"]
        [one] = runner.get_status().restrictions
        assert (one["code"], one["reason"]) == ("operator_halt", "somebody set it by hand")


async def test_a_halt_sets_the_file_and_a_release_takes_it_away(sign):
    gate = Gate()
    runner = a_runner(a_recorder(), feed=a_feed(some_bars(2), sleep=gate))
    runner.halt_sign = sign
    async with runner:
        await runner.halt("a test")
        assert sign.read()[0] == "a test"
        await runner.release("it is over")
        assert not sign.is_set()


@pytest.mark.parametrize("command", ["halt", "release", "flatten"])
async def test_a_command_without_a_reason_is_refused(command):
    async with a_runner(a_recorder()) as runner:
        with pytest.raises(ConfigError, match="reason is empty; say in a few words why"):
            await getattr(runner, command)("  ")


async def test_each_change_is_journaled_with_who_and_why():
    gate = Gate()
    runner = a_runner(a_recorder(), feed=a_feed(some_bars(2), sleep=gate))
    journal = Journal(runner)
    async with runner:
        await runner.halt("a test")
        await runner.release("it is over")

    changes = [(one["is_set"], one["by"]) for one in journal.of(RestrictionChanged)]
    assert changes == [(True, "operator"), (False, "operator: it is over")]


# --- flatten and close ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_halted", [True, False])
async def test_flatten_cancels_what_works_and_closes_what_is_held(is_halted):
    gate = Gate()
    buyer = a_buyer((3, {}), (1, FAR))
    async with a_runner(buyer, feed=a_feed(some_bars(5), sleep=gate)) as runner:
        await gate.open(2)
        if is_halted:
            await runner.halt("a test")
        await runner.flatten("home")
        await gate.open(2)

        assert statuses(runner) == ["FILLED", "CANCELED", "FILLED"]
        assert runner.portfolio.net("AAPL") == 0
        await runner._patrol()
        assert not runner._flattening


async def test_flatten_tries_again_what_the_venue_rejects_but_not_at_once():
    gate, rejected = Gate(), []

    class Reluctant(ReplayBroker):
        async def submit(self, order):
            if order.side == "sell" and len(rejected) < 1:
                rejected.append(order)
                self.put(OrderUpdate(order.id, OrderStatus.REJECTED, START))
            else:
                await super().submit(order)

    feed = a_feed(some_bars(6), sleep=gate)
    async with a_runner(a_buyer((3, {})), feed=feed, broker=Reluctant()) as runner:
        await gate.open(2)
        await runner.flatten("home")
        await runner._patrol()
        assert len(tape_of(runner).orders) == 2
        await gate.open()
        await runner._patrol()
        await gate.open()

        assert statuses(runner) == ["FILLED", "REJECTED", "FILLED"]


async def test_an_operator_closes_a_position_while_trading_is_halted():
    gate = Gate()
    async with a_runner(a_buyer((3, {})), feed=a_feed(some_bars(5), sleep=gate)) as runner:
        await gate.open(2)
        await runner.halt("a test")
        await runner.close_position("AAPL")
        await runner._patrol()
        await gate.open(1)

        assert statuses(runner) == ["FILLED", "FILLED"]


# --- what the broker restricts -------------------------------------------------------------------


class Cautious(ReplayBroker):
    """A venue that restricts entries when it is opened, and lifts that when it is told to."""

    async def open(self):
        self.put(Restrict(a_restriction()))


async def test_a_restriction_of_the_broker_counts_before_a_strategy_is_asked_first():
    def on_start(self):
        self.buy("AAPL", 1)

    runner = await replayed(a_strategy(on_start=on_start), broker=Cautious())

    assert codes(runner) == ["reduce_only"]


async def test_what_the_broker_lifts_is_over():
    gate, broker = Gate(), Cautious()
    feed = a_feed(some_bars(3), sleep=gate)
    async with a_runner(a_buyer((1, {}), at=1), feed=feed, broker=broker) as runner:
        assert runner.get_status().trading_state == "REDUCE_ONLY"
        broker.put(Lift("stream_down"))
        await gate.open(2)

        assert statuses(runner) == ["FILLED"]


async def test_the_second_half_of_an_order_through_zero_stays_when_only_exits_may_leave():
    no_flip = Instrument(symbol="AAPL", rules=OrderRules(can_flip=False))
    broker = ReplayBroker(allow_short=True, instruments=[no_flip])

    def on_tick(self, data):
        if data.time_ns == minute(1):
            self.buy("AAPL", 2)
        if data.time_ns == minute(3):
            self.sell("AAPL", 5)
            broker.put(Restrict(a_restriction()))

    gate = Gate()
    feed = a_feed(some_bars(6), sleep=gate)
    async with a_runner(a_strategy(on_tick), feed=feed, broker=broker) as runner:
        await gate.open(5)

        assert statuses(runner) == ["FILLED", "FILLED", "NOT_SENT"]
        assert runner.portfolio.net("AAPL") == 0


# --- what is watched -----------------------------------------------------------------------------


async def test_a_fill_beyond_the_quantity_halts():
    gate = Gate()
    feed = a_feed(some_bars(4), sleep=gate)
    async with a_runner(a_buyer((1, {}), (1, FAR)), feed=feed) as runner:
        await gate.open(2)
        order = tape_of(runner).orders[0]
        fill = a_fill(1, 10, order=order, execution_id="again")
        Journal(runner)  # somebody listens, so that there are events
        runner.broker.put(OrderUpdate(order.id, None, minute(2), fill))
        await gate.open()

        [one] = runner.trading.restrictions.values()
        assert (one.code, one.is_kill_switch) == ("overfill", True)
        assert one.sentence == "order r0-1 was for 1 AAPL, but 2 were filled."
        assert statuses(runner)[1] == "CANCELED"


def a_spender(per_tick):
    """Asks for more than there is, so many times a tick."""

    def on_tick(self, data):
        for number in range(per_tick):
            self.buy("AAPL", 10**6 + number)

    return a_strategy(on_tick)


async def test_five_rejects_in_a_row_deny_entries():
    runner = await replayed(a_spender(2), limits=[RejectRun(Decimal(5))])

    assert statuses(runner)[:8] == ["REJECTED"] * 6 + ["DENIED"] * 2
    assert set(codes(runner)[6:]) == {"reduce_only"}


async def test_a_rejected_bracket_counts_once():
    def on_tick(self, data):
        self.buy("AAPL", 10**6, take_profit=900, stop_loss=1)

    runner = await replayed(a_strategy(on_tick), limits=[RejectRun(Decimal(2))])

    entries = [order for order in tape_of(runner).orders if order.parent_id is None]
    assert [order.status.value for order in entries][:3] == ["REJECTED", "REJECTED", "DENIED"]


async def test_too_many_orders_halt_a_replay_too_and_none_of_them_leaves():
    wishes = [(number, FAR) for number in (1, 2, 3, 4, 5)]

    runner = await replayed(a_buyer(*wishes), limits=[TotalOrderRate(Decimal(3))])

    assert statuses(runner) == ["NOT_SENT"] * 3 + ["DENIED"] * 2
    assert codes(runner)[3:] == ["order_rate_total", "trading_halted"]


def a_fall():
    """Prices that halve at minute 4 and recover."""
    return some_bars(closes=[10, 10, 10, 5, 10, 10, 10])


async def test_a_day_that_loses_too_much_halts_without_an_order():
    buyer = a_buyer((1000, {}), (1, FAR))

    runner = await replayed(buyer, feed=a_feed(a_fall()), limits=[DayLoss(Decimal(3))])

    [one] = runner.trading.restrictions.values()
    assert (one.code, one.since_ns) == ("day_loss", minute(4))
    assert statuses(runner) == ["FILLED", "CANCELED"]


class NewYork(Weekdays):
    """An exchange whose clocks are those of New York."""

    timezone = "America/New_York"


@pytest.mark.parametrize(("market", "said"), [("XNYS", "in America/New_York"), (None, "UTC")])
async def test_the_day_of_a_loss_is_that_of_the_market(market, said):
    rule, stock = DayLoss(Decimal(3)), Instrument(symbol="AAPL", calendar=market)
    broker = ReplayBroker(instruments=[stock], calendars=[])
    runner = a_runner(a_recorder(), limits=[rule], broker=broker)
    runner.find_calendar = lambda name: NewYork() if name else None
    await runner.replay()

    assert str(rule.days) == said


async def test_the_day_goes_on_after_a_restart_late_in_the_evening_of_the_exchange(tmp_path):
    """From 18:00 to 21:03 in New York; at 19:00 of them it is midnight UTC."""
    closes, minutes = [100, 98.5, 98.5, 98.5, 96.9, 96.9], [1380, 1390, 1560, 1561, 1562, 1563]
    halted = []
    for until in (1560, 1562):
        gate, broker = Gate(), ReplayBroker(instruments=[Instrument(symbol="AAPL", calendar="X")])
        runner = a_runner(
            a_buyer((1000, {}), at=1380),
            feed=a_feed(some_bars(closes=closes, minutes=minutes), sleep=gate),
            storage=StorageService(tmp_path / "runs.db"),
            broker=broker,
            limits=[DayLoss(Decimal(3))],
        )
        runner.find_calendar = lambda name: NewYork() if name else None
        await runner.start()
        await gate.open(3)
        async with asyncio.timeout(20):
            while runner.now_ns < minute(until):
                await gate.open(0)
        await runner.stop()
        halted.append(runner.trading.is_killed)

    assert halted == [False, True]


@pytest.mark.parametrize("rules", [["loss"], ["rejects"], ["loss", "rejects", "rate", "size"]])
async def test_a_replay_and_a_paper_run_are_restricted_alike(rules):
    def limits():
        made = {
            "loss": DayLoss(Decimal(1)),
            "rejects": RejectRun(Decimal(2)),
            "rate": TotalOrderRate(Decimal(4)),
            "size": OrderSize(Decimal(90)),
        }
        return [made[name] for name in rules]

    def strategies():
        return a_buyer((1000, {}), (1, FAR)), a_spender(1)

    first = await replayed(*strategies(), feed=a_feed(a_fall()), limits=limits())
    second = a_runner(
        *strategies(), feed=a_feed(a_fall()), limits=limits(), broker=PaperBroker(100_000)
    )
    await second.start()
    await second.wait()

    assert statuses(first) == statuses(second)
    assert codes(first) == codes(second)
    assert first.trading.restrictions == second.trading.restrictions


class Watch:
    """A clock of real time, so far as the lane can tell."""

    def __init__(self, time_ns):
        self.time_ns = time_ns

    def now_ns(self):
        return self.time_ns


async def test_prices_that_stop_deny_entries_until_they_go_on():
    gate, clock = Gate(), Watch(minute(1))
    feed = a_feed(some_bars(3), sleep=gate)
    runner = a_runner(a_recorder(), feed=feed, clock=clock, limits=[FreshData(Decimal(60))])
    async with runner:
        await gate.open()
        await runner._patrol()
        assert runner.trading.state("AAPL") is TradingState.ACTIVE
        clock.time_ns = minute(3) + 1
        await runner._patrol()
        assert runner.trading.state("AAPL") is TradingState.REDUCE_ONLY
        assert runner.trading.state() is TradingState.ACTIVE
        await gate.open()
        await runner._patrol()
        assert runner.trading.state("AAPL") is TradingState.ACTIVE


# --- restarts ------------------------------------------------------------------------------------


async def a_run(path, *strategies, ticks=2, before=None, sign=None, **options):
    """A run of so many minutes on a database, stopped as if by a signal."""
    gate = Gate()
    feed = a_feed(some_bars(9), sleep=gate)
    runner = a_runner(*strategies, feed=feed, storage=StorageService(path), **options)
    runner.halt_sign = sign
    await runner.start()
    await gate.open(ticks)
    if before is not None:
        await before(runner)
    await runner.stop()
    return runner


async def test_what_is_halted_stays_halted_after_a_restart(tmp_path, sign):
    path = tmp_path / "runs.db"

    async def halt(runner):
        await runner.halt("a test")

    await a_run(path, a_buyer((1, FAR)), before=halt, sign=sign)
    sign.clear()  # the row alone is enough, and puts the file back
    second = await a_run(path, a_buyer((1, FAR), at=4), sign=sign)

    assert (second.is_resumed, second.trading.is_killed, sign.is_set()) == (True, True, True)
    assert codes(second) == ["trading_halted"]


async def test_the_halt_file_alone_halts_a_new_run_and_leaves_a_row(tmp_path, sign):
    sign.set("set while nobody was here", START)

    await a_run(tmp_path / "runs.db", a_buyer((1, {})), sign=sign)

    with Reader(tmp_path / "runs.db") as reader:
        [row] = reader.restrictions()
        assert (row.code, row.sentence) == ("operator_halt", "set while nobody was here")
        assert [order["status"] for order in reader.orders()] == ["DENIED"]


async def test_an_order_left_open_before_a_halt_is_cancelled_after_the_restart(tmp_path, sign):
    path = tmp_path / "runs.db"
    await a_run(path, a_buyer((1, FAR)), sign=sign)
    sign.set("set while nobody was here", START)

    async def look(runner):
        await runner._patrol()

    await a_run(path, a_buyer((1, FAR)), sign=sign, before=look)

    with Reader(path) as reader:
        assert [order["status"] for order in reader.orders()] == ["CANCELED"]


async def test_a_release_outlives_a_restart(tmp_path, sign):
    path = tmp_path / "runs.db"

    async def halt_and_release(runner):
        await runner.halt("a test")
        await runner.release("it is over")

    await a_run(path, a_recorder(), before=halt_and_release, sign=sign)
    second = await a_run(path, a_recorder(), sign=sign)

    assert (second.is_resumed, second.trading.state()) == (True, TradingState.ACTIVE)


async def test_what_ends_by_itself_is_found_anew_after_a_restart(tmp_path):
    path = tmp_path / "runs.db"
    await a_run(path, a_recorder(), broker=Cautious())

    second = await a_run(path, a_recorder())

    assert second.trading.restrictions == {}


async def test_the_day_goes_on_from_the_equity_it_began_with(tmp_path):
    path, limits = tmp_path / "runs.db", [DayLoss(Decimal(3))]
    await a_run(path, a_buyer((1000, {})), ticks=3, limits=limits)

    fresh = [DayLoss(Decimal(3))]
    await a_run(path, a_buyer((1000, {})), ticks=2, limits=fresh)

    assert fresh[0]._start == Decimal(100_000)


async def test_a_run_goes_on_with_other_limits(tmp_path):
    await a_run(tmp_path / "runs.db", a_buyer((1, {})), limits=[DayLoss(Decimal(3))])

    second = await a_run(tmp_path / "runs.db", a_buyer((1, {})), limits=[DayLoss(Decimal(9))])

    assert (second.is_resumed, second.portfolio.net("AAPL")) == (True, 1)


async def test_what_was_perhaps_sent_before_a_halt_is_looked_for_but_not_sent_again():
    sent = []

    class Remote(ReplayBroker):
        is_remote = True

        async def submit(self, order):
            sent.append((order.id, order.valid_until_ns))

    gate = Gate()
    runner = a_runner(a_buyer((1, {})), feed=a_feed(some_bars(2), sleep=gate), broker=Remote())
    runner.trading.restore([a_restriction("operator_halt", TradingState.HALTED, is_latched=True)])
    make_desk = runner._make_desk

    def a_desk_with_an_order_that_was_sent(recovered: Recovered):
        desk = make_desk(recovered)
        order = desk.maker.new("Buyer", "AAPL", "buy", Decimal(1), START)
        runner.portfolio.open_book("Buyer", Decimal(100))
        desk._enlist(order, None)
        desk.outgoing.append(("submit", order, None))
        return desk

    runner._make_desk = a_desk_with_an_order_that_was_sent
    async with runner:
        await gate.open()

    assert sent == [("r0-1", 0)]
    assert codes(runner)[1] == "trading_halted"
