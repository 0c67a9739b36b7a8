"""Small makers of bars, quotes, ticks, orders and fills for tests; what is not said is usual."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.market import (
    MINUTE,
    Bar,
    Bars,
    Observation,
    Quote,
    Tick,
    to_datetime,
    to_ns,
)
from ticklane.core.money import ZERO, to_decimal
from ticklane.core.order import (
    Fill,
    Order,
    OrderClass,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from ticklane.interfaces import Session

START = to_ns(datetime(2024, 1, 2, tzinfo=UTC))  # a Tuesday, midnight UTC
SYMBOL = "AAPL"

_ids = count(1)
_MEANING = {
    "side": Side,
    "type": OrderType,
    "time_in_force": TimeInForce,
    "order_class": OrderClass,
    "status": OrderStatus,
}
_NUMBERS = frozenset(
    "filled_quantity notional limit_price stop_price trail_amount trail_percent".split()
)


def a_bar(
    open: float = 100.0,
    high: float | None = None,
    low: float | None = None,
    close: float | None = None,
    volume: float = 1_000.0,
    *,
    symbol: str = SYMBOL,
    at: int = START,
    length: int = MINUTE,
) -> Bar:
    """One bar that opens at `at` and lasts `length` nanoseconds; flat where nothing is said."""
    end = float(open if close is None else close)
    top = max(open, end) if high is None else high
    bottom = min(open, end) if low is None else low
    return Bar(symbol, at, at + length, float(open), float(top), float(bottom), end, float(volume))


def a_quote(
    bid: float = 100.0,
    ask: float | None = None,
    bid_size: float = 1_000.0,
    ask_size: float = 1_000.0,
    *,
    symbol: str = SYMBOL,
    at: int = START,
) -> Quote:
    """One quote at `at`; the ask is the bid where it is not said."""
    ask = bid if ask is None else ask
    return Quote(symbol, at, float(bid), float(ask), float(bid_size), float(ask_size))


def a_tick(*observed: Observation, **fields: Any) -> Tick:
    """A tick of these bars and quotes, or of one bar with these fields: `a_tick(open=101)`."""
    seen = observed or (a_bar(**fields),)
    return Tick(max(one.close_ns for one in seen), tuple(one.symbol for one in seen), seen)


def some_bars(closes: Iterable[float], **fields: Any) -> Bars:
    """Bars one after the other, each from the close before it to its own."""
    made: list[Bar] = []
    at, length = fields.pop("at", START), fields.get("length", MINUTE)
    for close in closes:
        opening = made[-1].close if made else close
        made.append(a_bar(opening, close=close, at=at, **fields))
        at += length
    return Bars.of(fields.get("symbol", SYMBOL), made)


def an_order(quantity: Any = 1, *, id: str | None = None, at: int = START, **terms: Any) -> Order:
    """A market order to buy `quantity`; `terms` are fields of Order, numbers and words as such.

    `an_order(5, side="sell", type="limit", limit_price="101.5")`. An order with a `notional` and
    no more has the quantity zero.
    """
    if terms.get("notional") is not None and quantity == 1:
        quantity = 0
    side = Side(terms.pop("side", "buy"))
    strategy, symbol = terms.pop("strategy", "test"), terms.pop("symbol", SYMBOL)
    made_id = id or f"o{next(_ids)}"
    order = Order(made_id, strategy, symbol, side, to_decimal(quantity, "quantity"), at)
    for name, value in terms.items():
        setattr(order, name, _meant(name, value))
    return order


def _meant(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _NUMBERS:
        return to_decimal(value, name)
    return _MEANING[name](value) if name in _MEANING else value


def a_bracket(entry: Order, take_profit: Any = None, stop_loss: Any = None) -> Order:
    """Give an entry its protective legs: a target, a stop, or both."""
    both = take_profit is not None and stop_loss is not None
    entry.order_class = OrderClass.BRACKET if both else OrderClass.OTO
    entry.legs = _legs(entry, -1, take_profit, stop_loss)
    return entry


def a_pair(quantity: Any, take_profit: Any, stop_loss: Any, **terms: Any) -> Order:
    """Two exits of which one ends the other: a target with a stop as its leg (OCO)."""
    terms = {"side": "sell", "time_in_force": "gtc", **terms}
    head = an_order(quantity, type="limit", limit_price=take_profit, order_class="oco", **terms)
    head.legs = _legs(head, 1, None, stop_loss)
    return head


def _legs(head: Order, way: int, take_profit: Any, stop_loss: Any) -> tuple[Order, ...]:
    same = head.side is Side.BUY if way > 0 else head.side is Side.SELL
    shared: dict[str, Any] = {
        "side": Side.BUY if same else Side.SELL,
        "symbol": head.symbol,
        "strategy": head.strategy,
        "at": head.created_ns,
        "order_class": head.order_class,
        "parent_id": head.id,
    }
    legs = []
    if take_profit is not None:
        named = f"{head.id}-target"
        legs.append(
            an_order(head.quantity, id=named, type="limit", limit_price=take_profit, **shared)
        )
    if stop_loss is not None:
        named = f"{head.id}-stop"
        legs.append(an_order(head.quantity, id=named, type="stop", stop_price=stop_loss, **shared))
    return tuple(legs)


def a_fill(
    quantity: Any = 1,
    price: Any = 100,
    fee: Any = 0,
    *,
    order: Order | None = None,
    at: int = START,
    **fields: Any,
) -> Fill:
    """One execution (a negative quantity is sold), of `order` where one is given."""
    of = order if order is not None else an_order()
    number = next(_ids)
    made = Fill(
        of.id,
        f"x{number}",
        of.strategy,
        of.symbol,
        to_decimal(quantity, "quantity"),
        to_decimal(price, "price"),
        to_decimal(fee, "fee") if fee else ZERO,
        at,
        "market_at_open",
        at,
    )
    return made._replace(**fields)


class HandMadeCalendar:
    """A calendar of the sessions it was given, (open_ns, close_ns) each, oldest first.

    It implements the port `ticklane.interfaces.Calendar`; raises ConfigError after the last one.
    """

    def __init__(self, *sessions: tuple[int, int], name: str = "XTST") -> None:
        self.name = name
        self.sessions = [Session(*one) for one in sessions]

    def session(self, at_ns: int) -> Session:
        """The session that is open at this instant, else the next one."""
        for one in self.sessions:
            if at_ns < one.close_ns:
                return one
        raise ConfigError(f"calendar {self.name} has no session after {to_datetime(at_ns)}.")
