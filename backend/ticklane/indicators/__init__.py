"""Incremental indicators: one bar in, the new value out, O(1) a bar, equal to TA-Lib's batch.

    average = SMA(10)
    average.update(101.5)   # a number, or a bar whose close is taken; returns the new value
    average.value           # the newest value again; NaN while there are too few bars

What all of them share (`update`, `value`, `warmup`, `reads`, `parameters`, `fresh`, how input is
read and refused, what happens after a restart) is told in `ticklane.indicators.stream`.
"""

from ticklane.indicators.averages import EMA, MACD, SMA
from ticklane.indicators.channels import ATR, BollingerBands, RollingHigh, RollingLow
from ticklane.indicators.oscillators import RSI, Stochastic

__all__ = [
    "ATR",
    "EMA",
    "MACD",
    "RSI",
    "SMA",
    "BollingerBands",
    "RollingHigh",
    "RollingLow",
    "Stochastic",
]
