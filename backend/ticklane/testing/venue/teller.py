"""What our own venue says, booked and told in Alpaca's words: states, fills, fees, events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ticklane.core.market import DAY, to_datetime
from ticklane.core.money import ZERO, plain
from ticklane.core.order import (
    Fill,
    OrderClass,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Refusal,
    TimeInForce,
)
from ticklane.testing.venue.activities import FILL
from ticklane.testing.venue.holdings import Holding
from ticklane.testing.venue.listed import ListedOrder, stamp

if TYPE_CHECKING:
    from ticklane.testing.venue.exchange import Exchange

_ENDS = {
    OrderStatus.CANCELED: ("canceled", "canceled_at"),
    OrderStatus.EXPIRED: ("expired", "expired_at"),
    OrderStatus.REJECTED: ("rejected", "failed_at"),
    OrderStatus.REPLACED: ("replaced", "replaced_at"),
}
_AUCTIONS = (TimeInForce.OPG, TimeInForce.CLS)


class Teller:
    """Keeps the listed orders, holdings and activities in step with our own venue."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._listeners: list[Callable[[dict[str, Any]], object]] = []
        self._fees_due: list[tuple[int, dict[str, Any]]] = []  # from when on they are posted

    def listen(self, callback: Callable[[dict[str, Any]], object]) -> None:
        """Call back with the data of each trade update."""
        self._listeners.append(callback)

    # --- events ------------------------------------------------------------------------------

    def announce(self, listed: ListedOrder, event: str, **more: Any) -> None:
        """Tell everybody who listens about one step of an order."""
        exchange = self._exchange
        now = exchange.now_ns()
        data = {
            "event": event,
            "execution_id": exchange.new_id(),
            "price": None,
            "qty": None,
            "position_qty": None,
            "timestamp": stamp(now),
            "order": listed.public(),
            **more,
        }
        exchange.ledger.note_event(data)
        for callback in tuple(self._listeners):
            callback(data)

    def start(self, listed: ListedOrder) -> None:
        """The order is at the market; of a pair the stop stays held."""
        listed.step("new", self._exchange.now_ns())
        self.announce(listed, "new")

    def take(self, updates: Iterable[OrderUpdate]) -> None:
        """Book what our own venue has said, oldest first."""
        for update in updates:
            listed = self._exchange.orders.get(update.order_id)
            if listed is None:
                continue
            if update.quantity is not None:
                self._resize(listed, update)
            if update.fill is not None:
                self._book(listed, update.fill)
            elif update.status in _ENDS:
                self.end(listed, update.status, update.reason)

    def _resize(self, listed: ListedOrder, update: OrderUpdate) -> None:
        assert update.quantity is not None
        listed.size = update.quantity
        if listed.qty is not None:
            listed.qty = update.quantity
        if listed.size and listed.filled_qty >= listed.size and listed.status == "partially_filled":
            listed.step("filled", update.at_ns, "filled_at")

    def end(self, listed: ListedOrder, status: OrderStatus, reason: Refusal | None) -> None:
        """An order is over without (more) fills."""
        state, stamped = _ENDS[status]
        if state == "expired" and listed.order.time_in_force in _AUCTIONS:
            state, stamped = "canceled", "canceled_at"
        listed.reason = "" if reason is None else reason.sentence
        self._exchange.changes.forget(listed)
        listed.step(state, self._exchange.now_ns(), stamped)
        self.announce(listed, state)

    # --- fills -------------------------------------------------------------------------------

    def _book(self, listed: ListedOrder, fill: Fill) -> None:
        exchange, quantity = self._exchange, abs(fill.quantity)
        now = exchange.now_ns()
        pending = listed.status if listed.status.startswith("pending_") else None
        listed.filled_qty += quantity
        listed.filled_amount += quantity * fill.price
        is_done = listed.filled_qty >= listed.size
        listed.step(
            "filled" if is_done else "partially_filled", now, "filled_at" if is_done else None
        )
        holding = exchange.holdings.setdefault(listed.symbol, Holding())
        holding.book(fill.quantity, fill.price, now)
        if listed.asset.is_crypto:
            self._take_coin_fee(fill)
        execution_id = exchange.new_id()
        self._write(listed, fill, execution_id, is_done, now)
        if exchange.activities.is_reporting:
            self.announce(
                listed,
                "fill" if is_done else "partial_fill",
                execution_id=execution_id,
                price=plain(fill.price),
                qty=plain(quantity),
                position_qty=plain(exchange.held(listed.symbol)),
            )
        if pending not in (None, "pending_new") and not is_done:
            listed.step(pending, now)
        if is_done and (late := exchange.changes.forget(listed)) is not None:
            self.announce(listed, late)
        if is_done:
            self._wake_legs(listed)

    def _write(
        self, listed: ListedOrder, fill: Fill, execution_id: str, is_done: bool, now: int
    ) -> None:
        exchange, order = self._exchange, listed.order
        leaves = max(listed.size - listed.filled_qty, ZERO)
        side = str(order.side)
        if order.side == "sell" and exchange.held(listed.symbol) < ZERO:
            side = "sell_short"
        row = exchange.activities.add(
            FILL,
            now,
            transaction_time=stamp(now),
            type="fill" if is_done else "partial_fill",
            price=plain(fill.price),
            qty=plain(abs(fill.quantity)),
            side=side,
            symbol=listed.symbol,
            leaves_qty=plain(leaves),
            order_id=listed.id,
            cum_qty=plain(listed.filled_qty),
            order_status=listed.status,
        )
        exchange.ledger.executions.append(
            {
                "execution_id": execution_id,
                "activity_id": row["id"],
                "order_id": listed.id,
                "client_order_id": listed.client_order_id,
                "symbol": listed.symbol,
                "side": str(order.side),
                "qty": plain(abs(fill.quantity)),
                "price": plain(fill.price),
                "at_ns": now,
                "rule": fill.rule,
            }
        )

    def _wake_legs(self, listed: ListedOrder) -> None:
        """Exits work from now on; of a pair the stop stays held until the target is gone."""
        if listed.order.order_class is OrderClass.OCO:
            return
        held = [leg for leg in listed.legs if leg.status == "held"]
        for leg in held:
            is_second = len(held) > 1 and leg.order.type is not OrderType.LIMIT
            if not is_second:
                self.start(leg)

    # --- fees in coins -----------------------------------------------------------------------

    def _take_coin_fee(self, fill: Fill) -> None:
        exchange, fees, symbol = self._exchange, self._exchange.coin_fees, fill.symbol
        is_maker = fill.rule in ("limit_reached", "stop_limit_by_close")
        account = exchange.account
        if fill.quantity > ZERO:
            coins, money = fees.coins(fill.quantity, is_maker), ZERO
            account.positions[symbol] -= coins
            exchange.holdings[symbol].shrink(coins)
        else:
            coins, money = ZERO, fees.money(-fill.quantity * fill.price, is_maker)
            account.cash -= money
        if not coins and not money:
            return
        now = exchange.now_ns()
        due = now if fees.is_posted_at_once else now - now % DAY + DAY
        self._fees_due.append((due, _fee_fields(fill, coins, money, now)))
        self.post_fees(now)

    def post_fees(self, until_ns: int) -> None:
        """Post the fees in coins that are due; they were taken when the order filled."""
        if not self._fees_due:
            return
        due = [fields for at_ns, fields in self._fees_due if at_ns <= until_ns]
        self._fees_due = [pair for pair in self._fees_due if pair[0] > until_ns]
        for fields in due:
            self._exchange.activities.add("CFEE", self._exchange.now_ns(), **fields)

    @property
    def fees_due(self) -> int:
        """How many fees are taken but not posted."""
        return len(self._fees_due)

    # --- trailing stops ----------------------------------------------------------------------

    def note_marks(self, symbols: Iterable[str]) -> None:
        """Let trailing stops show their mark."""
        exchange = self._exchange
        for symbol in symbols:
            for working in exchange.venue.working.get(symbol, ()):
                if working.order.type is OrderType.TRAILING_STOP:
                    exchange.orders[working.order.id].hwm = working.terms.mark


def _fee_fields(fill: Fill, coins: Any, money: Any, at_ns: int) -> dict[str, Any]:
    kind = "Non USD" if coins else "USD"
    return {
        "date": to_datetime(at_ns).date().isoformat(),
        "net_amount": plain(-money),
        "description": f"Coin Pair Transaction Fee ({kind})",
        "symbol": fill.symbol.replace("/", ""),
        "qty": plain(-coins),
        "price": plain(fill.price),
        "status": "executed",
    }
