"""RiskManager: asks every rule, in order, before an order may leave the house."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from ticklane.core.errors import ConfigError
from ticklane.core.instrument import ANY_ORDER, Instrument
from ticklane.core.market import Observation
from ticklane.core.money import ZERO, exact, plain
from ticklane.core.order import Order, OrderType, Refusal, Side
from ticklane.core.portfolio import Book, Portfolio
from ticklane.interfaces import Session
from ticklane.risk.trading import TradingStates

_BUY, _SELL = Side.BUY, Side.SELL


class Surroundings:
    """What a rule may ask about the market and the time; the engine knows more than this one."""

    def seen(self, symbol: str) -> Observation | None:
        """The newest bar or quote of a symbol."""
        return None

    def session(self, symbol: str, at_ns: int) -> Session | None:
        """The session of the symbol's market that is open or comes next; None: always open."""
        return None

    def daily_volume(self, symbol: str, at_ns: int) -> float | None:
        """The average volume of a day over the last 20 days with bars; None where unknown."""
        return None

    def now_ns(self, at_ns: int) -> int:
        """The present instant: that of the lane, and in real time at least the clock's."""
        return at_ns


class Situation(NamedTuple):
    """What a rule may look at besides the order itself."""

    portfolio: Portfolio
    book: Book
    open_orders: Mapping[str, Order]  # of the order's symbol, of all strategies
    last_price: float | None
    at_ns: int
    trading: TradingStates
    market: Surroundings


