"""Long while the fast average is above the slow one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from ticklane.core.market import MarketData
from ticklane.core.signal import Wish
from ticklane.indicators import EMA, SMA
from ticklane.interfaces import StrategyInterface

_ROUNDING = 1e-12  # averages as near as that are equal: their order would be an accident


class MovingAverageCrossoverStrategy(StrategyInterface):
    """Buys `position_size` when the fast average is above the slow one, sells it when below.

    `average` is "simple" or "exponential". Which side it is on stands in `state`, so an
    interrupted run goes on as if nothing had happened.
    """

    class Config(BaseModel):
        """Parameters."""

        fast: int = Field(10, ge=1, description="bars of the fast average")
        slow: int = Field(30, ge=2, description="bars of the slow average")
        average: Literal["simple", "exponential"] = Field("simple", description="kind of average")
        position_size: Decimal = Field(Decimal(100), gt=0, description="shares or coins an order")

        @model_validator(mode="after")
        def _fast_is_faster(self) -> MovingAverageCrossoverStrategy.Config:
            if self.fast >= self.slow:
                raise ValueError(f"fast ({self.fast}) must be below slow ({self.slow})")
            return self

    def on_start(self) -> None:
        """Declare both averages for each symbol."""
        kind: Any = SMA if self.config["average"] == "simple" else EMA
        self._averages = {
            symbol: (
                self.indicator(kind, self.config["fast"], symbol=symbol),
                self.indicator(kind, self.config["slow"], symbol=symbol),
            )
            for symbol in self.symbols
        }

    def on_tick(self, market_data: MarketData) -> list[Wish]:
        """Compare the averages of every symbol with a new bar."""
        intents = []
        for symbol in market_data.updated:
            fast, slow = self._averages[symbol]
            wanted = self._decide(symbol, fast.value, slow.value)
            if wanted is not None:
                intents.append(wanted)
        return intents

    def _decide(self, symbol: str, fast: float, slow: float) -> Wish | None:
        distance = fast - slow
        if not abs(distance) > _ROUNDING * abs(slow):  # nor is NaN: too few bars
            return None
        side = self.state.get(symbol, "out")
        if distance > 0 and side == "out":
            self.state[symbol] = "in"
            return self.buy(symbol, self.config["position_size"], reason="fast above slow")
        if distance < 0 and side == "in":
            self.state[symbol] = "out"
            return self.close(symbol, reason="fast below slow")
        return None
