"""From settings to a wired runner: what each form of a setting becomes, and what is refused."""

from decimal import Decimal

import pytest
from cli_builders import write_bars

from ticklane.app.build import (
    build_runner,
    feed_symbols,
    read_costs,
    read_duration,
    read_slippage,
)
from ticklane.app.settings import load_settings
from ticklane.core.costs import (
    FixedSlippage,
    HalfSpreadSlippage,
    PercentCosts,
    PercentSlippage,
    PerOrderCosts,
    PerShareCosts,
    VolumeShareSlippage,
)
from ticklane.core.errors import ConfigError, DataError
from ticklane.data.feeds import ReplayFeed, SimulatedFeed

HOLD = {"strategy": "buy_and_hold", "symbols": ["X"]}


@pytest.fixture(autouse=True)
def _at_home(folder):
    """Every test begins in an empty folder without our variables."""


def built(**settings):
    return build_runner(load_settings(strategy=[HOLD], **settings))


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, None),
        ({"per_share": Decimal("0.005")}, PerShareCosts(Decimal("0.005"))),
        ({"per_order": Decimal(1)}, PerOrderCosts(Decimal(1))),
        (
            {"per_order": Decimal(1), "rate": Decimal("0.1")},
            PerOrderCosts(Decimal(1), Decimal("0.1")),
        ),
        ({"maker": Decimal(1), "taker": Decimal(2)}, PercentCosts(Decimal(1), Decimal(2))),
    ],
)
def test_costs_in_each_form(given, made):
    assert read_costs(given) == made


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, None),
        ({"fixed": Decimal(1)}, FixedSlippage(Decimal(1))),
        ({"percent": Decimal(1)}, PercentSlippage(Decimal(1))),
        ({"spread_percent": Decimal(1)}, HalfSpreadSlippage(Decimal(1))),
        ({"cap": Decimal("0.1")}, VolumeShareSlippage(Decimal("0.1"))),
        (
            {"cap": Decimal("0.1"), "impact": Decimal(2)},
            VolumeShareSlippage(Decimal("0.1"), Decimal(2)),
        ),
    ],
)
def test_slippage_in_each_form(given, made):
    assert read_slippage(given) == made


@pytest.mark.parametrize("read", [read_costs, read_slippage])
@pytest.mark.parametrize("given", [{"some": 1}, {"per_share": 1, "fixed": 1}, {"maker": 1}])
def test_mixed_and_unknown_forms_are_refused(read, given):
    with pytest.raises(ConfigError, match="but must be"):
        read(given)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, None), ("", None), (90, 90), ("1.5", 1.5), ("60s", 60), ("2m", 120)],
)
def test_durations(given, seconds):
    assert read_duration(given) == seconds


@pytest.mark.parametrize("given", ["soon", "0", "0s", "-5", "5 min"])
def test_durations_that_cannot_be(given):
    with pytest.raises(ConfigError, match="duration is"):
        read_duration(given)


def test_a_simulated_market_runs_in_real_time_unless_a_speed_is_given():
    real, fast = built(), built(speed=60)

    assert isinstance(real.feed, SimulatedFeed)
    assert (real.feed.label, real.clock is None) == ("SIMULATED", False)
    assert (fast.feed.speed, fast.clock) == (60, None)


def test_a_recording_is_replayed_in_its_own_time(bars):
    runner = built(feed="replay:X.csv", replay_seconds=5)

    assert isinstance(runner.feed, ReplayFeed)
    assert (runner.feed.label, runner.feed.duration, runner.clock) == ("REPLAY", 5, None)


def test_the_account_is_as_the_settings_say():
    broker = built(cash=500, currency="EUR", allow_short=True, costs={"per_order": 1}).broker

    assert (broker.starting_cash, broker.currency, broker.allow_short) == (500, "EUR", True)
    assert broker.instrument("X").currency == "EUR"
    assert broker.venue.costs == PerOrderCosts(Decimal(1))


def test_strategies_without_symbols_trade_all_of_a_recording(folder):
    for name in ("A", "B"):
        write_bars(folder / f"{name}.csv")
    settings = load_settings(feed="replay:.", strategy=[{"strategy": "buy_and_hold"}])

    assert feed_symbols(settings) == ["A", "B"]
    assert build_runner(settings).feed.symbols == ("A", "B")


def test_blocks_have_their_own_name_schedule_and_parameters():
    blocks = [
        {**HOLD, "name": "one", "interval": "5m", "position_size": 3},
        {**HOLD, "name": "two"},
    ]

    hosts = build_runner(load_settings(interval="1m", strategy=blocks)).hosts

    assert {name: host.status.schedule for name, host in hosts.items()} == {
        "one": "every 5m",
        "two": "every 1m",
    }
    assert hosts["one"].strategy.config["position_size"] == 3


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"strategy": []}, ConfigError, "no strategy is configured"),
        ({"strategy": [HOLD, HOLD]}, ConfigError, "twice; give one of the strategies another name"),
        ({"strategy": [{"strategy": "buy_and_hold"}]}, ConfigError, "symbols are missing"),
        ({"strategy": [HOLD], "feed": "sample:"}, ConfigError, "feed is 'sample:', but must be"),
        ({"strategy": [HOLD], "feed": "sample:IBM"}, DataError, "the prices of X are missing"),
        ({"strategy": [HOLD], "sizing": {"some": 1}}, ConfigError, "sizing is"),
    ],
)
def test_what_cannot_be_wired_is_refused(settings, error, said):
    with pytest.raises(error, match=said):
        build_runner(load_settings(**settings))
