"""OrderMaker: writes the ticket, an Order with its id, its legs and its terms."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ticklane.core.instrument import Instrument
from ticklane.core.money import ZERO
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


class OrderMaker:
    """Makes orders with ids from a counter and the run id, so that a run can be repeated."""

    def __init__(self, run_id: str, installation: str, instrument_of: Callable[[str], Instrument]):
        self.number = 0
        self.instrument_of = instrument_of
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
            term = self._terms[symbol] = self.instrument_of(symbol).default_time_in_force
        if term is not _GTC:
            order.time_in_force = term
        if tag:
            order.tag = tag
        return order

    def refused(self, strategy: str, symbol: str, side: Side, at_ns: int, why: Refusal) -> Order:
        """The order of a malformed wish: quantity zero, denied, never numbered or stored."""
        order = Order(f"{self._prefix}0", strategy, symbol, side, ZERO, at_ns)
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
        """An order that closes; with protection prices it waits for them, as a pair (OCO) if both."""
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

    def replacement(self, old: Order, at_ns: int) -> Order:
        """A copy of an open order under a new id, to be changed."""
        new = self.new(old.strategy, old.symbol, old.side, old.remaining, at_ns, old.tag)
        for name in (
            "type time_in_force limit_price stop_price trail_amount trail_percent order_class "
            "parent_id notional"
        ).split():
            setattr(new, name, getattr(old, name))
        new.replaces_id = old.id
        return new


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
