"""The simulated venue's own account: cash, net positions and what open orders have reserved."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ticklane.core.money import CASH_STEP, ZERO, exact, plain, round_down
from ticklane.core.order import Fill, Order, Refusal, Side


class Account:
    """Cash and signed positions of one simulated account."""

    def __init__(
        self, cash: Decimal, allow_short: bool, price_of: Callable[[str], float | None]
    ) -> None:
        self.cash = cash
        self.allow_short = allow_short
        self.positions: dict[str, Decimal] = {}
        self.price_of = price_of

    def free_cash(self, reserved: Decimal) -> Decimal:
        """What a new entry may cost: a short locks its proceeds and as much again."""
        free = self.cash - reserved
        if self.allow_short:
            for symbol, held in self.positions.items():
                if held < 0:
                    free += 2 * held * exact(self.price_of(symbol) or 0.0)
        return free

    def book(self, fill: Fill) -> None:
        """Move cash and position by one execution."""
        symbol, quantity, fee = fill.symbol, fill.quantity, fill.fee
        self.cash -= (quantity * fill.price).quantize(CASH_STEP)
        positions = self.positions
        positions[symbol] = positions.get(symbol, ZERO) + quantity
        if fee and fill.fee_asset is None:
            self.cash -= fee
        elif fee:
            positions[symbol] -= fee

    def short_refusal(self, symbol: str, quantity: Decimal) -> Refusal:
        """Why a sale beyond what is held is not taken."""
        held = plain(max(self.positions.get(symbol, ZERO), ZERO))
        return Refusal(
            "short_not_allowed",
            f"selling {plain(quantity)} {symbol} would go short, since only {held} is held; "
            "set allow_short to permit it.",
        )

    def cash_refusal(
        self, order: Order, quantity: Decimal, cost: Decimal, reserved: Decimal
    ) -> Refusal | None:
        """Say why an entry of this cost cannot be carried, or None."""
        free = self.free_cash(reserved)
        if cost <= free:
            return None
        verb = "buying" if order.side is Side.BUY else "shorting"
        return Refusal(
            "insufficient_cash",
            f"{verb} {plain(round_down(quantity, CASH_STEP))} {order.symbol} needs about "
            f"{cost:,.2f}, but only {free:,.2f} is free.",
        )
