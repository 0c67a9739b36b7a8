"""The simulated venue's own account: cash, net positions and what open orders have reserved."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ticklane.core.money import CASH_STEP, ZERO, exact, plain
from ticklane.core.order import Fill, Refusal


class Account:
    """Cash and signed positions of one simulated account."""

    __slots__ = ("allow_short", "cash", "positions", "price_of", "reserved", "starting_cash")

    def __init__(
        self, cash: Decimal, allow_short: bool, price_of: Callable[[str], float | None]
    ) -> None:
        self.starting_cash = cash
        self.cash = cash
        self.allow_short = allow_short
        self.positions: dict[str, Decimal] = {}
        self.reserved: Decimal = ZERO
        self.price_of = price_of

    @property
    def free_cash(self) -> Decimal:
        """What a new entry may cost: a short locks its proceeds and as much again."""
        free = self.cash - self.reserved
        if self.allow_short:
            free -= 2 * sum(
                (-quantity * self._price(symbol) for symbol, quantity in self._shorts()), ZERO
            )
        return free

    def _shorts(self) -> list[tuple[str, Decimal]]:
        return [(symbol, held) for symbol, held in self.positions.items() if held < 0]

    def _price(self, symbol: str) -> Decimal:
        price = self.price_of(symbol)
        return ZERO if price is None else exact(price)

    def book(self, fill: Fill) -> None:
        """Move cash and position by one execution."""
        symbol = fill.symbol
        self.cash -= (fill.quantity * fill.price).quantize(CASH_STEP)
        held = self.positions.get(symbol, ZERO) + fill.quantity
        if fill.fee_asset is None:
            self.cash -= fill.fee
        else:
            held -= fill.fee
        self.positions[symbol] = held

    def refusal(
        self, symbol: str, is_buy: bool, quantity: Decimal, cost: Decimal
    ) -> Refusal | None:
        """Say why an order of this size and estimated cost cannot be carried, or None."""
        held = self.positions.get(symbol, ZERO)
        if is_buy:
            if held < 0 and quantity <= -held:
                return None  # covering a short frees money
            return self._cash_refusal(symbol, "buying", quantity, cost)
        if held >= quantity:
            return None
        if not self.allow_short:
            return Refusal(
                "short_not_allowed",
                f"selling {plain(quantity)} {symbol} would go short, since only {plain(held)} is "
                "held; set allow_short to permit it.",
            )
        opening = quantity - max(held, ZERO)
        return self._cash_refusal(symbol, "shorting", opening, cost * opening / quantity)

    def _cash_refusal(
        self, symbol: str, verb: str, quantity: Decimal, cost: Decimal
    ) -> Refusal | None:
        free = self.free_cash
        if cost <= free:
            return None
        return Refusal(
            "insufficient_cash",
            f"{verb} {plain(quantity)} {symbol} needs about {cost:,.2f}, "
            f"but only {free:,.2f} is free.",
        )
