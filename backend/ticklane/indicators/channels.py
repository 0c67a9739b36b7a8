"""The range of prices: ATR, BollingerBands, RollingHigh, RollingLow."""

from __future__ import annotations

from math import inf, isfinite, nan, sqrt
from operator import mul
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.indicators.stream import Stream, StreamingIndicator, as_number, bars_in


class ATR(StreamingIndicator):
    """The average true range (Wilder, New Concepts in Technical Trading Systems, 1978).

    The true range of a bar is `max(high, last close) - min(low, last close)`. The average starts
    from the mean of the first `period` true ranges, then
    `average = (average * (period - 1) + true range) / period`. It needs bars; the first has no
    last close, so the value is NaN for the first `period` bars. Equal to TA-Lib's ATR.
    """

    __slots__ = ("period",)
    reads = "bar"

    def __init__(self, period: int = 14) -> None:
        self.period = bars_in(period, "period", "ATR")
        self._begin(self.period + 1, (0, nan, 0.0), period=self.period)

    def _stream(self, seen: int, last: float, mean: float) -> Stream:
        period, kept, warmup = float(self.period), self.period - 1.0, self.warmup
        for count in range(seen, warmup):
            bar = yield nan
            high, low, close = self._prices(bar, count, last, mean)
            if count:
                mean += max(high, last) - min(low, last)
            last = close
        if seen < warmup:  # until here it was the sum
            mean /= period
        while True:
            self.value = mean
            bar = yield mean
            high, low, close = self._prices(bar, warmup, last, mean)
            top = high if high > last else last
            bottom = low if low < last else last
            mean = (mean * kept + (top - bottom)) / period
            last = close


class BollingerBands(StreamingIndicator):
    """Bollinger bands (John Bollinger, Bollinger on Bollinger Bands, 2001).

    `value` is the middle band, the simple mean of the last `period` closes; `.upper` and `.lower`
    lie `deviations` standard deviations above and below it. The deviation is that of the
    population (divided by `period`), as in Bollinger's book and in TA-Lib's BBANDS. A number fed
    stands for the close. All three lines are NaN for the first `period - 1` bars.

    The squares are kept about the moving mean (Welford, Technometrics 4, 1962, with the oldest
    number leaving as the newest comes): a running sum of squared prices, less the squared mean,
    would lose all digits of a small deviation.
    """

    __slots__ = ("deviations", "lower", "period", "upper")

    def __init__(self, period: int = 20, deviations: float = 2.0) -> None:
        self.period = bars_in(period, "period", "BollingerBands")
        self.deviations = _deviations(deviations)
        self.upper = self.lower = nan
        state = ([nan] * self.period, 0, nan, nan, nan)
        self._begin(self.period, state, period=self.period, deviations=self.deviations)

    def _stream(
        self, ring: list[float], start: int, mean: float, squares: float, peak: float
    ) -> Stream:
        size, deviations = self.period, self.deviations
        while True:
            for place in range(start, size):
                width = deviations * sqrt(squares / size)
                self.value = mean
                self.upper = mean + width
                self.lower = mean - width
                x = yield mean
                if x.__class__ is not float:
                    x = self._price(x, ring, place, mean, squares, peak)
                oldest = ring[place]
                ring[place] = x
                change, before = x - oldest, mean
                mean += change / size
                squares += change * (x - mean + oldest - before)
                if squares > peak:
                    peak = squares
                elif squares < 1e-6 * peak:  # a spike has left, and only its rounding stays
                    mean, squares = _moments(ring)
                    peak = squares
            mean, squares = _moments(ring)
            start, peak = 0, squares


class RollingHigh(StreamingIndicator):
    """The highest high of the last `period` bars, the newest included.

    A number fed stands for the high. NaN for the first `period - 1` bars. Equal to TA-Lib's MAX
    of the highs.

    The bars go into blocks of `period` (van Herk, Pattern Recognition Letters 13, 1992): the
    window is the beginning of this block and the rest of the one before, whose maxima were
    gathered once, from its end, when it was full. O(1) a bar on average, whatever the prices do.
    """

    __slots__ = ("period",)
    reads = "high"

    def __init__(self, period: int) -> None:
        self.period = bars_in(period, "period", "RollingHigh")
        # rests[place] is the highest of the block before after that place; NaN: there is none.
        rests = [nan] * (self.period - 1) + [-inf]
        self._begin(self.period, ([nan] * self.period, rests, 0, -inf), period=self.period)

    def _stream(self, block: list[float], rests: list[float], start: int, top: float) -> Stream:
        period, value = self.period, self.value
        while True:
            for place in range(start, period):
                x = yield value
                if x.__class__ is not float:
                    x = self._price(x, block, rests, place, top)
                block[place] = x
                if x > top:
                    top = x
                rest = rests[place]
                self.value = value = top if top > rest else rest
            start, top = 0, -inf
            for place in range(period - 1, 0, -1):
                if block[place] > top:
                    top = block[place]
                rests[place - 1] = top
            top = -inf


class RollingLow(StreamingIndicator):
    """The lowest low of the last `period` bars, the newest included.

    A number fed stands for the low. NaN for the first `period - 1` bars. Equal to TA-Lib's MIN of
    the lows. The mirror of RollingHigh, written out because a shared loop costs more a bar.
    """

    __slots__ = ("period",)
    reads = "low"

    def __init__(self, period: int) -> None:
        self.period = bars_in(period, "period", "RollingLow")
        rests = [nan] * (self.period - 1) + [inf]
        self._begin(self.period, ([nan] * self.period, rests, 0, inf), period=self.period)

    def _stream(self, block: list[float], rests: list[float], start: int, bottom: float) -> Stream:
        period, value = self.period, self.value
        while True:
            for place in range(start, period):
                x = yield value
                if x.__class__ is not float:
                    x = self._price(x, block, rests, place, bottom)
                block[place] = x
                if x < bottom:
                    bottom = x
                rest = rests[place]
                self.value = value = bottom if bottom < rest else rest
            start, bottom = 0, inf
            for place in range(period - 1, 0, -1):
                if block[place] < bottom:
                    bottom = block[place]
                rests[place - 1] = bottom
            bottom = inf


def _moments(numbers: list[float]) -> tuple[float, float]:
    """The mean, and the sum of the squared distances from it."""
    mean = sum(numbers) / len(numbers)
    distances = [number - mean for number in numbers]
    return mean, sum(map(mul, distances, distances))


def _deviations(given: Any) -> float:
    number = as_number(given)
    if number is None or not isfinite(number) or number <= 0:
        raise ConfigError(
            f"deviations of BollingerBands is {given!r}, but must be a finite number above 0."
        )
    return number
