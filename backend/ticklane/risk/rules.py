"""The limits before each order, one small class each, and the profiles that hold them.

Every rule binds orders that increase exposure only. None of them reads a clock: the instant is
that of the lane, and in real time at least that of the clock it was given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.market import SECOND, Bar, Observation
from ticklane.core.money import ZERO, exact, plain, to_decimal
from ticklane.core.order import Order, OrderStatus, OrderType, Refusal, Side
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.interfaces import Session
from ticklane.risk.days import Days
from ticklane.risk.manager import Rule, Situation
from ticklane.risk.trading import TradingStates

_MINUTE_NS = 60 * SECOND
_REJECT_PAUSE_NS = 5 * _MINUTE_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The figures of the profile `safe`; None switches a limit off."""

    order_percent: Decimal | None = Decimal(5)  # of the account's equity
    volume_percent: Decimal | None = Decimal(1)  # of the average day of the last 20
    collar_percent: Decimal | None = Decimal(5)  # of a marketable price from the last one
    data_age_seconds: Decimal | None = Decimal(60)  # or two bars, whichever is longer
    orders_per_minute: Decimal | None = Decimal(10)  # of each strategy
    orders_per_minute_total: Decimal | None = Decimal(60)  # more than that sets the kill switch
    repeat_seconds: Decimal | None = Decimal(1)  # same strategy, symbol, side and quantity
    day_loss_percent: Decimal | None = Decimal(3)  # of equity since midnight: kill switch
    rejects_in_a_row: Decimal | None = Decimal(5)  # then no entries for five minutes

    def rules(self) -> tuple[Rule, ...]:
        """The rules of these figures, in the order in which they are asked."""
        made = (
            (self.day_loss_percent, DayLoss),
            (self.data_age_seconds, FreshData),
            (self.order_percent, OrderSize),
            (self.volume_percent, VolumeShare),
            (self.collar_percent, PriceCollar),
            (self.repeat_seconds, NoRepeat),
            (self.orders_per_minute, OrderRate),
            (self.orders_per_minute_total, TotalOrderRate),
            (self.rejects_in_a_row, RejectRun),
        )
        return tuple(kind(figure) for figure, kind in made if figure is not None)


def read_limits(name: str = "safe", changes: Mapping[str, Any] | None = None) -> tuple[Rule, ...]:
    """The rules of a profile, `safe` or `none`, with some figures changed ("off": no limit).

    Raises ConfigError for an unknown profile, an unknown limit and a figure that is none.
    """
    changes = dict(changes or {})
    if name not in ("safe", "none"):
        raise ConfigError(f"limits is {name!r}, but must be safe or none.")
    known = [one.name for one in fields(Limits)]
    for key in changes:
        if key not in known:
            raise ConfigError(
                f"{key!r} is no limit; in the table limits may stand {', '.join(known)}."
            )
    start: dict[str, Decimal | None] = dict.fromkeys(known) if name == "none" else {}
    read = {key: _figure(key, value) for key, value in changes.items()}
    return Limits(**(start | read)).rules()


def _figure(key: str, value: Any) -> Decimal | None:
    if value is None or value == "off":
        return None
    number = to_decimal(value, key)
    if number <= 0:
        raise ConfigError(f'{key} is {number}, but must be above zero, or "off" for no limit.')
    return number


def _value(order: Order, last_price: float | None) -> Decimal | None:
    """What an order is worth; None while nobody knows."""
    if order.notional is not None and not order.quantity:
        return order.notional
    price = order.limit_price or order.stop_price
    if price is None and last_price is not None:
        price = exact(last_price)
    return None if price is None else order.remaining * price


