"""How much of a working order fills against one bar or quote, and at which price."""

from __future__ import annotations

from decimal import Decimal

from ticklane.brokers.room import Room
from ticklane.brokers.working import Working, quantity_of
from ticklane.core.costs import Slippage, slipped
from ticklane.core.instrument import OrderRules
from ticklane.core.market import Observation
from ticklane.core.matching import Match
from ticklane.core.money import ZERO, exact, plain, round_down
from ticklane.core.order import Order, OrderType, Refusal, TimeInForce

_NO_LOT = Decimal("1e-8")  # the finest quantity where an instrument declares no lot


def size_and_price(
    working: Working,
    match: Match,
    seen: Observation,
    room: Room | None,
    slippage: Slippage,
    rules: OrderRules,
) -> tuple[Decimal, Decimal]:
    """The quantity that fills now (unsigned, perhaps zero) and its price.

    An order sized by money becomes one of a known quantity here: what is left of it is set. It
    is left at zero where the money is not enough for the smallest quantity.
    """
    order, lot = working.order, rules.lot or _NO_LOT
    wanted = quantity_of(order, exact(match.price)) if working.is_unsized else working.remaining
    left = None if room is None else room.left(working.is_buy)
    quantity = wanted if left is None else min(wanted, left)
    price = _priced(working, match, quantity, seen, slippage)
    if working.is_unsized:
        wanted = working.remaining = _sized(order, price, lot, rules.minimum_quantity or ZERO)
    if left is None or wanted <= left:
        return wanted, price
    if order.time_in_force is TimeInForce.FOK:
        return ZERO, price
    return round_down(left, lot), price


def _priced(
    working: Working, match: Match, quantity: Decimal, seen: Observation, slippage: Slippage
) -> Decimal:
    """The rule's price after slippage, on the tick, rounded against us, within the limit."""
    price, order, tick = exact(match.price), working.order, working.tick
    shift = ZERO
    if not match.is_maker and quantity > ZERO:
        shift = slippage.shift(quantity, price, seen)
    if shift or tick is not None:
        price = slipped(price, shift, working.is_buy, tick)
    limit = order.limit_price
    if limit is None or order.type not in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        return price
    return min(price, limit) if working.is_buy else max(price, limit)


def numbers_behind(working: Working, match: Match, price: Decimal) -> str:
    """What led to a fill's price besides the bar or quote, for people; empty where nothing did."""
    order, terms, words = working.order, working.terms, []
    if terms.mark is not None:
        words.append(f"mark {terms.mark}, stop {terms.trailing_stop()}")
    if order.stop_price is not None:
        words.append(f"stop {plain(order.stop_price)}")
    if order.limit_price is not None:
        words.append(f"limit {plain(order.limit_price)}")
    if price != exact(match.price):
        words.append(f"{match.price} before slippage and rounding")
    return ", ".join(words)


def _sized(order: Order, price: Decimal, lot: Decimal, least: Decimal) -> Decimal:
    """What the order's money is worth in whole lots at this price."""
    if order.notional is None or not price:
        return ZERO
    quantity = round_down(order.notional / price, lot)
    return quantity if quantity >= least else ZERO


def too_small(order: Order) -> Refusal:
    """The reason of an order whose money is not enough for the smallest quantity."""
    money = plain(order.notional or ZERO)
    return Refusal("too_small", f"{money} is less than the smallest quantity of {order.symbol}.")
