"""Fees of coin trades: taken at once from what is received, but posted only later as CFEE.

A strategy that closes must know what is left, so a fill is told with its fee: what the venue's own
position shows to be missing, else the highest rate of Alpaca's table. An estimate that is too high
leaves dust in the account, never an order for more than there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from typing import Final

from ticklane.core.money import ZERO, to_cash
from ticklane.core.order import Side
from ticklane.integrations.alpaca.convert import Execution
from ticklane.integrations.alpaca.ledger import is_crypto_like

HIGHEST_RATE: Final = Decimal("0.0025")  # for takers with little volume
_LIKELY: Final = Decimal("0.005")  # more than that of a fill is no fee
_COIN_STEP: Final = Decimal("0.000000001")


class CoinFees:
    """What the venue keeps of each fill in coins; `shown` are the positions it has shown last."""

    def __init__(self, rate: Decimal = HIGHEST_RATE) -> None:
        self.rate = rate
        self._shown: dict[str, Decimal] = {}

    def note(self, positions: Mapping[str, Decimal]) -> None:
        """These are the positions now."""
        self._shown = {symbol: q for symbol, q in positions.items() if is_crypto_like(symbol)}

    def of(self, execution: Execution) -> tuple[Decimal, str | None]:
        """The fee of an execution, and the coin it is in (None: the account's currency)."""
        symbol, quantity = execution.symbol, execution.quantity
        if not is_crypto_like(symbol):
            return ZERO, None
        before = self._shown.pop(symbol, ZERO)
        if execution.held is not None:
            self._shown[symbol] = execution.held
        if execution.side is Side.SELL:
            return to_cash(quantity * execution.price * self.rate), None
        coin = symbol.partition("/")[0]
        if execution.held is not None:
            missing = before + quantity - execution.held
            if ZERO < missing <= quantity * _LIKELY:
                return missing, coin
        return (quantity * self.rate).quantize(_COIN_STEP, ROUND_UP), coin
