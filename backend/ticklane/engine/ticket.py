"""OrderMaker: writes the ticket, an Order with its id, its legs and its terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument
from ticklane.core.money import ZERO, to_cash, to_decimal
from ticklane.core.order import (
    Order,
    OrderClass,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    TimeInForce,
)
from ticklane.core.signal import Intent

_GTC, _MARKET = TimeInForce.GTC, OrderType.MARKET
_BUY, _SELL = Side.BUY, Side.SELL
_NAMED = ("symbol", "side")
_TRAILS = ("trail_amount", "trail_percent")
_TERMS = ("type", "time_in_force", "limit_price", "stop_price", *_TRAILS)
_OWN_PRICES: dict[OrderType, tuple[str, ...]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("stop_price", "limit_price"),
    OrderType.TRAILING_STOP: _TRAILS,
}


class OrderMaker:
    """Makes orders with ids from a counter and the run id, so that a run can be repeated."""

    def __init__(self, run_id: str, installation: str, instrument_of: Callable[[str], Instrument]):
        self.number = 0
        self.instrument_of = instrument_of
        self.no_flip: set[str] = set()  # symbols in which no order may go through zero
        self._terms: dict[str, TimeInForce] = {}
        self._prefix = f"{run_id}-"
        self._client_prefix = f"tl-{installation}-{run_id}-" if installation else ""

    def new(
        self, strategy: str, symbol: str, side: Side, quantity: Decimal, at_ns: int, tag: str = ""
    ) -> Order:
        """A market order with the next id."""
        self.number = number = self.number + 1
        order = Order(f"{self._prefix}{number}", strategy, symbol, side, quantity, at_ns)
        if self._client_prefix:
            order.client_order_id = f"{self._client_prefix}{number}"
        term = self._terms.get(symbol)
        if term is None:
            instrument = self.instrument_of(symbol)
            term = self._terms[symbol] = instrument.default_time_in_force
            if not instrument.rules.can_flip:
                self.no_flip.add(symbol)
        if term is not _GTC:
            order.time_in_force = term
        if tag:
            order.tag = tag
        return order

    def refused(self, strategy: str, wish: Any, at_ns: int, why: Refusal) -> Order:
        """The order of a malformed wish: quantity zero, denied, never numbered or stored."""
        given = wish._asdict() if isinstance(wish, Intent) else wish
        if not isinstance(given, Mapping):  # a wish to change an order
            given = {name: getattr(getattr(wish, "order", None), name, "") for name in _NAMED}
        symbol = given.get("symbol")
        is_sale = "SELL" in (str(given.get(name, "")).upper() for name in ("signal", "side"))
        side = _SELL if is_sale else _BUY
        named = symbol if isinstance(symbol, str) else ""
        order = Order(f"{self._prefix}0", strategy, named, side, ZERO, at_ns)
        order.status = OrderStatus.DENIED
        order.reason_code, order.reason = why
        return order

    def entry(
        self,
        strategy: str,
        intent: Intent,
        side: Side,
        quantity: Decimal,
        notional: Decimal | None,
        at_ns: int,
    ) -> Order:
        """An order on the intent's terms, with protective legs where it asks for them."""
        order = self.new(strategy, intent.symbol, side, quantity, at_ns, intent.reason)
        if notional is not None:
            order.notional = notional
        if intent.time_in_force is not None or intent.order_type is not _MARKET:
            self._set_terms(order, intent)
        if intent.take_profit is not None or intent.stop_loss is not None:
            both = intent.take_profit is not None and intent.stop_loss is not None
            order.order_class = OrderClass.BRACKET if both else OrderClass.OTO
            order.legs = tuple(self._legs(order, intent))
        return order

    def exit(
        self, strategy: str, intent: Intent, side: Side, quantity: Decimal, at_ns: int
    ) -> Order:
        """An order that closes; with protection prices it waits for them, both as a pair (OCO)."""
        order = self.new(strategy, intent.symbol, side, quantity, at_ns, intent.reason)
        self._set_terms(order, intent)
        if intent.take_profit is not None:
            order.type, order.limit_price = OrderType.LIMIT, intent.take_profit
            order.time_in_force = intent.time_in_force or _GTC
        if intent.stop_loss is not None and intent.take_profit is None:
            order.type, order.stop_price = OrderType.STOP, intent.stop_loss
            order.time_in_force = intent.time_in_force or _GTC
        elif intent.stop_loss is not None:
            order.order_class = OrderClass.OCO
            order.legs = (self._stop_leg(order, side, intent.stop_loss),)
        return order

    def _set_terms(self, order: Order, intent: Intent) -> None:
        if intent.time_in_force is not None:
            order.time_in_force = intent.time_in_force
        if intent.order_type is not _MARKET:
            order.type = intent.order_type
            order.limit_price, order.stop_price = intent.limit_price, intent.stop_price
            order.trail_amount, order.trail_percent = intent.trail_amount, intent.trail_percent

    def _legs(self, entry: Order, intent: Intent) -> list[Order]:
        side = _SELL if entry.side is _BUY else _BUY
        legs = []
        if intent.take_profit is not None:
            target = self._leg(entry, side)
            target.type, target.limit_price = OrderType.LIMIT, intent.take_profit
            legs.append(target)
        if intent.stop_loss is not None:
            legs.append(self._stop_leg(entry, side, intent.stop_loss))
        return legs

    def _stop_leg(self, entry: Order, side: Side, price: Decimal) -> Order:
        leg = self._leg(entry, side)
        leg.type, leg.stop_price = OrderType.STOP, price
        return leg

    def _leg(self, entry: Order, side: Side) -> Order:
        leg = self.new(
            entry.strategy, entry.symbol, side, entry.quantity, entry.created_ns, entry.tag
        )
        leg.time_in_force, leg.order_class = _GTC, entry.order_class
        leg.parent_id = entry.id
        return leg

    def replacement(self, old: Order, changes: Mapping[str, Any], at_ns: int) -> Order:
        """A copy of what is left of an open order under a new id, with changes (read_changes)."""
        new = self.new(old.strategy, old.symbol, old.side, old.remaining, at_ns, old.tag)
        for name in (*_TERMS, "order_class", "parent_id"):
            setattr(new, name, getattr(old, name))
        if not old.quantity:  # an amount of money, not yet turned into a quantity
            new.notional = None if "quantity" in changes else old.notional
        for name in _TRAILS if not changes.keys().isdisjoint(_TRAILS) else ():
            setattr(new, name, None)
        for name, value in changes.items():
            setattr(new, name, value)
        new.replaces_id = old.id
        return new

    def second_half(self, order: Order, closing: Decimal, price: Decimal) -> Order:
        """Cut an order down to what closes and make the one that opens, with its exits.

        An amount of money is shared at `price`. The new order has the first one as its parent.
        """
        second = self.new(
            order.strategy, order.symbol, order.side, ZERO, order.created_ns, order.tag
        )
        for name in (*_TERMS, "order_class", "legs"):
            setattr(second, name, getattr(order, name))
        if order.notional is None:
            second.quantity = order.quantity - closing
        else:
            second.notional = order.notional - to_cash(closing * price)
        order.quantity, order.notional = closing, None
        order.order_class, order.legs = OrderClass.SIMPLE, ()
        for leg in second.legs:
            leg.quantity, leg.parent_id = second.quantity, second.id
        second.parent_id = order.id
        return second


