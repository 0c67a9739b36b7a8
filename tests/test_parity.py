"""Parity: the same bars give the same journal through every wiring.

The same strategies run over the same bars in one go (`replay`, ReplayBroker, no background task),
as a daemon (`start`, PaperBroker, a stream and an inbox), and as a daemon that is stopped and
started again; without a storage, and with a real one whose tables are compared.
"""

import numpy as np
import pytest

from lane_builders import Journal, a_feed, a_runner, a_strategy, run_for, some_bars, tape_of
from ticklane.brokers.paper import PaperBroker
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.costs import PercentCosts, PercentSlippage
from ticklane.core.order import public
from ticklane.engine.lane import Lane
from ticklane.indicators import RSI, SMA
from ticklane.storage.reader import Reader
from ticklane.storage.service import StorageService
from ticklane.strategies.buy_and_hold import BuyAndHoldStrategy
from ticklane.strategies.moving_average_crossover import MovingAverageCrossoverStrategy

COUNT = 240


def market():
    """Two symbols on a seeded walk; the second one has holes."""
    generator = np.random.default_rng(7)
    closes = 50 * np.exp(np.cumsum(generator.normal(0, 0.01, (2, COUNT)), axis=1))
    minutes = [n for n in range(1, COUNT + 1) if n % 7 and not 100 < n < 110]
    return [
        some_bars(closes=closes[0].round(2)),
        some_bars(symbol="IBM", closes=closes[1].round(2)[: len(minutes)], minutes=minutes),
    ]


async def trade_everything(self, data):
    """Every order type, protection, cancels and replaces, decided from prices and own orders."""
    bar, held = data["AAPL"], self.portfolio.position("AAPL").quantity
    number = self.state["number"] = self.state.get("number", 0) + 1
    for order in self.orders("AAPL"):
        if order.type == "limit" and not order.parent_id and number % 3 == 0:
            self.replace(order, limit_price=round(bar.close * 0.999, 2))
        elif number % 11 == 0:
            self.cancel(order)
    if held and number % 9 == 0:
        return [self.close("AAPL")]
    terms = {
        1: {"order_type": "limit", "limit_price": round(bar.low, 2)},
        2: {"order_type": "stop", "stop_price": round(bar.high, 2)},
        3: {"order_type": "trailing_stop", "trail_percent": 1},
        4: {"take_profit": round(bar.close * 1.02, 2), "stop_loss": round(bar.close * 0.98, 2)},
        5: {"quantity": None, "notional": 750},
        6: {"time_in_force": "ioc", "order_type": "limit", "limit_price": round(bar.close, 2)},
        7: {"quantity": -1},
    }
    chosen = terms.get(number % 8)
    return chosen and {"symbol": "AAPL", "signal": "BUY", "quantity": 5, **chosen}


def answer_fills(self, fill):
    if fill.quantity > 0 and fill.rule.startswith("limit"):
        yield self.sell("AAPL", fill.quantity, order_type="stop", stop_price=fill.price - 1)


def fail_sometimes(self, data):
    self.state["asked"] = self.state.get("asked", 0) + 1
    if self.state["asked"] % 5 == 0:
        raise ValueError("every fifth time")
    return {"symbol": "IBM", "signal": "BUY" if self.rsi.value < 45 else "CLOSE", "quantity": 2}


def declare_rsi(self):
    self.rsi = self.indicator(RSI, 5)


def strategies():
    """One of each kind; with their schedules."""
    both = {"symbols": ["AAPL", "IBM"], "position_size": 3}
    return [
        a_strategy(trade_everything, name="Everything", on_fill=answer_fills, warmup=5),
        (a_strategy(fail_sometimes, name="Faulty", symbols="IBM", on_start=declare_rsi), "3m"),
        (MovingAverageCrossoverStrategy({**both, "fast": 3, "slow": 8}), "*/2 * * * *"),
        BuyAndHoldStrategy(both),
        (a_strategy(lambda self, data: None, name="Idle", on_start=declare_sma), 90),
    ]


def declare_sma(self):
    self.average = self.indicator(SMA, 4)


OPTIONS = {"costs": PercentCosts("0.1", "0.2"), "slippage": PercentSlippage("0.05")}


async def replayed_all(**options):
    runner = a_runner(
        *strategies(), feed=a_feed(*market()), broker=ReplayBroker(50_000, **OPTIONS), **options
    )
    journal = Journal(runner)
    await runner.replay()
    return runner, journal


async def streamed_all(**options):
    runner = a_runner(
        *strategies(), feed=a_feed(*market()), broker=PaperBroker(50_000, **OPTIONS), **options
    )
    journal = Journal(runner)
    await runner.start()
    await runner.wait()
    return runner, journal


def told(runner):
    """What a run leaves behind, in plain values."""
    tape, status = tape_of(runner), runner.get_status().to_dict()
    return {
        "orders": [public(order) for order in tape.orders],
        "fills": tape.fills,
        "trades": tape.trades,
        "books": {name: (b.cash, b.fees) for name, b in runner.portfolio.books.items()},
        "status": {**status, "broker": "", "run_id": ""},
    }


