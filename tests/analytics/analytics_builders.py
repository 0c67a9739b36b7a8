"""Small bars, fills and runs for the tests of this room; times count minutes since the epoch."""

from decimal import Decimal
from pathlib import Path

import numpy as np

from ticklane.analytics.curve import equity_curve
from ticklane.analytics.metrics import compute_metrics
from ticklane.analytics.report import ReportData
from ticklane.core.market import DAY, MINUTE, Bar, Bars
from ticklane.core.order import Fill
from ticklane.core.portfolio import Portfolio
from ticklane.engine.tape import Tape

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def some_bars(*closes, symbol="AAA", first=0, step=MINUTE):
    """One bar a step; the first opens at `first` steps, and each opens at the close before."""
    close = np.array(closes, float)
    opened = np.concatenate((close[:1], close[:-1]))
    open_ns = (first + np.arange(len(close))) * step
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    volume = np.full(len(close), 1000.0)
    return Bars(symbol, open_ns, open_ns + step, opened, high, low, close, volume)


def a_fill(quantity, price, seen, *, filled=None, fee=0, symbol="AAA", strategy="one", **more):
    """A fill that became known at minute `seen`; at the open of the bar that closes there."""
    filled_ns = (seen - 1 if filled is None else filled) * MINUTE
    return Fill(
        more.pop("order_id", "o1"),
        f"e{seen}",
        strategy,
        symbol,
        Decimal(str(quantity)),
        Decimal(str(price)),
        Decimal(str(fee)),
        filled_ns,
        "market_at_open",
        seen * MINUTE,
        **more,
    )


def booked(fills, price, cash=1000):
    """The trades that these fills make, open ones marked at `price`."""
    portfolio = Portfolio(lambda _: price)
    books = {name: portfolio.open_book(name, Decimal(cash)) for name in {f.strategy for f in fills}}
    trades = [trade for fill in fills if (trade := books[fill.strategy].apply(fill))]
    positions = [position for book in books.values() for position in book.positions.values()]
    still = (position.open_trade(Decimal(str(price))) for position in positions)
    return trades + [trade for trade in still if trade]


def curve_of(bars, fills, cash, first_ns=None, last_ns=None):
    """The equity curve of fills that the desk's books and tape have taken, oldest first."""
    portfolio, tape = Portfolio(lambda _: None), Tape()
    for name in dict.fromkeys(["one", *(fill.strategy for fill in fills)]):
        portfolio.open_book(name, cash if name == "one" else Decimal(0))
    for fill in sorted(fills, key=lambda fill: fill.seen_ns):
        book = portfolio.books[fill.strategy]
        tape.book(fill, book.apply(fill), book, portfolio)
    return equity_curve(bars, tape.fills, float(cash), tape.cash, tape.held, first_ns, last_ns)


def a_report(bars, fills=(), cash=1000, **more):
    """What a report needs for one run over `bars`, a Bars or a mapping."""
    bars = {bars.symbol: bars} if isinstance(bars, Bars) else bars
    closes = np.concatenate([np.ones(1), *(one.close for one in bars.values())])
    trades = booked(fills, float(closes[-1]), cash)
    curve = curve_of(bars, fills, Decimal(cash))
    metrics = compute_metrics(
        curve.times, curve.equity, curve.exposed, Decimal(cash), trades, fills
    )
    return ReportData(
        title=more.pop("title", "A run"),
        bars=bars,
        fills=fills,
        trades=trades,
        times=curve.times,
        equity=curve.equity,
        metrics=metrics,
        **more,
    )


def crossing(bars, every, quantity=2, strategy="one"):
    """Buy and sell in turn at each `every`-th open."""
    fills = []
    for place in range(1, len(bars), every):
        bar = Bar(bars.symbol, *(column[place].item() for column in bars.columns()))
        fills.append(
            Fill(
                f"o{place}",
                f"e{place}",
                strategy,
                bars.symbol,
                Decimal(quantity if len(fills) % 2 == 0 else -quantity),
                Decimal(repr(bar.open)),
                Decimal("0.5"),
                bar.open_ns,
                "market_at_open",
                bar.close_ns,
                bar,
            )
        )
    return fills


def a_walk(length, *, symbol="AAA", seed=1, step=DAY, first=10_000):
    """A random walk of prices."""
    moves = np.random.default_rng(seed).normal(0, 0.01, length)
    return some_bars(
        *np.round(100 * np.exp(np.cumsum(moves)), 4), symbol=symbol, first=first, step=step
    )
