"""MovingAverageCrossoverStrategy against an oracle that knows neither lane nor indicators.

The oracle works the averages out with pandas or by their definition, and trades at the next open.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lane_builders import a_feed, replayed, run_for, some_bars, tape_of
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, Bars
from ticklane.storage.service import StorageService
from ticklane.strategies.moving_average_crossover import MovingAverageCrossoverStrategy

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "bokeh"


def crossover(**config):
    return MovingAverageCrossoverStrategy({"symbols": "AAPL", "position_size": 10, **config})


def walk(seed, count=1500):
    """A seeded random walk."""
    steps = np.random.default_rng(seed).normal(0, 1, count)
    return some_bars(closes=100 * np.exp(np.cumsum(steps / 100)))


def real_bars(symbol):
    """The raw daily bars of a real share; the test is skipped, by its name, where they are not."""
    file = REAL / f"{symbol}.csv"
    if not file.exists():
        pytest.skip(f"needs ../shared/data/bokeh/{symbol}.csv, which is absent")
    frame = pd.read_csv(file, parse_dates=["Date"])
    opens = frame["Date"].dt.as_unit("ns").astype("int64").to_numpy()
    names = ("Open", "High", "Low", "Close", "Volume")
    return Bars("AAPL", opens, opens + DAY, *(frame[name].to_numpy(float) for name in names))


def simple(closes, period):
    return pd.Series(closes).rolling(period).mean().to_numpy()


def exponential(closes, period):
    """Started with the simple mean of the first `period` closes, as TA-Lib does it."""
    series = pd.Series(closes, dtype=float)
    series.iloc[: period - 1] = np.nan
    series.iloc[period - 1] = np.mean(closes[:period])
    return series.ewm(span=period, adjust=False, ignore_na=True).mean().to_numpy()


def expected_fills(bars, average, fast, slow):
    """(instant, signed quantity, price) of every fill: at the open after the averages crossed."""
    distance = average(bars.close, fast) - average(bars.close, slow)
    distance[np.abs(distance) < 1e-9 * bars.close] = 0  # equal, but for rounding
    held, fills = 0, []
    for row in range(len(bars) - 1):
        wanted = 10 if distance[row] > 0 else 0 if distance[row] < 0 else held
        if wanted != held:
            fills.append((bars.open_ns[row + 1], wanted - held, bars.open[row + 1]))
            held = wanted
    return fills


AVERAGES = {"simple": simple, "exponential": exponential}


@pytest.mark.parametrize(("fast", "slow"), [(10, 30), (1, 2), (5, 100)])
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("seed", [1, 2])
async def test_it_trades_as_the_oracle_on_random_walks(seed, average, fast, slow):
    bars = walk(seed)

    runner = await replayed(crossover(fast=fast, slow=slow, average=average), feed=a_feed(bars))

    found = [(fill.filled_ns, fill.quantity, float(fill.price)) for fill in tape_of(runner).fills]
    assert found == expected_fills(bars, AVERAGES[average], fast, slow)
    assert len(found) > 10


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("symbol", ["AAPL", "IBM", "MSFT"])
async def test_it_trades_as_the_oracle_on_real_prices(symbol, average):
    bars = real_bars(symbol)

    runner = await replayed(
        crossover(average=average), feed=a_feed(bars, timeframe=DAY), broker=ReplayBroker(10**6)
    )

    found = [(fill.filled_ns, fill.quantity, float(fill.price)) for fill in tape_of(runner).fills]
    assert found == expected_fills(bars, AVERAGES[average], 10, 30)
    assert len(found) > 50


async def test_each_symbol_crosses_for_itself():
    falling = some_bars(closes=np.arange(100.0, 60.0, -1))
    rising = some_bars(40, "IBM")

    strategy = crossover(symbols=["AAPL", "IBM"], fast=2, slow=4)
    runner = await replayed(strategy, feed=a_feed(falling, rising))

    assert [(fill.symbol, fill.quantity) for fill in tape_of(runner).fills] == [("IBM", 10)]


async def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path):
    bars, fills = walk(3, 400), []
    for ticks in (150, 250):
        storage, strategy = StorageService(tmp_path / "runs.db"), crossover(fast=2, slow=5)
        runner = await run_for(ticks, strategy, series=[bars], storage=storage)
        fills += tape_of(runner).fills

    found = [(fill.filled_ns, fill.quantity, float(fill.price)) for fill in fills]
    assert found == expected_fills(bars, simple, 2, 5)
    assert len(found) > 20


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"fast": 30, "slow": 30},
            "the parameters of MovingAverageCrossoverStrategy do not fit together: "
            "fast (30) must be below slow (30).",
        ),
        (
            {"average": "weighted"},
            "average of MovingAverageCrossoverStrategy is 'weighted', but must be 'simple' or "
            "'exponential'.",
        ),
        (
            {"position_size": 0},
            "position_size of MovingAverageCrossoverStrategy is 0, but must be greater than 0.",
        ),
    ],
)
def test_parameters_that_make_no_sense_are_refused(config, sentence):
    with pytest.raises(ConfigError) as refused:
        crossover(**config)

    assert str(refused.value) == sentence
