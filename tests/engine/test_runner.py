"""StrategyRunner: its life, its commands, its schedules, and who hears what."""

import asyncio
from decimal import Decimal

import numpy as np
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
    minutes_of,
    replayed,
    some_bars,
    tape_of,
)
from ticklane.brokers.paper import PaperBroker
from ticklane.brokers.replay import ReplayBroker
from ticklane.clock import SimulatedClock
from ticklane.core.errors import BrokerError, ConfigError, DataError, StrategyError
from ticklane.core.events import (
    EquityMarked,
    FillBooked,
    OrderMoved,
    RunStarted,
    RunStopped,
    SignalGiven,
    StateSaved,
    TickCompleted,
)
from ticklane.core.market import HOUR, MINUTE, Bars
from ticklane.core.order import OrderStatus
from ticklane.core.signal import Intent, Signal
from ticklane.interfaces import StrategyInterface
from ticklane.storage.service import StorageService

BUY = {"symbol": "AAPL", "signal": "BUY", "quantity": 1}


# Its life


async def test_a_run_goes_from_created_to_stopped():
    runner = a_runner(a_recorder())
    assert (runner.state, runner.is_running) == ("created", False)

    await runner.start()
    assert (runner.state, runner.is_running) == ("running", True)
    await runner.wait()

    assert (runner.state, runner.is_running, runner.ended_by) == ("stopped", False, "end")


async def test_a_start_without_strategies_is_refused_and_can_be_repaired():
    runner = a_runner()
    with pytest.raises(ConfigError, match=r"^no strategy is loaded; call load_strategy"):
        await runner.start()

    runner.load_strategy(a_recorder())
    await runner.start()
    await runner.stop()

    assert runner.state == "stopped"


async def test_a_second_start_does_nothing_not_even_while_the_first_is_under_way(tmp_path):
    strategy = a_recorder(on_start=lambda self: self.seen.append("start"))
    runner = a_runner(strategy, storage=StorageService(tmp_path / "runs.db"))

    await asyncio.gather(runner.start(), runner.start())
    await runner.start()
    await runner.wait()

    assert strategy.seen[0] == "start"
    assert [tick[0] for tick in strategy.seen[1:]] == [1, 2, 3, 4, 5]


async def test_stopping_before_the_start_and_after_the_end_does_nothing():
    reasons = []
    runner = a_runner(a_strategy(on_stop=lambda self, reason: reasons.append(reason)))

    await runner.stop()
    assert runner.state == "created"
    await runner.start()
    await runner.stop()
    await runner.stop("operator")

    assert (reasons, runner.ended_by) == (["shutdown"], "shutdown")


@pytest.mark.parametrize("way", ["start", "replay"])
async def test_a_runner_runs_once(way):
    runner = await replayed(a_recorder())

    with pytest.raises(ConfigError, match="has run already; make a new one"):
        await getattr(runner, way)()


async def test_a_stop_during_the_start_waits_for_it_and_counts():
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def on_start(self):
        begun.set()
        await may_go_on.wait()

    runner = a_runner(a_recorder(on_start=on_start), feed=a_feed(some_bars(), sleep=Gate()))
    start = asyncio.create_task(runner.start())
    await begun.wait()
    await runner.start()  # does nothing: one is under way
    stop = asyncio.create_task(runner.stop())
    await asyncio.sleep(0)
    assert not stop.done()
    may_go_on.set()
    await stop

    assert start.done()
    assert (runner.state, runner.ended_by) == ("stopped", "shutdown")


async def test_a_strategy_may_stop_the_runner_as_it_starts():
    async def on_start(self):
        await runner.stop("operator")

    runner = a_runner(a_recorder(on_start=on_start), feed=a_feed(some_bars(), sleep=Gate()))
    await runner.start()
    await runner.wait()

    assert (runner.state, runner.ended_by) == ("stopped", "operator")