def tables_of(path):
    """Every table of the newest run; what names the venue or counts resumes is left out."""
    with Reader(path) as reader:
        orders = reader.orders()
        return {
            "orders": [{**order, "client_order_id": ""} for order in orders],
            "order_events": {order["id"]: reader.order_events(order["id"]) for order in orders},
            "fills": reader.fills(),
            "trades": reader.trades(),
            "signals": reader.signals(),
            "equity": reader.equity_rows(),
            "state": reader.state(),
            "positions": reader.positions(),
        }


async def test_a_replay_and_a_stream_leave_the_same_journal():
    replay, replay_journal = await replayed_all()
    stream, stream_journal = await streamed_all()

    assert replay_journal.lines == stream_journal.lines
    assert told(replay) == told(stream)
    rules = {fill.rule for fill in tape_of(replay).fills}
    assert {"market_at_open", "limit_at_open", "limit_reached", "stop_reached"} <= rules
    assert len({order.status for order in tape_of(replay).orders}) >= 5
    assert len(tape_of(replay).trades) > 20


async def test_listening_changes_nothing():
    with_listener, _ = await replayed_all()

    broker = ReplayBroker(50_000, **OPTIONS)
    alone = a_runner(*strategies(), feed=a_feed(*market()), broker=broker)
    await alone.replay()

    assert told(alone) == told(with_listener)


async def test_a_storage_changes_nothing_and_holds_the_same_whatever_the_wiring(tmp_path):
    plain, _ = await replayed_all()
    runs = {}
    for name, run in (("replay", replayed_all), ("stream", streamed_all)):
        runner, _ = await run(storage=StorageService(tmp_path / f"{name}.db"))
        runs[name] = tables_of(tmp_path / f"{name}.db")
        assert [fill[4:] for fill in tape_of(runner).fills] == [
            fill[4:] for fill in tape_of(plain).fills
        ]

    assert runs["replay"] == runs["stream"]
    assert len(runs["replay"]["fills"]) == len(tape_of(plain).fills)
    assert len(runs["replay"]["equity"]) == COUNT


@pytest.mark.parametrize("stops", [[97], [1, 60, 5]])
async def test_a_run_that_was_stopped_and_started_again_leaves_the_same_tables(tmp_path, stops):
    await streamed_all(storage=StorageService(tmp_path / "whole.db"))

    for ticks in [*stops, COUNT]:
        await run_for(
            ticks,
            *strategies(),
            series=market(),
            broker=PaperBroker(50_000, **OPTIONS),
            storage=StorageService(tmp_path / "parts.db"),
        )

    assert tables_of(tmp_path / "parts.db") == tables_of(tmp_path / "whole.db")


def decide_late(self, data):
    """Needs no bookkeeping until bar 100, from when on an indicator is to be fed."""
    number = self.state["number"] = self.state.get("number", 0) + 1
    if number == 100:
        self.average = self.indicator(SMA, 20)
    if number > 100:
        yield self.buy("AAPL", 1) if data["AAPL"].close > self.average.value else None


def fail_and_trade(self, data):
    number = self.state["number"] = self.state.get("number", 0) + 1
    if number % 7 == 0:
        self.buy("AAPL", 100)  # forgotten with the fault
        raise ValueError("every seventh time")
    return {"symbol": "AAPL", "signal": "BUY" if number % 2 else "CLOSE", "quantity": 2}


def fail_at_last(self, data):
    number = self.state["number"] = self.state.get("number", 0) + 1
    if number > 150:
        raise ValueError("from now on")
    return {"symbol": "AAPL", "signal": "BUY" if number % 5 else "SELL", "quantity": 1}


def a_crossover():
    config = {"name": "Everything", "symbols": "AAPL", "position_size": 3, "fast": 3, "slow": 8}
    return MovingAverageCrossoverStrategy(config)


ALONE = {
    "everything": lambda: a_strategy(trade_everything, name="Everything", on_fill=answer_fills),
    "warm-up": lambda: a_strategy(trade_everything, name="Everything", warmup=30),
    "a late indicator": lambda: a_strategy(decide_late, name="Everything"),
    "faults": lambda: a_strategy(fail_and_trade, name="Everything"),
    "parked": lambda: a_strategy(fail_at_last, name="Everything"),
    "crossover": a_crossover,
}


@pytest.mark.parametrize("make", ALONE.values(), ids=ALONE)
async def test_a_strategy_that_needs_no_bookkeeping_trades_as_one_that_does(make, monkeypatch):
    """The direct way to a strategy, and the long ones: the feed has another symbol, too, or
    somebody listens."""
    walked, walk_alone = [], Lane._walk_alone

    async def note(lane, bars):
        walked.append(len(runners))
        await walk_alone(lane, bars)

    monkeypatch.setattr(Lane, "_walk_alone", note)
    runners = []
    for series in (market()[:1], [market()[0], some_bars(COUNT, "OTHER")], market()[:1]):
        runners.append(a_runner(make(), feed=a_feed(*series)))
        if len(runners) == 3:
            Journal(runners[2])
        await runners[-1].replay()

    assert told(runners[0]) == told(runners[1]) == told(runners[2])
    assert len(tape_of(runners[0]).fills) > 10
    assert set(walked) == ({1} if make is not a_crossover else set())
