"""Look-ahead is impossible: whatever the future is, the past of a run is the same.

Hypothesis draws bars, an instant, and another future after it: other prices, more or fewer bars,
bars of one symbol only. Two runs then share everything up to that instant: what strategies saw
and asked for, every step of every order, every fill and trade, every point of equity.
"""

import asyncio

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from lane_builders import START, Journal, a_feed, a_runner, a_strategy, minute, terms_of
from ticklane import backtest
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.costs import PercentCosts, VolumeShareSlippage
from ticklane.core.market import MINUTE, Bars
from ticklane.indicators import ATR, SMA

SYMBOLS = ("AAPL", "IBM")
LONGEST = 24


TERMS = (
    lambda bar: {},
    lambda bar: {"order_type": "limit", "limit_price": round(bar.close * 0.99, 2)},
    lambda bar: {"order_type": "stop", "stop_price": round(bar.close * 1.01, 2)},
    lambda bar: {
        "order_type": "stop_limit",
        "stop_price": round(bar.close * 1.01, 2),
        "limit_price": round(bar.close * 1.02, 2),
    },
    lambda bar: {"order_type": "trailing_stop", "trail_percent": 1},
    lambda bar: {
        "take_profit": round(bar.close * 1.02, 2),
        "stop_loss": round(bar.close * 0.98, 2),
    },
    lambda bar: {"quantity": None, "notional": 500},
    lambda bar: {"quantity": None, "fraction": 0.2},
    lambda bar: {"time_in_force": "ioc"},
    lambda bar: {"time_in_force": "cls"},
    lambda bar: {"time_in_force": "day", "order_type": "limit", "limit_price": round(bar.low, 2)},
)


def act(self, data):
    """Look at everything there is, write it down, and ask for the next kind of order."""
    kind = self.plan[len(self.seen) % len(self.plan)]
    symbol = SYMBOLS[kind % 2]
    look(self, data)
    if symbol not in data or kind == len(TERMS):
        return None
    if kind == len(TERMS) + 1:
        return self.close(symbol)
    side = "SELL" if kind % 5 == 4 else "BUY"
    return {"symbol": symbol, "signal": side, "quantity": 3, **TERMS[kind](data[symbol])}


def look(self, data):
    history = {s: tuple(self.history(s, 99).close.tolist()) for s in self.symbols}
    values = tuple(one.value for one in self.indicators)
    view = self.portfolio
    held = tuple(view.position(s) for s in self.symbols)
    mine = tuple((o.id, o.status, o.filled_quantity) for o in self.orders())
    self.seen.append(
        (data.time_ns, data.updated, dict(data), history, repr(values), view.equity, held, mine)
    )


def a_watcher(plan):
    def on_start(self):
        self.indicators = [
            self.indicator(kind, 3, symbol=s) for s in self.symbols for kind in (SMA, ATR)
        ]

    strategy = a_strategy(act, name="Watcher", symbols=SYMBOLS, on_start=on_start)
    strategy.plan, strategy.seen = plan, []
    return strategy


def bars_of(symbol, rows):
    """Bars at (minute, open, close): each may move freely from the one before."""
    ends = START + MINUTE * np.array([row[0] for row in rows], np.int64)
    opens, closes = (np.array([row[n] for row in rows], float) for n in (1, 2))
    high, low = np.maximum(opens, closes) * 1.01, np.minimum(opens, closes) * 0.99
    volume = np.round(opens * 10)
    return Bars(symbol, ends - MINUTE, ends, opens, high.round(2), low.round(2), closes, volume)


prices = st.integers(500, 2000).map(lambda cents: cents / 100)


def rows_between(first, last):
    """Some of the minutes `first` to `last`, each with an open and a close."""
    minutes = st.lists(st.integers(first, last), unique=True, min_size=0).map(sorted)
    return minutes.flatmap(
        lambda chosen: st.tuples(*(st.tuples(st.just(m), prices, prices) for m in chosen)).map(list)
    )


