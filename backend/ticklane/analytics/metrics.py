"""What a run has earned and what it risked; definitions in semantics.md, "Equity and metrics".

Risk and return are measured on day ends (see `compute_metrics`), with a risk-free rate of 0. The
formulas are those of empyrical: compounded return, sample deviation (ddof 1), downside deviation
over all days, annualised by the square root of the days a year. What is undefined is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ticklane.core.market import DAY, Column, Instants, to_datetime
from ticklane.core.money import ZERO
from ticklane.core.order import Fill
from ticklane.core.position import Trade

DayOf = Callable[[Instants], NDArray[np.int64]]
NAN = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The numbers of one run; fractions are fractions (0.1 is 10 %), money is account currency.

    Trade figures count closed trades only and are after fees. The drawdown is the deepest one of
    the day ends; it lasts from its peak until equity is back at that peak, or to the end.
    """

    start: datetime | None  # first and last point of the curve
    end: datetime | None
    starting_cash: float
    final_equity: float
    total_return: float
    annualised_return: float
    volatility: float  # annualised deviation of the daily returns
    sharpe: float
    sortino: float
    calmar: float
    max_drawdown: float  # zero or negative, as -0.2 for a fall by 20 %
    max_drawdown_days: float  # calendar days from peak to recovery or end
    drawdown_peak_at: datetime | None
    drawdown_bottom_at: datetime | None
    drawdown_recovered_at: datetime | None  # None: not recovered
    max_drawdown_intraday: float  # the same over every point, not only day ends
    trades: int
    open_trades: int
    win_rate: float  # share of trades with a profit above zero
    profit_factor: float  # sum of profits over sum of losses; NaN without a loss
    expectancy: float  # mean profit of a trade
    best_trade: float
    worst_trade: float
    average_trade_days: float
    exposure: float  # share of points with a position
    turnover: float  # traded value over mean equity, both over the whole run
    fees: float  # fees in a coin count at the price of their fill
    days: int  # number of daily returns
    days_per_year: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: NaN and infinity as None, instants as ISO 8601 text."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def compute_metrics(
    times: NDArray[np.datetime64],
    equity: Column,
    exposed: NDArray[np.bool_],
    cash: Decimal,
    trades: Sequence[Trade],
    fills: Sequence[Fill],
    *,
    day_of: DayOf | None = None,
    days_per_year: int | None = None,
) -> Metrics:
    """Measure a run from its curve (see EquityCurve), its trades and its fills.

    The last equity of each day makes the daily series; the first return is measured from `cash`.
    `day_of` gives each close (int64 ns UTC, rising) the number of its session day; the default is
    the UTC day, a close at midnight belonging to the day that ends. `days_per_year` is 252 for a
    calendar with sessions and 365 for 24/7; None means 252 when no close falls on a Saturday or
    Sunday, else 365.
    """
    close_ns = times.astype("datetime64[ns]", copy=False).view(np.int64)
    ends = _day_ends((day_of or utc_days)(close_ns))
    year = days_per_year or guess_days_per_year(close_ns)
    levels = np.concatenate(([float(cash)], equity[ends]))
    return Metrics(
        **_span(close_ns, equity, cash),
        **_performance(levels, year),
        **_drawdown(levels, close_ns[ends], close_ns),
        max_drawdown_intraday=_deepest(equity, float(cash)),
        **_trade_figures(trades),
        **_activity(equity, exposed, fills),
        days=len(ends),
        days_per_year=year,
    )


def utc_days(close_ns: Instants) -> NDArray[np.int64]:
    """The UTC day since 1970 of each close; midnight belongs to the day that ends there."""
    return (close_ns - 1) // DAY


def guess_days_per_year(close_ns: Instants) -> int:
    """252 when no close falls on a UTC Saturday or Sunday, else 365."""
    weekdays = (utc_days(close_ns) + 3) % 7  # 1970-01-01 was a Thursday
    return 365 if bool((weekdays >= 5).any()) else 252


def _day_ends(days: NDArray[np.int64]) -> NDArray[np.intp]:
    """The last index of each day."""
    if not len(days):
        return np.empty(0, np.intp)
    return np.append(np.flatnonzero(days[1:] != days[:-1]), len(days) - 1)


def _span(close_ns: Instants, equity: Column, cash: Decimal) -> dict[str, Any]:
    is_empty = not len(close_ns)
    return {
        "start": None if is_empty else to_datetime(int(close_ns[0])),
        "end": None if is_empty else to_datetime(int(close_ns[-1])),
        "starting_cash": float(cash),
        "final_equity": float(cash) if is_empty else float(equity[-1]),
    }


