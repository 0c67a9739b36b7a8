"""Oscillators between 0 and 100: RSI, Stochastic."""

from __future__ import annotations

from collections.abc import Callable
from math import nan

from ticklane.indicators.averages import SMA
from ticklane.indicators.channels import RollingHigh, RollingLow
from ticklane.indicators.stream import Stream, StreamingIndicator, bars_in

Update = Callable[[float], float]


class RSI(StreamingIndicator):
    """The relative strength index (Wilder, New Concepts in Technical Trading Systems, 1978).

    `100 * gain / (gain + loss)`, where gain and loss are Wilder's averages of the rises and of
    the falls from close to close: the mean of the first `period`, then
    `average = (average * (period - 1) + new) / period`. 0 where the price has never moved. A
    number fed stands for the close. NaN for the first `period` bars. Equal to TA-Lib's RSI.
    """

    __slots__ = ("period",)

    def __init__(self, period: int = 14) -> None:
        self.period = bars_in(period, "period", "RSI")
        self._begin(self.period + 1, (0, nan, 0.0, 0.0), period=self.period)

    def _stream(self, seen: int, last: float, gain: float, loss: float) -> Stream:
        period, kept, warmup = float(self.period), self.period - 1.0, self.warmup
        for bar in range(seen, warmup):
            x = yield nan
            if x.__class__ is not float:
                x = self._price(x, bar, last, gain, loss)
            if bar:  # the first has nothing to be compared with
                gain += max(x - last, 0.0)
                loss += max(last - x, 0.0)
            last = x
        if seen < warmup:  # until here they were sums
            gain, loss = gain / period, loss / period
        while True:
            moved = gain + loss
            self.value = value = 100.0 * (gain / moved) if moved else 0.0
            x = yield value
            if x.__class__ is not float:
                x = self._price(x, warmup, last, gain, loss)
            if x > last:
                gain = (gain * kept + (x - last)) / period
                loss = loss * kept / period
            else:
                gain = gain * kept / period
                loss = (loss * kept + (last - x)) / period
            last = x


class Stochastic(StreamingIndicator):
    """The slow stochastic oscillator (George Lane, 1950s).

    The raw %K is `100 * (close - low) / (high - low)` with the highest high and the lowest low of
    the last `k` bars, 0 where they are equal. `value`, also `.k`, is the slow %K, the simple mean
    of the last `smooth` raw ones; `.d` is %D, the simple mean of the last `d` slow ones. The
    parameters are read as `k_period`, `d_period` and `smooth`.

    It needs bars. As in TA-Lib's STOCH (fastk_period=k, slowk_period=smooth, slowd_period=d) both
    lines are NaN until %D is there: for the first `k + smooth + d - 3` bars.
    """

    __slots__ = ("d", "d_period", "k", "k_period", "smooth")
    reads = "bar"

    def __init__(self, k: int = 14, d: int = 3, smooth: int = 3) -> None:
        self.k_period = bars_in(k, "k", "Stochastic")
        self.d_period = bars_in(d, "d", "Stochastic")
        self.smooth = bars_in(smooth, "smooth", "Stochastic")
        self.k = self.d = nan
        parts = (RollingHigh(self.k_period), RollingLow(self.k_period))
        means = (SMA(self.smooth), SMA(self.d_period))
        self._begin(
            self.k_period + self.smooth + self.d_period - 2,
            tuple(part.update for part in (*parts, *means)),
            k=self.k_period,
            d=self.d_period,
            smooth=self.smooth,
        )

    def _stream(self, highest: Update, lowest: Update, slow: Update, slower: Update) -> Stream:
        value = self.value
        while True:
            bar = yield value
            high, low, close = self._prices(bar, highest, lowest, slow, slower)
            top, bottom = highest(high), lowest(low)
            span = top - bottom
            if span != span:  # NaN: fewer than k bars
                continue
            k = slow(100.0 * (close - bottom) / span if span else 0.0)
            if k != k:
                continue
            d = slower(k)
            if d == d:
                self.value = self.k = value = k
                self.d = d
