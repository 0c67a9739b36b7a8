"""A trade on the tape, as a market prints it; `Trade` here is a round trip of our own."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ticklane.core.market import to_datetime


class Print(NamedTuple):
    """One execution somewhere in the market: what it was done at, and how much."""

    symbol: str
    time_ns: int
    price: float
    size: float
    id: str = ""  # the venue's own, where it tells one

    @property
    def time(self) -> datetime:
        """The instant of the execution, aware UTC."""
        return to_datetime(self.time_ns)


class Amendment(NamedTuple):
    """What became of a print later: it was corrected, or cancelled (`after` is None)."""

    before: Print
    after: Print | None

    @property
    def symbol(self) -> str:
        """The symbol of the print."""
        return self.before.symbol


class MarketStatus(NamedTuple):
    """Whether a symbol trades at its exchange since an instant, and in words why not."""

    symbol: str
    time_ns: int
    is_trading: bool
    reason: str = ""
