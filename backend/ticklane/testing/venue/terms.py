"""An order as a client asks for it: read, checked by Alpaca's rules, turned into ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ticklane.core.money import ONE, ZERO
from ticklane.core.order import Order, OrderClass, OrderType, Side, TimeInForce
from ticklane.testing.venue.assets import Asset
from ticklane.testing.venue.listed import ListedOrder
from ticklane.testing.venue.refused import Refused, forbidden, invalid, malformed

LONGEST_CLIENT_ID = 128
_CENT, _TENTH_OF_A_CENT = Decimal("0.01"), Decimal("0.0001")
_COMPLEX = (OrderClass.BRACKET, OrderClass.OCO, OrderClass.OTO)
_EXTRA_PRICES = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
    OrderType.TRAILING_STOP: ("trail_price", "trail_percent"),
}


def amount(body: Mapping[str, Any], name: str) -> Decimal | None:
    """A number of a request (text or number), None where it is not there."""
    value = body.get(name)
    if value is None or value == "":
        return None
    try:
        read = Decimal(str(value))
    except InvalidOperation:
        read = Decimal("NaN")
    if isinstance(value, bool) or not read.is_finite():
        raise malformed(f"{name} is not a valid number")
    return read


def read_order(
    body: Mapping[str, Any], asset: Asset, new_id: Callable[[], str], now_ns: int
) -> Order:
    """The order with its legs, or Refused as Alpaca refuses."""
    side = _word(body, "side", Side)
    order = Order(new_id(), "", asset.symbol, side, ZERO, now_ns)
    order.type = _word(body, "type", OrderType)
    order.time_in_force = _word(body, "time_in_force", TimeInForce)
    order.order_class = _word({"order_class": "simple", **_given(body)}, "order_class", OrderClass)
    _read_size(order, body)
    _read_prices(order, body)
    check_order(order, asset, bool(body.get("extended_hours")))
    if order.order_class in _COMPLEX:
        _add_legs(order, body, new_id)
    return order


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value not in (None, "")}


def _word(body: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = body.get(name)
    if value in (None, ""):
        raise malformed(f"{name} is required")
    try:
        return kind(str(value).lower())
    except ValueError:
        raise malformed(f"invalid {name}") from None


def _read_size(order: Order, body: Mapping[str, Any]) -> None:
    qty, notional = amount(body, "qty"), amount(body, "notional")
    if qty is None and notional is None:
        raise malformed("qty or notional is required")
    if qty is not None and notional is not None:
        raise malformed("only one of qty or notional is accepted")
    for name, value in (("qty", qty), ("notional", notional)):
        if value is not None and value <= 0:
            raise malformed(f"{name} must be > 0")
    order.quantity, order.notional = qty or ZERO, notional


def _read_prices(order: Order, body: Mapping[str, Any]) -> None:
    kind = order.type
    if order.order_class is OrderClass.OCO:
        if kind is not OrderType.LIMIT:
            raise invalid("oco orders must be limit orders")
        target = amount(body.get("take_profit") or {}, "limit_price")
        body = {**body, "limit_price": target or body.get("limit_price")}
    allowed = _EXTRA_PRICES[kind]
    for name in ("limit_price", "stop_price", "trail_price", "trail_percent"):
        value = amount(body, name)
        if value is None:
            continue
        if name not in allowed:
            raise invalid(f"{_in_words(kind)} orders must not have {name}")
        if value <= 0:
            raise invalid(f"{name} must be > 0")
        setattr(order, "trail_amount" if name == "trail_price" else name, value)
    _need_prices(order)


def _need_prices(order: Order) -> None:
    kind = order.type
    if kind is OrderType.TRAILING_STOP:
        if (order.trail_amount is None) is (order.trail_percent is None):
            raise invalid("trailing stop orders must specify one of trail_price or trail_percent")
    elif any(getattr(order, name) is None for name in _EXTRA_PRICES[kind]):
        needed = " and ".join(_EXTRA_PRICES[kind])
        raise invalid(f"{_in_words(kind)} orders require {needed}")


def _in_words(kind: OrderType) -> str:
    return str(kind).replace("_", " ")


# --- the rules -------------------------------------------------------------------------------


def check_order(order: Order, asset: Asset, is_extended: bool) -> None:
    """What Alpaca's rules say about the order by itself."""
    if not asset.is_tradable:
        raise invalid(f"asset {asset.symbol} is not tradable")
    _check_decimals(order)
    if asset.is_crypto:
        _check_coin(order)
        return
    for name in ("limit_price", "stop_price"):
        check_penny(name, getattr(order, name))
    _check_stock(order, asset, is_extended)


