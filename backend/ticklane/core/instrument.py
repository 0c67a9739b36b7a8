"""What can be traded, and a venue's rules for it as data that every broker obeys."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from ticklane.core.money import is_multiple
from ticklane.core.order import Order, OrderClass, OrderType, Refusal, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRules:
    """Which orders a venue takes in an instrument; the defaults take everything.

    `opg_cutoff_ns` and `cls_cutoff_ns` say how long before the session's open and close such an
    order must be there.
    """

    tick: Decimal | None = None  # prices are multiples of it; None: any price
    lot: Decimal | None = None  # quantities are multiples of it; None: any quantity
    minimum_quantity: Decimal | None = None
    times_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)
    types: frozenset[OrderType] = frozenset(OrderType)
    classes: frozenset[OrderClass] = frozenset(OrderClass)
    can_flip: bool = True  # may one order go through zero?
    opg_cutoff_ns: int = 0
    cls_cutoff_ns: int = 0

    def refusal(self, order: Order) -> Refusal | None:
        """Say why the venue would not take this order, or None."""
        return self._size_refusal(order) or self._kind_refusal(order) or self._price_refusal(order)

    def _size_refusal(self, order: Order) -> Refusal | None:
        quantity = order.quantity
        if self.lot is not None and not is_multiple(quantity, self.lot):
            return Refusal(
                "lot", f"quantity {quantity} of {order.symbol} is not a multiple of {self.lot}."
            )
        if self.minimum_quantity is not None and 0 < quantity < self.minimum_quantity:
            return Refusal(
                "minimum_quantity",
                f"quantity {quantity} of {order.symbol} is below {self.minimum_quantity}.",
            )
        return None

    def _kind_refusal(self, order: Order) -> Refusal | None:
        for value, allowed, name in (
            (order.type, self.types, "order_type"),
            (order.time_in_force, self.times_in_force, "time_in_force"),
            (order.order_class, self.classes, "order_class"),
        ):
            if value not in allowed:
                choices = ", ".join(sorted(allowed))
                return Refusal(name, f"{order.symbol} takes {name} {choices}, not {value}.")
        return None

    def _price_refusal(self, order: Order) -> Refusal | None:
        for name in ("limit_price", "stop_price"):
            price = getattr(order, name)
            if price is not None and self.tick is not None and not is_multiple(price, self.tick):
                return Refusal(
                    "tick", f"{name} {price} of {order.symbol} is not a multiple of {self.tick}."
                )
        return None


ANY_ORDER = OrderRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One thing that can be traded: its symbol, its currency, its calendar and its rules.

    `calendar` is a name such as "XNYS", or None for an instrument that is open wherever there
    are bars.
    """

    symbol: str
    currency: str = "USD"
    calendar: str | None = None
    rules: OrderRules = field(default=ANY_ORDER)

    @property
    def default_time_in_force(self) -> TimeInForce:
        """Day where there is a calendar with sessions, else good till cancelled."""
        if self.calendar is None or self.calendar == "24/7":
            return TimeInForce.GTC
        return TimeInForce.DAY
