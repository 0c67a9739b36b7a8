"""doctor with keys: one line for each thing that an account can have wrong, and the right code."""

import pytest

from ticklane.testing.venue import LocalVenue

KEYS = ("PKDOCTOR00000000", "doctor-secret-0000")
PRICES = {"SPY": 500.0, "AAPL": 100.0, "BTC/USD": 50_000.0}


@pytest.fixture(scope="module")
def _served():
    with LocalVenue(keys=KEYS) as venue:
        for symbol, price in PRICES.items():
            venue.price(symbol, price)
        yield venue


@pytest.fixture
def venue(_served, folder, monkeypatch):
    """A venue, and its keys in the environment."""
    monkeypatch.setenv("ALPACA_API_KEY", KEYS[0])
    monkeypatch.setenv("ALPACA_API_SECRET", KEYS[1])
    monkeypatch.setenv("ALPACA_BASE_URL", _served.url)
    yield _served
    _served.clear_faults()


@pytest.fixture
def doctor(tl):
    """The lines about the account, and the exit code."""

    def ask(*words):
        said = tl("doctor", *words)
        lines = [line.split(maxsplit=2) for line in said.out.splitlines()]
        return {name: f"{state}: {text}" for state, name, text in lines}, said

    return ask


def the_failure_in(asked):
    """The only line that failed, as its name and text; the code is 1."""
    lines, said = asked
    failed = {name: text for name, text in lines.items() if text.startswith("failed: ")}
    assert (said.code, len(failed)) == (1, 1), said
    [(name, text)] = failed.items()
    assert said.err == f"Error: doctor found a problem with {name}.\n"
    return name, text.removeprefix("failed: ")


def test_an_account_that_is_well(venue, doctor):
    lines, said = doctor()

    assert said.code == 0, said
    assert lines["keys"] == (
        "ok: ALPACA_API_KEY is set (environment), ALPACA_API_SECRET is set (environment)"
    )
    assert lines["server"].startswith("ok: paper: orders go to 127.0.0.1:")
    assert lines["account"] == (
        "ok: account PA0TICKLANE is ACTIVE, equity 100,000.00, buying power 100,000.00 USD"
    )
    assert lines["exchange"] == "ok: this machine's clock agrees with Alpaca's to 0.1 s"
    assert lines["stocks"].startswith("ok: IEX prices may be read")
    assert lines["crypto"].startswith("ok: crypto prices may be read")


def test_only_what_is_traded_is_looked_at(venue, doctor, folder):
    (folder / "ticklane.toml").write_text(
        'broker = "alpaca"\nfeed = "alpaca"\ndata_feed = "sip"\n'
        '[[strategy]]\nstrategy = "buy_and_hold"\nsymbols = ["BTCUSD"]'
    )

    lines, said = doctor()

    assert said.code == 0, said
    assert lines["symbols"] == "ok: BTC/USD can be traded"
    assert "stocks" not in lines


def test_without_connecting_nothing_is_asked(venue, doctor):
    lines, said = doctor("--no-connect")

    assert said.code == 0
    assert "server" in lines
    assert "account" not in lines


def test_missing_keys(folder, doctor, monkeypatch):
    monkeypatch.setenv("TICKLANE_BROKER", "alpaca")

    name, text = the_failure_in(doctor())

    assert name == "keys"
    assert text.startswith("ALPACA_API_KEY is not set, ALPACA_API_SECRET is not set; put both into")


def test_half_of_the_keys(folder, doctor, monkeypatch):
    monkeypatch.setenv("ALPACA_API_KEY", KEYS[0])

    lines, said = doctor()

    assert said.code == 0
    assert lines["keys"].startswith("notice: ALPACA_API_KEY is set (environment), ALPACA_API_SECRE")
    assert lines["keys"].endswith("Alpaca needs both.")


def test_wrong_keys(venue, doctor, monkeypatch):
    monkeypatch.setenv("ALPACA_API_SECRET", "another-secret-00")

    name, text = the_failure_in(doctor())

    assert name == "account"
    assert text.startswith("Alpaca at 127.0.0.1:")
    assert text.endswith(
        "refused the keys (401); check ALPACA_API_KEY and ALPACA_API_SECRET, and that they belong "
        "to the paper account."
    )


def test_live_keys_in_paper_mode(venue, doctor, monkeypatch):
    monkeypatch.setenv("ALPACA_API_KEY", "AKDOCTOR00000000")

    name, text = the_failure_in(doctor())

    assert name == "server"
    assert text.startswith("ALPACA_API_KEY is the key of a live account, but mode is 'paper'; take")


def test_paper_keys_in_live_mode(venue, doctor, monkeypatch):
    monkeypatch.setenv("TICKLANE_MODE", "live")
    monkeypatch.setenv("TICKLANE_ACCOUNT", "123")

    name, text = the_failure_in(doctor())

    assert name == "server"
    assert text.startswith("ALPACA_API_KEY is the key of a paper account, but mode is 'live'; take")