def _performance(levels: Column, year: int) -> dict[str, Any]:
    """Return and risk of the daily levels, of which the first is the starting cash."""
    days = len(levels) - 1
    growth = _ratio(float(levels[-1]), float(levels[0])) if days else NAN
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = levels[1:] / levels[:-1] - 1
    returns[levels[:-1] <= 0] = NAN  # a return on nothing, or on debt, says nothing
    annual = _power(growth, year / days) - 1 if days else NAN
    mean = float(returns.mean()) if days > 1 else NAN
    deviation = float(returns.std(ddof=1)) if days > 1 else NAN
    downside = math.sqrt(float(np.square(np.minimum(returns, 0)).mean())) if days > 1 else NAN
    deepest = _deepest(levels[1:], float(levels[0]))
    return {
        "total_return": growth - 1,
        "annualised_return": annual,
        "volatility": deviation * math.sqrt(year),
        "sharpe": _ratio(mean, deviation) * math.sqrt(year),
        "sortino": _ratio(mean, downside) * math.sqrt(year),
        "calmar": _ratio(annual, -deepest),
        "max_drawdown": deepest,
    }


def drawdowns(equity: Column, starting_cash: float) -> Column:
    """How far each point lies below the highest so far, as a fraction; the cash counts as a peak.

    Zero or negative; NaN where that peak is not above zero.
    """
    if not len(equity):
        return np.empty(0)
    peaks = np.maximum(np.maximum.accumulate(equity), starting_cash)
    if peaks[0] <= 0:
        peaks[peaks <= 0] = NAN
    return equity / peaks - 1


def _deepest(equity: Column, starting_cash: float) -> float:
    return float(drawdowns(equity, starting_cash).min()) if len(equity) else NAN


def _drawdown(levels: Column, ends_ns: Instants, close_ns: Instants) -> dict[str, Any]:
    """When the deepest drawdown of the daily levels began, bottomed and was over."""
    falls = drawdowns(levels[1:], float(levels[0]))
    if not len(falls) or not falls.min() < 0:
        return {
            "max_drawdown_days": 0.0 if len(falls) and not np.isnan(falls.min()) else NAN,
            "drawdown_peak_at": None,
            "drawdown_bottom_at": None,
            "drawdown_recovered_at": None,
        }
    stamps = np.concatenate((close_ns[:1], ends_ns))  # the starting cash stands at the first point
    bottom = int(falls.argmin()) + 1
    top = levels[: bottom + 1].max()
    peak = int(np.flatnonzero(levels[: bottom + 1] == top)[-1])
    back = np.flatnonzero(levels[bottom:] >= top)
    until = int(stamps[bottom + back[0]] if len(back) else stamps[-1])
    return {
        "max_drawdown_days": (until - int(stamps[peak])) / DAY,
        "drawdown_peak_at": to_datetime(int(stamps[peak])),
        "drawdown_bottom_at": to_datetime(int(stamps[bottom])),
        "drawdown_recovered_at": to_datetime(until) if len(back) else None,
    }


def _trade_figures(trades: Sequence[Trade]) -> dict[str, Any]:
    closed = [trade for trade in trades if trade.closed_ns is not None]
    profits = [trade.profit for trade in closed]
    gains = sum((profit for profit in profits if profit > 0), ZERO)
    losses = sum((profit for profit in profits if profit < 0), ZERO)
    held = sum((trade.closed_ns or 0) - trade.opened_ns for trade in closed)
    count = len(closed)
    return {
        "trades": count,
        "open_trades": len(trades) - count,
        "win_rate": _ratio(sum(profit > 0 for profit in profits), count),
        "profit_factor": _ratio(float(gains), float(-losses)),
        "expectancy": _ratio(float(gains + losses), count),
        "best_trade": float(max(profits)) if profits else NAN,
        "worst_trade": float(min(profits)) if profits else NAN,
        "average_trade_days": _ratio(held / DAY, count),
    }


def _activity(equity: Column, exposed: NDArray[np.bool_], fills: Sequence[Fill]) -> dict[str, Any]:
    traded = sum((abs(fill.quantity * fill.price) for fill in fills), ZERO)
    mean = float(equity.mean()) if len(equity) else NAN
    return {
        "exposure": float(exposed.mean()) if len(exposed) else NAN,
        "turnover": _ratio(float(traded), mean) if mean > 0 else NAN,
        "fees": float(sum((paid_fee(fill) for fill in fills), ZERO)),
    }


def paid_fee(fill: Fill) -> Decimal:
    """The fee in account currency; one charged in the base coin counts at the fill's price."""
    return fill.fee if fill.fee_asset is None else fill.fee * fill.price


def _power(base: float, exponent: float) -> float:
    """base to the exponent; infinite where that is too large, NaN for a negative base."""
    if not base > 0:
        return base if base == 0 else NAN
    return math.inf if math.log(base) * exponent > 709 else base**exponent


def _ratio(value: float, base: float) -> float:
    return value / base if base else NAN
