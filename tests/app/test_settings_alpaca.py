"""Keys, servers and modes of Alpaca: where they come from, and what real money needs."""

import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from ticklane.app.alpaca import alpaca_account, check_mode, check_start
from ticklane.app.build import build_runner, make_limits
from ticklane.app.environment import known_secrets, present_keys
from ticklane.app.settings import CONFIG_FILE, Settings, load_settings
from ticklane.core.errors import ConfigError
from ticklane.core.secret import Secret

HOLD = {"strategy": "buy_and_hold", "symbols": ["AAPL"]}
LIVE = {"mode": "live", "account": "123456789", "broker": "alpaca", "feed": "alpaca", "live": True}
KEY, SECRET = "PKCANARY0000000000", "CANARY/SECRET+0000000000"


@pytest.fixture(autouse=True)
def _at_home(folder):
    """Every test begins in an empty folder without our variables."""


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("ALPACA_API_KEY", KEY)
    monkeypatch.setenv("ALPACA_API_SECRET", SECRET)


def the_account(**flags):
    return alpaca_account(load_settings(**flags))


def shown(account):
    return account.key.reveal(), account.secret.reveal()


def refusal_of(act, *given, **named):
    with pytest.raises(ConfigError) as caught:
        act(*given, **named)
    text = str(caught.value)
    assert text.endswith(".")
    assert "CANARY" not in text
    return text


# Keys


def test_keys_come_from_the_environment(keys):
    assert shown(the_account()) == (KEY, SECRET)


def test_keys_come_from_dotenv(folder):
    (folder / ".env").write_text(f"ALPACA_API_KEY={KEY}\nALPACA_API_SECRET='{SECRET}'\n")

    assert shown(the_account()) == (KEY, SECRET)
    assert set(present_keys().values()) == {".env"}


def test_keys_have_the_names_of_the_older_library_as_well(monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", KEY)
    monkeypatch.setenv("APCA_API_SECRET_KEY", SECRET)
    monkeypatch.setenv("APCA_API_BASE_URL", "http://127.0.0.1:1/v2")

    assert shown(the_account()) == (KEY, SECRET)
    assert the_account().url == "http://127.0.0.1:1"


def test_two_names_with_two_values_are_refused(keys, folder):
    (folder / ".env").write_text("APCA_API_KEY_ID=CANARY-OTHER\n")

    said = refusal_of(the_account)

    assert said == (
        "ALPACA_API_KEY (environment) and APCA_API_KEY_ID (.env) differ; leave one out."
    )


def test_keys_come_from_files_that_variables_name(folder, monkeypatch):
    (folder / "key").write_text(f"{KEY}\n")
    (folder / "secret").write_text(f"  {SECRET}\n")
    (folder / ".env").write_text("ALPACA_API_SECRET_FILE=secret\n")
    monkeypatch.setenv("ALPACA_API_KEY_FILE", "key")

    assert shown(the_account()) == (KEY, SECRET)
    assert present_keys() == {
        "ALPACA_API_KEY": "environment, file key",
        "ALPACA_API_SECRET": ".env, file secret",
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the file key of ALPACA_API_KEY_FILE cannot be read (No such file or directory)."),
        (b" \n", "the file key of ALPACA_API_KEY_FILE is empty."),
        (b"\xff", "the file key of ALPACA_API_KEY_FILE cannot be read (it is not UTF-8 text)."),
    ],
)
def test_a_file_that_holds_no_key_is_refused_when_the_key_is_needed(
    folder, monkeypatch, content, said
):
    if content is not None:
        (folder / "key").write_bytes(content)
    monkeypatch.setenv("ALPACA_API_KEY_FILE", "key")
    monkeypatch.setenv("ALPACA_API_SECRET", SECRET)

    assert load_settings() == Settings()
    assert refusal_of(the_account) == said


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("ticklane_ALPACA_API_KEY", "ticklane_ALPACA_API_SECRET"),
        ("ticklane_alpaca_api_key", "ticklane_alpaca_api_secret"),
        ("ticklane_apca_api_key_id", "ticklane_apca_api_secret_key"),
        ("ALPACA_API_KEY", "ALPACA_API_SECRET"),
    ],
)
def test_keys_come_from_the_credentials_of_systemd(tmp_path, monkeypatch, key, secret):
    for name, text in ((key, KEY), (secret, SECRET), ("another", "CANARY")):
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert shown(the_account()) == (KEY, SECRET)
    assert set(present_keys().values()) == {"credential file"}