def test_another_account_than_the_one_that_is_meant(venue, doctor, monkeypatch):
    monkeypatch.setenv("TICKLANE_ACCOUNT", "PA9OTHER")

    name, text = the_failure_in(doctor())

    assert (name, text[:57]) == (
        "account",
        "the keys belong to account PA0TICKLANE, but the settings ",
    )


def test_a_live_account_shows_what_still_stands_in_the_way(doctor, folder, monkeypatch):
    with LocalVenue(kind="live") as venue:
        venue.price("SPY", 500.0)
        venue.price("BTC/USD", 50_000.0)
        for name, value in {
            "ALPACA_API_KEY": "AKDOCTOR00000000",
            "ALPACA_API_SECRET": KEYS[1],
            "ALPACA_BASE_URL": venue.url,
            "TICKLANE_MODE": "live",
            "TICKLANE_ACCOUNT": "100TICKLANE",
        }.items():
            monkeypatch.setenv(name, value)

        lines, said = doctor()

    assert said.code == 0, said
    assert lines["server"].startswith("ok: live: orders go to 127.0.0.1:")
    assert lines["account"].startswith("ok: account 100TICKLANE is ACTIVE")


def test_no_network(folder, doctor, monkeypatch):
    monkeypatch.setenv("ALPACA_API_KEY", KEYS[0])
    monkeypatch.setenv("ALPACA_API_SECRET", KEYS[1])
    monkeypatch.setenv("ALPACA_BASE_URL", "http://127.0.0.1:9")

    assert the_failure_in(doctor()) == (
        "account",
        "Alpaca at 127.0.0.1:9 cannot be reached (connection refused); check the network and "
        "ALPACA_BASE_URL.",
    )


def test_a_server_that_breaks_off(venue, doctor):
    venue.fault("GET /v2/account", "drop_before")

    name, text = the_failure_in(doctor())

    assert name == "account"
    assert "cannot be reached (no connection)" in text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "Alpaca cannot answer at the moment (status 503"),
        (429, "Alpaca has had too many requests of this account; try again in a minute."),
        (302, "the server gave an answer that is not Alpaca's (status 302"),
    ],
)
def test_a_server_that_answers_otherwise(venue, doctor, status, said):
    venue.fault("GET /v2/account", "status", status=status)

    assert the_failure_in(doctor())[1].startswith(said)


def test_a_clock_that_is_wrong(venue, doctor):
    venue.set_skew(7.0)
    try:
        name, text = the_failure_in(doctor())
    finally:
        venue.set_skew(0.0)

    assert name == "exchange"
    assert text.startswith("this machine's clock is 7.0 s behind Alpaca's clock, and more than 2 s")
    assert "set it (timedatectl set-ntp true)." in text


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("account_blocked", ": Alpaca has blocked the account; ask Alpaca's support why."),
        ("trading_blocked", ": Alpaca has blocked trading in the account; ask Alpaca's support"),
        ("status", ": the account is SUBMITTED, not ACTIVE."),
    ],
)
def test_an_account_that_may_not_trade(venue, doctor, flag, said):
    is_status = flag == "status"
    venue.set_account(**{flag: "SUBMITTED" if is_status else True})
    try:
        name, text = the_failure_in(doctor())
    finally:
        venue.set_account(**{flag: "ACTIVE" if is_status else False})

    assert name == "account"
    assert said in text


def test_a_small_account_of_a_pattern_day_trader_is_a_notice(doctor, folder, monkeypatch):
    with LocalVenue(1_000) as venue:
        venue.set_account(pattern_day_trader=True)
        venue.price("SPY", 500.0)
        venue.price("BTC/USD", 50_000.0)
        monkeypatch.setenv("ALPACA_API_KEY", KEYS[0])
        monkeypatch.setenv("ALPACA_API_SECRET", KEYS[1])
        monkeypatch.setenv("ALPACA_BASE_URL", venue.url)

        lines, said = doctor()

    assert said.code == 0
    assert lines["account"].startswith("notice: account PA0TICKLANE is ACTIVE, equity 1,000.00")
    assert "marked as pattern day trader" in lines["account"]


def test_an_unknown_symbol(venue, doctor, folder):
    (folder / "ticklane.toml").write_text(
        '[[strategy]]\nstrategy = "buy_and_hold"\nsymbols = ["AAPL", "NOSUCH"]'
    )

    assert the_failure_in(doctor()) == (
        "symbols",
        "Alpaca does not know the symbol NOSUCH; check how it is written.",
    )


def test_no_subscription_for_sip(venue, doctor, monkeypatch):
    monkeypatch.setenv("TICKLANE_DATA_FEED", "sip")

    name, text = the_failure_in(doctor())

    assert name == "stocks"
    assert text == (
        'this account has no subscription for SIP prices of Alpaca; take data_feed = "iex", or '
        "subscribe."
    )
