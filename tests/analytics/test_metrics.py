"""Metrics: equal to empyrical on real and made series, and right by hand where it has none."""

import csv
import json
import math
from decimal import Decimal

import empyrical
import numpy as np
import pytest
from analytics_builders import SHARED, a_fill, booked

from ticklane.analytics.metrics import compute_metrics, drawdowns, guess_days_per_year, utc_days
from ticklane.core.market import DAY, HOUR, MINUTE, to_datetime

ORACLE = {
    "total_return": empyrical.cum_returns_final,
    "annualised_return": empyrical.annual_return,
    "volatility": empyrical.annual_volatility,
    "sharpe": empyrical.sharpe_ratio,
    "sortino": empyrical.sortino_ratio,
    "calmar": empyrical.calmar_ratio,
    "max_drawdown": empyrical.max_drawdown,
}
MONDAY = 4 * DAY  # 1970-01-05
CASH = Decimal(1000)


def measured(equity, *, cash=CASH, first=MONDAY + DAY, step=DAY, trades=(), fills=(), **more):
    """Metrics of a curve with one point a step; by default the closes of whole UTC days."""
    equity = np.array(equity, float)
    close_ns = first + step * np.arange(len(equity))
    exposed = more.pop("exposed", np.zeros(len(equity), bool))
    times = close_ns.view("datetime64[ns]")
    return compute_metrics(times, equity, exposed, cash, trades, fills, **more)


def assert_equals_empyrical(equity, cash, days_per_year):
    metrics = measured(equity, cash=Decimal(repr(cash)), days_per_year=days_per_year)
    levels = np.concatenate(([cash], equity))
    returns = levels[1:] / levels[:-1] - 1
    for name, of in ORACLE.items():
        options = (
            {} if name in ("total_return", "max_drawdown") else {"annualization": days_per_year}
        )
        expected = of(returns, **options)
        assert getattr(metrics, name) == pytest.approx(expected, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("days_per_year", [252, 365])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_of_a_seeded_walk_equal_empyrical(seed, days_per_year):
    moves = np.random.default_rng(seed).normal(0.0003, 0.012, 1500)

    assert_equals_empyrical(1e5 * np.cumprod(1 + moves), 1e5, days_per_year)


def column_of(path, name):
    if not path.exists():
        pytest.skip(f"needs {path.parent.name}/{path.name} of ../shared/data")
    with path.open(newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file) if row[name]])


@pytest.mark.parametrize("symbol", ["AAPL", "AMD", "BAC", "GE", "META", "BABA", "XOM"])
def test_metrics_of_real_stock_prices_equal_empyrical(symbol):
    prices = column_of(SHARED / "pyportfolioopt" / "stock_prices.csv", symbol)

    assert_equals_empyrical(prices[1:], float(prices[0]), 252)


def test_metrics_of_the_spy_benchmark_equal_empyrical():
    returns = column_of(SHARED / "zipline-reloaded" / "SPY_benchmark.csv", "return")

    assert_equals_empyrical(1e5 * np.cumprod(1 + returns), 1e5, 252)


@pytest.mark.parametrize("name", ["binance_btcusdt_day_2020.csv", "bitstamp_btcusd_day_2015.csv"])
def test_metrics_of_real_bitcoin_prices_equal_empyrical(name):
    prices = column_of(SHARED / "basana" / name, "close")

    assert_equals_empyrical(prices[1:], float(prices[0]), 365)


def test_the_first_return_is_measured_from_the_starting_cash():
    metrics = measured([1100, 1210])

    assert metrics.total_return == pytest.approx(0.21)
    assert metrics.days == 2
    assert metrics.annualised_return == pytest.approx(1.1**252 - 1)


def test_the_last_equity_of_each_day_counts_and_midnight_belongs_to_the_day_that_ends():
    hourly = [1010] * 23 + [1100] + [900] * 12  # 1100 stands at the midnight that ends Monday

    metrics = measured(hourly, first=MONDAY + HOUR, step=HOUR)

    assert metrics.days == 2
    assert metrics.max_drawdown == pytest.approx(900 / 1100 - 1)


def test_the_drawdown_within_a_day_is_told_apart_from_that_of_day_ends():
    metrics = measured([1000, 500, 1000], first=MONDAY + HOUR, step=HOUR)

    assert metrics.max_drawdown == 0
    assert metrics.max_drawdown_intraday == -0.5


def test_a_caller_may_say_which_session_day_a_close_belongs_to():
    two_sessions = [1000, 1000, 900, 1000]

    by_utc_day = measured(two_sessions, first=MONDAY + HOUR, step=HOUR)
    by_session = measured(
        two_sessions, first=MONDAY + HOUR, step=HOUR, day_of=lambda ns: ns // (2 * HOUR)
    )

    assert (by_utc_day.days, by_session.days) == (1, 3)
    assert by_session.max_drawdown == pytest.approx(-0.1)


def test_a_year_has_252_days_unless_a_close_falls_on_a_weekend():
    assert measured([1000] * 5).days_per_year == 252
    assert measured([1000] * 6).days_per_year == 365
    assert measured([1000] * 6, days_per_year=252).days_per_year == 252
    assert guess_days_per_year(np.empty(0, np.int64)) == 252


