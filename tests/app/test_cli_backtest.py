"""`ticklane backtest`: what is asked for, what is written, and how it ends."""

import json

import pytest
from cli_builders import the_error_in, write_bars


def fills_of(said):
    return json.loads(said.out)["fills"]


def test_a_strategy_of_ones_own_trades_the_symbol_of_the_file(tl, bars, strategies):
    said = tl("backtest", "mine.py:Mine", "--data", "X.csv", "--json")

    assert (said.code, said.err) == (0, "")
    assert [(f["symbol"], f["quantity"], f["price"]) for f in fills_of(said)] == [
        ("X", "10", "101"),
        ("X", "-10", "104"),
    ]


def test_the_summary_names_symbol_period_and_result(tl, bars, strategies):
    said = tl("backtest", "mine.py:Mine", "--data", "X.csv", "--cash", "5000")

    assert said.code == 0
    assert "Symbols     X" in said.out
    assert "5,000.00 -> 5,030.00" in said.out
    assert "1 closed, 0 open" in said.out


@pytest.mark.parametrize(
    "spec", ["buy_and_hold", "ticklane.strategies.buy_and_hold:BuyAndHoldStrategy"]
)
def test_built_in_names_and_modules_are_found(tl, spec):
    said = tl("backtest", spec, "--data", "sample:AAPL", "--from", "2012-01-01")

    assert said.code == 0
    assert "AAPL  [adjusted prices]" in said.out
    assert "Period      2012-01-" in said.out


def test_every_symbol_of_the_data_is_traded_unless_some_are_named(tl, folder, strategies):
    write_bars(folder / "A.csv")
    write_bars(folder / "B.csv")

    both = tl("backtest", "mine.py:Mine", "--data", ".", "--json")
    one = tl("backtest", "mine.py:Mine", "--data", ".", "--symbol", "B", "--json")

    assert {fill["symbol"] for fill in fills_of(both)} == {"A", "B"}
    assert {fill["symbol"] for fill in fills_of(one)} == {"B"}


def test_a_symbol_names_a_file_that_has_another_name(tl, bars, strategies):
    said = tl("backtest", "mine.py:Mine", "--data", "X.csv", "--symbol", "BTC/USD", "--json")

    assert {fill["symbol"] for fill in fills_of(said)} == {"BTC/USD"}


def test_parameters_costs_and_slippage_are_taken(tl, bars, strategies):
    said = tl(
        *("backtest", "mine.py:Mine", "--data", "X.csv", "--json", "--param", "size=3"),
        *("--costs", "per_order=1,rate=0.001", "--slippage", "fixed=0.5"),
    )

    first = fills_of(said)[0]
    assert (first["quantity"], first["price"], first["fee"]) == ("3", "101.5", "1")


def test_short_sales_are_permitted_only_on_demand(tl, bars, folder):
    (folder / "short.py").write_text(
        "from ticklane import StrategyInterface\n"
        "class Short(StrategyInterface):\n"
        "    def on_tick(self, market_data):\n"
        "        return {'symbol': 'X', 'signal': 'SELL', 'quantity': 1}\n"
    )

    refused = tl("backtest", "short.py", "--data", "X.csv", "--json")
    permitted = tl("backtest", "short.py", "--data", "X.csv", "--json", "--short")

    assert fills_of(refused) == []
    assert {order["reason_code"] for order in json.loads(refused.out)["orders"]} == {
        "short_not_allowed"
    }
    assert len(fills_of(permitted)) == 11


def test_dates_bound_the_trading(tl, bars, strategies):
    said = tl(
        *("backtest", "mine.py:Mine", "--data", "X.csv", "--json"),
        *("--from", "2024-01-03", "--to", "2024-01-08"),
    )

    told = json.loads(said.out)
    assert told["metrics"]["start"].startswith("2024-01-04")
    assert [fill["filled_at"][:10] for fill in told["fills"]] == ["2024-01-04", "2024-01-07"]


def test_an_interval_asks_less_often(tl, bars, strategies):
    said = tl("backtest", "mine.py:Mine", "--data", "X.csv", "--json", "--interval", "2d")

    assert json.loads(said.out)["strategies"][0]["ticks"] == 6


def test_report_and_results_are_written_where_asked(tl, bars, strategies, folder):
    said = tl(
        *("backtest", "mine.py:Mine", "--data", "X.csv"),
        *("--report", "out/report.html", "--save", "saved"),
    )

    assert said.code == 0
    assert said.out.splitlines()[-3:] == [
        "Written  out/report.html",
        "Written  out/report.png",
        "Written  saved",
    ]
    assert "<html" in (folder / "out" / "report.html").read_text()
    assert {file.name for file in (folder / "saved").iterdir()} >= {"result.json", "fills.csv"}


def test_ctrl_c_gives_the_result_so_far_and_130(tl, bars, strategies):
    said = tl("backtest", "mine.py:Interrupted", "--data", "X.csv", "--json")

    assert said.code == 130
    assert json.loads(said.out)["is_partial"] is True


def test_a_strategy_that_was_parked_is_a_failure(tl, bars, strategies):
    said = tl("backtest", "mine.py:Failing", "--data", "X.csv")

    assert said.code == 1
    assert "parked after 3 faults: ValueError: no idea" in said.out
    last = said.err.splitlines()[-1]
    assert last == "Error: Failing was parked after 3 faults, the last: ValueError: no idea."


def test_a_span_without_bars_is_refused(tl, bars):
    said = tl("backtest", "buy_and_hold", "--data", "X.csv", "--from", "2030-01-01")

    assert the_error_in(said) == (
        "no bar is left for BuyAndHoldStrategy to trade on: those in X.csv closed from 2024-01-02 "
        "to 2024-01-13; choose other dates with --from and --to."
    )
