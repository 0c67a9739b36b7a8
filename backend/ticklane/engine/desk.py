"""Desk: turns intents into orders and a broker's answers into books; synchronous, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ticklane.core.correction import Told
from ticklane.core.errors import ConfigError
from ticklane.core.events import Event, FillBooked, OrderMoved, SignalGiven
from ticklane.core.market import Observation
from ticklane.core.money import ZERO, exact
from ticklane.core.order import (
    TERMINAL,
    Fill,
    Order,
    OrderEvent,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Refusal,
    Side,
)
from ticklane.core.portfolio import Portfolio
from ticklane.core.signal import Intent, Signal, read_intent
from ticklane.engine.flips import Flips
from ticklane.engine.sizer import Sizer
from ticklane.engine.tape import Tape
from ticklane.engine.ticket import OrderMaker, closing_side, protection_refusal, read_changes
from ticklane.interfaces import Cancelling, Replacing
from ticklane.risk.manager import RiskManager, reduces
from ticklane.risk.sizing import Sizing

_BUY, _SELL = Side.BUY, Side.SELL
_CLOSE, _SIDES = Signal.CLOSE, {Signal.BUY: Side.BUY, Signal.SELL: Side.SELL}
_MARKET, _SENDING = OrderType.MARKET, OrderStatus.SENDING
_DENIED, _FILLED, _PARTIAL = OrderStatus.DENIED, OrderStatus.FILLED, OrderStatus.PARTIAL
_ACKED, _GIVEN_UP = OrderStatus.ACKED, (OrderStatus.QUARANTINED, OrderStatus.NOT_SENT)
_MANY = 20_000  # so many orders are remembered; beyond that the oldest closed ones are forgotten
CANCEL_REQUESTED = "cancel requested"
_NONE: Mapping[str, Order] = {}

Notice = Fill | Order
Outgoing = tuple[str, Order, Order | None]  # "submit", "cancel" or "replace"; the order; by which
Decided = Callable[[str, Any, Order | None], None]


class Desk:
    """Keeps books and orders. Whatever it decides leaves through `outgoing` and `events`.

    `events` is None when nobody records or listens; then none are made. `notices` are the fills
    and orders that strategies in `fill_listeners` and `order_listeners` want to hear of.
    """

    def __init__(
        self,
        portfolio: Portfolio,
        maker: OrderMaker,
        risk: RiskManager,
        *,
        sizing: Sizing | None = None,
        tape: Tape | None = None,
        last: Mapping[str, Observation],
    ) -> None:
        self.portfolio, self.maker, self.risk = portfolio, maker, risk
        self.sizing, self.tape, self.last = sizing, tape, last
        self.orders: dict[str, Order] = {}
        self.open: dict[str, dict[str, Order]] = {}  # symbol -> id -> order
        self.outgoing: list[Outgoing] = []
        self.events: list[Event] | None = None
        self.notices: list[tuple[str, Notice]] = []
        self.fill_listeners: set[str] = set()
        self.order_listeners: set[str] = set()
        self.on_decision: Decided | None = None
        self.on_stray: Callable[[Told], None] | None = None  # told of an unknown order
        self.keeps_all = False  # somebody else decides what is forgotten
        self.valid_until: Callable[[str, int], int] | None = None  # to send an entry, or again
        self._sizer = Sizer(portfolio, sizing, risk.allow_short, maker.instrument_of)
        self.flips = Flips(self)
        self._waiting, self._no_flip = self.flips.waiting, maker.no_flip

    # --- what strategies want ----------------------------------------------------------------

    def decide(self, strategy: str, symbols: frozenset[str], wish: Any, at_ns: int) -> None:
        """Turn one wish of a strategy into an order, or into a refusal it hears of."""
        if wish.__class__ is not dict and isinstance(wish, Cancelling | Replacing):
            self._change(strategy, wish, at_ns)
            return
        try:
            intent = read_intent(wish)
            if intent.symbol not in symbols:
                raise ConfigError(
                    f"symbol is {intent.symbol!r}, but {strategy} has only "
                    f"{', '.join(sorted(symbols))}."
                )
        except ConfigError as error:
            self._refuse_malformed(strategy, wish, str(error), at_ns)
            return
        except Exception as error:  # an array as reason, a mapping that raises, ...
            kind = type(error).__name__
            sentence = f"the intent cannot be read ({kind}); give texts and numbers only."
            self._refuse_malformed(strategy, {}, sentence, at_ns)
            return
        side = _SIDES.get(intent.signal)
        if side is None:
            if intent.signal is _CLOSE:
                self.close(strategy, intent, at_ns)
            elif self.on_decision is not None:
                self.on_decision(strategy, intent, None)
            return
        quantity, notional, refusal = intent.quantity, intent.notional, None
        if quantity is None and notional is None:
            book, open_orders = self.portfolio.books[strategy], self.open.get(intent.symbol, _NONE)
            quantity, notional, refusal = self._sizer.size(book, intent, side, open_orders)
        order = self.maker.entry(strategy, intent, side, quantity or ZERO, notional, at_ns)
        if refusal is None and order.legs:
            refusal = protection_refusal(order, intent, self.price(intent.symbol))
        self._place(order, intent, at_ns, refusal)

    def close(self, strategy: str, intent: Intent, at_ns: int) -> None:
        """Close what the strategy holds: cancel its working orders first, count closes on their
        way, do nothing when flat."""
        symbol = intent.symbol
        held = self.portfolio.books[strategy].quantity(symbol)
        side = closing_side(held)
        for order in list(self.open.get(symbol, _NONE).values()):
            if order.strategy != strategy:
                continue
            if held and order.side is side and self._is_under_way(order):
                held -= order.remaining if side is _SELL else -order.remaining
            else:
                self._cancel(order, at_ns)
        quantity = abs(held)
        if intent.fraction is not None:
            quantity = self._sizer.to_lot(symbol, quantity * intent.fraction)
        elif intent.quantity is not None:
            quantity = min(quantity, intent.quantity)
        elif intent.notional is not None and (price := self.price(symbol)):
            quantity = min(quantity, self._sizer.to_lot(symbol, intent.notional / exact(price)))
        if not quantity or (held > 0) is not (side is _SELL):
            if self.on_decision is not None:
                self.on_decision(strategy, intent, None)
            return
        order = self.maker.exit(strategy, intent, side, quantity, at_ns)
        self._place(order, intent, at_ns, None)

    def _is_under_way(self, order: Order) -> bool:
        """True for a market order of a known quantity that was sent, such as a close."""
        is_sized_market = order.type is _MARKET and bool(order.quantity)
        if order.is_cancel_pending:
            return False
        return is_sized_market and self.flips.waiting_with(order) is None

    def _place(self, order: Order, intent: Intent, at_ns: int, refusal: Refusal | None) -> None:
        """Ask the risk manager and send the order off, or deny it."""
        symbol, second = order.symbol, None
        if refusal is None:
            seen = self.last.get(symbol)
            price = None if seen is None else seen.close
            open_orders = self.open.get(symbol) or _NONE
            refusal = self.risk.refusal(order, self.portfolio, open_orders, price, at_ns)
        if refusal is None:
            if self._no_flip and symbol in self._no_flip:
                second = self.flips.split(order)
            if self.valid_until is not None:
                self._limit_life(order if second is None else second, at_ns)
            self.outgoing.append(("submit", order, None))
        self._enlist(order, refusal)
        for leg in order.legs:
            self._enlist(leg, refusal)
        if self.events is not None:
            code, sentence = refusal or ("", "")
            given = SignalGiven(
                order.strategy, at_ns, intent, str(intent.signal), order, code, sentence
            )
            self.events.append(given)
            for one in (order, *order.legs):
                self.journal(one, None, at_ns, order.reason or intent.reason or "signal")
        if second is not None:
            for one in (second, *second.legs):
                self._enlist(one, None)
            for one in (*second.legs, second):  # in the order of their ids
                self.journal(one, None, at_ns, f"waits for {order.id}")
        if self.on_decision is not None:
            self.on_decision(order.strategy, intent, order)
        if refusal is not None:
            self.notify_order(order)

    def _limit_life(self, order: Order, at_ns: int) -> None:
        """What opens or adds is sent while its signal counts; what reduces, always."""
        held = self.portfolio.books[order.strategy].quantity(order.symbol)
        if order.parent_id in self._waiting or not (order.parent_id or reduces(order, held)):
            order.valid_until_ns = self.valid_until(order.strategy, at_ns)  # type: ignore[misc]

    def _enlist(self, order: Order, refusal: Refusal | None) -> None:
        """Remember an order, as denied or as open."""
        order_id = order.id
        if refusal is not None:
            order.status = _DENIED
            order.reason_code, order.reason = refusal
        else:
            self.open.setdefault(order.symbol, {})[order_id] = order
        self.orders[order_id] = order
        if self.tape is not None:
            self.tape.orders.append(order)
        elif len(self.orders) > _MANY and not self.keeps_all:
            self._forget_old()

    def _refuse_malformed(self, strategy: str, wish: Any, sentence: str, at_ns: int) -> None:
        order = self.maker.refused(strategy, wish, at_ns, Refusal("malformed", sentence))
        if self.tape is not None:
            self.tape.orders.append(order)
        if self.events is not None:
            text = repr(wish)[:500]
            self.events.append(
                SignalGiven(strategy, at_ns, None, text, None, "malformed", sentence)
            )
        if self.on_decision is not None:
            self.on_decision(strategy, wish, order)
        self.notify_order(order)

    # --- changes to open orders --------------------------------------------------------------

    def _change(self, strategy: str, wish: Cancelling | Replacing, at_ns: int) -> None:
        order = self.orders.get(getattr(wish.order, "id", ""))
        if order is None and isinstance(wish.order, Order) and not wish.order.is_open:
            order = wish.order  # over and forgotten
        if order is None or order.strategy != strategy:
            self._refuse_malformed(strategy, wish, "the order is not one of this strategy.", at_ns)
        elif not order.is_open:
            return  # it is over already: nothing to change
        elif isinstance(wish, Cancelling):
            self._cancel(order, at_ns)
        else:
            self._replace(order, wish.changes, at_ns)

    def cancel(self, order_id: str, at_ns: int) -> bool:
        """Ask for an open order to be cancelled; False when there is no such open order."""
        order = self.orders.get(order_id)
        if order is None or not order.is_open:
            return False
        self._cancel(order, at_ns)
        return True

    def _cancel(self, order: Order, at_ns: int) -> None:
        second = self.flips.waiting_with(order)
        if second is not None:
            self.flips.cancel(second, at_ns)
        elif not order.is_cancel_pending:
            order.is_cancel_pending = True
            self.journal(order, order.status, at_ns, CANCEL_REQUESTED)
            self.outgoing.append(("cancel", order, None))

    def _replace(self, order: Order, changes: Mapping[str, Any], at_ns: int) -> None:
        try:
            if self.flips.waiting_with(order) is not None:
                raise ConfigError(f"order {order.id} is not sent yet; cancel it instead.")
            terms = read_changes(order, changes)
        except ConfigError as error:
            self._refuse_malformed(order.strategy, Replacing(order, changes), str(error), at_ns)
            return
        new = self.maker.replacement(order, terms, at_ns)
        refusal = self._replacement_refusal(order, new, at_ns)
        self._enlist(new, refusal)
        self.journal(new, None, at_ns, new.reason or f"replaces {order.id}")
        if refusal is None:
            if self.valid_until is not None:
                self._limit_life(new, at_ns)
            self.outgoing.append(("replace", order, new))
        else:
            self.notify_order(new)

    def _replacement_refusal(self, old: Order, new: Order, at_ns: int) -> Refusal | None:
        """What speaks against an order that takes another's place; an exit keeps its size."""
        symbol = new.symbol
        if new.parent_id is not None:
            return self.maker.instrument_of(symbol).rules.refusal(new)
        others = {key: one for key, one in self.open.get(symbol, _NONE).items() if one is not old}
        return self.risk.refusal(new, self.portfolio, others, self.price(symbol), at_ns)

    # --- what the broker says ----------------------------------------------------------------

    def take(self, update: OrderUpdate) -> None:
        """Book what a venue says about an order of ours; each execution once."""
        order_id, status, at_ns, fill, reason, broker_order_id, quantity = update
        order = self.orders.get(order_id)
        if order is None:
            if self.on_stray is not None:
                self.on_stray(update)
            return
        before, evidence = order.status, ""
        if broker_order_id is not None:
            order.broker_order_id = evidence = broker_order_id
        if quantity is not None:
            order.quantity = quantity
        if status is _ACKED and before is _SENDING and fill is None and reason is None:
            # The usual answer: nothing else is to be done.
            order.status = status
            if self.events is not None:
                self.journal(order, before, at_ns, evidence)
            if self.order_listeners:
                self.notify_order(order)
            return
        if fill is not None:
            evidence = fill.execution_id
            if evidence in order.executions:
                return
            order.executions += (evidence,)
            self._book(order, fill)
        elif reason is not None:
            evidence = reason.sentence
        if status is None:
            if fill is None and order.filled_quantity < order.quantity:
                self.journal(order, before, at_ns, evidence or "size")  # only that is better known
                return
            status = _FILLED if order.filled_quantity >= order.quantity else _PARTIAL
        order.advance(status, reason)
        if self.events is not None:
            self.journal(order, before, at_ns, evidence)
        if status in TERMINAL:
            self.open[order.symbol].pop(order_id, None)
        elif before is not _SENDING:
            self._take_late(order, before, at_ns)
        if self.order_listeners:
            self.notify_order(order)
        if self._waiting:
            self.flips.note_end(order, at_ns)

    def _take_late(self, order: Order, before: OrderStatus, at_ns: int) -> None:
        """An order that was thought to be over trades after all: it may be cancelled again."""
        if before in TERMINAL:
            self.open.setdefault(order.symbol, {})[order.id] = order
            order.is_cancel_pending = False
        if before in _GIVEN_UP and order.status is _ACKED and order.parent_id is None:
            self._cancel(order, at_ns)  # nobody wants it any more

    def _book(self, order: Order, fill: Fill) -> None:
        filled = order.filled_quantity + abs(fill.quantity)
        order.filled_quantity = order.quantity if filled == order.quantity else filled  # one object
        strategy, portfolio = order.strategy, self.portfolio
        book = portfolio.books[strategy]
        trade = book.apply(fill)
        if self.tape is not None:
            self.tape.book(fill, trade, book, portfolio)
        if self.events is not None:
            self.events.append(FillBooked(fill, trade))
        if strategy in self.fill_listeners:
            self.notices.append((strategy, fill))

    # --- small things ------------------------------------------------------------------------

    def journal(self, order: Order, before: OrderStatus | None, at_ns: int, evidence: str) -> None:
        """Note an order's step, and its fields with it, where somebody records."""
        if self.events is not None:
            step = OrderEvent(order.id, before, order.status, at_ns, evidence)
            self.events.append(OrderMoved(order, step))

    def notify_order(self, order: Order) -> None:
        """Let an order's strategy hear of it, where it listens."""
        if order.strategy in self.order_listeners:
            self.notices.append((order.strategy, order))

    def price(self, symbol: str) -> float | None:
        """The last price of a symbol; None before the first."""
        seen = self.last.get(symbol)
        return None if seen is None else seen.close

    def _forget_old(self) -> None:
        closed = [order_id for order_id, order in self.orders.items() if not order.is_open]
        for order_id in closed[: _MANY // 2]:
            del self.orders[order_id]
