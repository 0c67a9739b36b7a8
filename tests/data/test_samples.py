"""The sample bars: whole, adjusted, and the same as their source says."""

import numpy as np
import pandas as pd
import pytest
from data_builders import at, shared

from ticklane.core.errors import DataError
from ticklane.data.calendars import calendar_of
from ticklane.data.files import SAMPLES, load_bars, sample_names

NAMES = ("AAPL", "IBM", "MSFT")


def table(name):
    return pd.read_csv(SAMPLES / f"{name}.csv.gz")


def test_the_samples_are_three_stocks_of_thirteen_years():
    assert sample_names() == NAMES

    bars, timeframe = load_bars("sample:AAPL,IBM,MSFT")

    assert list(bars) == list(NAMES)
    assert [len(series) for series in bars.values()] == [3270, 3270, 3270]
    assert str(timeframe) == "1d"
    for series in bars.values():
        assert series.open_ns[0] == at(2000, 3, 1)
        assert series.close_ns[-1] == at(2013, 3, 2)


def test_a_sample_is_found_in_any_case_and_may_be_picked():
    assert list(load_bars("sample:aapl")[0]) == ["AAPL"]
    assert list(load_bars("sample:AAPL, IBM", symbol="IBM")[0]) == ["IBM"]


@pytest.mark.parametrize("name", ["TSLA", "", "AAPL,TSLA", "*"])
def test_an_unknown_sample_is_refused_with_those_there_are(name):
    with pytest.raises(DataError, match=r"There is no sample '.*'; the samples are AAPL, I"):
        load_bars(f"sample:{name}")


def test_with_a_calendar_the_bars_are_the_sessions_of_new_york():
    bars, _ = load_bars("sample:AAPL", calendar=calendar_of("XNYS"))
    series = bars["AAPL"]

    sessions = calendar_of("XNYS").sessions_between(at(2000, 3, 1), at(2013, 3, 2))

    assert [session.open_ns for session in sessions] == series.open_ns.tolist()
    assert [session.close_ns for session in sessions] == series.close_ns.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_prices_are_adjusted_by_one_factor_a_day(name):
    rows = table(name)
    factor = rows["adj_close"] / rows["raw_close"]

    for price in ("open", "high", "low", "close"):
        expected = rows[f"raw_{price}"] * factor
        np.testing.assert_allclose(rows[price], expected, rtol=0, atol=0.000_051)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_four_prices_survived_the_rounding(name):
    rows = table(name)

    assert (rows["low"] <= rows[["open", "close"]].min(axis=1)).all()
    assert (rows["high"] >= rows[["open", "close"]].max(axis=1)).all()


def test_raw_prices_show_the_split_and_adjusted_ones_do_not():
    span = {"start": "2005-02-25", "end": "2005-02-28"}
    raw = load_bars("sample:AAPL", adjusted=False, **span)[0]["AAPL"]
    adjusted = load_bars("sample:AAPL", **span)[0]["AAPL"]

    assert raw.close.tolist() == [88.99, 44.86]
    assert adjusted.close[1] / adjusted.close[0] == pytest.approx(2 * 44.86 / 88.99, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_older_export_of_another_vendor_has_the_same_days_and_nearly_the_same_prices(name):
    older = pd.read_csv(shared(f"bokeh/{name}.csv"))
    rows = table(name)

    difference = (rows["raw_close"] / older["Close"] - 1).abs()

    assert rows["date"].tolist() == older["Date"].tolist()
    assert difference.max() < 0.024
    assert (difference < 1e-6).mean() > 0.95


def test_the_source_is_noted_beside_the_samples():
    text = (SAMPLES / "SOURCE.md").read_text()

    for words in ("public domain", "bokeh_sampledata", "2026.1", "make_samples.py", "adjusted"):
        assert words in text