async def test_a_strategy_that_was_refused_has_no_share_of_the_cash():
    runner = a_runner(a_recorder("A"))
    with pytest.raises(StrategyError):
        runner.load_strategy(a_recorder("B", warmup=2.5))

    await runner.replay()

    assert list(runner.portfolio.books) == ["A"]


async def test_a_stop_asked_for_before_the_start_has_recovered_is_kept():
    runner = a_runner(a_recorder(), feed=a_feed(some_bars(), sleep=Gate()))

    class Asking(ReplayBroker):
        async def recover(self):
            runner.request_stop("shutdown")

    runner.broker = Asking()
    await runner.start()
    await runner.wait()

    assert (runner.state, runner.ended_by) == ("stopped", "shutdown")


class Noting:
    """A storage that notes whom the watchdog would name during each commit."""

    def __init__(self, storage):
        self._storage, self.named = storage, []

    def __getattr__(self, name):
        return getattr(self._storage, name)

    async def record(self, run_id, events):
        self.named.append(self.runner.asked)
        await self._storage.record(run_id, events)


async def test_no_strategy_is_named_for_a_slow_commit_broker_or_listener(tmp_path):
    named = []

    class Slow(ReplayBroker):
        async def submit(self, order):
            named.append(runner.asked)
            await super().submit(order)

    def on_fill(self, fill):
        return {**BUY, "signal": "SELL"} if fill.quantity > 0 else None

    strategy = a_strategy(lambda self, data: BUY, on_fill=on_fill)
    storage = Noting(StorageService(tmp_path / "a.db"))
    runner = storage.runner = a_runner(strategy, broker=Slow(), storage=storage)
    runner.on_signal_callback = lambda *_told: named.append(runner.asked)
    await runner.start()
    await runner.wait()

    assert len(named) > 10
    assert set(named) == set(storage.named) == {None}


async def test_a_runner_is_paused_when_nobody_is_asked_though_one_is_parked():
    parked = a_strategy(lambda self, data: 1 / 0, name="Parked")
    gate = Gate()
    async with a_runner(a_recorder(), parked, feed=a_feed(some_bars(9), sleep=gate)) as runner:
        await gate.open(4)
        assert runner.get_status().strategies["Parked"].state == "parked"
        assert runner.state == "running"

        await runner.pause()

        assert runner.state == "paused"


def test_an_async_signal_callback_is_refused():
    async def callback(*_told):
        pass

    with pytest.raises(ConfigError, match="is an async function, but must be a plain one"):
        a_runner(a_recorder()).on_signal_callback = callback


async def test_a_helper_asks_for_what_its_name_says():
    runner = await replayed(a_strategy(lambda self, data: self.buy("AAPL", 1, signal="SELL")))

    assert {order.side for order in tape_of(runner).orders} == {"buy"}


async def test_the_async_with_form_starts_and_stops():
    strategy = a_recorder()
    async with a_runner(strategy) as runner:
        assert runner.state == "running"
        assert strategy.is_running
        await runner.wait()

    assert (runner.state, strategy.is_running, len(strategy.seen)) == ("stopped", False, 5)


async def test_leaving_async_with_early_ends_the_run():
    gate, strategy = Gate(), a_recorder()
    async with a_runner(strategy, feed=a_feed(some_bars(), sleep=gate)) as runner:
        await gate.open(2)

    assert (runner.ended_by, len(strategy.seen)) == ("shutdown", 2)


async def test_a_strategy_cannot_be_loaded_into_a_running_lane():
    async with a_runner(a_recorder()) as runner:
        with pytest.raises(StrategyError, match="must be called before start"):
            runner.load_strategy(a_recorder("Late"))


class Forgetful(StrategyInterface):
    def __init__(self, config):
        self.mine = config

    def on_tick(self, market_data):
        return None


