"""A venue in memory: it takes orders, matches them against bars or quotes, and keeps an account.

It knows no strategy, no database and no clock: its time is that of the orders and ticks it gets.
An order can trade only against what opens after its arrival (semantics.md, Orders and sessions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from ticklane.brokers import recovery, sessions
from ticklane.brokers.account import Account, Verdict
from ticklane.brokers.family import Family
from ticklane.brokers.pricing import numbers_behind, size_and_price, too_small
from ticklane.brokers.room import Room, room_at
from ticklane.brokers.working import Working
from ticklane.core.costs import NO_COSTS, NO_SLIPPAGE, Costs, Slippage
from ticklane.core.instrument import ANY_ORDER, Instrument
from ticklane.core.market import Bar, Observation, Quote, Tick, put_prices
from ticklane.core.matching import (
    AT_OPEN,
    LIMIT_INSIDE,
    STOP_INSIDE,
    Match,
    match_bar,
    match_leg,
    move_mark,
)
from ticklane.core.money import ZERO, exact
from ticklane.core.order import (
    Fill,
    Order,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Refusal,
    TimeInForce,
    make_fill,
    make_update,
)
from ticklane.interfaces import Calendar

_ACKED, _CANCELED, _EXPIRED = OrderStatus.ACKED, OrderStatus.CANCELED, OrderStatus.EXPIRED
_REJECTED, _REPLACED = OrderStatus.REJECTED, OrderStatus.REPLACED
_MARKET, _TRAILING = OrderType.MARKET, OrderType.TRAILING_STOP
_GTC, _DAY = TimeInForce.GTC, TimeInForce.DAY


class Venue:
    """One simulated account at one simulated exchange; `said` collects what it has to tell."""

    def __init__(
        self,
        cash: Decimal,
        instrument_of: Callable[[str], Instrument],
        *,
        costs: Costs = NO_COSTS,
        slippage: Slippage = NO_SLIPPAGE,
        latency_ns: int = 0,
        allow_short: bool = False,
        limit_to_quote_size: bool = False,
        target_first: bool = False,
        calendars: Mapping[str, Calendar] | None = None,
    ) -> None:
        self.last: dict[str, Observation] = {}
        self.working: dict[str, list[Working]] = {}
        self.account = Account(cash, allow_short, costs, self._last_price, self.working)
        self.instrument_of = instrument_of
        self.costs, self.slippage, self.latency_ns = costs, slippage, latency_ns
        self._has_slippage = slippage is not NO_SLIPPAGE
        self.limit_to_quote_size, self.target_first = limit_to_quote_size, target_first
        self.calendars = dict(calendars or {})
        self.is_ruled = bool(self.calendars)  # some instrument has sessions or rules
        self.by_id: dict[str, Working] = {}
        self.said, self.now_ns = list[OrderUpdate](), 0

    def _last_price(self, symbol: str) -> float | None:
        seen = self.last.get(symbol)
        return None if seen is None else seen.close

    # --- what comes in -----------------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Take an order with its legs, or reject it with a reason."""
        if order.created_ns > self.now_ns:  # ticks without open orders have not been shown to us
            self.now_ns = order.created_ns
        now_ns = self.now_ns
        refusal, cost = self.judge(order, now_ns)
        if refusal is not None:
            for one in (order, *order.legs):
                self._say(one, _REJECTED, now_ns, refusal)
            return
        order_id = order.id
        working = self.add(order, now_ns + self.latency_ns, cost)
        self.said.append(make_update((order_id, _ACKED, now_ns, None, None, order_id, None)))
        if order.legs:
            legs = (self._accept(leg, now_ns, ZERO) for leg in order.legs)
            Family(self, order_id, (working, *legs)).wait()

    def cancel(self, order_id: str) -> None:
        """Cancel a working order; ids not working are ignored.

        With an exit its whole family is cancelled; after an entry its exits stay for what it has
        filled.
        """
        working = self.by_id.get(order_id)
        if working is not None:
            self._drop(working, _CANCELED, Refusal("canceled", "cancelled on request."))

    def replace(self, order_id: str, by: Order) -> None:
        """Put `by` in the place of a working order, which keeps what it has filled.

        A refused replacement leaves the old order as it was.
        """
        now_ns = self.now_ns = max(by.created_ns, self.now_ns)
        old = self.by_id.get(order_id)
        if old is None:
            refusal = Refusal("not_open", f"order {order_id} is not open any more.")
            self._say(by, _REJECTED, now_ns, refusal)
            return
        cost, old.cost = old.cost, ZERO
        refused, new_cost = self.judge(by, now_ns, instead_of=old)
        if refused is not None:
            old.cost = cost
            self._say(by, _REJECTED, now_ns, refused)
            return
        self.forget(old)
        self._say(old.order, _REPLACED, now_ns, Refusal("replaced", f"replaced by {by.id}."))
        new = self._accept(by, now_ns, new_cost, known_as=old.broker_id)
        if old.family is not None:
            old.family.swap(old, new)

    def observe(self, tick: Tick) -> list[OrderUpdate]:
        """See what became known at an instant, match every order it can touch, and tell."""
        self.now_ns, symbols, observed = tick
        last, working = self.last, self.working
        if last.get(symbols[-1]) is not observed[-1]:  # the lane has put them there already
            put_prices(last, zip(symbols, observed, strict=True))
        if len(symbols) == 1:
            lane = working.get(symbols[0])
            if lane is not None:
                self._match(lane, observed[0])
        else:
            for symbol in sorted(working):
                if symbol in symbols:
                    self._match(working[symbol], last[symbol])
        said, self.said = self.said, []
        return said

    def updates(self) -> list[OrderUpdate]:
        """Take what there is to tell, oldest first."""
        said, self.said = self.said, []
        return said

    # --- accepting ---------------------------------------------------------------------------

    def judge(self, order: Order, now_ns: int, instead_of: Working | None = None) -> Verdict:
        """Why an order is not taken, or None and the cash that it must keep reserved."""
        symbol = order.symbol
        seen = self.last.get(symbol)
        if seen is None:
            return Refusal("no_price", f"there is no price of {symbol} yet."), ZERO
        instrument, term = self.instrument_of(symbol), order.time_in_force
        if instrument.rules is not ANY_ORDER:
            self.is_ruled = True
            refusal = self.account.rules_refusal(order, instrument.rules, seen.close)
            if refusal is not None:
                return refusal, ZERO
        if term is not _GTC and term is not _DAY:
            calendar, arrives_ns = self._calendar(instrument), now_ns + self.latency_ns
            refusal = sessions.time_refusal(order, instrument, calendar, seen, arrives_ns)
            if refusal is not None:
                return refusal, ZERO
        if instead_of is not None and order.parent_id is not None:
            return None, ZERO  # an exit: what it may sell is known once its entry has filled
        return self.account.judge(order, seen.close, instead_of)

    def _calendar(self, instrument: Instrument) -> Calendar | None:
        return self.calendars.get(instrument.calendar) if instrument.calendar else None

    def _accept(
        self, order: Order, now_ns: int, cost: Decimal, known_as: str | None = None
    ) -> Working:
        """Take an order in; a replacement keeps the venue's id of the order it replaces."""
        working = self.add(order, now_ns + self.latency_ns, cost)
        working.known_as, told_as = known_as, known_as or order.id
        self.said.append(make_update((order.id, _ACKED, now_ns, None, None, told_as, None)))
        return working

    def add(self, order: Order, active_ns: int, cost: Decimal) -> Working:
        """Put an order among the working ones."""
        working = Working(order, active_ns, cost)
        if self.is_ruled:
            instrument = self.instrument_of(order.symbol)
            working.calendar, working.tick = self._calendar(instrument), instrument.rules.tick
            working.is_plain = working.calendar is None and working.tick is None
        if order.time_in_force is not _GTC or order.notional is not None or self._has_slippage:
            working.is_plain = False
        if not working.is_plain:
            working.expires_ns = sessions.first_expiry(working)
        if order.type is _TRAILING and order.symbol in self.last:
            price = self.last[order.symbol].close
            move_mark(working.terms, price, price)
        self.working.setdefault(order.symbol, []).append(working)
        self.by_id[order.id] = working
        return working

    # --- matching ----------------------------------------------------------------------------

    def _match(self, lane: list[Working], seen: Observation) -> None:
        working = lane[0]
        if not working.is_plain or len(lane) > 1 or seen.__class__ is Quote:
            self._match_all(lane, seen, room_at(seen, self.slippage, self.limit_to_quote_size))
            return
        # The usual case: one order in the symbol, alone, of a known size and without slippage.
        opened_ns: int = seen.open_ns  # type: ignore[union-attr]
        if opened_ns < working.active_ns:
            return
        if working.terms.type is _MARKET:
            price = Decimal(repr(seen.open))  # type: ignore[union-attr]
            self._fill(working, working.remaining, price, "market_at_open", opened_ns, seen, False)
            return
        found = match_bar(working.terms, seen)  # type: ignore[arg-type]
        if found is not None:
            self._execute(working, found, seen, None)

    def _match_all(self, lane: list[Working], seen: Observation, room: Room | None) -> None:
        for working in [w for w in lane if sessions.is_over(w, seen)]:
            if self.is_open(working):
                self._drop(working, _EXPIRED, sessions.session_over(working))
        able = [w for w in lane if sessions.may_trade(w, seen)]
        found = [(w, m) for w in able if (m := sessions.find_match(w, seen)) is not None]
        self._execute_in_order(found, seen, room)
        for working in able:
            if self.is_open(working):
                reason = sessions.leftover(working, seen)
                if reason is not None:
                    status = _CANCELED if reason.code in sessions.AT_ONCE else _EXPIRED
                    self._drop(working, status, reason)

    def _execute_in_order(
        self, found: list[tuple[Working, Match]], seen: Observation, room: Room | None
    ) -> None:
        """The open first, then inside the bar stops before targets (or as configured)."""
        while found:
            found.sort(key=self._turn)
            working, match = found.pop(0)
            if not self.is_open(working) or not working.can_trade:
                continue
            fills = working.fills
            self._execute(working, match, seen, room)
            if working.fills > fills and isinstance(seen, Bar):
                legs = [leg for leg in working.legs if sessions.may_trade(leg, seen)]
                found += [(leg, m) for leg in legs if (m := match_leg(leg.terms, seen, match))]

    def _turn(self, pair: tuple[Working, Match]) -> tuple[int, bool]:
        """Where in the bar a match has its turn; inside the bar an exit is before its entry."""
        working, match = pair
        phase = match.phase
        if self.target_first and phase in (STOP_INSIDE, LIMIT_INSIDE):
            phase = STOP_INSIDE + LIMIT_INSIDE - phase
        return phase, phase != AT_OPEN and bool(working.legs)

    def _execute(
        self, working: Working, match: Match, seen: Observation, room: Room | None
    ) -> None:
        price, quantity = exact(match.price), working.remaining
        if room is not None or not working.is_plain:
            rules = self.instrument_of(working.order.symbol).rules
            quantity, price = size_and_price(working, match, seen, room, self.slippage, rules)
        detail = numbers_behind(working, match, price)
        if working.terms.type is not _MARKET:
            working.trigger()
        if quantity <= ZERO:
            if working.remaining <= ZERO:
                self._drop(working, _REJECTED, too_small(working.order))
            return
        at_open = match.phase == AT_OPEN and isinstance(seen, Bar)
        filled_ns = seen.open_ns if at_open else seen.close_ns  # type: ignore[union-attr]
        rule, maker = match.rule, match.is_maker
        is_booked = self._fill(working, quantity, price, rule, filled_ns, seen, maker, detail)
        if is_booked and room is not None:
            room.take(working.is_buy, quantity)

    def _fill(
        self,
        working: Working,
        quantity: Decimal,
        price: Decimal,
        rule: str,
        filled_ns: int,
        seen: Observation,
        is_maker: bool,
        detail: str = "",
    ) -> bool:
        """Book one execution, unless the account cannot carry it."""
        order, is_buy, fee = working.order, working.is_buy, ZERO
        if self.costs is not NO_COSTS:
            fee = self.costs.fee(quantity, price, is_maker, not working.fills)
        refusal = self.account.fill_refusal(working, quantity, price, fee)
        if refusal is not None:
            self._drop(working, _REJECTED, refusal)
            return False
        working.fills = number = working.fills + 1
        fill = make_fill(
            (
                order.id,
                f"{order.id}.{number}",
                order.strategy,
                order.symbol,
                quantity if is_buy else -quantity,
                price,
                fee,
                filled_ns,
                rule,
                self.now_ns,
                seen,
                None,
                detail,
            )
        )
        self.account.book(fill)
        if quantity is working.remaining and working.is_plain:  # whole, and nothing hangs on it
            self.said.append(make_update((order.id, None, self.now_ns, fill, None, None, None)))
            self.forget(working)
            return True
        size = None
        if order.notional is not None and not working.filled:
            size = working.size = working.remaining  # known from now on
        working.filled += quantity
        working.remaining = left = working.remaining - quantity
        self.said.append(make_update((order.id, None, self.now_ns, fill, None, None, size)))
        family = working.family
        is_done = left <= ZERO and (family is None or not family.may_grow(working))
        if is_done:
            self.forget(working)
        elif working.cost:
            working.cost = working.cost * left / (left + quantity)
        if family is not None:
            family.note_fill(working, quantity, is_done)
        return True

    # --- ending ------------------------------------------------------------------------------

    def _drop(self, working: Working, status: OrderStatus, reason: Refusal) -> None:
        """End a working order, and with it what hangs on it."""
        self.end(working, status, reason)
        if working.family is not None:
            working.family.note_end(working)

    def end(self, working: Working, status: OrderStatus, reason: Refusal) -> None:
        """End a working order by itself, and tell."""
        self.forget(working)
        self._say(working.order, status, self.now_ns, reason)

    def resize(self, working: Working, size: Decimal) -> None:
        """Tell the size of an order where the venue decides it."""
        working.size = size
        self.said.append(OrderUpdate(working.order.id, None, self.now_ns, quantity=size))

    def is_open(self, working: Working) -> bool:
        """True while an order is working."""
        return working.order.id in self.by_id

    def forget(self, working: Working) -> None:
        """Take an order out of the working ones."""
        del self.by_id[working.order.id]
        symbol = working.order.symbol
        lane = self.working[symbol]
        if len(lane) == 1:
            del self.working[symbol]
        else:
            lane.remove(working)

    def _say(
        self, order: Order, status: OrderStatus, at_ns: int, reason: Refusal | None = None
    ) -> None:
        self.said.append(OrderUpdate(order.id, status, at_ns, None, reason))

    # --- a crash and after -------------------------------------------------------------------

    def marks(self) -> dict[str, Any]:
        """What of the working orders is not in the journal, as JSON values."""
        lanes = self.working.values()
        return {w.order.id: w.snapshot(place) for lane in lanes for place, w in enumerate(lane)}

    def restore(
        self,
        fills: Iterable[Fill],
        orders: Iterable[Order],
        marks: Mapping[str, Any],
        now_ns: int,
    ) -> None:
        """Rebuild account and working orders from the journal (orders: those acknowledged).

        `marks` are those of the last tick; an order that is not among them was taken after it.
        """
        recovery.restore(self, fills, orders, marks, now_ns)
