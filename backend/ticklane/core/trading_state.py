"""What the lane may trade at the moment: trading states, and the restrictions that make them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from ticklane.core.market import to_datetime


class TradingState(StrEnum):
    """What may be sent: everything, only what reduces a position, or only an operator's orders."""

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


class Restriction(NamedTuple):
    """One reason not to trade as usual, of the whole account or of one symbol.

    A latched one stays, also across restarts, until an operator releases it; any other is lifted
    by whatever has set it.
    """

    code: str
    state: TradingState
    sentence: str
    since_ns: int
    is_latched: bool = False
    symbol: str | None = None  # None: the whole account

    @property
    def is_kill_switch(self) -> bool:
        """True when it stops everything: our open orders are cancelled as well."""
        return self.is_latched and self.symbol is None and self.state is TradingState.HALTED

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "code": self.code,
            "state": str(self.state),
            "symbol": self.symbol,
            "reason": self.sentence,
            "since": to_datetime(self.since_ns).isoformat(),
            "is_latched": self.is_latched,
        }
