"""An order as the simulated venue holds it: what is left of it and what the market did to it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ticklane.core.matching import Terms
from ticklane.core.money import ZERO, exact
from ticklane.core.order import Order, OrderType, Side
from ticklane.interfaces import Calendar

if TYPE_CHECKING:
    from ticklane.brokers.family import Family

# A member of an enum is looked up by name each time it is written out: here once.
_BUY, _MARKET = Side.BUY, OrderType.MARKET


class Working:
    """One order at the venue.

    `is_plain` says that nothing but its own price decides: no family, no calendar, no end, no
    tick, no slippage, and a size that is known.
    """

    filled: Decimal = ZERO
    fills: int = 0
    expires_ns: int | None = None
    calendar: Calendar | None = None
    tick: Decimal | None = None
    family: Family | None = None
    size: Decimal | None = None  # where the venue has decided it
    known_as: str | None = None  # the venue's id, where it is not the order's
    is_plain = True

    def __init__(self, order: Order, active_ns: int, cost: Decimal) -> None:
        self.order = order
        self.active_ns = active_ns  # what opens earlier cannot fill it
        self.cost = cost  # cash that an entry keeps reserved
        self.is_buy = order.side is _BUY
        self.remaining = order.quantity  # of an exit: what there is to protect
        self.terms = terms_of(order) if order.type is not _MARKET else _MARKET_TERMS[self.is_buy]

    @property
    def broker_id(self) -> str:
        """The venue's own id of the order."""
        return self.known_as or self.order.id

    @property
    def quantity(self) -> Decimal:
        """The size of the order as the venue knows it now."""
        return self.order.quantity if self.size is None else self.size

    @property
    def is_unsized(self) -> bool:
        """True for an amount of money that is turned into a quantity by the first fill."""
        return self.order.notional is not None and not self.filled

    @property
    def can_trade(self) -> bool:
        """True while there is something left to fill (an exit: something to protect)."""
        return self.remaining > 0 or self.is_unsized

    @property
    def legs(self) -> tuple[Working, ...]:
        """The exits that wait for the fills of this entry."""
        family = self.family
        return family.exits if family is not None and family.entry is self else ()

    def snapshot(self, place: int) -> dict[str, Any]:
        """What cannot be derived from the order and its fills, as JSON values."""
        terms, family = self.terms, self.family
        return {
            "place": place,  # among those of its symbol
            "family": None if family is None else family.id,
            "is_exit": family is not None and family.entry is not self,
            "active_ns": self.active_ns,
            "expires_ns": self.expires_ns,
            "mark": terms.mark,
            "is_triggered": terms.is_triggered or terms.type is not self.order.type,
            "remaining": str(self.remaining),
            "cost": str(self.cost),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self.active_ns = saved["active_ns"]
        self.expires_ns = saved["expires_ns"]
        self.terms.mark = saved["mark"]
        self.remaining = Decimal(saved["remaining"])
        self.cost = Decimal(saved["cost"])
        if saved["is_triggered"]:
            self.trigger()

    def trigger(self) -> None:
        """A stop that was reached is a market order from now on; a stop-limit keeps its limit."""
        terms = self.terms
        if terms.type is OrderType.STOP_LIMIT:
            terms.is_triggered = True
        elif terms.type is OrderType.STOP or terms.type is OrderType.TRAILING_STOP:
            terms.type = OrderType.MARKET


_MARKET_TERMS = (Terms(_MARKET, is_buy=False), Terms(_MARKET, is_buy=True))  # nothing moves there


def terms_of(order: Order) -> Terms:
    """An order's prices as floats, for matching."""
    terms = Terms(order.type, order.side is _BUY)
    if order.limit_price is not None:
        terms.limit = float(order.limit_price)
    if order.stop_price is not None:
        terms.stop = float(order.stop_price)
    if order.trail_amount is not None:
        terms.trail = float(order.trail_amount)
    if order.trail_percent is not None:
        terms.trail_share = float(order.trail_percent / 100)
    return terms


def worst_price(order: Order, last: float) -> Decimal:
    """The price at which an order's cost is estimated when it is accepted."""
    if order.limit_price is not None:
        return order.limit_price
    price = exact(last)
    if order.stop_price is not None and order.side is _BUY:
        return max(price, order.stop_price)
    return price


def quantity_of(order: Order, price: Decimal) -> Decimal:
    """The quantity of an order, estimated at a price where it is an amount of money."""
    if order.notional is not None and not order.quantity and price:
        return order.notional / price
    return order.quantity
