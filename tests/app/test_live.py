"""Real money: with all that it needs a run begins, against a venue that plays a live account."""

import pytest
from cli_builders import the_error_in

from ticklane.testing.venue import LocalVenue

TRADED = ("--strategy", "buy_and_hold", "--symbols", "BTC/USD", "--duration", "0.5")
CONFIG = 'mode = "live"\naccount = "{}"\nbroker = "alpaca"\nfeed = "alpaca"\n'


@pytest.fixture
def venue(folder, monkeypatch):
    """A live account, and its keys."""
    with LocalVenue(kind="live") as venue:
        venue.price("BTC/USD", 50_000.0)
        monkeypatch.setenv("ALPACA_API_KEY", "AKLIVE0000000000")
        monkeypatch.setenv("ALPACA_API_SECRET", "live-secret-0000")
        monkeypatch.setenv("ALPACA_BASE_URL", venue.url)
        yield venue


def asked(venue):
    """How many requests the venue has had."""
    return len(venue.ledger.requests)


def test_with_mode_number_and_switch_a_live_account_is_traded(venue, folder, tl):
    (folder / "ticklane.toml").write_text(CONFIG.format("100TICKLANE"))

    said = tl("run", *TRADED, "--live")

    assert said.code == 0, said
    assert "run r1 is up [ALPACA CRYPTO], REAL MONEY of account 100TICKLANE, database" in said.err


def test_without_the_switch_nothing_is_even_asked(venue, folder, tl):
    (folder / "ticklane.toml").write_text(CONFIG.format("100TICKLANE"))

    said = tl("run", *TRADED)

    assert the_error_in(said) == (
        'mode is "live", which is real money, but the switch --live is missing.'
    )
    assert asked(venue) == 0


def test_the_number_of_another_account_is_refused(venue, folder, tl):
    (folder / "ticklane.toml").write_text(CONFIG.format("101OTHER"))

    said = tl("run", *TRADED, "--live")

    assert said.code == 1
    assert 'belong to account 100TICKLANE, but the settings say account = "101OTHER"' in said.err
    assert not venue.ledger.orders


def test_paper_does_not_become_live_by_the_switch(venue, folder, tl, monkeypatch):
    monkeypatch.setenv("ALPACA_API_KEY", "PKLIVE0000000000")

    said = tl("run", *TRADED, "--live", "--broker", "alpaca", "--feed", "alpaca")

    assert the_error_in(said).startswith('--live is given, but mode is "paper"; leave --live out')
    assert asked(venue) == 0