def test_the_address_of_a_database_is_a_credential_as_well(tmp_path, monkeypatch):
    (tmp_path / "ticklane_database_url").write_text("postgresql://me:CANARY-1@host/db\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    settings = load_settings()

    assert settings.database_url.reveal() == "postgresql://me:CANARY-1@host/db"
    assert "CANARY" not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_the_environment_wins_over_credentials_and_those_over_dotenv(
    folder, tmp_path, monkeypatch, keys
):
    (tmp_path / "ticklane_alpaca_api_key").write_text("CREDENTIAL")
    (tmp_path / "ticklane_alpaca_base_url").write_text("http://127.0.0.1:2")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (folder / ".env").write_text("ALPACA_BASE_URL=http://127.0.0.1:3\nALPACA_API_KEY=DOTENV\n")

    account = the_account()

    assert (account.key.reveal(), account.url) == (KEY, "http://127.0.0.1:2")


def test_all_secrets_are_known_to_the_log(folder, keys, monkeypatch):
    monkeypatch.setenv("TICKLANE_DATABASE_URL", "postgresql://me:CANARY%2F1@host/db")
    monkeypatch.setenv("APCA_API_KEY_ID", "short")

    texts = {secret.reveal() for secret in known_secrets()}

    assert {KEY, SECRET, "CANARY%2F1", "CANARY/1"} < texts
    assert "short" not in texts


def test_a_key_in_the_config_file_is_refused_without_showing_it(folder):
    (folder / CONFIG_FILE).write_text('ALPACA_API_KEY = "CANARY"')

    said = refusal_of(load_settings)

    assert said == (
        "ALPACA_API_KEY is no setting of a config file; keys stand in .env, the environment or a "
        "credential file."
    )


# Servers


def test_servers_are_those_of_the_mode(keys):
    assert the_account().host == "paper-api.alpaca.markets"


def test_servers_can_be_others(keys, monkeypatch):
    monkeypatch.setenv("ALPACA_BASE_URL", "http://127.0.0.1:1/v2")
    monkeypatch.setenv("ALPACA_DATA_URL", "http://127.0.0.1:2")
    monkeypatch.setenv("ALPACA_STREAM_URL", "ws://127.0.0.1:3/stream")
    monkeypatch.setenv("ALPACA_DATA_STREAM_URL", "ws://127.0.0.1:4/v2/iex")

    account = the_account(data_feed="sip")

    assert (account.url, account.data_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert account.stream_url == "ws://127.0.0.1:3/stream"
    assert account.stock_stream_url(account.feed) == "ws://127.0.0.1:4/v2/sip"


# What real money needs

NEEDED = {
    "live": "the switch --live",
    "account": 'account = "..." with the number of the account',
    "broker": 'broker = "alpaca"',
    "feed": 'feed = "alpaca"',
}
PARTS = [left_out for count in range(1, 5) for left_out in itertools.combinations(NEEDED, count)]


@pytest.mark.parametrize("left_out", PARTS, ids="-".join)
def test_whatever_real_money_lacks_is_named(keys, left_out):
    given = {name: value for name, value in LIVE.items() if name not in left_out}

    said = refusal_of(build_runner, load_settings(strategy=[HOLD], **given))

    assert said.startswith('mode is "live", which is real money, but ')
    assert {name for name, words in NEEDED.items() if words in said} == set(left_out)


def test_with_all_of_it_real_money_is_meant():
    check_mode(load_settings(**LIVE))


@pytest.mark.parametrize("feed", ["simulated", "sample:AAPL", "replay:X.csv"])
def test_real_money_is_never_traded_on_made_or_recorded_prices(keys, feed):
    said = refusal_of(build_runner, load_settings(strategy=[HOLD], **{**LIVE, "feed": feed}))

    assert 'feed = "alpaca" is missing' in said


def test_the_switch_alone_is_refused():
    said = refusal_of(build_runner, load_settings(strategy=[HOLD], live=True))

    assert said.startswith('--live is given, but mode is "paper"; leave --live out, or write')


@pytest.mark.parametrize("name", ["live", "is_live_confirmed", "_is_live_confirmed"])
def test_no_file_and_no_variable_is_the_switch(folder, monkeypatch, name):
    (folder / CONFIG_FILE).write_text(f"{name} = true")
    assert "is unknown" in refusal_of(load_settings)

    (folder / CONFIG_FILE).unlink()
    monkeypatch.setenv(f"TICKLANE_{name}".upper(), "true")
    assert "is unknown" in refusal_of(load_settings)


@pytest.mark.parametrize("made", [Settings(), Settings().model_copy(update={"live": True})])
def test_settings_made_by_hand_are_not_confirmed(made):
    assert not made.is_live_confirmed


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALPACA_BASE_URL", "https://api.alpaca.markets"),
        ("ALPACA_BASE_URL", "https://api.alpaca.markets/v2"),
        ("APCA_API_BASE_URL", "https://api.alpaca.markets"),
        ("ALPACA_STREAM_URL", "wss://api.alpaca.markets/stream"),
        ("ALPACA_API_KEY", "AKCANARY0000000000"),
    ],
)
def test_no_variable_reaches_a_live_account_while_mode_is_paper(keys, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    for confirmed in ({}, {"account": "123456789"}):
        settings = load_settings(broker="alpaca", feed="alpaca", strategy=[HOLD], **confirmed)
        assert "but mode is 'paper'" in refusal_of(build_runner, settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALPACA_BASE_URL", "https://paper-api.alpaca.markets/v2"),
        ("ALPACA_STREAM_URL", "wss://paper-api.alpaca.markets/stream"),
        ("ALPACA_API_KEY", "PKCANARY0000000000"),
    ],
)
def test_nothing_of_a_paper_account_goes_with_live(keys, monkeypatch, variable, value):
    monkeypatch.setenv("ALPACA_API_KEY", "AKCANARY0000000000")
    monkeypatch.setenv(variable, value)

    settings = load_settings(strategy=[HOLD], **LIVE)

    assert "but mode is 'live'" in refusal_of(build_runner, settings)


