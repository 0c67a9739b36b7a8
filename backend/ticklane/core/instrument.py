"""What can be traded, and a venue's rules for it as data that every broker obeys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from ticklane.core.money import is_multiple
from ticklane.core.order import Order, OrderClass, OrderType, Refusal, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRules:
    """Which orders a venue takes in an instrument; the defaults take everything.

    `opg_cutoff_ns` and `cls_cutoff_ns` say how long before the session's open and close such an
    order must be there. A quantity that is no multiple of `whole`, or an amount of money, is a
    fraction; it is taken only with the `fraction_...` terms.
    """

    is_tradable: bool = True
    can_short: bool = True
    tick: Decimal | None = None  # prices are multiples of it; None: any price
    fine_tick: Decimal | None = None  # the same for prices below `fine_below`
    fine_below: Decimal | None = None
    lot: Decimal | None = None  # quantities are multiples of it; None: any quantity
    minimum_quantity: Decimal | None = None
    times_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)
    types: frozenset[OrderType] = frozenset(OrderType)
    classes: frozenset[OrderClass] = frozenset(OrderClass)
    minimum_notional: Decimal | None = None  # of an order sized by an amount of money
    whole: Decimal | None = None
    fraction_times_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)
    fraction_types: frozenset[OrderType] = frozenset(OrderType)
    fraction_classes: frozenset[OrderClass] = frozenset(OrderClass)
    class_times_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)  # of no simple order
    needs_both_exits: bool = False  # a bracket has a target and a stop
    can_flip: bool = True  # may one order go through zero?
    opg_cutoff_ns: int = 0
    cls_cutoff_ns: int = 0

    def refusal(self, order: Order) -> Refusal | None:
        """Say why the venue would not take this order, or None."""
        return (
            self._size_refusal(order)
            or self._kind_refusal(order)
            or self._fraction_refusal(order)
            or self._family_refusal(order)
            or self._price_refusal(order)
        )

    def _size_refusal(self, order: Order) -> Refusal | None:
        quantity = order.quantity
        if not self.is_tradable:
            return Refusal(
                "not_tradable", f"{order.symbol} cannot be traded at this venue; choose another."
            )
        if self.lot is not None and not is_multiple(quantity, self.lot):
            return Refusal(
                "lot", f"quantity {quantity} of {order.symbol} is not a multiple of {self.lot}."
            )
        if self.minimum_quantity is not None and 0 < quantity < self.minimum_quantity:
            return Refusal(
                "minimum_quantity",
                f"quantity {quantity} of {order.symbol} is below {self.minimum_quantity}.",
            )
        minimum, notional = self.minimum_notional, order.notional
        if minimum is not None and notional is not None and not quantity and notional < minimum:
            return Refusal(
                "minimum_notional",
                f"notional {notional} of {order.symbol} is below {minimum}; take more.",
            )
        return None

    def _kind_refusal(self, order: Order) -> Refusal | None:
        for value, allowed, name in (
            (order.type, self.types, "order_type"),
            (order.time_in_force, self.times_in_force, "time_in_force"),
            (order.order_class, self.classes, "order_class"),
        ):
            if value not in allowed:
                choices = ", ".join(sorted(allowed)) or "none"
                return Refusal(name, f"{order.symbol} takes {name} {choices}, not {value}.")
        return None

    def _fraction_refusal(self, order: Order) -> Refusal | None:
        """A part of a share, or an amount of money, is taken on fewer terms than whole shares."""
        if self.whole is None or (order.quantity and is_multiple(order.quantity, self.whole)):
            return None
        size = f"quantity {order.quantity}" if order.quantity else f"notional {order.notional}"
        for value, allowed, name in (
            (order.time_in_force, self.fraction_times_in_force, "time_in_force"),
            (order.type, self.fraction_types, "order_type"),
            (order.order_class, self.fraction_classes, "order_class"),
        ):
            if value not in allowed:
                return Refusal(
                    "fraction",
                    f"{size} of {order.symbol} is no whole number, so {name} must be "
                    f"{_choices(allowed)}, not {value}; change it or take a whole quantity.",
                )
        return None

    def _family_refusal(self, order: Order) -> Refusal | None:
        """What orders that hang together need besides."""
        kind = order.order_class
        if kind is OrderClass.SIMPLE:
            return None
        if self.needs_both_exits and kind is OrderClass.BRACKET and len(order.legs) == 1:
            return Refusal(
                "protection",
                f"a bracket in {order.symbol} needs take_profit and stop_loss; give both, or one "
                "of them as an oto order.",
            )
        if order.time_in_force not in self.class_times_in_force:
            return Refusal(
                "time_in_force",
                f"{kind} orders in {order.symbol} take time_in_force "
                f"{_choices(self.class_times_in_force)}, not {order.time_in_force}.",
            )
        return None

    def tick_at(self, price: Decimal) -> Decimal | None:
        """The step of prices at this one."""
        is_fine = self.fine_below is not None and price < self.fine_below
        return self.fine_tick if is_fine else self.tick

    def _price_refusal(self, order: Order) -> Refusal | None:
        for name in ("limit_price", "stop_price"):
            price = getattr(order, name)
            tick = None if price is None else self.tick_at(price)
            if tick is not None and not is_multiple(price, tick):
                return Refusal(
                    "tick", f"{name} {price} of {order.symbol} is not a multiple of {tick}."
                )
        return None


def _choices(allowed: Iterable[str]) -> str:
    return " or ".join(sorted(allowed))


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
