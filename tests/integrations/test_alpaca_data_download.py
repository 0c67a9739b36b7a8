"""`ticklane download` against the local venue, and a backtest on what it fetched."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from data_builders_alpaca import KEYS, a_market

from ticklane.app.backtest import backtest
from ticklane.cli import main
from ticklane.strategies.buy_and_hold import BuyAndHoldStrategy

DAYS = ("--from", "2026-01-05", "--to", "2026-01-06")


@pytest.fixture(scope="module")
def market():
    with a_market(keys=KEYS) as venue:
        yield venue


@pytest.fixture
def venue(market, tmp_path, monkeypatch):
    """The venue, with its address and keys in the environment of an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALPACA_API_KEY", KEYS[0])
    monkeypatch.setenv("ALPACA_API_SECRET", KEYS[1])
    monkeypatch.setenv("ALPACA_BASE_URL", market.url)
    market.ledger.requests.clear()
    yield market
    market.clear_faults()


@pytest.fixture
def ticklane(venue, capsys):
    """Runs a command; returns exit code, stdout and stderr, in which no key may stand."""

    def run(*arguments):
        code = main(list(arguments))
        out, err = capsys.readouterr()
        assert KEYS[1] not in out + err
        return code, out, err

    return run


def until(condition, seconds=60):
    """Wait for something another process does."""
    never, begin = threading.Event(), time.monotonic()
    while not condition():
        assert time.monotonic() < begin + seconds
        never.wait(0.02)


def test_bars_are_downloaded_and_traded_on(ticklane):
    code, out, _ = ticklane("download", "AAPL", "BTCUSD", *DAYS)
    assert code == 0
    assert "AAPL@1m-raw-iex: 2,880 bars fetched." in out

    code, out, _ = ticklane("backtest", "buy_and_hold", "--data", "catalog:AAPL,BTC/USD", "--json")

    assert code == 0
    assert {fill["symbol"] for fill in json.loads(out)["fills"]} == {"AAPL", "BTC/USD"}


def test_what_is_here_is_not_asked_for_again(ticklane, venue):
    ticklane("download", "AAPL", *DAYS)
    venue.fault("GET /v2/stocks/bars", "status", status=500, times=None)

    code, out, _ = ticklane("download", "AAPL", *DAYS)

    assert (code, "all of it was here already" in out) == (0, True)


def test_a_mapping_may_name_the_catalog_for_each_symbol(ticklane):
    ticklane("download", "AAPL,BTC/USD", *DAYS)
    strategy = BuyAndHoldStrategy({"symbols": ["AAPL", "BTCUSD"]})

    result = backtest(strategy, {"AAPL": "catalog:AAPL", "BTCUSD": "catalog:BTC/USD"})

    assert {fill.symbol for fill in result.fills} == {"AAPL", "BTCUSD"}


def test_as_json_it_says_what_was_fetched(ticklane):
    code, out, _ = ticklane("download", "MSFT", *DAYS, "--timeframe", "1h", "--json")

    assert code == 0
    assert json.loads(out) == [
        {
            "series": "MSFT@1h-raw-iex",
            "symbol": "MSFT",
            "timeframe": "1h",
            "bars_fetched": 48,
            "bars_left_out": 0,
            "requests": 1,
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("AAPPL", *DAYS), "Alpaca has no bars of AAPPL from 2026-01-05 to 2026-01-06; check"),
        (("A$L", *DAYS), "symbol is 'A$L', but must be letters and digits"),
        (("AAPL", *DAYS, "--timeframe", "10s"), "whole minutes"),
        (("AAPL", *DAYS, "--adjustment", "none"), "--adjustment is 'none', but must be one of"),
        (("AAPL", *DAYS, "--feed", "nyse"), "--feed is 'nyse', but must be one of"),
        (("AAPL", "--from", "2026-01-06", "--to", "2026-01-05"), "is not before --to 2026-01-05"),
        (("AAPL", "--from", "2026-01-06", "--to", "2199-01-05"), "which is in the future"),
        (("AAPL", "--from", "2199-01-05"), "which is in the future"),
        (("AAPL", "--from", "yesterday"), "--from is 'yesterday', but must be a date"),
        (("AAPL",), "download needs --days-back, such as 30, or --from"),
        (("AAPL", "--days-back", "1", "--feed", "sip"), "has no subscription"),
    ],
)
def test_what_cannot_be_downloaded_is_refused_in_one_sentence(ticklane, arguments, sentence):
    code, out, err = ticklane("download", *arguments)

    assert (code, out) == (1, "")
    assert sentence in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


def test_wrong_keys_are_refused_in_one_sentence(ticklane, monkeypatch):
    monkeypatch.setenv("ALPACA_API_SECRET", "another-secret")

    code, _, err = ticklane("download", "AAPL", *DAYS)

    assert code == 1
    assert "check ALPACA_API_KEY and ALPACA_API_SECRET" in err
    assert "another-secret" not in err


def test_without_pyarrow_it_says_how_to_get_it(ticklane, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    code, _, err = ticklane("download", "AAPL", *DAYS)

    assert (code, "pip install ticklane[parquet]" in err) == (1, True)


def test_a_catalog_without_the_symbol_says_how_to_fetch_it(ticklane):
    code, _, err = ticklane("backtest", "buy_and_hold", "--data", "catalog:AAPL")

    assert (code, "ticklane download AAPL --from" in err) == (1, True)


def test_ctrl_c_keeps_what_is_complete_and_the_next_call_goes_on(venue, tmp_path):
    days = ("--from", "2025-10-01", "--to", "2025-12-31")  # three files
    command = [sys.executable, "-m", "ticklane", "download", "AAPL", *days, "--timeframe", "1h"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    venue.fault("GET /v2/stocks/bars", "hang", skip=2, times=None)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: venue.do(lambda: venue.faults.history))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)  # it does not wait for the answer
    venue.clear_faults()

    code = process.returncode
    here = sorted(path.name for path in tmp_path.rglob("*.parquet"))
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)

    assert (code, here) == (130, ["2025-10.parquet", "2025-11.parquet"])
    assert err.decode().startswith("Stopped; what is complete is kept")
    assert f"{31 * 24:,} bars fetched" in again.stdout.decode()