@pytest.mark.parametrize(
    ("strategy", "options", "said"),
    [
        ("me", {}, "'me' is not a strategy; it must be an instance of a class that inherits"),
        (Forgetful, {}, "is not a strategy; it must be an instance"),
        (Forgetful({}), {}, "Forgetful.__init__ must call super().__init__(config)."),
        (a_recorder(), {}, "name is 'Recorder' twice; give one of the strategies another name."),
        (a_recorder("B", ()), {}, "symbols of B is empty; name at least one."),
        (a_recorder("B"), {"interval": "5x"}, "interval is '5x', but must be seconds, a text"),
        (a_recorder("B"), {"calendar": 5}, "calendar is 5, but must be a Calendar or the name"),
        (a_recorder("B"), {"calendar": "XNYS"}, "calendar is 'XNYS', but must be a Calendar here"),
        (a_recorder("B"), {"cash": "much"}, "cash is 'much', but must be a number."),
        (a_recorder("B"), {"cash": float("nan")}, "cash is nan, but must be a finite number."),
        (a_recorder("B"), {"cash": 0}, "cash is 0, but must be above zero."),
        (a_recorder("B"), {"cash": 1e25}, "cash is 1E+25, but must be at most 1E+15."),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(strategy, options, said):
    runner = a_runner(a_recorder())

    with pytest.raises((ConfigError, StrategyError)) as refused:
        runner.load_strategy(strategy, **options)

    assert said in str(refused.value)
    assert list(runner.hosts) == ["Recorder"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: a_runner(a_recorder(symbols=["IBM"])),
            "Recorder wants IBM, but the feed has only",
        ),
        (lambda: _with_cash(100_000, None), "cash of the strategies adds up to 100000, but the"),
        (lambda: _with_cash(60_000, 60_000), "cash of the strategies adds up to 120000, but the"),
    ],
)
async def test_what_cannot_start_is_refused_in_one_sentence(make, said):
    with pytest.raises(ConfigError, match=f"^{said}"):
        await make().start()


def _with_cash(*shares):
    runner = a_runner()
    for number, cash in enumerate(shares):
        runner.load_strategy(a_recorder(f"S{number}"), cash=cash)
    return runner


@pytest.mark.parametrize(
    ("shares", "books"),
    [
        ([None, None], [50_000, 50_000]),
        ([70_000, None], [70_000, 30_000]),
        ([None, "10000.01", None], ["44999.995", "10000.01", "44999.995"]),
        ([10_000, 20_000], [10_000, 20_000]),
    ],
)
async def test_strategies_without_a_share_divide_the_rest(shares, books):
    runner = _with_cash(*shares)

    await runner.replay()

    assert [book.cash for book in runner.portfolio.books.values()] == [Decimal(b) for b in books]


async def test_no_cent_is_lost_when_three_divide_the_account():
    runner = _with_cash(None, None, None)

    await runner.replay()

    assert runner.portfolio.cash == 100_000


# When something breaks


class BrokenBroker(ReplayBroker):
    """Fails at a place, and tells whether it was disconnected."""

    def __init__(self, place):
        super().__init__()
        self.place, self.is_disconnected = place, False

    async def connect(self, recovered, last):
        await super().connect(recovered, last)
        self._maybe("connect")

    async def submit(self, order):
        self._maybe("submit")

    async def disconnect(self):
        self.is_disconnected = True

    def _maybe(self, place):
        if place == self.place:
            raise BrokerError("the line is dead.")


@pytest.mark.parametrize("place", ["connect", "submit"])
@pytest.mark.parametrize("way", ["start", "replay"])
async def test_a_broken_broker_ends_the_run_and_says_why(place, way, caplog):
    broker, strategy = BrokenBroker(place), a_strategy(lambda self, data: BUY)
    runner = a_runner(strategy, broker=broker)

    async def run():
        await getattr(runner, way)()
        await runner.wait()

    with pytest.raises(BrokerError, match="the line is dead"):
        await run()

    assert (runner.state, runner.get_status().error) == ("failed", "the line is dead.")
    assert broker.is_disconnected
    assert not strategy.is_running


