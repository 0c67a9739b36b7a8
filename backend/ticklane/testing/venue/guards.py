"""What Alpaca looks at before it takes an order: the account, what it holds, and other orders."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from ticklane.brokers.working import worst_price
from ticklane.core.money import ZERO, exact
from ticklane.core.order import Order, OrderClass, OrderType, Refusal, Side
from ticklane.testing.venue.listed import ListedOrder
from ticklane.testing.venue.refused import (
    DAY_TRADES,
    Refused,
    forbidden,
    invalid,
    no_buying_power,
    no_coins,
    no_quantity,
)
from ticklane.testing.venue.terms import check_leg_prices

if TYPE_CHECKING:
    from ticklane.testing.venue.exchange import Exchange

_DAY_TRADER_EQUITY = 25_000


def check(exchange: Exchange, order: Order) -> None:
    """Raises Refused where Alpaca would not take this order."""
    _check_account(exchange)
    last = exchange.price(order.symbol)
    if last is None:
        raise forbidden(f"there is no price of {order.symbol} at this venue yet")
    if order.legs:
        check_leg_prices(order, exact(last))
    _check_configuration(exchange, order)
    _check_wash(exchange, order)
    _check_quantity(exchange, order, exact(last), None)
    _check_day_trades(exchange, order)


def check_replacement(exchange: Exchange, old: ListedOrder, order: Order) -> None:
    """The same for an order that takes another's place."""
    _check_account(exchange)
    if old.order.parent_id is None:
        last = exact(exchange.price(order.symbol) or 0.0)
        _check_quantity(exchange, order, last, old)


def _check_account(exchange: Exchange) -> None:
    flags = exchange.flags
    if flags.account_blocked or flags.status != "ACTIVE":
        raise forbidden("account is blocked")
    if flags.trading_blocked:
        raise forbidden("account is not authorized to trade")
    if flags.is_suspended:
        raise forbidden("new orders are rejected by user request")


def _check_configuration(exchange: Exchange, order: Order) -> None:
    is_fraction = order.notional is not None or bool(order.quantity % 1)
    may_fraction = exchange.flags.configurations["fractional_trading"]
    if is_fraction and not may_fraction and "/" not in order.symbol:
        raise forbidden("fractional trading is not enabled for this account")


def _check_day_trades(exchange: Exchange, order: Order) -> None:
    """A small account may not close today what it opened today for the fourth time."""
    flags, account = exchange.flags, exchange.account
    is_watched = flags.pattern_day_trader or flags.daytrade_count >= 3
    if not is_watched or account.equity >= _DAY_TRADER_EQUITY or "/" in order.symbol:
        return
    holding = exchange.holdings.get(order.symbol)
    if holding is None or not _reduces(exchange, order):
        return
    if exchange.hours.is_same_day(holding.opened_ns, order.created_ns):
        message = "trade denied due to pattern day trading protection"
        raise Refused(403, DAY_TRADES, message)


def _reduces(exchange: Exchange, order: Order) -> bool:
    held = exchange.held(order.symbol)
    return bool(held) and (held > 0) is (order.side is Side.SELL)


# --- orders against orders -------------------------------------------------------------------


def _check_wash(exchange: Exchange, order: Order) -> None:
    """Opposite orders in a symbol might trade with each other."""
    if order.order_class is not OrderClass.SIMPLE or "/" in order.symbol:
        return
    for other in exchange.open_orders(order.symbol):
        if other.order.side is order.side:
            continue
        if not exchange.held(order.symbol) and other.order.order_class is OrderClass.SIMPLE:
            what = "a short sell" if other.is_buy else "a long buy"
            theirs = "long buy" if other.is_buy else "short sell"
            raise forbidden(f"cannot open {what} while a {theirs} order is open")
        reason = _meeting(order, other.order)
        if reason is not None:
            raise forbidden(
                "potential wash trade detected. use complex orders",
                existing_order_id=other.id,
                reject_reason=reason,
            )


def _meeting(new: Order, old: Order) -> str | None:
    if old.type is not OrderType.LIMIT:
        return "opposite side market/stop order exists"
    if new.type is not OrderType.LIMIT:
        return "opposite side limit order exists"
    buy, sell = (new, old) if new.side is Side.BUY else (old, new)
    assert buy.limit_price is not None
    assert sell.limit_price is not None
    return "opposite side limit order exists" if buy.limit_price >= sell.limit_price else None


def held_for_orders(
    exchange: Exchange, symbol: str, side: Side, instead_of: ListedOrder | None = None
) -> Decimal:
    """What open orders of a side will take; a pair of exits takes it once."""
    families: dict[str, Decimal] = {}
    for working in exchange.venue.working.get(symbol, ()):
        family = working.family
        if working.order.side is not side:
            continue
        if instead_of is not None and working.order.id == instead_of.id:
            continue
        key = working.order.id if family is None else family.id
        families[key] = max(families.get(key, ZERO), working.remaining)
    return sum(families.values(), ZERO)


def _check_quantity(
    exchange: Exchange, order: Order, last: Decimal, instead_of: ListedOrder | None
) -> None:
    """An order cannot close more than there is, nor go through zero."""
    symbol, side = order.symbol, order.side
    held = exchange.held(symbol)
    quantity = order.quantity or (order.notional or ZERO) / last
    if _reduces(exchange, order):
        available = abs(held) - held_for_orders(exchange, symbol, side, instead_of)
        if quantity > available:
            if "/" in symbol:
                raise no_coins(symbol, quantity, available)
            raise no_quantity(symbol, quantity, abs(held), available)
        return
    if order.order_class is OrderClass.OCO:
        raise forbidden("oco orders must be exit orders")
    if side is Side.SELL:
        _check_short(exchange, order, quantity)


def _check_short(exchange: Exchange, order: Order, quantity: Decimal) -> None:
    if "/" in order.symbol:
        raise no_coins(order.symbol, quantity, ZERO)
    if not exchange.account.allow_short or exchange.flags.configurations["no_shorting"]:
        raise forbidden("account is not allowed to short")
    asset = exchange.find_asset(order.symbol)
    if asset is None or not asset.is_shortable:
        raise invalid(f'asset "{order.symbol}" cannot be sold short')
    if order.notional is not None or quantity % 1:
        raise invalid("fractional orders cannot be sold short")


def as_alpaca(exchange: Exchange, order: Order, refusal: Refusal) -> Refused:
    """What our own venue says, in Alpaca's words."""
    if refusal.code == "insufficient_cash":
        last = exchange.price(order.symbol) or 0.0
        cost = order.notional or order.quantity * worst_price(order, last)
        return no_buying_power(max(exchange.account.free_cash(), ZERO), cost)
    if refusal.code == "short_not_allowed":
        return forbidden("account is not allowed to short")
    if refusal.code == "market_closed":
        return invalid(f"{order.time_in_force} orders are only accepted during market hours")
    if refusal.code == "past_cutoff":
        return invalid(f"{order.time_in_force} orders are not accepted at this time")
    return invalid(refusal.sentence)
