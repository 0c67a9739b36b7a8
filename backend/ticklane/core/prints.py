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