class BrokenFeed:
    """Gives two ticks, then breaks."""

    symbols, label, start_ns = ("AAPL",), "", None

    def __init__(self):
        self._whole = a_feed(some_bars(2))
        self.timeframe = self._whole.timeframe
        self.history = self._whole.history

    async def stream(self, after_ns):
        async for tick in self._whole.stream(after_ns):
            yield tick
        raise DataError("the feed has a hole.")


async def test_a_broken_feed_ends_the_run_in_good_order():
    stops, strategy = [], a_recorder(on_stop=lambda self, reason: stops.append(reason))
    runner = a_runner(strategy, feed=BrokenFeed())

    await runner.start()
    await runner.wait()

    assert (runner.state, runner.error) == ("stopped", "the feed has a hole.")
    assert (stops, len(strategy.seen)) == (["shutdown"], 2)


# Pause and resume


async def paused_run(act, *strategies):
    """Two ticks, then `act(runner)`, two ticks, resume of all, two ticks."""
    gate = Gate()
    runner = a_runner(*strategies, feed=a_feed(some_bars(6), sleep=gate))
    async with runner:
        await gate.open(2)
        await act(runner)
        await gate.open(2)
        status = runner.get_status()
        await runner.resume()
        await gate.open(3)
        await runner.wait()
    return status


async def test_a_paused_strategy_is_not_asked_and_the_other_is():
    one, other = a_recorder("One"), a_recorder("Other")

    status = await paused_run(lambda runner: runner.pause("One"), one, other)

    assert [tick[0] for tick in one.seen] == [1, 2, 5, 6]
    assert [tick[0] for tick in other.seen] == [1, 2, 3, 4, 5, 6]
    assert (status.state, status.strategies["One"].state) == ("running", "paused")
    assert minutes_of([status.strategies["One"].last_tick_at]) == [2]


async def test_all_strategies_can_be_paused():
    one, other = a_recorder("One"), a_recorder("Other")

    status = await paused_run(lambda runner: runner.pause(), one, other)

    assert (status.state, [len(s.seen) for s in (one, other)]) == ("paused", [4, 4])


async def test_orders_go_on_while_a_strategy_is_paused():
    fills = []

    def on_tick(self, data):
        return BUY if data.time_ns == minute(2) else None

    strategy = a_strategy(on_tick, on_fill=lambda self, fill: fills.append(fill.seen_ns))
    await paused_run(lambda runner: runner.pause(), strategy)

    assert minutes_of(fills) == [3]


async def test_what_came_during_a_pause_is_new_at_the_next_tick():
    strategy = a_recorder(symbols=["AAPL", "IBM"])
    gate = Gate()
    feed = a_feed(some_bars(4), some_bars(1, "IBM", minutes=[2], first=50.0), sleep=gate)
    async with a_runner(strategy, feed=feed) as runner:
        await gate.open()
        await runner.pause()
        await gate.open()
        await runner.resume()
        await gate.open(3)
        await runner.wait()

    assert [(at, updated) for at, updated, _ in strategy.seen] == [
        (1, ("AAPL",)),
        (3, ("AAPL", "IBM")),
        (4, ("AAPL",)),
    ]


async def test_a_parked_strategy_gets_another_chance_by_resume():
    def on_tick(self, data):
        self.seen.append(data.time_ns)
        if len(self.seen) in (1, 2, 3, 4):
            raise ValueError("too bad")

    strategy = a_strategy(on_tick)
    strategy.seen = []
    gate = Gate()
    async with a_runner(strategy, feed=a_feed(some_bars(8), sleep=gate)) as runner:
        await gate.open(5)
        assert runner.get_status().strategies["Scripted"].state == "parked"
        await runner.resume("Scripted")
        await gate.open(4)
        await runner.wait()

    assert minutes_of(strategy.seen) == [1, 2, 3, 6, 7, 8]
    assert runner.get_status().strategies["Scripted"].state == "stopped"


