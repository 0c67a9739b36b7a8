"""The tables of a report as ready texts; the template only places them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ticklane.analytics import text
from ticklane.analytics.metrics import Metrics
from ticklane.analytics.report_data import ReportData, fills_of_trades, summarise_strategies
from ticklane.core.market import DAY, Bar, Observation
from ticklane.core.order import Fill, Side
from ticklane.core.position import Trade

TRADES_SHOWN = 200  # half of them from the beginning, half from the end
FILLS_SHOWN = 12  # of one trade


@dataclass(frozen=True, slots=True)
class Line:
    """A name and its value; `tone` is "up", "down" or empty, `hint` explains the name."""

    name: str
    value: str
    tone: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines under one heading."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillLine:
    """One fill and why it has its price."""

    time: str
    action: str
    price: str
    fee: str
    rule: str
    source: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeLine:
    """One trade with the fills that made it."""

    number: str
    symbol: str
    strategy: str
    side: str
    quantity: str
    opened: str
    entry: str
    closed: str
    exit: str
    held: str
    profit: str
    gain: str
    tone: str
    fills: Sequence[FillLine]
    more_fills: int  # of this trade, not shown


@dataclass(frozen=True, slots=True)
class TradePart:
    """A run of trades, and how many are left out after it."""

    lines: Sequence[TradeLine]
    left_out: int


def tone(value: float) -> str:
    """Which colour a profit or loss has."""
    return "up" if value > 0 else "down" if value < 0 else ""


def metric_groups(data: ReportData) -> list[Group]:
    """All metrics under four headings."""
    return [_returns(data), _risk(data), _trading(data), _activity(data)]


def _returns(data: ReportData) -> Group:
    metrics, currency = data.metrics, data.currency
    total, annual = metrics.total_return, metrics.annualised_return
    profit = metrics.final_equity - metrics.starting_cash
    return Group(
        "Return",
        [
            Line("Starting cash", text.money(metrics.starting_cash, currency)),
            Line("Final equity", text.money(metrics.final_equity, currency)),
            Line("Profit", text.money(profit, currency, is_signed=True), tone(profit)),
            Line("Total return", text.percent(total, is_signed=True), tone(total)),
            Line("Annualised return", text.percent(annual, is_signed=True), tone(annual)),
            Line("Volatility", text.percent(metrics.volatility), hint="annualised"),
        ],
    )


def _risk(data: ReportData) -> Group:
    metrics = data.metrics
    fall = text.percent(metrics.max_drawdown)
    return Group(
        "Risk",
        [
            Line("Sharpe", text.ratio(metrics.sharpe)),
            Line("Sortino", text.ratio(metrics.sortino)),
            Line("Calmar", text.ratio(metrics.calmar)),
            Line("Max drawdown", fall, hint=f"day ends{_when(metrics.drawdown_bottom_at, ', ')}"),
            Line("Its length", text.duration(metrics.max_drawdown_days), hint=_fall_dates(metrics)),
            Line("Max drawdown", text.percent(metrics.max_drawdown_intraday), hint="every bar"),
        ],
    )


def _fall_dates(metrics: Metrics) -> str:
    if metrics.drawdown_peak_at is None:
        return ""
    until = _when(metrics.drawdown_recovered_at, " to ") or ", not recovered"
    return f"{_when(metrics.drawdown_peak_at)}{until}"


def _when(moment: datetime | None, before: str = "") -> str:
    return "" if moment is None else before + text.closing(moment)


def _trading(data: ReportData) -> Group:
    metrics, currency = data.metrics, data.currency

    def profit(name: str, value: float) -> Line:
        return Line(name, text.money(value, currency, is_signed=True), tone(value))

    still = f"{text.count(metrics.open_trades)} still open" if metrics.open_trades else ""
    return Group(
        "Trades",
        [
            Line("Closed trades", text.count(metrics.trades), hint=still),
            Line("Win rate", text.percent(metrics.win_rate)),
            Line("Profit factor", text.ratio(metrics.profit_factor)),
            profit("Expectancy", metrics.expectancy),
            profit("Best trade", metrics.best_trade),
            profit("Worst trade", metrics.worst_trade),
        ],
    )


def _activity(data: ReportData) -> Group:
    metrics = data.metrics
    turnover = text.NOTHING if math.isnan(metrics.turnover) else f"{metrics.turnover:,.1f}×"
    return Group(
        "Activity and costs",
        [
            Line("Exposure", text.percent(metrics.exposure), hint="share of bars in a position"),
            Line("Turnover", turnover, hint="traded value over mean equity"),
            Line("Fees", text.money(metrics.fees, data.currency)),
            Line("Fills", text.count(len(data.fills))),
            Line("Average holding", text.duration(metrics.average_trade_days)),
            Line("Days", text.count(metrics.days), hint=f"{metrics.days_per_year} a year"),
        ],
    )


def strategy_lines(data: ReportData) -> list[list[Line]]:
    """One row a strategy."""
    rows = data.strategies or summarise_strategies(data.trades, data.fills)
    return [
        [
            Line("Strategy", row.name),
            Line("Trades", text.count(row.trades)),
            Line("Open", text.count(row.open_trades)),
            Line("Win rate", text.percent(row.win_rate)),
            Line("Fees", text.money(row.fees, data.currency)),
            Line(
                "Profit",
                text.money(row.profit, data.currency, is_signed=True),
                tone(float(row.profit)),
            ),
        ]
        for row in rows
    ]


def trade_parts(data: ReportData) -> list[TradePart]:
    """The trades by opening; of very many the first and the last."""
    trades = sorted(data.trades, key=lambda trade: trade.opened_ns)
    if not trades:
        return []
    made = fills_of_trades(trades, data.fills)
    lines = range(len(trades))
    if len(trades) <= TRADES_SHOWN:
        parts, left_out = [lines], 0
    else:
        half = TRADES_SHOWN // 2
        parts, left_out = [lines[:half], lines[-half:]], len(trades) - 2 * half
    last_ns = int(data.times_ns[-1]) if len(data.times) else None
    return [
        TradePart(
            [_trade_line(i + 1, trades[i], made[i], last_ns, data.currency) for i in part],
            left_out if part is parts[0] else 0,
        )
        for part in parts
    ]


def _trade_line(
    number: int, trade: Trade, fills: Sequence[Fill], last_ns: int | None, currency: str
) -> TradeLine:
    end_ns = trade.closed_ns or last_ns or trade.opened_ns
    paid = trade.quantity * trade.entry_price
    return TradeLine(
        number=text.count(number),
        symbol=trade.symbol,
        strategy=trade.strategy,
        side="long" if trade.side is Side.BUY else "short",
        quantity=text.quantity(trade.quantity),
        opened=text.instant(trade.opened_ns),
        entry=text.price(trade.entry_price),
        closed="open" if trade.closed_ns is None else text.instant(trade.closed_ns),
        exit=text.price(trade.exit_price),
        held=text.duration(max(0, end_ns - trade.opened_ns) / DAY),
        profit=text.money(trade.profit, currency, is_signed=True),
        gain=text.percent(float(trade.profit / paid) if paid else math.nan, is_signed=True),
        tone=tone(float(trade.profit)),
        fills=[_fill_line(fill, currency) for fill in fills[:FILLS_SHOWN]],
        more_fills=max(0, len(fills) - FILLS_SHOWN),
    )


def _fill_line(fill: Fill, currency: str) -> FillLine:
    asset = fill.fee_asset
    fee = text.money(fill.fee, currency) if asset is None else f"{text.quantity(fill.fee)} {asset}"
    return FillLine(
        time=text.instant(fill.filled_ns),
        action=f"{'Bought' if fill.quantity > 0 else 'Sold'} {text.quantity(abs(fill.quantity))}",
        price=text.price(fill.price),
        fee=fee,
        rule=fill.rule.replace("_", " "),
        source=_source(fill.source),
        detail=fill.detail,
    )


def _source(source: Observation | None) -> str:
    if source is None:
        return text.NOTHING
    if isinstance(source, Bar):
        prices = zip("OHLC", source[3:7], strict=True)
        return f"bar {text.instant(source.open_ns)}: " + " ".join(
            f"{name} {text.price(value)}" for name, value in prices
        )
    return (
        f"quote {text.instant(source.time_ns)}: "
        f"bid {text.price(source.bid)} ask {text.price(source.ask)}"
    )