@st.composite
def two_futures(draw):
    """Bars of two symbols with the same past up to an instant, and two futures after it."""
    now = draw(st.integers(2, LONGEST - 4))
    head = [(1, draw(prices), draw(prices))]
    worlds = ([], [])
    for symbol in SYMBOLS:
        past = head + draw(rows_between(2, now))
        for world in worlds:
            world.append(bars_of(symbol, past + draw(rows_between(now + 1, LONGEST))))
    # A recording that ends earlier ends the run there: no schedule's instant comes after it.
    ends = (max(bars.close_ns[-1] for bars in world) for world in worlds)
    return min(minute(now), *ends), worlds


plans = st.lists(st.integers(0, len(TERMS) + 1), min_size=1, max_size=8)
OPTIONS = {"costs": PercentCosts("0.1", "0.2"), "slippage": VolumeShareSlippage("0.1", "0.1")}
SHORT = {"allow_short": True}


def journal_until(now_ns, series, plan, interval):
    """What a run has written down and seen up to an instant."""
    strategy = a_watcher(plan)
    broker = ReplayBroker(1000, **OPTIONS, **SHORT)
    runner = a_runner((strategy, interval), feed=a_feed(*series), broker=broker)
    journal = Journal(runner)

    asyncio.run(runner.replay())

    done = [
        n for n, line in enumerate(journal.lines) if is_done(*line) and line[1]["at_ns"] <= now_ns
    ]
    past = [line for line in journal.lines[: done[-1]] if not is_done(*line)]
    return past, [tick for tick in strategy.seen if tick[0] <= now_ns]


def is_done(name, fields):
    """True for the end of an instant at which the venue had nothing to remember."""
    return name == "TickCompleted" and fields["venue_marks"] is None


@settings(max_examples=120, deadline=None)
@given(two_futures(), plans, st.sampled_from([None, None, "2m", "*/3 * * * *"]))
def test_no_future_bar_changes_what_was_seen_asked_and_filled_before(futures, plan, interval):
    now_ns, worlds = futures

    one, other = (journal_until(now_ns, series, plan, interval) for series in worlds)

    assert one == other


@settings(max_examples=80, deadline=None)
@given(two_futures(), plans)
def test_no_future_bar_changes_the_past_of_a_backtest(futures, plan):
    now_ns, worlds = futures

    one, other = (past_of_backtest(now_ns, series, plan) for series in worlds)

    note(str(one["equity"]))
    assert one == other


def past_of_backtest(now_ns, series, plan):
    frames = {bars.symbol: frame_of(bars) for bars in series}
    options = {"cash": 1000, "timeframe": "1m", "venue": SHORT, **OPTIONS}
    result = backtest(a_watcher(plan), frames, **options)
    times = result.times.astype(np.int64)
    return {
        "orders": [terms_of(o) for o in result.orders if o.created_ns <= now_ns],
        "fills": [fill for fill in result.fills if fill.seen_ns <= now_ns],
        "trades": [t for t in result.trades if t.closed_ns and t.closed_ns < now_ns],
        "times": times[times <= now_ns].tolist(),
        "equity": result.equity[times <= now_ns].tolist(),
    }


def frame_of(bars):
    import pandas as pd

    names = ("open", "high", "low", "close", "volume")
    index = pd.DatetimeIndex(bars.open_ns.view("datetime64[ns]"))
    return pd.DataFrame({name: getattr(bars, name) for name in names}, index=index)


def test_the_runs_compared_here_do_trade():
    """The proof would be empty if nothing happened: every kind of wish fills in a usual market."""
    generator = np.random.default_rng(5)
    walk = np.round(12 + np.cumsum(generator.normal(0, 0.3, (2, 300)), axis=1).clip(-6, 6), 2)
    series = [
        bars_of(symbol, [(m + 1, walk[n][m], walk[n][m] + 0.1) for m in range(300)])
        for n, symbol in enumerate(SYMBOLS)
    ]

    past, seen = journal_until(minute(300), series, list(range(len(TERMS) + 2)), None)

    rules = {fields["fill"].rule for name, fields in past if name == "FillBooked"}
    kinds = {"market", "limit", "stop", "stop_limit", "trailing_stop"}
    assert all(any(rule.startswith(kind) for rule in rules) for kind in kinds)
    assert len(seen) == 300