def _check_decimals(order: Order) -> None:
    if order.quantity % Decimal("1e-9"):
        raise invalid("qty must be limited to 9 decimal places")
    if order.notional is not None:
        if order.notional % _CENT:
            raise invalid("notional value must be limited to 2 decimal places")
        if order.notional < 1:
            raise forbidden("cost basis must be >= minimal amount of order 1")


def _check_coin(order: Order) -> None:
    if order.type in (OrderType.STOP, OrderType.TRAILING_STOP):
        raise invalid("invalid order type for crypto order")
    if order.time_in_force not in (TimeInForce.GTC, TimeInForce.IOC):
        raise invalid("invalid crypto time_in_force")
    if order.order_class is not OrderClass.SIMPLE:
        raise invalid("crypto orders must be simple orders")


def check_penny(name: str, price: Decimal | None) -> None:
    """Stock prices are in cents, below a dollar in hundredths of a cent."""
    if price is not None and price % (_CENT if price >= 1 else _TENTH_OF_A_CENT):
        raise invalid(
            f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria"
        )


def _check_stock(order: Order, asset: Asset, is_extended: bool) -> None:
    is_simple = order.order_class is OrderClass.SIMPLE
    if order.notional is not None or order.quantity % ONE:
        _check_fraction(order, asset, is_simple)
    if is_extended:
        if order.type is not OrderType.LIMIT or order.time_in_force is not TimeInForce.DAY:
            raise invalid("extended hours order must be DAY limit orders")
        if not is_simple:
            raise invalid("extended hours orders must be simple orders")
    term = order.time_in_force
    if not is_simple and term not in (TimeInForce.DAY, TimeInForce.GTC):
        raise invalid(f"{order.order_class} orders must be day or gtc orders")
    if term in (TimeInForce.OPG, TimeInForce.CLS) and order.type not in (
        OrderType.MARKET,
        OrderType.LIMIT,
    ):
        raise invalid(f"{term} orders must be market or limit orders")
    if order.type is OrderType.TRAILING_STOP and not is_simple:
        raise invalid("trailing stop orders must be simple orders")


def _check_fraction(order: Order, asset: Asset, is_simple: bool) -> None:
    if not asset.is_fractionable:
        raise forbidden(f'asset "{asset.symbol}" is not fractionable')
    if order.time_in_force is not TimeInForce.DAY:
        raise invalid("fractional orders must be DAY orders")
    if not is_simple:
        raise invalid("fractional orders must be simple orders")
    if order.type is OrderType.TRAILING_STOP:
        raise invalid("fractional orders must not be trailing stop orders")


# --- legs ------------------------------------------------------------------------------------


def _add_legs(order: Order, body: Mapping[str, Any], new_id: Callable[[], str]) -> None:
    target, stop = (body.get(name) or {} for name in ("take_profit", "stop_loss"))
    kind = order.order_class
    limit, trigger = amount(target, "limit_price"), amount(stop, "stop_price")
    if kind is not OrderClass.OTO:
        if limit is None:
            raise invalid(f"{kind} orders require take_profit.limit_price")
        if trigger is None:
            raise invalid(f"{kind} orders require stop_loss.stop_price")
    elif (limit is None) is (trigger is None):
        raise invalid("oto orders require one of take_profit.limit_price, stop_loss.stop_price")
    legs = []
    if limit is not None and kind is not OrderClass.OCO:
        check_penny("take_profit.limit_price", limit)
        legs.append(_leg(order, new_id(), OrderType.LIMIT, limit, None))
    if trigger is not None:
        floor = amount(stop, "limit_price")
        check_penny("stop_loss.stop_price", trigger)
        check_penny("stop_loss.limit_price", floor)
        stopped = OrderType.STOP if floor is None else OrderType.STOP_LIMIT
        legs.append(_leg(order, new_id(), stopped, floor, trigger))
    order.legs = tuple(legs)


