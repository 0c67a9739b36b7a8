"""Bars, quotes and trades in the words of Alpaca's data API: what REST shows and streams send."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ticklane.core.market import SECOND, Bar, Quote

if TYPE_CHECKING:
    from ticklane.testing.venue.market import Trade

Row = dict[str, Any]
Stamp = Callable[[int], Any]
_SHARES_A_TRADE = 100  # by which we guess how many trades a bar's volume was


def stamp(at_ns: int) -> str:
    """An instant as RFC 3339 to the nanosecond, without zeros at its end."""
    seconds, rest = divmod(at_ns, SECOND)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def is_crypto(symbol: str) -> bool:
    """Pairs have a slash."""
    return "/" in symbol


def bar_row(bar: Bar, time: Stamp = stamp) -> Row:
    """A bar; number of trades and average price are guessed, since our bars have none."""
    return {
        "t": time(bar.open_ns),
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume if is_crypto(bar.symbol) else _size(bar.volume),
        "n": int(bar.volume // _SHARES_A_TRADE) + 1,
        "vw": round((bar.high + bar.low + bar.close) / 3, 6),
    }


def quote_row(quote: Quote, time: Stamp = stamp) -> Row:
    """A quote; those of stocks name exchanges and a tape."""
    at, bid, ask = time(quote.time_ns), quote.bid, quote.ask
    if is_crypto(quote.symbol):
        return {"t": at, "bp": bid, "bs": quote.bid_size, "ap": ask, "as": quote.ask_size}
    bids, asks = _size(quote.bid_size), _size(quote.ask_size)
    sides: Row = {"ax": "V", "ap": ask, "as": asks, "bx": "V", "bp": bid, "bs": bids}
    return {"t": at, **sides, "c": ["R"], "z": "C"}


def trade_row(trade: Trade, time: Stamp = stamp) -> Row:
    """A trade; those of stocks name an exchange, those of coins who took."""
    at, price = time(trade.time_ns), trade.price
    if is_crypto(trade.symbol):
        return {"t": at, "p": price, "s": trade.size, "tks": trade.taker, "i": trade.id}
    size = _size(trade.size)
    return {"t": at, "x": "V", "p": price, "s": size, "c": ["@"], "i": trade.id, "z": "C"}


def book_row(quote: Quote, time: Stamp = stamp) -> Row:
    """An order book of one level, which is all that a quote tells; it replaces the one before."""
    bids = [{"p": quote.bid, "s": quote.bid_size}]
    asks = [{"p": quote.ask, "s": quote.ask_size}]
    return {"t": time(quote.time_ns), "b": bids, "a": asks, "r": True}


def _size(value: float) -> int | float:
    """Whole shares as a whole number."""
    return int(value) if value == int(value) else value
