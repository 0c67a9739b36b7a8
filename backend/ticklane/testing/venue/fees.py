"""What coins cost to trade: a share of what is received, posted later as CFEE."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

_COIN_STEP = Decimal("1e-9")
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class CoinFees:
    """Percent of the coins bought, or of the money of a sale; Alpaca's lowest tier.

    `is_posted_at_once` False: the CFEE activities come at the end of the day (UTC), or when they
    are asked for.
    """

    maker: Decimal = Decimal("0.15")
    taker: Decimal = Decimal("0.25")
    is_posted_at_once: bool = False

    def coins(self, quantity: Decimal, is_maker: bool) -> Decimal:
        """The fee of a purchase, in coins."""
        return self._share(quantity, is_maker).quantize(_COIN_STEP, ROUND_CEILING)

    def money(self, value: Decimal, is_maker: bool) -> Decimal:
        """The fee of a sale, in dollars."""
        return self._share(value, is_maker).quantize(_CENT, ROUND_CEILING)

    def _share(self, value: Decimal, is_maker: bool) -> Decimal:
        return value * (self.maker if is_maker else self.taker) / 100
