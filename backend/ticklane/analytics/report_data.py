"""What a report is made from, and which fills made which trade."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from ticklane.analytics.metrics import Metrics, paid_fee
from ticklane.core.market import Bars, Column, Instants
from ticklane.core.money import ZERO
from ticklane.core.order import Fill
from ticklane.core.position import Trade

TripKey = tuple[str, str, int]  # strategy, symbol, instant of the first fill


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRow:
    """One strategy's line in a report; `profit` includes its open trades as marked."""

    name: str
    trades: int
    open_trades: int
    win_rate: float  # NaN without a closed trade
    profit: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportData:
    """Everything a report shows. Nothing in it is changed.

    `times`, `equity`: see EquityCurve. `trades` holds open trades too. `label` is what must stand
    beside every price ("SIMULATED", "adjusted prices"), `notes` are the assumptions of the run,
    one sentence each. `strategies` may stay empty: then it is made from trades and fills.
    """

    title: str
    subtitle: str = ""
    label: str = ""
    currency: str = "USD"
    bars: Mapping[str, Bars]
    fills: Sequence[Fill]
    trades: Sequence[Trade]
    times: NDArray[np.datetime64]
    equity: Column
    metrics: Metrics
    strategies: Sequence[StrategyRow] = ()
    notes: Sequence[str] = ()

    @property
    def times_ns(self) -> Instants:
        """The points of the curve as int64 nanoseconds."""
        return self.times.astype("datetime64[ns]", copy=False).view(np.int64)

    def visible(self, symbol: str) -> Bars:
        """The bars of a symbol that close within the curve: without warm-up."""
        bars, points = self.bars[symbol], self.times_ns
        if not len(points):
            return bars.between(0, 0)
        first = int(np.searchsorted(bars.close_ns, points[0], "left"))
        return bars.between(first, int(np.searchsorted(bars.close_ns, points[-1], "right")))


def summarise_strategies(trades: Sequence[Trade], fills: Sequence[Fill]) -> list[StrategyRow]:
    """One row a strategy, in the order in which they first traded."""
    fees: dict[str, Decimal] = {}
    for fill in fills:
        fees[fill.strategy] = fees.get(fill.strategy, ZERO) + paid_fee(fill)
    of_strategy: dict[str, list[Trade]] = {name: [] for name in fees}
    for trade in trades:
        of_strategy.setdefault(trade.strategy, []).append(trade)
    return [_row(name, made, fees.get(name, ZERO)) for name, made in of_strategy.items()]


def _row(name: str, trades: Sequence[Trade], fees: Decimal) -> StrategyRow:
    closed = [trade for trade in trades if not trade.is_open]
    wins = sum(trade.profit > 0 for trade in closed)
    return StrategyRow(
        name=name,
        trades=len(closed),
        open_trades=len(trades) - len(closed),
        win_rate=wins / len(closed) if closed else float("nan"),
        profit=sum((trade.profit for trade in trades), ZERO),
        fees=fees,
    )


def fills_of_trades(trades: Sequence[Trade], fills: Sequence[Fill]) -> list[list[Fill]]:
    """For each trade the fills that made it; a fill that goes through zero belongs to both.

    `fills` stand in the order of booking. A trade whose fills are not among them gets none.
    """
    trips = _trips(fills)
    return [
        trips[key].pop(0) if trips.get(key) else []
        for key in ((trade.strategy, trade.symbol, trade.opened_ns) for trade in trades)
    ]


def _trips(fills: Sequence[Fill]) -> dict[TripKey, list[list[Fill]]]:
    found: dict[TripKey, list[list[Fill]]] = defaultdict(list)
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    present: dict[tuple[str, str], list[Fill]] = {}
    for fill in fills:
        book = (fill.strategy, fill.symbol)
        before = held[book]
        after = before + fill.quantity
        if before:
            present[book].append(fill)
        if after and (not before or (after > 0) is not (before > 0)):
            present[book] = [fill]
            found[(*book, fill.filled_ns)].append(present[book])
        held[book] = after - (fill.fee if fill.fee_asset is not None else ZERO)
    return found
