"""What a request to the data API asks for, read and checked as Alpaca does."""

from __future__ import annotations

import base64
import re
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from ticklane.core.errors import ConfigError
from ticklane.core.market import MINUTE, SECOND, to_ns
from ticklane.testing.venue.buckets import CRYPTO_ZONE, STOCK_ZONE, Buckets

DELAY = 15 * MINUTE  # what a plan without the SIP subscription may not see of it
LARGEST_PAGE, USUAL_PAGE = 10_000, 1_000
STOCK_FEEDS = ("iex", "sip", "delayed_sip", "otc", "boats", "overnight")
ADJUSTMENTS = ("raw", "split", "dividend", "spin-off", "all")
NO_SIP = "subscription does not permit querying recent SIP data"
_STOCK, _PAIR = r"[A-Z][A-Z0-9.]*(?:/[A-Z]+)?", r"[A-Z0-9]+/[A-Z]+"
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?"
)


class Refusal(Exception):
    """An answer that is an error: its status, and the sentence of the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the symbol, the last instant, and how many of that instant were given."""

    symbol: str
    at_ns: int
    count: int

    def token(self) -> str:
        """As a `next_page_token`."""
        return base64.b64encode(f"{self.symbol}|{self.at_ns}|{self.count}".encode()).decode()

    @classmethod
    def read(cls, token: str) -> Place:
        """From a `page_token`; raises Refusal."""
        try:
            symbol, at_ns, count = base64.b64decode(token, validate=True).decode().split("|")
            return cls(symbol, int(at_ns), int(count))
        except (ValueError, NotBase64):
            raise Refusal(400, "invalid page_token") from None


@dataclass(frozen=True, slots=True)
class Query:
    """One request for history."""

    symbols: tuple[str, ...]  # in the order of the alphabet
    start_ns: int
    end_ns: int
    limit: int
    is_descending: bool
    after: Place | None
    buckets: Buckets | None  # for bars


def read_query(
    given: Mapping[str, str], symbols: str | None, now_ns: int, crypto: bool, has_sip: bool
) -> Query:
    """Read the parameters of a request for history; raises Refusal as Alpaca would answer."""
    zone = CRYPTO_ZONE if crypto else STOCK_ZONE
    feed = None if crypto else read_feed(given, "sip")
    is_delayed = feed == "delayed_sip" or (feed == "sip" and not has_sip)
    newest = now_ns - DELAY if is_delayed else now_ns
    start = _instant(given, "start", zone, is_end=False)
    end = _instant(given, "end", zone, is_end=True)
    if feed == "sip" and not has_sip and end is not None and end > newest:
        raise Refusal(403, NO_SIP)
    if start is None:
        today = datetime.fromtimestamp(now_ns // SECOND, zone)
        start = to_ns(today.replace(hour=0, minute=0, second=0, microsecond=0))
    if end is not None and end < start:
        raise Refusal(400, "end should not be before start")
    _check_choice(given, "adjustment", ADJUSTMENTS)
    _check_choice(given, "sort", ("asc", "desc"))
    token = given.get("page_token")
    return Query(
        read_symbols(symbols, crypto),
        start,
        newest if end is None else min(end, newest),
        _limit(given.get("limit")),
        given.get("sort") == "desc",
        Place.read(token) if token else None,
        _buckets(given["timeframe"], crypto) if "timeframe" in given else None,
    )


def read_symbols(text: str | None, crypto: bool) -> tuple[str, ...]:
    """The symbols of a request, each once, in the order of the alphabet."""
    found = sorted({part.strip() for part in (text or "").split(",") if part.strip()})
    if not found:
        raise Refusal(400, "symbols is required")
    for symbol in found:
        if not re.fullmatch(_PAIR if crypto else _STOCK, symbol):
            said = f" does not match ^{_PAIR}$" if crypto else ""
            raise Refusal(400, f"invalid symbol: {symbol}{said}")
    return tuple(found)


def read_feed(given: Mapping[str, str], usual: str) -> str:
    """The feed of stock prices that is asked for."""
    feed = given.get("feed") or usual
    if feed not in STOCK_FEEDS:
        raise Refusal(400, f"invalid feed: {feed}")
    return feed


def read_instant(text: str, zone: tzinfo = STOCK_ZONE, is_end: bool = False) -> int:
    """RFC 3339, or a date: its midnight in the zone of the market, as an end its last moment."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        day = datetime.fromisoformat(text).replace(tzinfo=zone)
        return to_ns(day + timedelta(days=1)) - 1 if is_end else to_ns(day)
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    offset = (found[4] or "Z").upper().replace("Z", "+00:00")
    whole = datetime.fromisoformat(f"{found[1]}T{found[2]}{offset}")
    return to_ns(whole) + int((found[3] or "0").ljust(9, "0"))


def _instant(given: Mapping[str, str], name: str, zone: tzinfo, is_end: bool) -> int | None:
    text = given.get(name)
    if not text:
        return None
    try:
        return read_instant(text, zone, is_end)
    except ValueError:
        raise Refusal(
            400,
            f"Invalid format for parameter {name}: error parsing {text!r} as RFC3339 or "
            f"2006-01-02 time",
        ) from None


def _limit(text: str | None) -> int:
    if not text:
        return USUAL_PAGE
    if not re.fullmatch(r"-?\d+", text):
        raise Refusal(400, f"Invalid format for parameter limit: {text!r} is not a number")
    if not 1 <= int(text) <= LARGEST_PAGE:
        raise Refusal(400, f"invalid limit: {text} is not between 1 and {LARGEST_PAGE}")
    return int(text)


def _buckets(text: str, crypto: bool) -> Buckets:
    try:
        return Buckets.parse(text, crypto)
    except ConfigError:
        raise Refusal(400, f"invalid timeframe: {text}") from None


def _check_choice(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> None:
    wanted = given.get(name)
    for part in wanted.split(",") if wanted else ():
        if part not in choices:
            raise Refusal(400, f"invalid {name}: {wanted}")
