"""What an operator can do to the venue: move prices and time, and decide over single orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.market import Bar, Quote, to_datetime
from ticklane.core.money import ZERO, exact, plain, to_decimal
from ticklane.core.order import OrderStatus, Refusal
from ticklane.testing.venue.exchange import Exchange
from ticklane.testing.venue.flags import ceiling_of
from ticklane.testing.venue.holdings import Holding
from ticklane.testing.venue.listed import ListedOrder
from ticklane.testing.venue.notices import Cancellation, Correction, Status

_SWITCHES = ("is_matching", "is_accepting", "is_cancelling", "is_replacing", "is_reporting")


class Control:
    """Everything must be called in the venue's thread; `LocalVenue` offers it to every thread."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.market = exchange.market

    # --- prices and time ---------------------------------------------------------------------

    def price(self, symbol: str, price: float) -> None:
        """Say what a symbol costs from now on: a quote and a trade."""
        self.market.price(self.exchange.normal(symbol), float(price))

    def quote(self, symbol: str, bid: float, ask: float, size: float = 1_000.0) -> None:
        """Show a quote now."""
        name = self.exchange.normal(symbol)
        self.market.push(Quote(name, self.market.now_ns(), bid, ask, size, size))

    def bar(self, bar: Bar) -> None:
        """Show a bar."""
        self.market.push(bar)

    def status(self, symbol: str, code: str, reason: str = "") -> None:
        """Tell a trading status: H a halt, P a pause, T trading goes on (2 and 3 on tape A and B).

        It is told only: what orders do at this venue does not change by it.
        """
        now, name = self.market.now_ns(), self.exchange.normal(symbol)
        self.market.announce("statuses", Status(name, now, str(code), str(reason)))

    def correct_trade(
        self, symbol: str, price: float, size: float | None = None, trade: int | None = None
    ) -> None:
        """Correct a trade that was printed, the newest of the symbol or that of an id."""
        now, name = self.market.now_ns(), self.exchange.normal(symbol)
        before = self.market.take_back(name, trade)
        new_size = before.size if size is None else float(size)
        after = self.market.put_back(before._replace(price=float(price), size=new_size))
        self.market.announce("corrections", Correction(name, now, before, after))

    def cancel_trade(self, symbol: str, trade: int | None = None) -> None:
        """Take a trade back that was printed, the newest of the symbol or that of an id."""
        now, name = self.market.now_ns(), self.exchange.normal(symbol)
        before = self.market.take_back(name, trade)
        self.market.announce("cancelErrors", Cancellation(name, now, before))

    def set_time(self, time_ns: int) -> None:
        """Put the venue's clock there; it stands still until it is moved."""
        self.market.set_time(time_ns)
        self.exchange.beat()

    def advance(self, seconds: float) -> None:
        """Move the venue's clock."""
        self.market.advance(seconds)
        self.exchange.beat()

    def set_skew(self, seconds: float) -> None:
        """Let the venue's clock be ahead of the machine's."""
        self.market.skew_ns = round(seconds * 1_000_000_000)

    # --- single orders -----------------------------------------------------------------------

    def find(self, order: str) -> ListedOrder:
        """An order by its id or client id."""
        found = self.exchange.orders.get(order) or self.exchange.by_client_id.get(order)
        if found is None:
            raise ConfigError(f"the venue has no order {order!r}.")
        return found

    def fill(self, order: str, qty: Any = None, price: Any = None) -> dict[str, Any]:
        """Let an order trade (all that is left of it), at this price or its own or the last one.

        An order that is over trades as well: that is a late fill.
        """
        listed, venue = self.find(order), self.exchange.venue
        if listed.id in self.exchange.waiting:
            self.exchange.release(listed.id)
            if not listed.is_open:  # there was a price for it already
                return listed.public()
        working = venue.by_id.get(listed.id)
        is_late = working is None
        if working is None:
            venue.now_ns = max(venue.now_ns, self.exchange.now_ns())
            working = venue.add(listed.order, venue.now_ns, ZERO)
            working.remaining = listed.size - listed.filled_qty
        at = self._price_of(listed, price)
        quantity = self._quantity_of(listed, qty, at, working.remaining)
        now = venue.now_ns = max(venue.now_ns, self.exchange.now_ns())
        status = listed.status
        venue.fill(working, quantity, at, Quote(listed.symbol, now, float(at), float(at)))
        if is_late and listed.id in venue.by_id:
            venue.forget(working)
        self.exchange.hear()
        if is_late and listed.status == "partially_filled":
            listed.status = status
        return listed.public()

    def _price_of(self, listed: ListedOrder, price: Any) -> Decimal:
        if price is not None:
            return to_decimal(price, "price")
        order = listed.order
        last = self.exchange.price(listed.symbol)
        return order.limit_price or order.stop_price or exact(last or 0.0)

    def _quantity_of(self, listed: ListedOrder, qty: Any, price: Decimal, left: Decimal) -> Decimal:
        if qty is not None:
            return to_decimal(qty, "qty")
        if listed.order.notional is not None and not listed.filled_qty:
            return (listed.order.notional / price).quantize(Decimal("1e-9"))
        return left

    def reject(self, order: str, reason: str = "rejected by the venue") -> None:
        """Reject an order that was taken."""
        self._end(order, OrderStatus.REJECTED, reason)

    def refuse(self, order: str) -> None:
        """Refuse a cancel, or a replacement (named by the new order), that is kept waiting."""
        if not self.exchange.changes.refuse(self.find(order)):
            raise ConfigError(f"order {order} has no pending cancel or replacement.")

    def expire(self, order: str) -> None:
        """Let an order expire."""
        self._end(order, OrderStatus.EXPIRED, "expired")

    def cancel(self, order: str) -> None:
        """Cancel an order without its client."""
        self._end(order, OrderStatus.CANCELED, "canceled by the venue")

    def _end(self, order: str, status: OrderStatus, reason: str) -> None:
        listed, refusal = self.find(order), Refusal("canceled", reason)  # the words matter here
        working = self.exchange.venue.by_id.get(listed.id)
        if working is not None:
            self.exchange.venue.drop(working, status, refusal)
            self.exchange.hear()
        elif self.exchange.waiting.pop(listed.id, None) is not None:
            self.exchange.teller.end(listed, status, refusal)
        else:
            raise ConfigError(f"order {order} is {listed.status} already.")

    def done_for_day(self, order: str) -> None:
        """Tell that an order does nothing more today."""
        listed = self.find(order)
        listed.step("done_for_day", self.exchange.now_ns())
        self.exchange.teller.announce(listed, "done_for_day")

    def release(self, order: str) -> None:
        """Let go an order, or its cancel, that is kept waiting."""
        self.exchange.release(self.find(order).id)

    def switch(self, **switches: bool) -> None:
        """Set is_matching, is_accepting, is_cancelling, is_replacing and is_reporting."""
        exchange = self.exchange
        changes = dict.fromkeys(("is_cancelling", "is_replacing"), exchange.changes)
        owners: dict[str, Any] = {**changes, "is_reporting": exchange.activities}
        for name, value in switches.items():
            if name not in _SWITCHES:
                raise ConfigError(f"switch is {name!r}, but must be one of {', '.join(_SWITCHES)}.")
            setattr(owners.get(name, exchange), name, bool(value))

    # --- the account -------------------------------------------------------------------------

    def set_account(self, **values: Any) -> None:
        """Set account flags; also shorting_enabled, buying_power (None: as it is) and cash."""
        account = self.exchange.account
        if "shorting_enabled" in values:
            account.allow_short = bool(values.pop("shorting_enabled"))
        if "buying_power" in values:
            account.ceiling = ceiling_of(values.pop("buying_power"))
        if "cash" in values:
            account.cash = to_decimal(values.pop("cash"), "cash")
        self.exchange.flags.set(**values)

    def hold(self, symbol: str, qty: Any, price: Any) -> None:
        """Give the account a position that no order has made."""
        name, quantity = self.exchange.normal(symbol), to_decimal(qty, "qty")
        holding = self.exchange.holdings.setdefault(name, Holding())
        holding.book(quantity, to_decimal(price, "price"), self.exchange.now_ns())
        positions = self.exchange.account.positions
        positions[name] = positions.get(name, ZERO) + quantity

    def activity(
        self,
        kind: str,
        amount: Any = 0,
        symbol: str | None = None,
        qty: Any = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """Book an activity such as FEE, DIV, INT, CSD or SPLIT: money, and for a qty the holding.

        `qty` changes the position of `symbol`, except for a dividend, where it only tells.
        """
        exchange, now = self.exchange, self.exchange.now_ns()
        money, quantity = to_decimal(amount, "amount"), to_decimal(qty or 0, "qty")
        exchange.account.cash += money
        if symbol and quantity and not kind.startswith("DIV"):
            self._change_holding(exchange.normal(symbol), quantity)
        told = {
            "date": to_datetime(now).date().isoformat(),
            "net_amount": plain(money),
            "description": "",
            "status": "executed",
            **fields,
        }
        if symbol:
            told["symbol"] = exchange.normal(symbol).replace("/", "")
        if qty is not None:
            told["qty"] = plain(quantity)
        return exchange.activities.add(kind, now, **told)

    def _change_holding(self, symbol: str, quantity: Decimal) -> None:
        """More or fewer at the same total cost, as a split or a fee in coins makes it."""
        positions = self.exchange.account.positions
        positions[symbol] = positions.get(symbol, ZERO) + quantity
        self.exchange.holdings.setdefault(symbol, Holding()).quantity += quantity

    def post_fees(self) -> None:
        """Post all fees in coins that are due later."""
        self.exchange.teller.post_fees(1 << 62)
