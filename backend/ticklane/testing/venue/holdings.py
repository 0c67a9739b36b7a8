"""What the account holds: average prices as Alpaca keeps them, and what margin allows."""

from __future__ import annotations

from decimal import Decimal

from ticklane.brokers.account import Account
from ticklane.brokers.venue import Venue
from ticklane.brokers.working import Working
from ticklane.core.market import Observation
from ticklane.core.money import ZERO, exact
from ticklane.core.order import Refusal, Side


class Holding:
    """One position: signed quantity and what it cost; selling leaves the average as it was."""

    def __init__(self) -> None:
        self.quantity = ZERO
        self.cost = ZERO
        self.opened_ns = 0

    @property
    def average_price(self) -> Decimal:
        """What a unit cost."""
        return self.cost / self.quantity if self.quantity else ZERO

    def book(self, quantity: Decimal, price: Decimal, at_ns: int) -> None:
        """Take a fill; `quantity` is signed."""
        held = self.quantity
        if not held:
            self.opened_ns = at_ns
        if held and (held > 0) is not (quantity > 0):
            closing = min(abs(quantity), abs(held))
            self.shrink(closing)
            quantity = quantity + closing if quantity < 0 else quantity - closing
            self.opened_ns = at_ns if quantity else self.opened_ns
        self.quantity += quantity
        self.cost += quantity * price

    def shrink(self, by: Decimal) -> None:
        """Hold so much less (unsigned) at the same average: a sale, or a fee in coins."""
        held = self.quantity
        rest = held - by if held > 0 else held + by
        self.cost = self.cost * rest / held if rest else ZERO
        self.quantity = rest


class MarginAccount(Account):
    """The simulated venue's account, with a margin multiplier and a ceiling set by hand."""

    multiplier = 1
    ceiling: Decimal | None = None  # buying power as an operator wants it

    @classmethod
    def of(cls, venue: Venue, multiplier: int) -> MarginAccount:
        """The account that takes the place of a venue's own."""
        own = venue.account
        made = cls(own.cash, own.allow_short, own.costs, own.price_of, own.working)
        made.multiplier = multiplier
        venue.account = made
        return made

    def value_of(self, symbol: str) -> Decimal:
        """What the position is worth now, signed."""
        held = self.positions.get(symbol, ZERO)
        return held * exact(self.price_of(symbol) or 0.0) if held else ZERO

    @property
    def equity(self) -> Decimal:
        """Cash and what all positions are worth."""
        return self.cash + sum((self.value_of(symbol) for symbol in self.positions), ZERO)

    @property
    def reserved(self) -> Decimal:
        """What open orders keep."""
        return sum((w.cost for lane in self.working.values() for w in lane), ZERO)

    def free_cash(self) -> Decimal:
        """The buying power that is left."""
        gross = sum((abs(self.value_of(symbol)) for symbol in self.positions), ZERO)
        free = self.equity * self.multiplier - gross - self.reserved
        return free if self.ceiling is None else min(free, self.ceiling)

    def fill_refusal(
        self, working: Working, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> Refusal | None:
        """On margin what was accepted is carried; with cash alone the cash must be there."""
        if self.multiplier > 1 and (working.is_buy or self.allow_short):
            return None
        return super().fill_refusal(working, quantity, price, fee)


class ScriptedVenue(Venue):
    """Our simulated venue, where a fill can also be ordered by name."""

    def fill(self, working: Working, quantity: Decimal, price: Decimal, seen: Observation) -> bool:
        """Let one order trade so much at this price now, whatever the market says."""
        if working.is_unsized:
            working.remaining = quantity
        return self._fill(working, quantity, price, "scripted", self.now_ns, seen, False)

    def drop(self, working: Working, status: str, reason: Refusal) -> None:
        """End one order, and with it what hangs on it."""
        from ticklane.core.order import OrderStatus

        self._drop(working, OrderStatus(status), reason)

    def is_buy(self, working: Working) -> bool:
        """Which way an order trades."""
        return working.order.side is Side.BUY
