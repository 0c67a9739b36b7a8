"""A short look at Alpaca, for people: can it be reached, do the keys fit, what may be traded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from ticklane.core.errors import BrokerError
from ticklane.core.symbols import is_crypto
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.convert import read_symbol
from ticklane.integrations.alpaca.rules import MANY

SECONDS: Final = 5.0  # to connect, and again to answer
SKEW_SECONDS: Final = 2.0  # beyond it no entries are made: orders.md
_SAMPLE: Final = {False: "SPY", True: "BTC/USD"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said."""

    status: int
    body: Any
    asked_at: float  # seconds since the epoch, by our clock
    answered_at: float

    @property
    def message(self) -> str:
        """The server's own words."""
        words = self.body.get("message", "") if isinstance(self.body, Mapping) else ""
        return " ".join(str(words).split())[:200].rstrip(".")


class Probe:
    """Asks an account's servers one question each; raises BrokerError with one sentence."""

    def __init__(self, account: AlpacaAccount, seconds: float = SECONDS) -> None:
        self.account = account
        self._seconds = seconds

    def trading_account(self) -> dict[str, Any]:
        """The account behind the keys, checked to be the one that was meant."""
        found: dict[str, Any] = self._ask(self.account.url, "/v2/account", {})
        wrong = self.account.mismatch(str(found.get("account_number", "")))
        if wrong is not None:
            raise BrokerError(wrong)
        return found

    def clock_difference(self) -> tuple[float, float]:
        """How far the server's clock is before ours, and how exactly that is known, in seconds."""
        reply = self._get(self.account.url, "/v2/clock", {})
        told = datetime.fromisoformat(self._checked(reply)["timestamp"]).timestamp()
        middle = (reply.asked_at + reply.answered_at) / 2
        return told - middle, (reply.answered_at - reply.asked_at) / 2

    def prices(self, symbol: str) -> str:
        """The time of the newest bar of a symbol, which needs the right subscription."""
        path, extra = "/v1beta3/crypto/us/latest/bars", {}
        if not is_crypto(symbol):
            path, extra = "/v2/stocks/bars/latest", {"feed": self.account.feed}
        told = self._ask(self.account.data_url, path, {"symbols": symbol, **extra})
        bar = (told.get("bars") or {}).get(symbol)
        return str(bar["t"]) if bar else ""

    def sample_prices(self, is_coin: bool) -> str:
        """The same of a symbol that everybody trades."""
        return self.prices(_SAMPLE[is_coin])

    def asset(self, symbol: str) -> dict[str, Any]:
        """What Alpaca says of a symbol; raises BrokerError for one that it does not know."""
        reply = self._get(self.account.url, f"/v2/assets/{quote(symbol, safe='')}", {})
        if reply.status == 404:
            raise BrokerError(f"Alpaca does not know the symbol {symbol}; check how it is written.")
        return self._checked(reply)

    def assets(self, symbols: Sequence[str]) -> list[dict[str, Any]]:
        """The same of several symbols; many are read in one list, for the rate's sake."""
        listed: dict[str, dict[str, Any]] = {}
        if len(symbols) > MANY:
            for is_coin in {is_crypto(symbol) for symbol in symbols}:
                listed |= self._listed("crypto" if is_coin else "us_equity")
        return [listed.get(symbol) or self.asset(symbol) for symbol in symbols]

    def _listed(self, kind: str) -> dict[str, dict[str, Any]]:
        query = {"asset_class": kind, "status": "active"}
        reply = self._get(self.account.url, "/v2/assets", query)
        if reply.status != 200 or not isinstance(reply.body, list):
            raise BrokerError(why_refused(reply.status, reply.message, self.account))
        return {read_symbol(row.get("symbol")): row for row in reply.body}

    def complaint(self, symbol: str) -> str | None:
        """Why a symbol cannot be traded; None when it can."""
        try:
            asset = self.asset(symbol)
        except BrokerError as error:
            return str(error)
        if asset.get("tradable") and asset.get("status", "active") == "active":
            return None
        return f"{symbol} cannot be traded at Alpaca; choose another."

    def _ask(self, url: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        return self._checked(self._get(url, path, query))

    def _checked(self, reply: Reply) -> dict[str, Any]:
        if reply.status == 200 and isinstance(reply.body, dict):
            return reply.body
        raise BrokerError(why_refused(reply.status, reply.message, self.account))

    def _get(self, url: str, path: str, query: Mapping[str, str]) -> Reply:
        import requests

        headers = {
            "APCA-API-KEY-ID": self.account.key.reveal(),
            "APCA-API-SECRET-KEY": self.account.secret.reveal(),
        }
        asked_at = time.time()
        try:
            said = requests.get(
                url + path,
                params=dict(query),
                headers=headers,
                timeout=self._seconds,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # Without the error itself, which may hold what was sent.
            raise BrokerError(_unreachable(url, error)) from None
        return Reply(said.status_code, _json(said), asked_at, time.time())


def _json(said: Any) -> Any:
    try:
        return said.json()
    except ValueError:
        return None


def why_refused(status: int, message: str, account: AlpacaAccount) -> str:
    """One sentence about an answer that is no success, with the remedy."""
    words = f" ({message})" if message else ""
    if "subscription" in message.lower():
        return (
            f"this account has no subscription for {account.feed.upper()} prices of Alpaca; take "
            'data_feed = "iex", or subscribe.'
        )
    if status in (401, 403):
        return (
            f"Alpaca at {account.host} refused the keys ({status}); check ALPACA_API_KEY and "
            f"ALPACA_API_SECRET, and that they belong to the {account.mode} account."
        )
    if status == 429:
        return "Alpaca has had too many requests of this account; try again in a minute."
    if status >= 500:
        return f"Alpaca cannot answer at the moment (status {status}{words}); try again later."
    return f"the server gave an answer that is not Alpaca's (status {status}{words})."


def _unreachable(url: str, error: Exception) -> str:
    host = url.partition("://")[2].partition("/")[0]
    why = why_unanswered(error)
    return f"Alpaca at {host} cannot be reached ({why}); check the network and ALPACA_BASE_URL."


def why_unanswered(error: Exception) -> str:
    """Why, in words of our own: those of libraries hold addresses and objects."""
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not let it through"
    text = str(error)
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return "its name is not known here: no network?"
    return "connection refused" if "refused" in text.lower() else "no connection"
