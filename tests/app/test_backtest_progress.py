"""The progress of a backtest: a bar in the terminal on long runs, however few bars they have."""

import itertools

import pytest

from ticklane.app.backtest import _progress_bar, backtest
from ticklane.core.market import MINUTE, Timeframe
from ticklane.data.feeds import ReplayFeed
from ticklane.data.files import load_bars
from ticklane.strategies.buy_and_hold import BuyAndHoldStrategy


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes anything for a terminal


def replayed(seconds_a_look):
    """Take the ticks of a year of daily bars, with a bar, while a clock goes on at each look."""
    bars, _ = load_bars("sample:AAPL")
    year = {"AAPL": bars["AAPL"].between(0, 252)}
    feed = ReplayFeed(year, Timeframe(MINUTE), clock=lambda: 0.0)
    with _progress_bar(feed, clock=itertools.count(0, seconds_a_look).__next__):
        assert len(list(feed.ticks())) == 252


def test_a_slow_run_shows_a_bar_however_short_it_is(capsys):
    replayed(seconds_a_look=1.1)

    assert "replay" in capsys.readouterr().err


def test_a_quick_run_shows_nothing(capsys):
    replayed(seconds_a_look=0.1)

    assert capsys.readouterr().err == ""


def test_nothing_is_shown_for_what_is_over_already(capsys):
    replayed(seconds_a_look=0.19)  # the second is over at the last of six blocks

    assert capsys.readouterr().err == ""


def test_a_function_is_told_how_far_it_is(capsys):
    told = []

    backtest(
        BuyAndHoldStrategy({"symbols": ["AAPL"]}),
        "sample:AAPL",
        progress=lambda done, total: told.append((done, total)),
    )

    assert told[0][0] <= 64
    assert told[-1][0] == told[-1][1]
    assert capsys.readouterr().err == ""