def read_changes(order: Order, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check what is to change on an open order; raises ConfigError for what cannot."""
    possible = ("quantity", "time_in_force", *_OWN_PRICES[order.type])
    read: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in possible:
            raise ConfigError(
                f"{name}={value!r} cannot be set on this open order; what can be changed is "
                f"{', '.join(possible)}."
            )
        if name == "time_in_force":
            read[name] = _term(value)
            continue
        if name == "quantity" and (order.parent_id or order.order_class is OrderClass.OCO):
            raise ConfigError(
                f"quantity={value!r} cannot be set on an exit, which is for what it protects; "
                "change its price."
            )
        read[name] = to_decimal(value, name)
        if read[name] <= 0:
            raise ConfigError(f"{name} is {value}, but must be above zero.")
    return read


def _term(value: Any) -> TimeInForce:
    try:
        return TimeInForce(str(value).lower())
    except ValueError:
        choices = ", ".join(TimeInForce)
        raise ConfigError(f"time_in_force is {value!r}, but must be one of {choices}.") from None


def protection_refusal(order: Order, intent: Intent, last_price: float | None) -> Refusal | None:
    """Say why an entry's take_profit and stop_loss make no sense, or None."""
    target, stop = intent.take_profit, intent.stop_loss
    base = order.limit_price or order.stop_price
    if base is None and last_price is not None:
        base = Decimal(repr(last_price))
    sign = 1 if order.side is _BUY else -1
    for name, price, direction in (("take_profit", target, sign), ("stop_loss", stop, -sign)):
        if price is not None and base is not None and (price - base) * direction <= 0:
            place = "above" if direction > 0 else "below"
            return Refusal(
                "protection_price",
                f"{name} {price} must be {place} the entry price of about {base} for a "
                f"{order.side} order.",
            )
    return None


def closing_side(held: Decimal) -> Side:
    """The side that closes a position of this sign."""
    return _SELL if held > ZERO else _BUY
