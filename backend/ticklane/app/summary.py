"""A result, or the end of a run, in words for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ticklane.core.money import ZERO, plain

if TYPE_CHECKING:
    from ticklane.app.build import StrategyRunner
    from ticklane.app.result import BacktestResult
    from ticklane.storage.server import Place


def summary_text(result: BacktestResult) -> str:
    """The key figures of a result, one a line."""
    if not len(result.times):
        return "No bar was left to trade on after warm-up: nothing happened."
    m = result.metrics
    open_trades = sum(trade.is_open for trade in result.trades)
    mark = f"  [{result.label}]" if result.label else ""
    rows = [
        ("Symbols", ", ".join(result.bars) + mark),
        ("Period", f"{_when(result, 0)} to {_when(result, -1)}, {result.timeframe} bars"),
        ("Equity", f"{float(result.starting_cash):,.2f} -> {result.equity[-1]:,.2f}"),
        ("Return", f"{_percent(m.total_return)} in all, {_percent(m.annualised_return)} a year"),
        ("Risk", f"volatility {_percent(m.volatility)}, Sharpe {_number(m.sharpe)}, "
                 f"Sortino {_number(m.sortino)}"),
        ("Drawdown", f"{_percent(m.max_drawdown)} over {m.max_drawdown_days:.0f} days "
                     f"(by day ends; {_percent(m.max_drawdown_intraday)} at bar closes)"),
        ("Trades", f"{m.trades} closed, {open_trades} open; won {_percent(m.win_rate)}, "
                   f"profit factor {_number(m.profit_factor)}"),
        ("Expectancy", f"{_number(m.expectancy)} a trade"),
        ("Activity", f"{len(result.orders)} orders, {len(result.fills)} fills, "
                     f"exposed {_percent(m.exposure)} of the time, fees {float(m.fees):,.2f}"),
    ]  # fmt: skip
    if result.is_partial:
        rows.append(("Note", "interrupted: this is the result up to there"))
    for status in result.strategies.values():
        if status.error:
            rows.append(
                (status.name, f"{status.state} after {status.faults} faults: {status.error}")
            )
    refused = [order for order in result.orders if order.reason and order.status in _REFUSED]
    if refused:
        first = refused[0]
        rows.append(("Refused", f"{len(refused)} orders, the first: {first.reason}"))
    return _aligned(rows)


def run_text(runner: StrategyRunner, database: Place) -> str:
    """How a run of the daemon stands at its end, one line a fact, and where its journal is."""
    books = runner.portfolio.books
    begin = sum((book.deposits for book in books.values()), ZERO)
    equity = runner.portfolio.equity()
    change = f" ({(equity / begin - 1) * 100:+,.2f} %)" if begin else ""
    label = f"  [{runner.feed.label}]" if runner.feed and runner.feed.label else ""
    rows = [
        ("Run", f"{runner.run_id}, {_ENDS.get(runner.ended_by or '', 'stopped')}"),
        ("Equity", f"{begin:,.2f} -> {equity:,.2f}{change}{label}"),
        ("Cash", f"{runner.portfolio.cash:,.2f}, fees {sum(b.fees for b in books.values()):,.2f}"),
        ("Activity", _activity(database, runner.run_id)),
        ("Positions", _positions(runner)),
    ]
    for one in runner.trading.restrictions.values():
        if one.is_latched:
            rows.append(("Trading", f"{one.state} until released: {one.sentence}"))
    for name, host in runner.hosts.items():
        if host.status.error:
            rows.append((name, f"{host.status.state}, last error: {host.status.error}"))
    rows.append(("Database", str(database)))
    return _aligned(rows)


_ENDS = {
    "end": "ended; the next start is a new run",
    "shutdown": "stopped; start it again and it goes on from here",
    "operator": "stopped by an operator; start it again and it goes on from here",
}


def _activity(database: Place, run_id: str | None) -> str:
    from ticklane.storage.reader import Reader

    with Reader(database) as reader:
        found = [run for run in reader.runs() if run["id"] == run_id]
        still_open = len(reader.orders(run_id, open_only=True)) if found else 0
    if not found:
        return "nothing recorded"
    run = found[0]
    counts = f"{run['orders']:,} orders ({still_open:,} open), {run['fills']:,} fills"
    return f"{counts}, {run['trades']:,} trades closed"


def _positions(runner: StrategyRunner) -> str:
    held = {
        symbol: runner.portfolio.net(symbol)
        for book in runner.portfolio.books.values()
        for symbol in sorted(book.positions)
    }
    listed = [f"{plain(quantity)} {symbol}" for symbol, quantity in held.items() if quantity]
    return ", ".join(listed) or "none"


def _aligned(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


_REFUSED = ("DENIED", "REJECTED")


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value * 100:,.2f} %"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.2f}"


def _when(result: BacktestResult, index: int) -> str:
    """The instant of a point; a daily bar is told by its day, which may end at midnight."""
    instant = result.times[index]
    if not result.timeframe.is_daily:
        return str(instant)[:16].replace("T", " ")
    return str(instant - 1)[:10]
