"""A result in words, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticklane.app.result import BacktestResult


def summary_text(result: BacktestResult) -> str:
    """The key figures of a result, one a line."""
    if not len(result.times):
        return "No bar was left to trade on after warm-up: nothing happened."
    m = result.metrics
    open_trades = sum(trade.is_open for trade in result.trades)
    mark = f"  [{result.label}]" if result.label else ""
    rows = [
        ("Symbols", ", ".join(result.bars) + mark),
        ("Period", f"{_day(result.times[0])} to {_day(result.times[-1])}, {result.timeframe} bars"),
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
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


_REFUSED = ("DENIED", "REJECTED")


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value * 100:,.2f} %"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.2f}"


def _day(instant: object) -> str:
    return str(instant)[:16].replace("T", " ")