@pytest.mark.parametrize("command", ["pause", "resume", "close_position"])
async def test_a_command_to_a_runner_that_does_not_run_is_refused(command):
    runner = a_runner(a_recorder())
    arguments = ["AAPL"] if command == "close_position" else []

    with pytest.raises(ConfigError, match="not running; start it first"):
        await getattr(runner, command)(*arguments)


async def test_a_command_for_what_is_not_there_is_refused():
    async with a_runner(a_recorder()) as runner:
        with pytest.raises(ConfigError, match="'Nobody' is not loaded; loaded are Recorder"):
            await runner.pause("Nobody")
        with pytest.raises(ConfigError, match="'IBM' is not traded by any"):
            await runner.close_position("IBM")
        with pytest.raises(ConfigError, match="order 'r0-9' is not open"):
            await runner.cancel("r0-9")


async def test_an_operator_cancels_an_order_and_closes_a_position():
    def on_tick(self, data):
        if data.time_ns == minute(1):
            return [BUY, self.buy("AAPL", 1, order_type="limit", limit_price=2)]
        return None

    gate = Gate()
    async with a_runner(a_strategy(on_tick), feed=a_feed(some_bars(4), sleep=gate)) as runner:
        await gate.open(2)
        await runner.cancel("r0-2")
        await runner.close_position("AAPL")
        await gate.open(3)
        await runner.wait()

    orders = tape_of(runner).orders
    assert [order.status for order in orders] == [
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.FILLED,
    ]
    assert (orders[2].side, orders[2].tag) == ("sell", "operator")


# Status


async def test_the_status_tells_of_the_run_and_of_each_strategy():
    buyer = a_strategy(lambda self, data: BUY, name="Buyer")
    runner = await replayed(buyer, (a_recorder(), "2m"), feed=a_feed(some_bars(), label="SAMPLE"))

    status = runner.get_status()

    shown = status.to_dict()
    assert {key: shown[key] for key in ("run_id", "state", "broker", "feed", "open_orders")} == {
        "run_id": "r0",
        "state": "stopped",
        "broker": "replay",
        "feed": "SAMPLE",
        "open_orders": 1,
    }
    assert shown["time"] == "2024-01-02T00:05:00+00:00"
    assert (shown["cash"], shown["equity"]) == ("99954", "100010")
    rows = {row["name"]: row for row in shown["strategies"]}
    assert (rows["Buyer"]["ticks"], rows["Buyer"]["signals"]) == (5, 5)
    assert (rows["Recorder"]["ticks"], rows["Recorder"]["schedule"]) == (2, "every 2m")
    assert rows["Recorder"]["last_tick_at"] == "2024-01-02T00:04:00+00:00"
    assert rows["Buyer"]["symbols"] == ("AAPL",)


@pytest.mark.parametrize("way", ["replay", "start"])
@pytest.mark.parametrize("others", [[], ["IBM"]])
async def test_every_tick_is_counted_once(way, others):
    feed = a_feed(some_bars(7), *[some_bars(7, symbol) for symbol in others])
    runner = a_runner(a_recorder(), feed=feed)

    await getattr(runner, way)()
    await runner.wait()

    assert runner.get_status().strategies["Recorder"].ticks == 7


def test_a_runner_that_has_not_started_has_a_status_as_well():
    status = a_runner(a_recorder()).get_status()

    assert (status.state, status.run_id, status.time, status.open_orders) == (
        "created",
        None,
        None,
        0,
    )
    assert status.strategies["Recorder"].state == "loaded"


# Decisions told


def decide(self, data):
    yield {"symbol": "AAPL", "signal": "HOLD"}
    yield {**BUY, "quantity": 10**6}
    yield {**BUY, "quantity": -1}
    yield {"symbol": "AAPL", "signal": "CLOSE"}
    yield BUY


