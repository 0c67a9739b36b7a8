"""The plain CPython loops that the lane is measured against, and the same work through ticklane.

W1: SMA 10/30 crossover on one symbol, fills at the next open, equity at every bar.
W2: the strategy reads the close and does nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ticklane import Signal, StrategyInterface
from ticklane.indicators import SMA

SYMBOL = "S00"
CASH = 10_000_000
QUANTITY = 100
START = 1_577_836_800  # 2020-01-01T00:00:00Z


def prices(symbols: int, bars: int, seed: int = 35) -> dict[str, dict[str, Any]]:
    """Seeded geometric random walks with gaps between close and next open, by symbol."""
    made = {}
    for number in range(symbols):
        random = np.random.default_rng([seed, number])
        close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 5e-4, bars)))
        before = np.concatenate(([100.0], close[:-1]))
        opening = before * np.exp(random.normal(0.0, 1.25e-4, bars))
        wick = np.abs(random.normal(0.0, 2.5e-4, (2, bars)))
        high = np.maximum(opening, close) * (1 + wick[0])
        low = np.minimum(opening, close) * (1 - wick[1])
        volume = random.integers(1_000, 100_000, bars).astype(float)
        o, h, lo, c = (np.round(column, 5) for column in (opening, high, low, close))
        made[f"S{number:02d}"] = {
            "open": o,
            "high": np.maximum.reduce([o, h, c]),
            "low": np.minimum.reduce([o, lo, c]),
            "close": c,
            "volume": volume,
        }
    return made


def frames(made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The same as DataFrames of one-minute bars."""
    import pandas as pd

    count = len(next(iter(made.values()))["open"])
    index = pd.date_range(pd.Timestamp(START, unit="s"), periods=count, freq="min")
    return {symbol: pd.DataFrame(columns, index=index) for symbol, columns in made.items()}


class PlainCross:
    """Two incremental averages in one ring buffer: the least that the rule needs."""

    __slots__ = ("buf", "fast", "fills", "i", "long", "n", "sf", "slow", "ss")

    def __init__(self, fast: int = 10, slow: int = 30) -> None:
        self.fast, self.slow = fast, slow
        self.buf = [0.0] * slow
        self.i = self.n = self.fills = 0
        self.sf = self.ss = 0.0
        self.long = False

    def on_tick(self, market_data: dict[str, dict[str, float]]) -> int | None:
        close = market_data[SYMBOL]["close"]
        buf, i, slow = self.buf, self.i, self.slow
        self.ss += close - buf[i]
        self.sf += close - buf[i - self.fast]
        buf[i] = close
        i += 1
        self.i = 0 if i == slow else i
        n = self.n = self.n + 1
        if n < slow:
            return None
        distance = self.sf * slow - self.ss * self.fast
        if distance > 0:
            if not self.long:
                self.long = True
                self.fills += 1
                return 1
        elif distance < 0 and self.long:
            self.long = False
            self.fills += 1
            return -1
        return None


class PlainNothing:
    """Reads the close."""

    __slots__ = ("last",)

    def on_tick(self, market_data: dict[str, dict[str, float]]) -> None:
        self.last = market_data[SYMBOL]["close"]


def plain_w1(rows: list[Any]) -> list[float]:
    """Fresh dict of one bar, fills at the next open, equity at every bar."""
    on_tick = PlainCross().on_tick
    cash, held, pending = float(CASH), 0, 0
    equity = []
    for time, opening, high, low, close, volume in zip(*rows, strict=True):
        if pending:
            cash -= pending * QUANTITY * opening
            held += pending * QUANTITY
            pending = 0
        wanted = on_tick(
            {SYMBOL: {"ts": time, "open": opening, "high": high, "low": low, "close": close,
                      "volume": volume}}
        )  # fmt: skip
        if wanted:
            pending = wanted
        equity.append(cash + held * close)
    return equity


def plain_w2(rows: list[Any]) -> None:
    """Fresh dict of one bar, nothing else."""
    on_tick = PlainNothing().on_tick
    for time, opening, high, low, close, volume in zip(*rows, strict=True):
        on_tick(
            {SYMBOL: {"ts": time, "open": opening, "high": high, "low": low, "close": close,
                      "volume": volume}}
        )  # fmt: skip


class CrossOne(StrategyInterface):
    """W1 as an author would write it for one symbol, like the plain loop beside it."""

    def on_start(self) -> None:
        self.fast, self.slow, self.is_long = SMA(10).update, SMA(30).update, False

    def on_tick(self, market_data: Any) -> Any:
        close = market_data[SYMBOL].close
        fast, slow = self.fast(close), self.slow(close)
        if fast > slow:
            if not self.is_long:
                self.is_long = True
                return [{"symbol": SYMBOL, "signal": Signal.BUY, "quantity": QUANTITY}]
        elif fast < slow and self.is_long:
            self.is_long = False
            return [{"symbol": SYMBOL, "signal": Signal.SELL, "quantity": QUANTITY}]
        return None


class Cross(StrategyInterface):
    """W1 as an author would write it for any number of symbols."""

    def on_start(self) -> None:
        self.averages = {symbol: (SMA(10).update, SMA(30).update) for symbol in self.symbols}
        self.long = dict.fromkeys(self.symbols, False)

    def on_tick(self, market_data: Any) -> Any:
        intents = []
        for symbol in market_data.updated:
            update_fast, update_slow = self.averages[symbol]
            close = market_data[symbol].close
            f, s = update_fast(close), update_slow(close)
            if f > s and not self.long[symbol]:
                self.long[symbol] = True
                intents.append({"symbol": symbol, "signal": Signal.BUY, "quantity": QUANTITY})
            elif f < s and self.long[symbol]:
                self.long[symbol] = False
                intents.append({"symbol": symbol, "signal": Signal.SELL, "quantity": QUANTITY})
        return intents


class Nothing(StrategyInterface):
    """W2 as an author would write it."""

    def on_tick(self, market_data: Any) -> None:
        for symbol in market_data.updated:
            self.last = market_data[symbol].close