class Rule(Protocol):
    """One limit; it binds orders that increase exposure.

    A rule that counts what was sent has a method `note(order, at_ns)` as well, called for each
    order that passed all of them; one that watches the account has `observe` (see DayLoss).
    """

    name: str

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Say why the order may not be sent, or None."""
        ...


def checked_rules(limits: Any) -> tuple[Rule, ...]:
    """The rules that were given; raises ConfigError for anything that is none."""
    rules = None
    if isinstance(limits, Iterable) and not isinstance(limits, str | Mapping):
        rules = tuple(limits)
    if rules is None or not all(_is_rule(one) for one in rules):
        shown = limits if rules is None else list(rules)
        raise ConfigError(
            f"limits is {shown!r}, but must be a list of rules, which have a method refusal(order, "
            "situation); ticklane.risk.rules.read_limits() gives those of the profile safe."
        )
    return rules


def _is_rule(one: Any) -> bool:
    return callable(getattr(one, "refusal", None)) and not isinstance(one, type)


class RiskManager:
    """The house's own rules, then the configured limits.

    Always on: the instrument's tick, lot and kinds; no short sale unless allowed; no order that
    could trade with an open one of ours; no more than the strategy's own cash when several share
    the account; nothing that the trading state forbids. An order that reduces a position passes
    the configured limits unasked.
    """

    def __init__(
        self,
        instrument_of: Callable[[str], Instrument],
        allow_short: bool = False,
        rules: Iterable[Rule] = (),
        trading: TradingStates | None = None,
        market: Surroundings | None = None,
    ) -> None:
        self.instrument_of = instrument_of
        self.allow_short = allow_short
        self.rules = tuple(rules)
        self.trading = trading if trading is not None else TradingStates()
        self._market = market if market is not None else Surroundings()
        self._notes = [rule.note for rule in self.rules if hasattr(rule, "note")]

    def refusal(
        self,
        order: Order,
        portfolio: Portfolio,
        open_orders: Mapping[str, Order],  # of the order's symbol, of all strategies
        last_price: float | None,
        at_ns: int,
    ) -> Refusal | None:
        """The first reason not to send this order, or None."""
        refused, book = None, portfolio.books[order.strategy]
        instrument_rules = self.instrument_of(order.symbol).rules
        if self.trading.is_guarded:
            refused = self.trading.refusal(order, book, open_orders)
        if instrument_rules is not ANY_ORDER and refused is None:
            each = (instrument_rules.refusal(one) for one in (order, *order.legs))
            refused = next(filter(None, each), None)
        if refused is None and order.side is _SELL:
            if not self.allow_short:
                refused = _short_refusal(order, book, open_orders, last_price)
            elif not instrument_rules.can_short:
                refused = _unborrowable(_short_refusal(order, book, open_orders, last_price), order)
        if refused is None and open_orders:
            refused = _cross_refusal(order, open_orders, last_price)
        if refused is None and (self.rules or len(portfolio.books) > 1):
            held = book.quantity(order.symbol)
            is_reducing = reduces(order, held)
            if not is_reducing:
                refused = self._limit_refusal(order, portfolio, open_orders, last_price, at_ns)
        return refused

    def _limit_refusal(
        self,
        order: Order,
        portfolio: Portfolio,
        open_orders: Mapping[str, Order],
        last_price: float | None,
        at_ns: int,
    ) -> Refusal | None:
        """Limits bind orders that increase exposure, whatever the trading state."""
        now_ns = self._market.now_ns(at_ns) if self.rules else at_ns
        book = portfolio.books[order.strategy]
        situation = Situation(
            portfolio, book, open_orders, last_price, now_ns, self.trading, self._market
        )
        if len(portfolio.books) > 1:
            refused = _own_cash_refusal(order, situation)
            if refused is not None:
                return refused
        for rule in self.rules:
            refused = rule.refusal(order, situation)
            if refused is not None:
                return refused
        for note in self._notes:
            note(order, now_ns)
        return None


def reduces(order: Order, held: Decimal) -> bool:
    """True when an order only makes a position of this size smaller."""
    if not held or (held > 0) is (order.side is _BUY):
        return False
    return bool(order.quantity) and order.quantity <= abs(held)


def unsold(
    symbol: str, book: Book, open_orders: Mapping[str, Order], last_price: float | None = None
) -> Decimal:
    """What a strategy holds less what its open sales will take; a pair of exits counts once.

    A sale of an amount of money counts at the last price.
    """
    held = book.quantity(symbol)
    for order in open_orders.values():
        if (
            order.strategy == book.strategy
            and order.side is _SELL
            and order.parent_id is None
            and not order.is_cancel_pending
        ):
            held -= _quantity(order, last_price)
    return held


def _quantity(order: Order, last_price: float | None) -> Decimal:
    """What is left of an order; of an amount of money what it is worth at the last price."""
    if order.notional is not None and not order.quantity and last_price:
        return order.notional / exact(last_price)
    return order.remaining


def _short_refusal(
    order: Order, book: Book, open_orders: Mapping[str, Order], last_price: float | None
) -> Refusal | None:
    available = unsold(order.symbol, book, open_orders, last_price)
    quantity = _quantity(order, last_price)
    if quantity <= available:
        return None
    return Refusal(
        "short_not_allowed",
        f"selling {plain(quantity)} {order.symbol} would go short, since {order.strategy} has "
        f"only {plain(max(available, ZERO))} to sell; set allow_short to permit it.",
    )


def _unborrowable(refusal: Refusal | None, order: Order) -> Refusal | None:
    """The same where shorts are allowed, but the venue has none of this instrument to lend."""
    if refusal is None:
        return None
    sentence = f"{order.symbol} cannot be sold short at this venue; sell only what is held."
    return Refusal("not_shortable", sentence)


def _cross_refusal(
    order: Order, open_orders: Mapping[str, Order], last_price: float | None
) -> Refusal | None:
    price = _reach(order, last_price)
    if price is None:
        return None
    for other in open_orders.values():
        if other.side is order.side or other.is_cancel_pending or _sleeps(other, open_orders):
            continue
        against = _reach(other, last_price)
        if against is None:
            continue
        if price >= against if order.side is _BUY else price <= against:
            return Refusal(
                "self_cross",
                f"this order could trade with our own open order {other.id}; "
                "cancel that one first or wait until it is done.",
            )
    return None


def _sleeps(leg: Order, open_orders: Mapping[str, Order]) -> bool:
    """True for a protective leg whose entry has not filled yet: it cannot trade."""
    entry = open_orders.get(leg.parent_id or "")
    return entry is not None and entry.side is not leg.side and not entry.filled_quantity


def _reach(order: Order, last_price: float | None) -> Decimal | None:
    """The price an order would trade up (or down) to; None while a stop has not been reached."""
    if order.type is OrderType.LIMIT:
        return order.limit_price
    if order.type is OrderType.MARKET and last_price is not None:
        return exact(last_price)
    return None


def _own_cash_refusal(order: Order, situation: Situation) -> Refusal | None:
    if order.side is _SELL or situation.last_price is None:
        return None
    last = situation.last_price
    free = situation.book.cash
    for other in situation.open_orders.values():
        if other.strategy == order.strategy and other.side is _BUY:
            free -= _cost(other, last)
    cost = _cost(order, last)
    if cost <= free:
        return None
    return Refusal(
        "insufficient_cash",
        f"buying {plain(order.quantity)} {order.symbol} needs about {cost:,.2f}, but the book of "
        f"{order.strategy} has only {free:,.2f} free.",
    )


def _cost(order: Order, last: float) -> Decimal:
    if order.notional is not None and not order.quantity:
        return order.notional
    price = exact(last)
    if order.stop_price is not None:
        price = max(price, order.stop_price)
    return order.remaining * (order.limit_price or price)