async def test_the_callback_hears_of_every_decision_with_its_order():
    heard = []
    runner = a_runner(a_strategy(decide), feed=a_feed(some_bars(1)))
    runner.on_signal_callback = lambda *told: heard.append(told)

    await runner.replay()

    assert [(name, signal["signal"], order and order.status) for name, signal, order in heard] == [
        ("Scripted", "HOLD", None),
        ("Scripted", "BUY", OrderStatus.REJECTED),  # by the venue, after the callback heard of it
        ("Scripted", "BUY", OrderStatus.DENIED),
        ("Scripted", "CLOSE", None),
        ("Scripted", "BUY", OrderStatus.ACKED),
    ]
    assert heard[4][1] == Intent("AAPL", Signal.BUY, 1)


async def test_the_callback_may_be_set_or_taken_away_while_the_lane_runs():
    heard, gate = [], Gate()
    feed = a_feed(some_bars(6), sleep=gate)
    async with a_runner(a_strategy(lambda self, data: BUY), feed=feed) as runner:
        for callback in (None, lambda name, signal, order: heard.append(order.created_ns), None):
            runner.on_signal_callback = callback
            await gate.open(2)

    assert minutes_of(heard) == [3, 4]


async def test_an_error_of_the_callback_hurts_nobody(caplog):
    def broken(*_):
        raise ValueError("too bad")

    runner = a_runner(a_strategy(lambda self, data: BUY))
    runner.on_signal_callback = broken

    await runner.replay()

    assert len(tape_of(runner).fills) == 4
    assert caplog.messages == ["on_signal_callback failed"] * 5


# Events told


async def test_the_bus_carries_every_kind_of_event():
    def on_tick(self, data):
        self.state["ticks"] = self.state.get("ticks", 0) + 1
        return {**BUY, "signal": "BUY" if self.state["ticks"] == 1 else "CLOSE"}

    runner = a_runner(a_strategy(on_tick), feed=a_feed(some_bars(3)))
    journal = Journal(runner)

    await runner.replay()

    names = [name for name, _ in journal.lines]
    assert (names[0], names[-1]) == ("RunStarted", "RunStopped")
    assert minutes_of(fields["at_ns"] for fields in journal.of(EquityMarked)) == [1, 2, 3]
    assert {*minutes_of(fields["at_ns"] for fields in journal.of(TickCompleted))} >= {1, 2, 3}
    assert [fields["fill"].price for fields in journal.of(FillBooked)] == [10, 11]
    assert [fields["trade"] and fields["trade"].profit for fields in journal.of(FillBooked)] == [
        None,
        1,
    ]
    assert [fields["state"] for fields in journal.of(StateSaved)] == [
        '{"ticks": 1}',
        '{"ticks": 2}',
        '{"ticks": 3}',
    ]
    steps = [(f["event"].order_id, f["event"].to_status) for f in journal.of(OrderMoved)]
    assert steps == [
        ("r0-1", "SENDING"),
        ("r0-1", "ACKED"),
        ("r0-1", "FILLED"),
        ("r0-2", "SENDING"),
        ("r0-2", "ACKED"),
        ("r0-2", "FILLED"),
    ]
    assert [fields["wish"] for fields in journal.of(SignalGiven)] == ["BUY", "CLOSE"]
    assert journal.of(RunStarted)[0]["run_id"] == "r0"
    assert journal.of(RunStopped)[0]["reason"] == "end"


async def test_a_listener_that_comes_late_hears_what_follows():
    gate = Gate()
    async with a_runner(a_recorder(), feed=a_feed(some_bars(4), sleep=gate)) as runner:
        await gate.open(2)
        journal = Journal(runner)
        await gate.open(3)
        await runner.wait()

    assert minutes_of(fields["at_ns"] for fields in journal.of(EquityMarked)) == [3, 4]


# The end