def _leg(
    order: Order, leg_id: str, kind: OrderType, limit: Decimal | None, stop: Decimal | None
) -> Order:
    side = order.side
    if order.order_class is not OrderClass.OCO:
        side = Side.SELL if side is Side.BUY else Side.BUY
    leg = Order(leg_id, "", order.symbol, side, order.quantity, order.created_ns)
    leg.type, leg.limit_price, leg.stop_price = kind, limit, stop
    leg.time_in_force, leg.order_class = order.time_in_force, order.order_class
    leg.parent_id = order.id
    return leg


def check_leg_prices(order: Order, last: Decimal) -> None:
    """A target lies beyond the price the order starts from, a stop before it."""
    base = order.limit_price if order.order_class is not OrderClass.OCO else last
    base = last if base is None else base
    is_long = (order.side is Side.BUY) is (order.order_class is not OrderClass.OCO)
    way = 1 if is_long else -1
    target = order if order.order_class is OrderClass.OCO else None
    for one in (*order.legs, *((target,) if target else ())):
        if one.type is OrderType.LIMIT:
            _check_side("take_profit.limit_price", one.limit_price, base, way)
        else:
            _check_side("stop_loss.stop_price", one.stop_price, base, -way)


def _check_side(name: str, price: Decimal | None, base: Decimal, way: int) -> None:
    if price is None or (price - base) * way >= _CENT:
        return
    relation, sign = (">=", "+") if way > 0 else ("<=", "-")
    raise Refused(
        422,
        42210000,
        f"{name} must be {relation} base_price {sign} 0.01",
        base_price=str(base),
    )


# --- a replacement ---------------------------------------------------------------------------


def changed(old: ListedOrder, body: Mapping[str, Any], order_id: str, now_ns: int) -> Order:
    """The order that takes the place of another one, as `PATCH /v2/orders/ID` asks for it.

    Without a quantity it is for the old one's whole quantity, also what of that has filled: so
    Alpaca does it (Alpaca-API#165).
    """
    before = old.order
    quantity = amount(body, "qty")
    if quantity is not None and (quantity <= 0 or before.notional is not None):
        raise invalid("qty must be > 0" if quantity <= 0 else "qty of this order is not changeable")
    order = Order(order_id, "", before.symbol, before.side, quantity or old.size, now_ns)
    for name in ("type", "time_in_force", "order_class", "parent_id", *_PRICES):
        setattr(order, name, getattr(before, name))
    order.legs = ()
    if before.notional is not None:
        order.quantity, order.notional = ZERO, before.notional
    if body.get("time_in_force"):
        order.time_in_force = _word(body, "time_in_force", TimeInForce)
    _change_prices(order, body)
    kept, order.order_class = order.order_class, OrderClass.SIMPLE
    check_order(order, old.asset, old.is_extended)
    order.order_class = kept
    return order


_PRICES = ("limit_price", "stop_price", "trail_amount", "trail_percent")


def _change_prices(order: Order, body: Mapping[str, Any]) -> None:
    for name in ("limit_price", "stop_price", "trail"):
        value = amount(body, name)
        if value is None:
            continue
        where = name
        if name == "trail":
            where = "trail_amount" if order.trail_amount is not None else "trail_percent"
        if value <= 0 or getattr(order, where) is None:
            raise invalid(f"invalid {name} for a {_in_words(order.type)} order")
        setattr(order, where, value)
