"""TradingStates: everything that restricts trading at the moment, and what may still be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ticklane.core.money import ZERO
from ticklane.core.order import Order, Refusal, Side
from ticklane.core.portfolio import Book
from ticklane.core.trading_state import Restriction, TradingState

OnChange = Callable[[Restriction, bool, str], None]
_SEVERITY = {state: number for number, state in enumerate(TradingState)}


class TradingStates:
    """The set of restrictions, account-wide and by symbol; the strictest one counts.

    `is_guarded` is the one thing the order path asks when nothing is restricted: true while there
    is a restriction, or while `look` has to be asked before each order (a kill switch that other
    processes may set at any time). `on_change` hears of every change at once.
    """

    def __init__(self) -> None:
        self.restrictions: dict[tuple[str, str | None], Restriction] = {}
        self.is_guarded = False
        self.is_operator = False  # the orders that are made now are an operator's
        self.on_change: OnChange | None = None
        self._look: Callable[[], None] | None = None
        self._let_through: set[str] = set()
        self._once: set[str] = set()

    def watch(self, look: Callable[[], None] | None) -> None:
        """Call `look` before each order; it restricts where it finds a reason."""
        self._look = look
        self._note()

    def restrict(self, restriction: Restriction, by: str = "") -> None:
        """Add a restriction; one with its code and symbol keeps the instant it began at."""
        key = (restriction.code, restriction.symbol)
        known = self.restrictions.get(key)
        if known is not None:
            restriction = restriction._replace(since_ns=known.since_ns)
            if known.is_latched:
                return
        self.restrictions[key] = restriction
        self._note()
        if restriction != known and self.on_change is not None:
            self.on_change(restriction, True, by)

    def lift(self, code: str, symbol: str | None = None, by: str = "") -> None:
        """End a restriction that ends by itself; a latched one, or none, stays as it is."""
        known = self.restrictions.get((code, symbol))
        if known is not None and not known.is_latched:
            self._end(known, by)

    def release(self, by: str) -> list[Restriction]:
        """End every latched restriction on an operator's word; returns them."""
        latched = [one for one in self.restrictions.values() if one.is_latched]
        for one in latched:
            self._end(one, by)
        return latched

    def restore(self, restrictions: Iterable[Restriction]) -> None:
        """Take over what was in force before a restart; nobody is told again."""
        for one in restrictions:
            self.restrictions[one.code, one.symbol] = one
        self._note()

    def let_through_once(self, order_id: str) -> None:
        """Let this order go to the broker once more, which is to find out what became of it."""
        self._once.add(order_id)

    def forget(self, order_id: str) -> None:
        """An order is over for good."""
        self._let_through.discard(order_id)
        self._once.discard(order_id)

    def is_let_through(self, order_id: str) -> bool:
        """Whether an operator wants this order, whatever is restricted."""
        return order_id in self._let_through

    def state(self, symbol: str | None = None) -> TradingState:
        """The state of the account, or of a symbol with it."""
        found = (one.state for one in self.restrictions.values() if one.symbol in (None, symbol))
        return max(found, key=_SEVERITY.__getitem__, default=TradingState.ACTIVE)

    @property
    def is_killed(self) -> bool:
        """True while the kill switch is set."""
        return any(one.is_kill_switch for one in self.restrictions.values())

    def refusal(self, order: Order, book: Book, open_orders: Mapping[str, Order]) -> Refusal | None:
        """Why an order may not be made in the present state, or None."""
        if self._look is not None:
            self._look()
        if self.is_operator:
            self._let_through.add(order.id)
            return None
        return self._refusal(order, book, open_orders)

    def late_refusal(
        self, order: Order, book: Book, open_orders: Mapping[str, Order]
    ) -> Refusal | None:
        """The same for an order that was made earlier and is about to leave."""
        if self._look is not None:
            self._look()
        if order.id in self._let_through:
            return None
        if order.id in self._once:
            self._once.discard(order.id)
            return None
        others = {key: one for key, one in open_orders.items() if one is not order}
        return self._refusal(order, book, others)

    def _refusal(
        self, order: Order, book: Book, open_orders: Mapping[str, Order]
    ) -> Refusal | None:
        found = [r for r in self.restrictions.values() if r.symbol in (None, order.symbol)]
        strictest = max(found, key=lambda one: _SEVERITY[one.state], default=None)
        if strictest is None or strictest.state is TradingState.ACTIVE:
            return None
        if strictest.state is TradingState.HALTED:
            return Refusal("trading_halted", f"trading is halted: {strictest.sentence}")
        if only_reduces(order, book, open_orders):
            return None
        return Refusal("reduce_only", f"only positions may be reduced: {strictest.sentence}")

    def _end(self, restriction: Restriction, by: str) -> None:
        del self.restrictions[restriction.code, restriction.symbol]
        self._note()
        if self.on_change is not None:
            self.on_change(restriction, False, by)

    def _note(self) -> None:
        self.is_guarded = bool(self.restrictions) or self._look is not None


def only_reduces(order: Order, book: Book, open_orders: Mapping[str, Order]) -> bool:
    """True when an order can only make the strategy's position smaller, whatever fills first.

    Our other working orders on the same side are taken for filled, a pair of exits for one.
    """
    if order.parent_id is not None:
        return True  # an exit is for what it protects
    held = book.quantity(order.symbol)
    closing = Side.SELL if held > 0 else Side.BUY
    if not held or order.side is not closing or not order.quantity:
        return False
    under_way = sum(
        (
            other.remaining
            for other in open_orders.values()
            if other.strategy == book.strategy
            and other.side is closing
            and other.parent_id is None
            and not other.is_cancel_pending
        ),
        ZERO,
    )
    return order.quantity <= abs(held) - under_way
