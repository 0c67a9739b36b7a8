"""Which account is meant: addresses are filled in, what could reach a wrong one is refused."""

import copy
import dataclasses
import json
import pickle

import pytest

from ticklane.core.errors import ConfigError
from ticklane.core.secret import Secret
from ticklane.integrations.alpaca.account import AlpacaAccount

PAPER, LIVE = "https://paper-api.alpaca.markets", "https://api.alpaca.markets"


def an_account(**given):
    return AlpacaAccount(**{"key": "PKCANARY", "secret": "CANARY-SECRET", **given})


def a_live_account(**given):
    return an_account(**{"key": "AKCANARY", "mode": "live", "account_number": "123", **given})


def refusal_of(make=an_account, **given):
    with pytest.raises(ConfigError) as caught:
        make(**given)
    text = str(caught.value)
    assert text.endswith(".")
    assert "CANARY" not in text
    return text


# Addresses


def test_alpacas_own_servers_are_known():
    account = an_account()

    assert (account.url, account.stream_url) == (
        PAPER,
        "wss://paper-api.alpaca.markets/stream",
    )
    assert account.data_url == "https://data.alpaca.markets"
    assert account.stock_stream_url(account.feed) == "wss://stream.data.alpaca.markets/v2/iex"
    assert account.crypto_stream_url == "wss://stream.data.alpaca.markets/v1beta3/crypto/us"


def test_live_has_servers_of_its_own():
    account = a_live_account()

    assert (account.url, account.stream_url) == (LIVE, "wss://api.alpaca.markets/stream")


def test_a_local_venue_is_named_once():
    account = an_account(url="http://127.0.0.1:8765")

    assert account.is_local
    assert account.data_url == "http://127.0.0.1:8765"
    assert account.stream_url == "ws://127.0.0.1:8765/stream"
    assert account.stock_stream_url(account.feed) == "ws://127.0.0.1:8765/v2/iex"


@pytest.mark.parametrize("tail", ["", "/", "/v2", "/v2/"])
def test_the_version_may_be_written_or_not(tail):
    assert an_account(url=PAPER + tail).url == PAPER
    assert an_account(data_url=f"https://data.alpaca.markets{tail}").data_url[-8:] == ".markets"


@pytest.mark.parametrize("tail", ["", "/", "/v2/iex", "/v2/sip/", "/v1beta3/crypto/us"])
def test_the_stream_of_prices_may_name_a_feed_or_not(tail):
    account = an_account(data_stream_url=f"wss://stream.data.alpaca.markets{tail}", feed="sip")

    assert account.stock_stream_url(account.feed) == "wss://stream.data.alpaca.markets/v2/sip"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "paper"}, "ALPACA_BASE_URL is no address; write it as https://paper-api"),
        ({"url": "https://x.org:port"}, "ALPACA_BASE_URL is no address"),
        ({"url": "ftp://paper-api.alpaca.markets"}, "but must begin with https://."),
        ({"url": "http://paper-api.alpaca.markets"}, "since keys would travel unencrypted"),
        ({"data_url": "http://192.168.0.7"}, "ALPACA_DATA_URL is http://192.168.0.7, but must"),
        ({"stream_url": "https://127.0.0.1"}, "ALPACA_STREAM_URL is https://127.0.0.1, but must"),
        ({"url": "https://CANARY:CANARY@x.org"}, "keys have variables of their own"),
        ({"url": "https://x.org?key=CANARY"}, "keys have variables of their own"),
    ],
)
def test_an_address_that_cannot_be_is_refused(given, said):
    assert said in refusal_of(**given)


# Paper and live


@pytest.mark.parametrize(
    "given",
    [
        {"url": LIVE},
        {"url": f"{LIVE}/v2"},
        {"url": "https://API.Alpaca.Markets"},
        {"url": "https://api.alpaca.markets."},
        {"url": "https://api.alpaca.markets:443"},
        {"url": "https://broker-api.alpaca.markets"},
        {"stream_url": "wss://api.alpaca.markets/stream"},
        {"key": "AKCANARY"},
        {"key": "AKCANARY", "url": "http://127.0.0.1:1"},
    ],
)
def test_nothing_of_a_live_account_goes_with_paper(given):
    said = refusal_of(**given)

    assert "live" in said
    assert "but mode is 'paper'" in said
    assert "--live if real money is meant" in said


@pytest.mark.parametrize(
    "given",
    [
        {"url": PAPER},
        {"url": f"{PAPER}/v2"},
        {"stream_url": "wss://paper-api.alpaca.markets/stream"},
        {"key": "PKCANARY"},
    ],
)
def test_nothing_of_a_paper_account_goes_with_live(given):
    said = refusal_of(a_live_account, **given)

    assert "paper" in said
    assert "but mode is 'live'" in said


def test_live_needs_the_number_of_the_account():
    assert 'write account = "..."' in refusal_of(a_live_account, account_number=None)
    assert 'write account = "..."' in refusal_of(a_live_account, account_number="")


def test_another_mode_is_none():
    assert refusal_of(mode="LIVE") == "mode is 'LIVE', but must be paper or live."


@pytest.mark.parametrize(
    ("account", "found", "said"),
    [
        (an_account(), "PA123", None),
        (an_account(), "123", "which is no paper account, but mode is"),
        (an_account(url="https://proxy.example.org"), "123", "which is no paper account"),
        (an_account(url="http://127.0.0.1:1"), "123", None),
        (an_account(account_number="PA1"), "PA2", "belong to account PA2, but the settings say"),
        (a_live_account(), "123", None),
        (a_live_account(), "124", 'belong to account 124, but the settings say account = "123"'),
        (a_live_account(), "PA123", "belong to account PA123, but"),
        (a_live_account(), "", "but the settings say"),
    ],
)
def test_the_account_behind_the_keys_must_be_the_one_that_is_meant(account, found, said):
    told = account.mismatch(found)

    assert told is said or said in told


# Keys


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"key": ""}, "ALPACA_API_KEY is missing; put the keys of your Alpaca account into .env"),
        ({"secret": ""}, "ALPACA_API_SECRET is missing"),
        ({"key": None}, "ALPACA_API_KEY is missing"),
        ({"secret": "CANARY CANARY"}, "ALPACA_API_SECRET holds blanks or characters"),
        ({"key": "CANARY\r\nX-Header: 1"}, "ALPACA_API_KEY holds blanks or characters"),
        ({"key": "CANÄRY"}, "ALPACA_API_KEY holds blanks or characters"),
    ],
)
def test_keys_that_cannot_be_are_refused_without_showing_them(given, said):
    assert said in refusal_of(**given)


def test_keys_are_shown_by_nothing():
    account = an_account()
    shown = [
        repr(account),
        str(account),
        f"{account.key} {account.secret!r} {account.key:>10}",
        json.dumps(dataclasses.asdict(account), default=str),
        json.dumps(dataclasses.asdict(account), default=repr),
        repr(copy.deepcopy(account)),
    ]

    assert "CANARY" not in "".join(shown)


def test_keys_cannot_be_pickled_or_made_json():
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(an_account())
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(an_account().key)


def test_a_secret_is_compared_and_revealed_on_purpose():
    secret = Secret("CANARY")

    assert secret == Secret("CANARY")
    assert secret != Secret("other")
    assert secret != "CANARY"
    assert (secret.reveal(), len({secret, Secret("CANARY")})) == ("CANARY", 1)
    assert not Secret("")
