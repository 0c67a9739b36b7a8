"""Buy once, then hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field

from ticklane.core.market import MarketData
from ticklane.core.signal import Wish
from ticklane.interfaces import StrategyInterface


class BuyAndHoldStrategy(StrategyInterface):
    """Buys `position_size` of each symbol at its first tick and keeps it.

    `sell_on_stop` sells again when an operator stops the run (`ticklane stop`).
    """

    class Config(BaseModel):
        """Parameters."""

        position_size: Decimal = Field(Decimal(100), gt=0, description="shares or coins to buy")
        sell_on_stop: bool = Field(False, description="sell when an operator stops the run")

    def on_tick(self, market_data: MarketData) -> list[Wish]:
        """Buy what has not been bought yet."""
        bought = self.state.setdefault("bought", [])
        missing = [symbol for symbol in market_data.updated if symbol not in bought]
        bought.extend(missing)
        return [
            self.buy(symbol, self.config["position_size"], reason="first tick")
            for symbol in missing
        ]

    def on_stop(self, reason: str) -> Any:
        """Sell everything if configured; only an operator's stop lets it count."""
        if not self.config["sell_on_stop"]:
            return None
        return [
            self.close(symbol, reason="sell on stop") for symbol in self.state.get("bought", ())
        ]