@dataclass(slots=True)
class OrderSize:
    """No order is worth more than so many percent of the account's equity."""

    percent: Decimal
    name: str = field(default="order_size", init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Refuse an order that is too large, or whose size nobody can tell."""
        value = _value(order, situation.last_price)
        most = situation.portfolio.equity() * self.percent / 100
        if value is not None and value <= most:
            return None
        worth = "of unknown worth" if value is None else f"worth about {value:,.2f}"
        return Refusal(
            "order_size",
            f"this order is {worth}, but one order may be at most {plain(self.percent)} % of "
            f"equity, {most:,.2f}.",
        )


@dataclass(slots=True)
class VolumeShare:
    """No order is more than so many percent of what is traded on an average day."""

    percent: Decimal
    name: str = field(default="volume_share", init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Refuse an order too large for its market; where no volume is known, pass it."""
        volume = situation.market.daily_volume(order.symbol, situation.at_ns)
        quantity = order.remaining
        if not order.quantity and order.notional is not None and situation.last_price:
            quantity = order.notional / exact(situation.last_price)
        if not volume or quantity <= exact(float(volume)) * self.percent / 100:
            return None
        return Refusal(
            "volume_share",
            f"{plain(quantity)} {order.symbol} is more than {plain(self.percent)} % of the "
            f"{volume:,.0f} traded on an average day.",
        )


@dataclass(slots=True)
class PriceCollar:
    """A marketable limit price is within so many percent of the last one; no stop, no target."""

    percent: Decimal
    name: str = field(default="price_collar", init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Refuse a limit that would trade far away from the market."""
        if order.type is not OrderType.LIMIT or order.limit_price is None:
            return None
        if situation.last_price is None or order.parent_id is not None:
            return None
        last = exact(situation.last_price)
        away = (order.limit_price - last) * (1 if order.side is Side.BUY else -1)
        if away * 100 <= last * self.percent:
            return None
        return Refusal(
            "price_collar",
            f"limit_price {order.limit_price} of {order.symbol} is more than "
            f"{plain(self.percent)} % beyond the last price of {last}.",
        )


@dataclass(slots=True)
class FreshData:
    """In an open session the last price is at most so old, or two bars, if that is longer."""

    seconds: Decimal
    name: str = field(default="stale_data", init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Refuse an order in a symbol whose price is unknown or too old."""
        at_ns, market = situation.at_ns, situation.market
        session = market.session(order.symbol, at_ns)
        sentence = self.complaint(order.symbol, market.seen(order.symbol), session, at_ns)
        return None if sentence is None else Refusal("stale_data", sentence)

    def complaint(
        self, symbol: str, seen: Observation | None, session: Session | None, at_ns: int
    ) -> str | None:
        """Say what is wrong with the newest price, or None; outside of a session nothing is."""
        if session is not None and not session.open_ns <= at_ns < session.close_ns:
            return None
        if seen is None:
            return f"there is no price of {symbol} yet."
        since_ns = seen.close_ns if session is None else max(seen.close_ns, session.open_ns)
        bar_ns = seen.close_ns - seen.open_ns if isinstance(seen, Bar) else 0
        most_ns = max(int(self.seconds * SECOND), 2 * bar_ns)
        if at_ns - since_ns <= most_ns:
            return None
        return (
            f"the last price of {symbol} is {(at_ns - seen.close_ns) / SECOND:,.0f} s old, but "
            f"may be at most {most_ns / SECOND:,.0f} s."
        )


@dataclass(slots=True)
class NoRepeat:
    """The same order again within so many seconds is taken for a mistake."""

    seconds: Decimal
    name: str = field(default="repeated_order", init=False, repr=False)
    _recent: dict[tuple[object, ...], int] = field(default_factory=dict, init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Refuse an order that equals the strategy's last one in this symbol."""
        sent_ns = self._recent.get(_key(order))
        if sent_ns is None or situation.at_ns - sent_ns >= self.seconds * SECOND:
            return None
        return Refusal(
            "repeated_order",
            f"{order.strategy} sent the same order in {order.symbol} less than "
            f"{plain(self.seconds)} s ago.",
        )

    def note(self, order: Order, at_ns: int) -> None:
        """Remember an order that goes out, and forget those that are too old."""
        oldest_ns = at_ns - self.seconds * SECOND
        self._recent = {key: ns for key, ns in self._recent.items() if ns > oldest_ns}
        self._recent[_key(order)] = at_ns


def _key(order: Order) -> tuple[object, ...]:
    return order.strategy, order.symbol, order.side, order.quantity, order.notional


@dataclass(slots=True)
class OrderRate:
    """A strategy sends at most so many orders a minute."""

    most: Decimal
    name: str = field(default="order_rate", init=False, repr=False)
    _sent: dict[str, deque[int]] = field(default_factory=dict, init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Refuse an order of a strategy that has sent enough."""
        if _in_last_minute(self._sent.get(order.strategy), situation.at_ns) < self.most:
            return None
        return Refusal(
            "order_rate",
            f"{order.strategy} has sent {plain(self.most)} orders in the last minute, and no "
            "more are allowed.",
        )

    def note(self, order: Order, at_ns: int) -> None:
        """Count an order that goes out."""
        self._sent.setdefault(order.strategy, deque()).append(at_ns)


@dataclass(slots=True)
class TotalOrderRate:
    """All strategies together send at most so many orders a minute; more is a runaway."""

    most: Decimal
    name: str = field(default="order_rate_total", init=False, repr=False)
    _sent: deque[int] = field(default_factory=deque, init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Refuse an order too many and set the kill switch."""
        if _in_last_minute(self._sent, situation.at_ns) < self.most:
            return None
        sentence = f"more than {plain(self.most)} orders were wanted within a minute."
        _kill(situation.trading, "order_rate", sentence, situation.at_ns)
        return Refusal("order_rate_total", f"trading is halted: {sentence}")

    def note(self, order: Order, at_ns: int) -> None:
        """Count an order that goes out."""
        self._sent.append(at_ns)

    def restart(self) -> None:
        """An operator lets trading go on: forget what was sent before."""
        self._sent.clear()


def _in_last_minute(sent: deque[int] | None, at_ns: int) -> int:
    if not sent:
        return 0
    while sent and sent[0] <= at_ns - _MINUTE_NS:
        sent.popleft()
    return len(sent)


@dataclass(slots=True)
class DayLoss:
    """A loss of so many percent of equity since midnight sets the kill switch.

    It is midnight by `days`, which the lane sets to those of its market. What is put in or taken
    out in between is no profit and no loss. The day is measured from the last equity known before
    it.
    """

    percent: Decimal
    name: str = field(default="day_loss", init=False, repr=False)
    days: Days = field(default_factory=Days, init=False, repr=False)
    _begin_ns: int = field(default=0, init=False, repr=False)
    _end_ns: int = field(default=0, init=False, repr=False)
    _start: Decimal = field(default=ZERO, init=False, repr=False)
    _last: Decimal | None = field(default=None, init=False, repr=False)
    _deposits: Decimal | None = field(default=None, init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Look at the account before each order, and refuse it on a day that has lost enough."""
        books = situation.portfolio.books.values()
        deposits = sum((book.deposits for book in books), ZERO)
        equity = situation.portfolio.equity()
        sentence = self.observe(equity, situation.at_ns, situation.trading, deposits)
        return None if sentence is None else Refusal("day_loss", f"trading is halted: {sentence}")

    def observe(
        self,
        equity: Decimal,
        at_ns: int,
        trading: TradingStates | None = None,
        deposits: Decimal | None = None,
    ) -> str | None:
        """See the account at an instant; sets the kill switch and says why, or says None."""
        if deposits is not None:
            moved = deposits - (deposits if self._deposits is None else self._deposits)
            self._deposits = deposits
            self._start += moved
            self._last = None if self._last is None else self._last + moved
        if not self._begin_ns <= at_ns < self._end_ns:
            self._begin_ns, self._end_ns = self.days.around(at_ns)
            self._start = equity if self._last is None else self._last
        self._last = equity
        loss = self._start - equity
        if self._start <= 0 or loss * 100 < self._start * self.percent:
            return None
        sentence = (
            f"equity fell from {self._start:,.2f} to {equity:,.2f} since midnight {self.days}, "
            f"which is {plain(self.percent)} % or more."
        )
        if trading is not None:
            _kill(trading, "day_loss", sentence, at_ns)
        return sentence

    def restart(self) -> None:
        """An operator lets trading go on: from here the day begins anew."""
        self._start = self._start if self._last is None else self._last


@dataclass(slots=True)
class RejectRun:
    """So many orders rejected by the venue in a row: no entries for five minutes."""

    most: Decimal
    name: str = field(default="reject_run", init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _until_ns: int = field(default=0, init=False, repr=False)

    def refusal(self, order: Order, situation: Situation) -> Refusal | None:
        """Nothing by itself: the trading state that `hear` has set refuses."""
        return None

    def hear(self, status: OrderStatus, reason: str, at_ns: int, trading: TradingStates) -> None:
        """Count what the venue rejects; whatever it takes begins the count anew."""
        if status in (OrderStatus.ACKED, OrderStatus.PARTIAL, OrderStatus.FILLED):
            self._end(trading)
        if status is not OrderStatus.REJECTED:
            return
        self._count += 1
        if self._count >= self.most:
            self._until_ns = at_ns + _REJECT_PAUSE_NS
            sentence = f"the venue rejected {self._count} orders in a row, the last: {reason}"
            trading.restrict(Restriction(self.name, TradingState.REDUCE_ONLY, sentence, at_ns))

    def pass_time(self, at_ns: int, trading: TradingStates) -> None:
        """Let entries be tried again when the pause is over."""
        if self._until_ns and at_ns >= self._until_ns:
            self._end(trading)

    def _end(self, trading: TradingStates) -> None:
        self._count = self._until_ns = 0
        trading.lift(self.name, by="limits")


def _kill(trading: TradingStates, code: str, sentence: str, at_ns: int) -> None:
    restriction = Restriction(code, TradingState.HALTED, sentence, at_ns, is_latched=True)
    trading.restrict(restriction, "limits")
