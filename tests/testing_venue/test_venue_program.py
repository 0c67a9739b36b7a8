"""`ticklane venue` as a process of its own, and its control side by HTTP."""

import json
import os
import subprocess
import sys

import pytest
import requests
from venue_clients import a_client, order, raw

from ticklane.core.errors import ConfigError
from ticklane.testing.venue import LocalVenue


def control(venue, name, **given):
    """One request to the control side."""
    answer = requests.post(f"{venue.control_url}/{name}", json=given, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(venue, name):
    return requests.get(f"{venue.control_url}/{name}", timeout=10).json()


class Program:
    """A venue in another process, as LocalVenue tells of itself."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "ticklane", "venue", "--port", "0", "--json", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
        told = json.loads(self.process.stdout.readline())
        self.url, self.control_url = told["url"], told["control_url"]
        self.told = told

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.code = self.process.wait(10)
        self.process.stdout.close()


def test_another_process_serves_until_sigterm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Program("--control", "--cash", "5000") as program:
        control(program, "price", symbol="AAPL", price=100)
        bought = order(a_client(program), qty=10)
        ledger = shown(program, "ledger")

    assert (bought.status, program.code) == ("filled", 0)
    assert [one["order_id"] for one in ledger["executions"]] == [str(bought.id)]
    assert ledger["requests"][0]["method"] == "POST"


def test_a_recorded_feed_makes_prices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = tmp_path / "keys"
    keys.write_text("key:secret\n")
    with Program("--feed", "sample:AAPL", "--speed", "60", "--keys", str(keys)) as program:
        client = a_client(program)
        told = client.get_clock()
        refusal = raw(program, "GET", "/v2/account", headers={})
        has_control = raw(program, "GET", "/control/state").status_code != 404

    assert told.timestamp.year < 2010
    assert (refusal.status_code, program.told["control_url"], has_control) == (401, None, False)


def test_the_greeting_says_how_to_point_alpaca_py_at_it(venue):
    from ticklane.cli.venue import greeting

    text = greeting(venue)

    assert f'TradingClient("key", "secret", url_override="{venue.url}")' in text
    assert f"ALPACA_BASE_URL={venue.url}" in text
    assert f"{venue.control_url}/price" in text


def test_a_port_that_is_taken_is_told(venue):
    with pytest.raises(ConfigError, match=f"port {venue.port} of 127.0.0.1 is not free"):
        LocalVenue(port=venue.port).start()


def test_the_control_side_stays_on_this_machine(capsys):
    from ticklane.cli import main

    assert main(["venue", "--control", "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "--control is for this machine only" in capsys.readouterr().err


# --- the control side -------------------------------------------------------------------------


def test_the_control_side_is_there_only_when_it_was_asked_for():
    with LocalVenue() as venue:
        assert requests.get(f"{venue.control_url}/state", timeout=10).status_code == 401
        assert raw(venue, "POST", "/control/price", json={}).status_code == 404


def test_prices_quotes_bars_and_time_are_scripted(client, venue):
    control(venue, "clock", time="2030-01-02T15:00:00+00:00")
    opens = control(venue, "clock", advance=60)["now_ns"]
    control(venue, "quote", symbol="AAPL", bid=99, ask=101)
    bought = order(client, qty=1)
    prices = {"open": 5, "high": 6, "low": 4, "close": 5.5}
    control(venue, "bar", symbol="IBM", open_ns=opens, close_ns=opens + 60_000_000_000, **prices)

    assert bought.filled_avg_price == "101"
    assert bought.filled_at.isoformat() == "2030-01-02T15:01:00+00:00"
    assert order(client, symbol="IBM", qty=1).filled_avg_price == "5.5"


def test_orders_are_steered(client, venue):
    names = ["filled", "rejected", "expired", "canceled"]
    for name in names:
        order(client, "limit", qty=2, limit_price=90, client_order_id=name)

    part = control(venue, "fill", order="filled", qty=1)
    for do, name in (("fill", names[0]), ("reject", names[1]), ("expire", names[2])):
        control(venue, do, order=name)
    control(venue, "cancel", order="canceled")

    assert part["status"] == "partially_filled"
    found = {one["client_order_id"]: one["status"] for one in shown(venue, "ledger/orders")}
    assert found == {name: name for name in names}


def test_account_activities_and_positions_are_set(client, venue):
    control(venue, "account", trading_blocked=True, daytrade_count=2, buying_power="12.5")
    control(venue, "hold", symbol="MSFT", qty=3, price=400)
    control(venue, "activity", kind="FEE", amount=-1)

    account = client.get_account()

    assert (account.trading_blocked, account.daytrade_count) == (True, 2)
    assert (account.buying_power, account.cash) == ("12.5", "99999")
    assert shown(venue, "state")["positions"] == {"MSFT": "3"}


def test_faults_are_ordered_shown_and_taken_back(venue):
    control(venue, "fault", where="GET /v2/clock", kind="status", status=503, times=2)
    answers = [raw(venue, "GET", "/v2/clock").status_code]
    left = shown(venue, "faults")["ordered"]
    control(venue, "faults/clear")
    answers.append(raw(venue, "GET", "/v2/clock").status_code)

    assert answers == [503, 200]
    assert [(one["kind"], one["struck"]) for one in left] == [("status", 1)]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("fill", {"order": "nobody"}, "the venue has no order 'nobody'"),
        ("fault", {"where": "*", "kind": "magic"}, "kind is 'magic'"),
        ("account", {"colour": 1}, "no flag 'colour'"),
        ("switch", {"is_magic": True}, "switch is 'is_magic'"),
        ("price", {"symbol": "AAPL"}, "price"),
    ],
)
def test_what_cannot_be_is_told(name, given, words, venue):
    answer = requests.post(f"{venue.control_url}/{name}", json=given, timeout=10)

    assert (answer.status_code, words in answer.json()["message"]) == (422, True)
