"""What a strategy asks for: Signal is the direction, Intent the whole wish."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from ticklane.core.errors import ConfigError
from ticklane.core.money import to_positive
from ticklane.core.order import OrderType, TimeInForce


class Signal(StrEnum):
    """The direction of an intent."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"
    CLOSE = "CLOSE"


class Intent(NamedTuple):
    """What a strategy returns: a symbol, a signal, and optionally how much and on which terms.

    Prices and quantities may be int, float, Decimal or numeric text when given; inside they are
    Decimals. `intent["symbol"]` reads the same as `intent.symbol`.
    """

    symbol: str
    signal: Signal
    quantity: Decimal | None = None
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    notional: Decimal | None = None
    fraction: Decimal | None = None
    trail_percent: Decimal | None = None
    trail_amount: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    leverage: Decimal | None = None
    reason: str = ""

    def __getitem__(self, key: Any) -> Any:
        if key.__class__ is str:
            if key in KEYS:
                return getattr(self, key)
            raise KeyError(key)
        return tuple.__getitem__(self, key)


Wish = Intent | Mapping[str, Any]  # what a strategy may give: an Intent or its plain form
KEYS = frozenset(Intent._fields)
_SIGNALS: dict[Any, Signal] = {
    **{signal: signal for signal in Signal},
    **{signal.value.lower(): signal for signal in Signal},
}
_TYPES: dict[Any, OrderType] = {kind: kind for kind in OrderType}
_TIMES: dict[Any, TimeInForce] = {term: term for term in TimeInForce}
_NUMBERS = frozenset(
    {
        "quantity",
        "limit_price",
        "stop_price",
        "notional",
        "fraction",
        "trail_percent",
        "trail_amount",
        "take_profit",
        "stop_loss",
        "leverage",
    }
)


def read_intent(wish: Any) -> Intent:
    """Check one wish of a strategy, an Intent or its plain mapping, and make it an exact Intent.

    Raises ConfigError with one sentence for an unknown key, a missing symbol or signal, a number
    that is not one, is not positive, or terms that do not belong together.
    """
    if wish.__class__ is dict:
        given = wish
    elif isinstance(wish, Intent):
        given = {key: value for key, value in wish._asdict().items() if value is not None}
    elif isinstance(wish, Mapping):
        given = dict(wish)
    else:
        raise ConfigError(
            f"an intent is {wish!r}, but must be an Intent or a mapping such as "
            '{"symbol": "AAPL", "signal": "BUY", "quantity": 10}.'
        )
    try:
        symbol, signal = given["symbol"], _SIGNALS[given["signal"]]
    except (KeyError, TypeError):
        raise ConfigError(_what_is_missing(given)) from None
    quantity, kind = given.get("quantity"), given.get("order_type")
    is_market = kind is None or kind == "market"
    if is_market and len(given) == 2 + (quantity is not None) + (kind is not None):
        if quantity.__class__ is Decimal:  # 5 and 5.0 are equal, but not written alike
            return _new_market_intent(symbol, signal, quantity)
        try:
            return _market_intent(symbol, signal, quantity)
        except TypeError:  # something that cannot be remembered: a list as quantity
            pass
    return _with_all_terms(given, symbol, signal)


def _new_market_intent(symbol: Any, signal: Signal, quantity: Any) -> Intent:
    if not isinstance(symbol, str):
        raise ConfigError(f"symbol is {symbol!r}, but must be a text.")
    return Intent(symbol, signal, None if quantity is None else to_positive(quantity, "quantity"))


# The usual intent; strategies give the same few again and again.
_market_intent = lru_cache(1_000, typed=True)(_new_market_intent)


def _with_all_terms(given: Mapping[str, Any], symbol: Any, signal: Signal) -> Intent:
    if not isinstance(symbol, str):
        raise ConfigError(f"symbol is {symbol!r}, but must be a text.")
    unknown = [str(key) for key in given if key not in KEYS]
    if unknown:
        raise ConfigError(
            f"the intent key {unknown[0]!r} is unknown; the known ones are "
            f"{', '.join(Intent._fields)}."
        )
    terms: dict[str, Any] = {
        key: to_positive(value, key)
        for key, value in given.items()
        if key in _NUMBERS and value is not None
    }
    if given.get("order_type") is not None:
        terms["order_type"] = _one_of(given["order_type"], _TYPES, "order_type")
    if given.get("time_in_force") is not None:
        terms["time_in_force"] = _one_of(given["time_in_force"], _TIMES, "time_in_force")
    intent = Intent(symbol, signal, reason=str(given.get("reason") or ""), **terms)
    _check_terms(intent)
    return intent


def _one_of(value: Any, choices: Mapping[Any, Any], field: str) -> Any:
    found = choices.get(value.lower() if isinstance(value, str) else None)
    if found is None:
        raise ConfigError(f"{field} is {value!r}, but must be one of {', '.join(choices)}.")
    return found


def _what_is_missing(given: Mapping[Any, Any]) -> str:
    for key in ("symbol", "signal"):
        if key not in given:
            return f"the intent {dict(given)!r} has no {key!r}; give it one."
    return f"signal is {given['signal']!r}, but must be one of BUY, SELL, HOLD, CLOSE."


_NEEDS = {
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("stop_price", "limit_price"),
}
_USED_BY = {
    "limit_price": (OrderType.LIMIT, OrderType.STOP_LIMIT),
    "stop_price": (OrderType.STOP, OrderType.STOP_LIMIT),
    "trail_amount": (OrderType.TRAILING_STOP,),
    "trail_percent": (OrderType.TRAILING_STOP,),
}


def _check_terms(intent: Intent) -> None:
    for field in _NEEDS.get(intent.order_type, ()):
        if getattr(intent, field) is None:
            raise ConfigError(f"a {intent.order_type} order needs {field}; give it a price.")
    for field, kinds in _USED_BY.items():
        if getattr(intent, field) is not None and intent.order_type not in kinds:
            raise ConfigError(
                f"{field} is {getattr(intent, field)}, but a {intent.order_type} order has no use "
                f"for it; set order_type to {' or '.join(kinds)}."
            )
    trails = (intent.trail_amount is not None) + (intent.trail_percent is not None)
    if intent.order_type is OrderType.TRAILING_STOP and trails != 1:
        raise ConfigError("a trailing_stop order needs either trail_amount or trail_percent.")
    sizes = [
        name for name in ("quantity", "notional", "fraction") if getattr(intent, name) is not None
    ]
    if len(sizes) > 1:
        raise ConfigError(f"the intent gives both {sizes[0]} and {sizes[1]}; give only one.")
    if intent.leverage is not None and intent.leverage != 1:
        raise ConfigError(
            f"leverage is {intent.leverage}, but only 1 is possible without margin trading."
        )
    if intent.fraction is not None and intent.fraction > 1:
        raise ConfigError(f"fraction is {intent.fraction}, but must be between 0 and 1.")