SERVERS = ["", "https://paper-api.alpaca.markets", "https://api.alpaca.markets", "http://[::1]:1"]


@pytest.mark.parametrize("base", SERVERS)
@pytest.mark.parametrize("stream", ["", "wss://api.alpaca.markets/stream"])
@pytest.mark.parametrize("key", ["PK00000000", "AK00000000", "CK00000000"])
def test_of_all_combinations_only_the_whole_reaches_a_live_account(monkeypatch, base, stream, key):
    for name, value in (("BASE_URL", base), ("STREAM_URL", stream), ("API_KEY", key)):
        monkeypatch.setenv(f"ALPACA_{name}", value)
    monkeypatch.setenv("ALPACA_API_SECRET", SECRET)
    for live, mode, number in itertools.product([False, True], ["paper", "live"], [None, "123"]):
        settings = load_settings(
            live=live, mode=mode, account=number, broker="alpaca", feed="alpaca"
        )
        try:
            check_start(settings)
        except ConfigError:
            continue
        account = alpaca_account(settings)
        is_live = "//api.alpaca" in f"{account.url} {account.stream_url}"
        assert not is_live or (live, mode, number) == (True, "live", "123")
        assert mode == "live" or not (is_live or key.startswith("AK"))


def test_by_default_no_setting_leads_to_alpaca():
    settings = Settings()

    assert (settings.broker, settings.feed, settings.mode) == ("paper", "simulated", "paper")


# Limits


def names_of(**settings):
    return [rule.name for rule in make_limits(load_settings(**settings))]


def test_a_broker_that_is_real_has_limits_and_paper_has_none():
    assert names_of() == []
    assert "day_loss" in names_of(broker="alpaca")
    assert names_of(broker="alpaca") == names_of(feed="alpaca") == names_of(limits="safe")
    assert names_of(broker="alpaca", limits="none") == []


def test_limits_can_be_changed_one_by_one(folder):
    (folder / CONFIG_FILE).write_text(
        'broker = "alpaca"\n[limits]\norder_percent = 20\nday_loss_percent = "off"'
    )

    rules = {rule.name: rule for rule in make_limits(load_settings())}

    assert rules["order_size"].percent == Decimal(20)
    assert "day_loss" not in rules
    assert "price_collar" in rules


def test_limits_can_begin_with_none(folder):
    (folder / CONFIG_FILE).write_text('[limits]\nprofile = "none"\norder_percent = 20')

    assert names_of() == ["order_size"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("wild", "limits is 'wild', but must be safe or none."),
        ({"order_size": 3}, "'order_size' is no limit; in the table limits may stand order_per"),
        ({"order_percent": -3}, "order_percent is -3, but must be above zero"),
    ],
)
def test_limits_that_say_nonsense_are_refused(limits, said):
    assert said in refusal_of(make_limits, load_settings(limits=limits))


def test_the_life_of_a_signal_is_a_time():
    settings = load_settings(signal_ttl="soon", strategy=[HOLD])

    assert "signal_ttl is 'soon', but must be seconds or a text" in refusal_of(
        build_runner, settings
    )


def test_a_database_address_that_is_no_text_is_not_shown():
    assert refusal_of(load_settings, database_url=["CANARY"]) == (
        "the setting 'database_url' must be a text."
    )


def test_the_deployed_unit_reads_credentials_as_they_are_named():
    unit = (Path(__file__).parents[2] / "deploy" / "ticklane.service").read_text()

    assert "LoadCredential=ticklane:/etc/ticklane/credentials" in unit


def test_a_secret_setting_may_be_handed_on():
    settings = load_settings(database_url=Secret("postgresql://a:CANARY@b/c"))

    assert settings.database_url.reveal().startswith("postgresql://")
