"""A venue in memory: it takes orders, matches them against bars or quotes, and keeps an account.

It knows no strategy, no database and no clock: its time is that of the orders and ticks it gets.
An order can trade only against what opens after its arrival (semantics.md, Orders and sessions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from ticklane.brokers import sessions
from ticklane.brokers.account import Account
from ticklane.brokers.working import Working, worst_price
from ticklane.core.costs import NO_COSTS, NO_SLIPPAGE, Costs, Slippage, slipped
from ticklane.core.instrument import ANY_ORDER, Instrument
from ticklane.core.market import Bar, Observation, Quote, Tick, put_prices
from ticklane.core.matching import (
    AT_OPEN,
    LIMIT_INSIDE,
    STOP_INSIDE,
    Match,
    match_bar,
    match_rest,
    move_mark,
)
from ticklane.core.money import ZERO, exact, plain, round_down
from ticklane.core.order import (
    Fill,
    Order,
    OrderClass,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Refusal,
    Side,
    TimeInForce,
    make_fill,
    make_update,
)
from ticklane.interfaces import Calendar

_ACKED, _CANCELED, _EXPIRED = OrderStatus.ACKED, OrderStatus.CANCELED, OrderStatus.EXPIRED
_REJECTED, _REPLACED = OrderStatus.REJECTED, OrderStatus.REPLACED
_MARKET, _BUY, _GTC, _DAY = OrderType.MARKET, Side.BUY, TimeInForce.GTC, TimeInForce.DAY
_NO_LOT = Decimal("1e-8")  # the finest quantity where an instrument declares no lot
_OCO = Refusal("oco", "the other order of the pair was filled or cancelled.")
_ENTRY_GONE = Refusal("entry_gone", "the entry it protects did not fill.")


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
        self.account = Account(cash, allow_short, self._last_price)
        self.instrument_of = instrument_of
        self.costs, self.slippage = costs, slippage
        self.latency_ns = latency_ns
        self._is_plain = slippage is NO_SLIPPAGE  # nothing but the rules makes the price
        self.limit_to_quote_size, self.target_first = limit_to_quote_size, target_first
        self.calendars = dict(calendars or {})
        self.working: dict[str, list[Working]] = {}
        self.by_id: dict[str, Working] = {}
        self.said: list[OrderUpdate] = []
        self.now_ns = 0

    def _last_price(self, symbol: str) -> float | None:
        seen = self.last.get(symbol)
        return None if seen is None else seen.close

    # --- what comes in -----------------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Take an order with its legs, or reject it with a reason."""
        now_ns = order.created_ns if order.created_ns > self.now_ns else self.now_ns
        refusal, cost = self._judge(order, now_ns)
        if refusal is not None:
            for one in (order, *order.legs):
                self._say(one, _REJECTED, now_ns, refusal)
            return
        working = self._accept(order, now_ns, cost)
        if order.legs:
            self._tie(working, tuple(self._accept(leg, now_ns, ZERO) for leg in order.legs))

    def cancel(self, order_id: str) -> None:
        """Cancel a working order with its family; ids not working are ignored."""
        working = self.by_id.get(order_id)
        if working is not None:
            self._drop(working, _CANCELED, Refusal("canceled", "cancelled on request."))

    def replace(self, order_id: str, by: Order) -> None:
        """Put `by` in the place of a working order, which keeps what it has filled."""
        old = self.by_id.get(order_id)
        if old is None:
            gone = Refusal("not_open", f"order {order_id} is not open any more.")
            self._say(by, _REJECTED, self.now_ns, gone)
            return
        cost, old.cost = old.cost, ZERO
        refusal, new_cost = self._judge(by, self.now_ns, instead_of=old)
        if refusal is not None:
            old.cost = cost
            self._say(by, _REJECTED, self.now_ns, refusal)
            return
        self._forget(old)
        self._say(old.order, _REPLACED, self.now_ns, Refusal("replaced", f"replaced by {by.id}."))
        self._inherit(self._accept(by, self.now_ns, new_cost), old)

    def observe(self, tick: Tick) -> list[OrderUpdate]:
        """See what became known at an instant, match every order it can touch, and tell."""
        self.now_ns, symbols, observed = tick
        last = self.last
        put_prices(last, zip(symbols, observed, strict=True))
        for symbol in tuple(self.working):
            if symbol in symbols:
                self._match(self.working[symbol], last[symbol])
        return self.updates()

    def updates(self) -> list[OrderUpdate]:
        """Take what there is to tell, oldest first."""
        said, self.said = self.said, []
        return said

    # --- accepting ---------------------------------------------------------------------------

    def _judge(
        self, order: Order, now_ns: int, instead_of: Working | None = None
    ) -> tuple[Refusal | None, Decimal]:
        """Why an order is not taken, or None and the cash that it must keep reserved."""
        symbol = order.symbol
        seen = self.last.get(symbol)
        if seen is None:
            return Refusal("no_price", f"there is no price of {symbol} yet."), ZERO
        instrument, term = self.instrument_of(symbol), order.time_in_force
        refusal = None
        if instrument.rules is not ANY_ORDER:
            refusal = instrument.rules.refusal(order) or self._flip_refusal(order, instrument)
        if refusal is None and term is not _GTC and term is not _DAY:
            calendar = self._calendar(instrument)
            refusal = sessions.time_refusal(order, instrument, calendar, seen, now_ns)
        if refusal is not None:
            return refusal, ZERO
        return self._judge_means(order, seen.close, instead_of)

    def _judge_means(
        self, order: Order, last: float, instead_of: Working | None
    ) -> tuple[Refusal | None, Decimal]:
        account, symbol, quantity = self.account, order.symbol, order.quantity
        held = account.positions.get(symbol, ZERO)
        is_buy = order.side is _BUY
        if not is_buy:
            available = held - self._on_the_way_out(symbol, instead_of) if self.working else held
            if quantity and quantity <= available:
                return None, ZERO
        price = worst_price(order, last)
        if order.notional is not None and not quantity and price:
            quantity = order.notional / price
        if is_buy and held < ZERO and quantity <= -held:
            return None, ZERO  # covering a short frees money
        if not is_buy:
            if quantity <= available:
                return None, ZERO
            if not account.allow_short:
                return account.short_refusal(symbol, quantity), ZERO
            quantity -= max(held, ZERO)
        cost = quantity * price
        if self.costs is not NO_COSTS:
            cost += self.costs.fee(quantity, price, False, True)
        reserved = ZERO
        if self.by_id:
            reserved = sum((working.cost for working in self.by_id.values()), ZERO)
        return account.cash_refusal(order, quantity, cost, reserved), cost

    def _on_the_way_out(self, symbol: str, instead_of: Working | None) -> Decimal:
        """What open sales will take; of each family only the head counts."""
        total = ZERO
        for working in self.working.get(symbol, ()):
            if not working.is_buy and working is not instead_of and working.entry is None:
                total += working.remaining if working is _head(working) else ZERO
        return total

    def _flip_refusal(self, order: Order, instrument: Instrument) -> Refusal | None:
        if instrument.rules.can_flip:
            return None
        held = self.account.positions.get(order.symbol, ZERO)
        after = held + (order.quantity if order.side is _BUY else -order.quantity)
        if held and after and (held > 0) is not (after > 0):
            return Refusal("flip", f"an order in {order.symbol} may not go through zero.")
        return None

    def _calendar(self, instrument: Instrument) -> Calendar | None:
        return self.calendars.get(instrument.calendar) if instrument.calendar else None

    def _accept(self, order: Order, now_ns: int, cost: Decimal) -> Working:
        working = self._add(order, now_ns + self.latency_ns, cost)
        if order.type is OrderType.TRAILING_STOP:
            price = self.last[order.symbol].close
            move_mark(working.terms, price, price)
        self.said.append(make_update((order.id, _ACKED, now_ns, None, None, order.id, None)))
        return working

    def _add(self, order: Order, active_ns: int, cost: Decimal) -> Working:
        working = Working(order, active_ns, cost)
        if self.calendars:
            working.calendar = self._calendar(self.instrument_of(order.symbol))
        if order.time_in_force is not _GTC or working.calendar or order.notional is not None:
            working.is_plain = False
            working.expires_ns = sessions.first_expiry(working)
        lane = self.working.get(order.symbol)
        if lane is None:
            self.working[order.symbol] = [working]
        else:
            lane.append(working)
        self.by_id[order.id] = working
        return working

    def _tie(self, head: Working, legs: tuple[Working, ...]) -> None:
        """Bind legs to the entry they wait for, or (OCO) to the head itself."""
        head.is_plain = False
        if head.order.order_class is OrderClass.OCO:
            family: tuple[Working, ...] = (head, *legs)
        else:
            family = head.legs = legs
            for leg in legs:
                leg.entry = head
                leg.remaining = head.filled
        for one in family:
            one.is_plain = False
            one.siblings = tuple(other for other in family if other is not one)

    def _inherit(self, new: Working, old: Working) -> None:
        """Give a replacement the family of the order it replaces."""
        new.siblings, new.entry, new.legs = old.siblings, old.entry, old.legs
        new.is_plain = new.is_plain and old.is_plain
        for sibling in new.siblings:
            sibling.siblings = tuple(new if one is old else one for one in sibling.siblings)
        if new.entry is not None:
            new.entry.legs = tuple(new if one is old else one for one in new.entry.legs)
            new.remaining = min(new.remaining, old.remaining)
        for leg in new.legs:
            leg.entry = new

    # --- matching ----------------------------------------------------------------------------

    def _match(self, lane: list[Working], seen: Observation) -> None:
        working = lane[0]
        if len(lane) == 1 and working.is_plain and self._is_plain and seen.__class__ is not Quote:
            if seen.open_ns >= working.active_ns:  # type: ignore[union-attr]
                self._match_plain(working, seen)  # type: ignore[arg-type]
            return
        room = None if self.slippage is NO_SLIPPAGE else self.slippage.room(seen)
        if isinstance(seen, Quote) and self.limit_to_quote_size:
            self._match_all(lane, seen, _Room(exact(seen.ask_size), exact(seen.bid_size)))
        else:
            self._match_all(lane, seen, None if room is None else _Room.shared(room))

    def _match_plain(self, working: Working, bar: Bar) -> None:
        """The usual case: one order in the symbol, alone, of a known size and without slippage."""
        if working.terms.type is _MARKET:
            price = exact(bar.open)
            self._fill(working, working.remaining, price, "market_at_open", bar.open_ns, bar, False)
            return
        found = match_bar(working.terms, bar)
        if found is not None:
            self._execute(working, found, bar, None)

    def _match_all(self, lane: list[Working], seen: Observation, room: _Room | None) -> None:
        expired = Refusal("expired", "the session of this day order is over.")
        for working in [w for w in lane if sessions.is_over(w, seen)]:
            self._drop(working, _EXPIRED, expired)
        able = [w for w in lane if sessions.may_trade(w, seen)]
        found = [(w, m) for w in able if (m := sessions.find_match(w, seen)) is not None]
        self._execute_in_order(found, seen, room)
        for working in able:
            if working.order.id in self.by_id:
                reason = sessions.leftover(working, seen)
                if reason is not None:
                    status = _CANCELED if reason.code in ("ioc", "fok") else _EXPIRED
                    self._drop(working, status, reason)

    def _execute_in_order(
        self, found: list[tuple[Working, Match]], seen: Observation, room: _Room | None
    ) -> None:
        """The open first, then inside the bar stops before targets (or as configured)."""
        found.sort(key=lambda pair: self._phase(pair[1]))
        for working, match in found:
            if working.order.id not in self.by_id or not working.can_trade:
                continue
            self._execute(working, match, seen, room)
            if working.legs and working.filled and isinstance(seen, Bar):
                test = match_bar if match.phase == AT_OPEN else match_rest
                legs = [(leg, m) for leg in working.legs if (m := test(leg.terms, seen))]
                self._execute_in_order(legs, seen, room)

    def _phase(self, match: Match) -> int:
        if self.target_first and match.phase in (STOP_INSIDE, LIMIT_INSIDE):
            return STOP_INSIDE + LIMIT_INSIDE - match.phase
        return match.phase

    def _execute(
        self, working: Working, match: Match, seen: Observation, room: _Room | None
    ) -> None:
        price, quantity = exact(match.price), working.remaining
        if room is not None or not self._is_plain or working.order.notional is not None:
            quantity, price = self._size(working, match, seen, room)
        if working.terms.type is not _MARKET:
            working.trigger()
        if quantity <= ZERO:
            return
        at_open = match.phase == AT_OPEN and isinstance(seen, Bar)
        filled_ns = seen.open_ns if at_open else seen.close_ns  # type: ignore[union-attr]
        has_filled = self._fill(
            working, quantity, price, match.rule, filled_ns, seen, match.is_maker
        )
        if has_filled and room is not None:
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
    ) -> bool:
        """Book one execution, unless the account cannot carry it."""
        order, fee = working.order, ZERO
        if self.costs is not NO_COSTS:
            fee = self.costs.fee(quantity, price, is_maker, not working.fills)
        refusal = self._fill_refusal(working, quantity, price, fee)
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
                quantity if working.is_buy else -quantity,
                price,
                fee,
                filled_ns,
                rule,
                self.now_ns,
                seen,
                None,
                "",
            )
        )
        self.account.book(fill)
        self._after_fill(working, fill, quantity)
        return True

    def _size(
        self, working: Working, match: Match, seen: Observation, room: _Room | None
    ) -> tuple[Decimal, Decimal]:
        """How much fills, and at which price."""
        price = exact(match.price)
        quantity = working.remaining
        notional = working.order.notional
        rules = self.instrument_of(working.order.symbol).rules
        if notional is not None and not working.filled:
            quantity = notional / price
        if room is not None:
            quantity = self._capped(working, quantity, room)
        if self.slippage is not NO_SLIPPAGE and not match.is_maker and quantity > 0:
            shift = self.slippage.shift(quantity, price, seen)
            price = slipped(price, shift, working.is_buy, rules.tick)
            price = _not_beyond_limit(price, working)
        if notional is not None and not working.filled:
            quantity = round_down(min(quantity, notional / price), rules.lot or _NO_LOT)
        return quantity, price

    def _capped(self, working: Working, quantity: Decimal, room: _Room) -> Decimal:
        available = room.left(working.is_buy)
        if quantity <= available:
            return quantity
        if working.order.time_in_force is TimeInForce.FOK:
            return ZERO
        return round_down(available, self.instrument_of(working.order.symbol).rules.lot or _NO_LOT)

    def _fill_refusal(
        self, working: Working, quantity: Decimal, price: Decimal, fee: Decimal
    ) -> Refusal | None:
        account, symbol = self.account, working.order.symbol
        if working.is_buy:
            cost = quantity * price + fee
            if cost <= account.cash or quantity <= -account.positions.get(symbol, ZERO):
                return None
            return Refusal(
                "insufficient_cash",
                f"buying {plain(quantity)} {symbol} costs {cost:,.2f} at the fill, "
                f"but only {account.cash:,.2f} is there.",
            )
        if account.allow_short or account.positions.get(symbol, ZERO) >= quantity:
            return None
        return account.short_refusal(symbol, quantity)

    def _after_fill(self, working: Working, fill: Fill, quantity: Decimal) -> None:
        order = working.order
        size = None
        if order.notional is not None and not working.filled:
            size = working.remaining = quantity  # the size of a notional order is known now
        working.filled += quantity
        working.remaining -= quantity
        self.said.append(make_update((order.id, None, self.now_ns, fill, None, None, size)))
        is_done = working.remaining <= ZERO and (working.is_plain or not self._is_fed(working))
        if is_done:
            self._forget(working)
        elif working.cost:
            working.cost = working.cost * working.remaining / (working.remaining + quantity)
        if not working.is_plain:
            self._tell_family(working, quantity, is_done)

    def _tell_family(self, working: Working, quantity: Decimal, is_done: bool) -> None:
        """Let legs protect what was filled now, and siblings know that so much is gone."""
        for leg in working.legs:
            leg.remaining += quantity
        for sibling in working.siblings:
            sibling.remaining -= quantity
            if is_done and sibling.order.id in self.by_id:
                self._drop(sibling, _CANCELED, _OCO)
        if is_done:
            self._fit_legs(working)

    def _is_fed(self, working: Working) -> bool:
        """True for a leg whose entry may still fill more."""
        return working.entry is not None and working.entry.order.id in self.by_id

    def _fit_legs(self, entry: Working) -> None:
        """The entry is over: its legs protect exactly what it has filled."""
        for leg in entry.legs:
            if leg.order.id not in self.by_id:
                continue
            size = leg.filled + leg.remaining
            if not size:
                self._drop(leg, _CANCELED, _ENTRY_GONE)
            elif size != leg.order.quantity:
                self.said.append(OrderUpdate(leg.order.id, None, self.now_ns, quantity=size))
                if leg.remaining <= 0:
                    self._forget(leg)

    # --- ending ------------------------------------------------------------------------------

    def _drop(self, working: Working, status: OrderStatus, reason: Refusal) -> None:
        """End a working order, and with it what hangs on it."""
        self._forget(working)
        self._say(working.order, status, self.now_ns, reason)
        for sibling in working.siblings:
            if sibling.order.id in self.by_id:
                self._forget(sibling)
                self._say(sibling.order, _CANCELED, self.now_ns, _OCO)
        self._fit_legs(working)

    def _forget(self, working: Working) -> None:
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
        return {order_id: working.snapshot() for order_id, working in self.by_id.items()}

    def restore(
        self,
        fills: Iterable[Fill],
        orders: Iterable[Order],
        marks: Mapping[str, Any],
        now_ns: int,
    ) -> None:
        """Rebuild account and working orders from the journal (orders: those acknowledged)."""
        self.now_ns = now_ns
        count: dict[str, int] = {}
        for fill in fills:
            self.account.book(fill)
            count[fill.order_id] = count.get(fill.order_id, 0) + 1
        families: dict[str, list[Working]] = {}
        for order in orders:
            working = self._add(order, order.created_ns + self.latency_ns, ZERO)
            working.filled, working.fills = order.filled_quantity, count.get(order.id, 0)
            if order.parent_id is not None:
                families.setdefault(order.parent_id, []).append(working)
        for parent_id, legs in families.items():
            self._retie(parent_id, legs)
        for order_id, working in self.by_id.items():
            if order_id in marks:
                working.restore(marks[order_id])

    def _retie(self, parent_id: str, legs: list[Working]) -> None:
        head = self.by_id.get(parent_id)
        if head is not None:
            self._tie(head, tuple(legs))
            return
        for leg in legs:  # the entry is over: they are a pair by themselves
            leg.is_plain = False
            leg.siblings = tuple(other for other in legs if other is not leg)


class _Room:
    """How much can still trade against one bar or quote."""

    def __init__(self, buy: Decimal, sell: Decimal, is_shared: bool = False) -> None:
        self._left = {True: buy, False: sell}
        self._is_shared = is_shared

    @classmethod
    def shared(cls, room: Decimal) -> _Room:
        """One volume for both sides."""
        return cls(room, room, is_shared=True)

    def left(self, is_buy: bool) -> Decimal:
        return self._left[is_buy]

    def take(self, is_buy: bool, quantity: Decimal) -> None:
        self._left[is_buy] -= quantity
        if self._is_shared:
            self._left[not is_buy] -= quantity


def _head(working: Working) -> Working:
    """One of a family stands for it: the one with the lowest order id."""
    return min((working, *working.siblings), key=lambda one: one.order.id)


def _not_beyond_limit(price: Decimal, working: Working) -> Decimal:
    limit = working.order.limit_price
    if limit is None or working.order.type not in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        return price
    return min(price, limit) if working.is_buy else max(price, limit)
