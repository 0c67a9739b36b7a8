"""Moving averages, simple and exponential, and the difference of two: SMA, EMA, MACD."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from operator import length_hint

from ticklane.core.errors import ConfigError
from ticklane.indicators.stream import Stream, StreamingIndicator, bars_in

LAPS = 128  # bars between two fresh sums; a longer average has them once a lap


class SMA(StreamingIndicator):
    """The simple moving average: the mean of the last `period` closes.

    A number fed stands for the close. NaN for the first `period - 1` bars. Equal to TA-Lib's SMA.
    """

    __slots__ = ("period",)

    def __init__(self, period: int) -> None:
        self.period = bars_in(period, "period", "SMA")
        state = ([nan] * self.period, nan, iter(range(self.period - 1)))
        self._begin(self.period, state, period=self.period)

    def _stream(self, ring: list[float], total: float, places: Iterator[int]) -> Stream:
        size, laps = float(self.period), _laps(self.period)
        # `places` are those after the present one: the first lap, or one that a refusal broke.
        places = iter(laps[-1 - length_hint(places) :])
        while True:
            for place in places:
                self.value = value = total / size
                x = yield value
                if x.__class__ is not float:
                    x = self._price(x, ring, total, places)
                total += x - ring[place]
                ring[place] = x
            # The sum is made anew each time the laps are over: so it turns from NaN to a number
            # when the ring is first full, and rounding never adds up over a long run.
            total = sum(ring)
            places = iter(laps)


class EMA(StreamingIndicator):
    """The exponential moving average: `value += (close - value) * 2 / (period + 1)`.

    It starts from the simple mean of the first `period` closes, as in TA-Lib's EMA. A number fed
    stands for the close. NaN for the first `period - 1` bars.
    """

    __slots__ = ("period",)

    def __init__(self, period: int) -> None:
        self.period = bars_in(period, "period", "EMA")
        self._begin(self.period, (0, 0.0), period=self.period)

    def _stream(self, seen: int, mean: float) -> Stream:
        period, weight = self.period, _weight(self.period)
        for bar in range(seen, period):
            x = yield nan
            if x.__class__ is not float:
                x = self._price(x, bar, mean)
            mean += x
        if seen < period:  # until here it was the sum
            mean /= period
        while True:
            self.value = mean
            x = yield mean
            if x.__class__ is not float:
                x = self._price(x, period, mean)
            mean += (x - mean) * weight


class MACD(StreamingIndicator):
    """Moving average convergence/divergence (Gerald Appel, late 1970s).

    `value` is the line, EMA(fast) - EMA(slow) of the closes; `signal` the EMA of that line;
    `histogram` the line less its signal. The period of the signal, given as `signal`, is read as
    `signal_period`. A number fed stands for the close.

    As in TA-Lib's MACD the fast average is started late, so that the simple means both begin with
    end on the same bar (number `slow`), and all three lines are NaN until the signal is there:
    for the first `slow + signal - 2` bars. Unlike TA-Lib, which swaps them, a `fast` that is not
    smaller than `slow` is refused.
    """

    __slots__ = ("fast", "histogram", "signal", "signal_period", "slow")

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        self.fast = bars_in(fast, "fast", "MACD")
        self.slow = bars_in(slow, "slow", "MACD")
        self.signal_period = bars_in(signal, "signal", "MACD")
        if self.fast >= self.slow:
            raise ConfigError(f"fast of MACD is {fast!r}, but must be below slow, here {slow!r}.")
        self.signal = self.histogram = nan
        named = {"fast": self.fast, "slow": self.slow, "signal": self.signal_period}
        self._begin(self.slow + self.signal_period - 1, (0, 0.0, 0.0, 0.0), **named)

    def _stream(self, seen: int, quick: float, calm: float, signal: float) -> Stream:
        warmup, late, ready = self.warmup, self.slow - self.fast, self.slow - 1
        for bar in range(seen, warmup):
            x = yield nan
            if x.__class__ is not float:
                x = self._price(x, bar, quick, calm, signal)
            calm = _step(calm, x, bar, self.slow)
            if bar >= late:
                quick = _step(quick, x, bar - late, self.fast)
            if bar >= ready:
                signal = _step(signal, quick - calm, bar - ready, self.signal_period)
        quick_weight, calm_weight = _weight(self.fast), _weight(self.slow)
        signal_weight = _weight(self.signal_period)
        while True:
            self.value = line = quick - calm
            self.signal = signal
            self.histogram = line - signal
            x = yield line
            if x.__class__ is not float:
                x = self._price(x, warmup, quick, calm, signal)
            quick += (x - quick) * quick_weight
            calm += (x - calm) * calm_weight
            signal += (quick - calm - signal) * signal_weight


def _laps(size: int) -> tuple[int, ...]:
    """The places of a ring in the order of filling, for one lap or, when short, some laps."""
    return tuple(range(size)) * (LAPS // size if 1 < size < LAPS else 1)


def _weight(period: int) -> float:
    return 2.0 / (period + 1)


def _step(average: float, x: float, seen: int, period: int) -> float:
    """An EMA after one more number; until `period` numbers were seen it is their sum."""
    if seen >= period:
        return average + (x - average) * _weight(period)
    total = average + x
    return total / period if seen == period - 1 else total
