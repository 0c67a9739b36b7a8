"""BacktestResult: everything a replay has led to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ticklane.core.errors import ConfigError
from ticklane.core.market import Bars, Timeframe
from ticklane.core.money import plain
from ticklane.core.order import Fill, Order, public
from ticklane.core.position import Trade
from ticklane.engine.status import StrategyStatus
from ticklane.whole_file import whole_file

if TYPE_CHECKING:
    import pandas as pd

    from ticklane.analytics.metrics import Metrics
    from ticklane.analytics.report_data import ReportData
    from ticklane.interfaces import Calendar


class BacktestResult:
    """Fills, trades, orders and the equity curve of a replay, in booking order.

    `times` (datetime64[ns], UTC) and `equity` (float64, account currency) have one point for each
    bar close after warm-up. `cash` is the exact Decimal at the end. A position open at the end
    stands in `trades` as an open trade, marked at the last close. `is_partial` says that the
    replay was interrupted.
    """

    def __init__(
        self,
        *,
        orders: Sequence[Order],
        fills: Sequence[Fill],
        trades: Sequence[Trade],
        times: NDArray[np.datetime64],
        equity: NDArray[np.float64],
        exposed: NDArray[np.bool_],
        starting_cash: Decimal,
        cash: Decimal,
        bars: dict[str, Bars],
        timeframe: Timeframe,
        strategies: dict[str, StrategyStatus],
        calendar: Calendar | None = None,
        label: str = "",
        notes: Sequence[str] = (),
        is_partial: bool = False,
    ) -> None:
        self.orders, self.fills, self.trades = list(orders), list(fills), list(trades)
        self.times, self.equity, self.exposed = times, equity, exposed
        self.starting_cash, self.cash = starting_cash, cash
        self.bars, self.timeframe = bars, timeframe
        self.strategies = strategies
        self.calendar, self.label, self.notes = calendar, label, list(notes)
        self.is_partial = is_partial

    @cached_property
    def metrics(self) -> Metrics:
        """Return, risk and trade figures; see `ticklane.analytics.metrics.Metrics`."""
        from ticklane.analytics.metrics import compute_metrics

        day_of, year = _days(self.calendar)
        return compute_metrics(
            self.times,
            self.equity,
            self.exposed,
            self.starting_cash,
            self.trades,
            self.fills,
            day_of=day_of,
            days_per_year=year,
        )

    def summary(self) -> str:
        """The result in a few lines of text."""
        from ticklane.app.summary import summary_text

        return summary_text(self)

    def to_frame(self) -> pd.DataFrame:
        """The equity curve as a DataFrame indexed by time (UTC): equity, exposed, drawdown."""
        import pandas as pd

        from ticklane.analytics.metrics import drawdowns

        falls = drawdowns(self.equity, float(self.starting_cash))
        columns = {"equity": self.equity, "drawdown": falls, "exposed": self.exposed}
        index = pd.DatetimeIndex(self.times, name="time").tz_localize("UTC")
        return pd.DataFrame(columns, index=index)

    def to_dict(self) -> dict[str, Any]:
        """Metrics, orders, fills and trades as JSON values; money and quantities are text."""
        return {
            "label": self.label,
            "is_partial": self.is_partial,
            "starting_cash": str(self.starting_cash),
            "cash": str(self.cash),
            "final_equity": float(self.equity[-1]) if len(self.equity) else None,
            "timeframe": str(self.timeframe),
            "symbols": list(self.bars),
            "metrics": self.metrics.to_dict(),
            "strategies": [status.to_dict() for status in self.strategies.values()],
            "notes": self.notes,
            "orders": [public(order) for order in self.orders],
            "fills": [public_fill(fill) for fill in self.fills],
            "trades": [public_trade(trade) for trade in self.trades],
        }

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write result.json, equity.csv, fills.csv, trades.csv, orders.csv and the report."""
        import pandas as pd

        folder = Path(directory)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            values = self.to_dict()
            tables = {name: values.pop(name) for name in ("orders", "fills", "trades")}
            with whole_file(folder / "result.json") as part:
                part.write_text(json.dumps(values, indent=2) + "\n", "utf-8")
            for name, rows in tables.items():
                with whole_file(folder / f"{name}.csv") as part:
                    pd.DataFrame(rows).to_csv(part, index=False)
            with whole_file(folder / "equity.csv") as part:
                self.to_frame().to_csv(part)
        except OSError as error:
            raise ConfigError(
                f"the result cannot be saved in {folder} ({error.strerror}); choose another folder."
            ) from None
        self.plot(folder / "report.html")
        return folder

    def plot(self, path: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Draw prices with trades, equity and drawdown: an HTML file and a PNG beside it."""
        from ticklane.analytics.report import write_report

        return write_report(self.report_data(), path)

    def report_data(self) -> ReportData:
        """What a report is made from."""
        from ticklane.analytics.report_data import ReportData

        return ReportData(
            title=" and ".join(self.strategies) or "Backtest",
            subtitle=f"{', '.join(self.bars)}, {self.timeframe} bars",
            label=self.label,
            bars=self.bars,
            fills=self.fills,
            trades=self.trades,
            times=self.times,
            equity=self.equity,
            metrics=self.metrics,
            notes=self.notes,
        )

    def __repr__(self) -> str:
        last = f"{self.equity[-1]:,.2f}" if len(self.equity) else "none"
        return (
            f"<BacktestResult equity {last}, {len(self.fills)} fills, "
            f"{len(self.trades)} trades, {len(self.times)} points>"
        )


def public_fill(fill: Fill) -> dict[str, Any]:
    """The fields of a fill as plain JSON values."""
    return {
        "order_id": fill.order_id,
        "execution_id": fill.execution_id,
        "strategy": fill.strategy,
        "symbol": fill.symbol,
        "quantity": plain(fill.quantity),
        "price": plain(fill.price),
        "fee": plain(fill.fee),
        "fee_asset": fill.fee_asset,
        "filled_at": fill.filled_at.isoformat(),
        "rule": fill.rule,
    }


def public_trade(trade: Trade) -> dict[str, Any]:
    """The fields of a trade as plain JSON values."""
    closed_at = trade.closed_at
    return {
        "strategy": trade.strategy,
        "symbol": trade.symbol,
        "side": str(trade.side),
        "quantity": plain(trade.quantity),
        "entry_price": plain(trade.entry_price),
        "exit_price": plain(trade.exit_price),
        "opened_at": trade.opened_at.isoformat(),
        "closed_at": closed_at.isoformat() if closed_at else None,
        "profit": plain(trade.profit),
        "fees": plain(trade.fees),
    }


def _days(calendar: Calendar | None) -> tuple[Any, int | None]:
    """How closes fall into session days, and how many of those a year has."""
    sessions_between = getattr(calendar, "sessions_between", None)
    if calendar is None or sessions_between is None:
        return None, None
    if calendar.name == "24/7":
        return None, 365

    def day_of(close_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        if not len(close_ns):
            return close_ns
        sessions = sessions_between(int(close_ns[0]), int(close_ns[-1]))
        opens = np.array([session.open_ns for session in sessions], np.int64)
        return np.searchsorted(opens, close_ns, side="left")

    return day_of, 252