@pytest.mark.parametrize("reason", ["shutdown", "operator"])
async def test_intents_of_on_stop_count_only_for_an_operator(reason):
    heard = []

    def on_stop(self, reason):
        heard.append(reason)
        self.buy("AAPL", 1)
        return [{**BUY, "quantity": -1}]

    gate = Gate()
    strategy = a_strategy(on_stop=on_stop, on_order=lambda self, o: heard.append(o.status))
    async with a_runner(strategy, feed=a_feed(some_bars(), sleep=gate)) as runner:
        await gate.open()
        await runner.stop(reason)

    is_operator = reason == "operator"
    assert heard == [reason, *([OrderStatus.DENIED] if is_operator else [])]
    assert [order.status for order in tape_of(runner).orders] == (
        [OrderStatus.ACKED, OrderStatus.DENIED] if is_operator else []
    )


async def test_on_stop_may_leave_the_reason_out_and_may_be_async():
    heard = []

    async def on_stop(self):
        await asyncio.sleep(0)
        heard.append("stopped")

    await replayed(a_strategy(on_stop=on_stop))

    assert heard == ["stopped"]


async def test_a_replay_ends_with_the_reason_end_and_trades_nothing():
    reasons = []

    def on_stop(self, reason):
        reasons.append(reason)
        return BUY

    runner = await replayed(a_strategy(on_stop=on_stop))

    assert (reasons, tape_of(runner).orders) == (["end"], [])


async def test_a_fault_of_on_stop_hurts_no_other_strategy():
    def fail(self, reason):
        raise ValueError("too bad")

    stopped = []
    other = a_recorder(on_stop=lambda self, reason: stopped.append(reason))
    runner = await replayed(a_strategy(on_stop=fail), other)

    assert stopped == ["end"]
    assert runner.get_status().strategies["Scripted"].error == "ValueError: too bad"


@pytest.mark.parametrize(
    ("is_cancelled", "status"), [(False, OrderStatus.ACKED), (True, OrderStatus.CANCELED)]
)
async def test_open_orders_are_kept_at_the_end_unless_told_otherwise(is_cancelled, status):
    strategy = a_strategy(lambda self, data: {**BUY, "order_type": "limit", "limit_price": 1})
    runner = await replayed(strategy, cancel_on_stop=is_cancelled)

    assert {order.status for order in tape_of(runner).orders} == {status}


# Schedules


GAPPY = [1, 2, 3, 6, 7, 8, 9, 15]


@pytest.mark.parametrize("way", ["replay", "start"])
@pytest.mark.parametrize(
    ("interval", "ticks"),
    [
        (None, GAPPY),
        ("1m", GAPPY),
        ("2m", [2, 4, 6, 8, 10]),  # 4: the bar of 3; 12, 14: nothing new; 16: no tick comes after
        ("5m", [5, 10, 15]),
        (20, GAPPY),  # seconds; between two bars there is nothing new
        (90, [1.5, 3, 6, 7.5, 9, 15]),  # 4.5 and 10.5: nothing new
        ("*/3 * * * *", [3, 6, 9, 15]),
        ("1h", []),
    ],
)
async def test_ticks_come_at_the_schedules_instants_and_only_with_something_new(
    way, interval, ticks
):
    times = []
    strategy = a_strategy(lambda self, data: times.append((data.time_ns - START) / MINUTE))
    runner = a_runner((strategy, interval), feed=a_feed(some_bars(len(GAPPY), minutes=GAPPY)))

    await getattr(runner, way)()
    await runner.wait()

    assert times == ticks


async def test_the_bars_between_two_ticks_are_merged():
    strategy = a_recorder(symbols=["AAPL", "IBM"])
    feed = a_feed(some_bars(6), some_bars(2, "IBM", minutes=[2, 5], first=50.0))

    await replayed((strategy, "3m"), feed=feed)

    assert strategy.seen == [
        (3, ("AAPL", "IBM"), {"AAPL": 12.0, "IBM": 50.0}),
        (6, ("AAPL", "IBM"), {"AAPL": 15.0, "IBM": 51.0}),
    ]


