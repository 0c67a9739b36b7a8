"""The simulated venue's own account: cash, net positions and what open orders have reserved."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ticklane.brokers.working import Working, quantity_of, worst_price
from ticklane.core.costs import NO_COSTS, Costs
from ticklane.core.instrument import OrderRules
from ticklane.core.money import CASH_STEP, ZERO, exact, plain, round_down
from ticklane.core.order import Fill, Order, Refusal, Side

_BUY = Side.BUY
Verdict = tuple[Refusal | None, Decimal]  # why not, or the cash to keep reserved


class Account:
    """Cash and signed positions of one simulated account, and what it can carry.

    `working` are the open orders by symbol.
    """

    def __init__(
        self,
        cash: Decimal,
        allow_short: bool,
        costs: Costs,
        price_of: Callable[[str], float | None],
        working: dict[str, list[Working]],
    ) -> None:
        self.cash = cash
        self.allow_short = allow_short
        self.costs = costs
        self.positions: dict[str, Decimal] = {}
        self.price_of = price_of
        self.working = working

    # --- at acceptance -----------------------------------------------------------------------

    def judge(self, order: Order, last: float, instead_of: Working | None = None) -> Verdict:
        """Say why an order cannot be carried, or which cash it must keep reserved.

        `instead_of` is the order it replaces. What closes a position needs no cash; an order
        that goes through zero pays with what its closing part sets free.
        """
        symbol, quantity = order.symbol, order.quantity
        is_buy = order.side is _BUY
        held, closable = self.positions.get(symbol), ZERO
        if held and (held < ZERO) is is_buy:
            closable = abs(held)
            if self.working:
                closable -= self._on_its_way(symbol, is_buy, instead_of, exact(last))
            if ZERO < quantity <= closable:
                return None, ZERO
        price = worst_price(order, last)
        if order.notional is not None:
            quantity = quantity_of(order, price)
            if quantity <= closable:
                return None, ZERO
        if not is_buy and not self.allow_short:
            return _short_refusal(symbol, quantity, closable), ZERO
        cost = quantity * price
        if self.costs is not NO_COSTS:
            cost += self.costs.fee(quantity, price, False, True)
        if closable and closable > ZERO:
            cost = max(cost - 2 * closable * price, ZERO)
        free = self.free_cash()
        if cost > free:
            return _cash_refusal(order, quantity, cost, free), cost
        return None, cost

    def _on_its_way(
        self, symbol: str, is_buy: bool, instead_of: Working | None, price: Decimal
    ) -> Decimal:
        """What open orders of a side will take; the exits of a family count once or not yet."""
        total, lane = ZERO, self.working.get(symbol, [])
        for working in lane:
            if working.is_buy is not is_buy or working is instead_of:
                continue
            if working.order.parent_id is None:
                unsized = working.is_unsized
                total += quantity_of(working.order, price) if unsized else working.remaining
        return total

    def free_cash(self) -> Decimal:
        """What a new entry may cost: a short locks its proceeds and as much again."""
        free = self.cash
        if self.working:
            free -= sum((w.cost for lane in self.working.values() for w in lane), ZERO)
        return free - self._locked() if self.allow_short else free

    def _locked(self, covering: str = "") -> Decimal:
        """The cash that open shorts keep, their proceeds and as much again; but not the one that
        is being covered."""
        shorts = [(s, held) for s, held in self.positions.items() if held < 0 and s != covering]
        return sum((-2 * held * exact(self.price_of(s) or 0.0) for s, held in shorts), ZERO)

    def rules_refusal(self, order: Order, rules: OrderRules, last: float) -> Refusal | None:
        """What the instrument's own rules say about an order and its legs."""
        for one in (order, *order.legs):
            refusal = rules.refusal(one)
            if refusal is not None:
                return refusal
        if rules.can_flip:
            return None
        held = self.positions.get(order.symbol, ZERO)
        quantity = quantity_of(order, exact(last))
        after = held + (quantity if order.side is _BUY else -quantity)
        if held and after and (held > 0) is not (after > 0):
            return Refusal("flip", f"an order in {order.symbol} may not go through zero.")
        return None

    # --- at the fill -------------------------------------------------------------------------

    def fill_refusal(
        self, working: Working, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> Refusal | None:
        """Say why an execution cannot be carried any more, or None."""
        symbol = working.order.symbol
        if working.is_buy:
            cost = quantity * price + fee
            cash = self.cash - self._locked(symbol) if self.allow_short else self.cash
            if cost <= cash or quantity <= -self.positions.get(symbol, ZERO):
                return None
            return Refusal(
                "insufficient_cash",
                f"buying {plain(quantity)} {symbol} costs {cost:,.2f} at the fill, "
                f"but only {cash:,.2f} is there.",
            )
        held = self.positions.get(symbol, ZERO)
        if self.allow_short or held >= quantity:
            return None
        return _short_refusal(symbol, quantity, held)

    def book(self, fill: Fill) -> None:
        """Move cash and position by one execution."""
        symbol, quantity, fee, positions = fill.symbol, fill.quantity, fill.fee, self.positions
        self.cash -= (quantity * fill.price).quantize(CASH_STEP)
        positions[symbol] = positions.get(symbol, ZERO) + quantity
        if fee and fill.fee_asset is None:
            self.cash -= fee
        elif fee:
            positions[symbol] -= fee


def _cash_refusal(order: Order, quantity: Decimal, cost: Decimal, free: Decimal) -> Refusal:
    verb = "buying" if order.side is _BUY else "shorting"
    return Refusal(
        "insufficient_cash",
        f"{verb} {plain(round_down(quantity, CASH_STEP))} {order.symbol} needs about "
        f"{cost:,.2f}, but only {free:,.2f} is free.",
    )


def _short_refusal(symbol: str, quantity: Decimal, available: Decimal) -> Refusal:
    return Refusal(
        "short_not_allowed",
        f"selling {plain(quantity)} {symbol} would go short, since only "
        f"{plain(max(available, ZERO))} can be sold; set allow_short to permit it.",
    )
