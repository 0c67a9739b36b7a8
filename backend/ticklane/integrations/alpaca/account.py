"""Which Alpaca account is meant: keys, addresses, paper or live; what does not fit is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from ticklane.core.errors import ConfigError
from ticklane.core.secret import Secret

Mode = Literal["paper", "live"]
StockFeed = Literal["iex", "sip", "delayed_sip"]

HOSTS: Final[Mapping[str, Mode]] = {
    "paper-api.alpaca.markets": "paper",
    "api.alpaca.markets": "live",
}
URLS: Final[Mapping[Mode, str]] = {mode: f"https://{host}" for host, mode in HOSTS.items()}
DATA_URL: Final = "https://data.alpaca.markets"
DATA_STREAM_URL: Final = "wss://stream.data.alpaca.markets"

_KEYS: Final[Mapping[str, Mode]] = {"PK": "paper", "AK": "live"}  # how keys of each kind begin
_PAPER_NUMBER: Final = "PA"
_SOCKETS: Final = {"https": "wss", "http": "ws", "wss": "wss", "ws": "ws"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaAccount:
    """Keys and addresses of one account, checked when made; raises ConfigError.

    Addresses may be left out: Alpaca's own for the mode, or those of the server that `url` names
    (a local venue answers everything on one port). They are kept without `/v2` and slash.
    """

    key: Secret = field(repr=False)
    secret: Secret = field(repr=False)
    url: str = ""  # https://paper-api.alpaca.markets; alpaca-py adds /v2/...
    data_url: str = ""  # https://data.alpaca.markets
    stream_url: str = ""  # trade updates: wss://paper-api.alpaca.markets/stream
    data_stream_url: str = ""  # wss://stream.data.alpaca.markets, without /v2/iex
    mode: Mode = "paper"
    account_number: str | None = None
    feed: StockFeed = "iex"

    def __post_init__(self) -> None:
        if self.mode not in ("paper", "live"):
            raise ConfigError(f"mode is {self.mode!r}, but must be paper or live.")
        for name in ("key", "secret"):
            value = getattr(self, name)
            self._set(name, value if isinstance(value, Secret) else Secret(value or ""))
        self._fill_addresses()
        self._check_keys()
        self._check_mode()

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, so no account of Alpaca's."""
        return _is_loopback(_split("ALPACA_BASE_URL", self.url))

    @property
    def host(self) -> str:
        """The server orders go to, for people."""
        return urlsplit(self.url).netloc

    def stock_stream_url(self, feed: str) -> str:
        """The socket of stock prices of a feed, such as iex."""
        return f"{self.data_stream_url}/v2/{feed}"

    @property
    def crypto_stream_url(self) -> str:
        """The socket of crypto prices."""
        return f"{self.data_stream_url}/v1beta3/crypto/us"

    @property
    def secrets(self) -> tuple[Secret, Secret]:
        """What no log may show."""
        return self.key, self.secret

    def mismatch(self, found: str) -> str | None:
        """Why the account with this number is not the one that was meant; None when it is."""
        if self.account_number is not None and found != self.account_number:
            return (
                f"the keys belong to account {found}, but the settings say account = "
                f'"{self.account_number}": take the keys of that account, or change the number.'
            )
        if self.mode == "paper" and not self.is_local and not found.startswith(_PAPER_NUMBER):
            return (
                f"the keys belong to account {found}, which is no paper account, but mode is "
                '"paper": take the keys of the paper account.'
            )
        return None

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _fill_addresses(self) -> None:
        url = _address("ALPACA_BASE_URL", self.url or URLS[self.mode], ("https", "http"))
        self._set("url", url)
        is_alpacas = urlsplit(url).hostname in HOSTS
        data = self.data_url or (DATA_URL if is_alpacas else url)
        self._set("data_url", _address("ALPACA_DATA_URL", data, ("https", "http")))
        stream = self.stream_url or f"{_as_socket(url)}/stream"
        self._set("stream_url", _address("ALPACA_STREAM_URL", stream, ("wss", "ws")))
        prices = self.data_stream_url or (DATA_STREAM_URL if is_alpacas else _as_socket(url))
        name = "ALPACA_DATA_STREAM_URL"
        self._set("data_stream_url", _without_feed(_address(name, prices, ("wss", "ws"))))

    def _check_keys(self) -> None:
        for name, value in (("ALPACA_API_KEY", self.key), ("ALPACA_API_SECRET", self.secret)):
            text = value.reveal()
            if not text:
                raise ConfigError(
                    f"{name} is missing; put the keys of your Alpaca account into .env, the "
                    "environment or a credential file."
                )
            if not text.isascii() or not text.isprintable() or " " in text:
                raise ConfigError(
                    f"{name} holds blanks or characters that no key of Alpaca has; copy it again."
                )
        kind = _KEYS.get(self.key.reveal()[:2])
        if kind is not None and kind != self.mode:
            raise ConfigError(
                f"ALPACA_API_KEY is the key of a {kind} account, but mode is {self.mode!r}; "
                f"take the keys of the {self.mode} account{_LIVE_NEEDS[kind]}."
            )

    def _check_mode(self) -> None:
        for name, url in (("ALPACA_BASE_URL", self.url), ("ALPACA_STREAM_URL", self.stream_url)):
            mode = _mode_of(urlsplit(url).hostname or "")
            if mode is not None and mode != self.mode:
                raise ConfigError(
                    f"{name} is the {mode} server {url}, but mode is {self.mode!r}; "
                    f"leave {name} out{_LIVE_NEEDS[mode]}."
                )
        if self.mode == "live" and not self.account_number:
            raise ConfigError(
                'mode is "live", but the account is missing; write account = "..." with the number '
                "of the account into the config file."
            )


_LIVE_NEEDS: Final = {
    "paper": "",
    "live": ', or say mode = "live", account = "..." and --live if real money is meant',
}


def _mode_of(host: str) -> Mode | None:
    """What a server of Alpaca trades; None for another server."""
    known = HOSTS.get(host.rstrip("."))
    if known is None and host.rstrip(".").endswith(".alpaca.markets"):
        return "paper" if "paper" in host or "sandbox" in host else "live"
    return known


def _address(name: str, text: str, schemes: tuple[str, str]) -> str:
    """An address in the normal form; plain http and ws go to this machine only."""
    parts = _split(name, text)
    if parts.scheme not in schemes:
        raise ConfigError(f"{name} is {_shown(parts)}, but must begin with {schemes[0]}://.")
    if parts.scheme == schemes[1] and not _is_loopback(parts):
        raise ConfigError(
            f"{name} is {_shown(parts)}, but must begin with {schemes[0]}://, since keys would "
            "travel unencrypted (only a server on this machine may be asked without)."
        )
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path.removesuffix('/v2')}"


def _split(name: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(text.strip())
        is_usable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError(f"{name} is no address; write it as {URLS['paper']}.")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"{name} holds more than a server and a path; keys have variables of their own."
        )
    return parts


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _as_socket(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{_SOCKETS[scheme]}://{rest}"


def _without_feed(url: str) -> str:
    """Without the path of one feed, which some write and others leave out."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    for tail in ("v2/iex", "v2/sip", "v2/delayed_sip", "v1beta3/crypto/us"):
        if path == tail or path.endswith(f"/{tail}"):
            return f"{scheme}://{host}/{path.removesuffix(tail)}".rstrip("/")
    return url