def test_a_daily_bar_of_friday_that_closes_at_midnight_is_no_weekend_bar():
    friday = np.array([MONDAY + 5 * DAY])

    assert utc_days(friday).tolist() == [8]
    assert guess_days_per_year(friday) == 252
    assert guess_days_per_year(friday + MINUTE) == 365


def test_the_drawdown_lasts_from_its_peak_to_the_recovery():
    metrics = measured([1100, 990, 1050, 1100, 1200, 1190])

    assert metrics.max_drawdown == pytest.approx(-0.1)
    assert metrics.max_drawdown_days == 3
    assert metrics.drawdown_peak_at == to_datetime(MONDAY + DAY)
    assert metrics.drawdown_bottom_at == to_datetime(MONDAY + 2 * DAY)
    assert metrics.drawdown_recovered_at == to_datetime(MONDAY + 4 * DAY)


def test_a_drawdown_that_is_not_recovered_lasts_to_the_end():
    metrics = measured([900, 950, 940])

    assert metrics.max_drawdown == pytest.approx(-0.1)
    assert metrics.drawdown_peak_at == metrics.start
    assert metrics.drawdown_recovered_at is None
    assert metrics.max_drawdown_days == 2


def test_a_run_that_never_falls_has_a_drawdown_of_zero_and_no_calmar():
    metrics = measured([1000, 1001, 1002])

    assert (metrics.max_drawdown, metrics.max_drawdown_days) == (0, 0)
    assert math.isnan(metrics.calmar)
    assert math.isnan(metrics.sortino)


def test_trade_figures_count_closed_trades_after_fees():
    fills = [
        a_fill(10, 10, seen=1, fee=1),
        a_fill(-10, 13, seen=11, fee=1),  # +28
        a_fill(-10, 13, seen=21, fee=1),
        a_fill(10, 14, seen=31, fee=1),  # -12
        a_fill(1, 14, seen=41),
    ]

    metrics = measured([1000, 1010], trades=booked(fills, 15), fills=fills)

    assert (metrics.trades, metrics.open_trades) == (2, 1)
    assert metrics.win_rate == 0.5
    assert metrics.profit_factor == pytest.approx(28 / 12)
    assert metrics.expectancy == 8
    assert (metrics.best_trade, metrics.worst_trade) == (28, -12)
    assert metrics.average_trade_days == pytest.approx(10 / 1440)
    assert metrics.fees == 4


def test_turnover_is_traded_value_over_mean_equity_and_exposure_the_share_of_points():
    fills = [a_fill(10, 10, seen=1), a_fill(-10, 12, seen=3)]

    metrics = measured([1000, 1200], fills=fills, exposed=np.array([True, False]))

    assert metrics.turnover == pytest.approx(220 / 1100)
    assert metrics.exposure == 0.5


def test_a_fee_in_a_coin_counts_at_the_price_of_its_fill():
    fills = [a_fill(1, 200, seen=1, fee="0.01", fee_asset="AAA")]

    assert measured([1000], fills=fills).fees == 2


def test_what_is_undefined_is_nan_and_null_in_json():
    metrics = measured([])

    assert math.isnan(metrics.sharpe)
    assert math.isnan(metrics.total_return)
    shown = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert shown["sharpe"] is shown["win_rate"] is shown["start"] is None
    assert (shown["final_equity"], shown["trades"], shown["days"]) == (1000, 0, 0)


def test_instants_are_iso_text_in_json():
    shown = measured([1000]).to_dict()

    assert shown["start"] == "1970-01-06T00:00:00+00:00"


def test_one_day_has_a_return_but_no_deviation():
    metrics = measured([1010])

    assert metrics.total_return == pytest.approx(0.01)
    assert math.isnan(metrics.volatility)
    assert math.isnan(metrics.sharpe)


def test_a_lost_account_has_lost_everything_and_returns_after_it_are_undefined():
    lost = measured([500, 0, 0])
    in_debt = measured([500, -10, -20])

    assert (lost.total_return, lost.annualised_return, lost.max_drawdown) == (-1, -1, -1)
    assert math.isnan(lost.volatility)
    assert in_debt.total_return == pytest.approx(-1.02)
    assert math.isnan(in_debt.annualised_return)
    assert math.isnan(measured([-5, -6]).turnover)


def test_a_return_too_large_to_annualise_is_null_in_json():
    metrics = measured([1e9])

    assert metrics.annualised_return == math.inf
    assert metrics.to_dict()["annualised_return"] is None


def test_an_account_without_cash_has_no_returns():
    metrics = measured([0, 10], cash=Decimal(0))

    assert math.isnan(metrics.total_return)
    assert math.isnan(metrics.max_drawdown)
    assert math.isnan(metrics.max_drawdown_days)


def test_drawdowns_take_the_starting_cash_as_the_first_peak():
    assert drawdowns(np.array([900.0, 1000, 1100, 550]), 1000.0).tolist() == pytest.approx(
        [-0.1, 0, 0, -0.5]
    )
    assert len(drawdowns(np.empty(0), 1000.0)) == 0