async def test_each_strategy_has_its_own_interval_and_every_bar_feeds_its_indicators():
    slow, fast, every = a_recorder("Slow"), a_recorder("Fast"), a_recorder("Every")

    await replayed((slow, "4m"), (fast, "2m"), every, feed=a_feed(some_bars(8)))

    assert [[tick[0] for tick in one.seen] for one in (slow, fast, every)] == [
        [4, 8],
        [2, 4, 6, 8],
        [1, 2, 3, 4, 5, 6, 7, 8],
    ]


async def test_the_runners_tick_interval_is_the_default_of_every_strategy():
    one, two = a_recorder("One"), a_recorder("Two")

    runner = await replayed(one, (two, "4m"), feed=a_feed(some_bars(8)), tick_interval="2m")

    assert [[tick[0] for tick in s.seen] for s in (one, two)] == [[2, 4, 6, 8], [4, 8]]
    schedules = {name: s.schedule for name, s in runner.get_status().strategies.items()}
    assert schedules == {"One": "every 2m", "Two": "every 4m"}


async def test_an_order_from_a_tick_between_two_bars_waits_for_a_bar_that_opens_later():
    strategy = a_strategy(lambda self, data: BUY if data.time_ns < minute(2) else None)

    runner = await replayed((strategy, 90))

    [fill] = tape_of(runner).fills
    assert (fill.filled_ns, fill.price) == (minute(2), 11)


async def test_a_calendar_keeps_the_ticks_inside_its_sessions():
    hours = 15 + 0.5 * np.arange(96)  # half-hour bars around the clock
    closes = START + (hours * HOUR).astype("int64")
    flat = 0.0 * hours + 10
    bars = Bars("AAPL", closes - HOUR // 2, closes, flat, flat, flat, flat, flat)
    times = []
    runner = a_runner(feed=a_feed(bars, timeframe=HOUR // 2))
    strategy = a_strategy(lambda self, data: times.append(f"{data.time:%a %H:%M}"))
    runner.load_strategy(strategy, "3h", Weekdays())

    await runner.replay()

    assert times == ["Tue 17:30", "Tue 20:30", "Wed 17:30", "Wed 20:30"]


async def test_a_warm_up_under_a_schedule_ends_with_the_first_instant_after_it():
    strategy = a_recorder(warmup=3)

    await replayed((strategy, "2m"), feed=a_feed(some_bars(8)))

    assert [tick[0] for tick in strategy.seen] == [4, 6, 8]


# The clock


async def test_a_simulated_clock_follows_the_ticks():
    clock, times = SimulatedClock(), []
    strategy = a_strategy(lambda self, data: times.append(clock.now_ns()))

    await replayed(strategy, clock=clock, broker=PaperBroker())

    assert minutes_of(times) == [1, 2, 3, 4, 5]


class StandingClock:
    """Real time as far as the lane knows; it stands still."""

    def now_ns(self):
        return minute(100)


async def test_late_ticks_of_real_time_are_merged_and_counted():
    strategy, gate = a_recorder(), Gate()
    runner = a_runner(strategy, clock=StandingClock(), feed=a_feed(some_bars(5), sleep=gate))

    async with runner:
        await gate.open()
        runner._inbox.put(*a_feed(some_bars(4, minutes=[2, 3, 4, 5], first=20.0)).ticks())
        await gate.open(0)

    status = runner.get_status().strategies["Recorder"]
    assert (status.merged, status.ticks) == (3, 2)
    assert [(at, prices["AAPL"]) for at, _, prices in strategy.seen] == [(1, 10.0), (5, 23.0)]


async def test_a_feed_may_say_when_it_starts_only_after_the_clock_is_known():
    feed = BrokenFeed()

    async with a_runner(a_recorder(), clock=StandingClock(), feed=feed):
        pass

    assert feed.start_ns == minute(100)
