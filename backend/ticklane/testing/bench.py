"""A workbench for brokers: it sends orders, moves the market, and follows what the broker says."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ticklane.core.market import MINUTE, Bar, Quote, Tick
from ticklane.core.order import Fill, Order, OrderStatus, OrderUpdate
from ticklane.interfaces import BrokerInterface, Recovered
from ticklane.testing.builders import START, SYMBOL, a_bar, a_quote, a_tick


class Bench:
    """A broker under test, with the part of a desk that follows orders.

    It books what the broker says into the orders that were sent through it, and fails where the
    broker breaks its word: a step that is not legal, an order nobody sent, one execution told
    twice. `orders`, `fills` and `journey` tell what came of it.

    As it is it serves brokers that simulate (they have an `observe`). For a broker that talks to
    a venue, override `beat`: let the venue trade at the tick, wait until the broker has heard of
    it, then call `hear()`.
    """

    symbol = SYMBOL
    length = MINUTE  # of the bars it makes

    def __init__(self, broker: BrokerInterface, *, has_quotes: bool = False) -> None:
        self.broker = broker
        self.has_quotes = has_quotes
        self.now_ns = START
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.updates: list[OrderUpdate] = []
        self._journeys: dict[str, list[OrderStatus]] = {}

    async def open(self) -> None:
        """Connect the broker, as a new run does."""
        await self.broker.connect(Recovered("r0"), {})

    async def submit(self, *orders: Order) -> Order:
        """Send orders with their legs and hear the answers; gives the last one back."""
        for order in orders:
            for one in (order, *order.legs):
                self.orders[one.id] = one
            await self.broker.submit(order)
            self.hear()
        return orders[-1]

    async def cancel(self, order: Order) -> None:
        """Ask for an order to be cancelled and hear the answer."""
        await self.broker.cancel(order)
        self.hear()

    async def replace(self, order: Order, by: Order) -> Order:
        """Ask for an order to be replaced and hear the answer; gives the new one back."""
        by.replaces_id = order.id
        self.orders[by.id] = by
        await self.broker.replace(order, by)
        self.hear()
        return by

    async def beat(self, tick: Tick) -> None:
        """Let the market show this tick and hear what it led to."""
        self.now_ns = tick.time_ns
        self.hear(self.broker.observe(tick))

    async def bar(self, *prices: float, **fields: Any) -> Bar:
        """Show the next bar: open, high, low, close, volume, as far as they are said."""
        given = {"symbol": self.symbol, "at": self.now_ns, "length": self.length, **fields}
        bar = a_bar(*prices, **given)
        await self.beat(a_tick(bar))
        return bar

    async def quote(self, *numbers: float, **fields: Any) -> Quote:
        """Show a quote one second later: bid, ask, their sizes, as far as they are said."""
        given = {"symbol": self.symbol, "at": self.now_ns + 1_000_000_000, **fields}
        quote = a_quote(*numbers, **given)
        await self.beat(a_tick(quote))
        return quote

    async def price(self, *prices: float) -> None:
        """Let the market trade at these prices one after the other, in any size."""
        for price in prices:
            if self.has_quotes:
                await self.quote(price)
            else:
                await self.bar(price, volume=1e9)

    def hear(self, said: Iterable[OrderUpdate] = ()) -> None:
        """Take what the broker has said, first `said`, then what waits in `updates()`."""
        for update in (*said, *self.broker.updates()):
            self._take(update)

    def _take(self, update: OrderUpdate) -> None:
        assert update.order_id in self.orders, f"nobody sent the order {update.order_id}"
        order, fill = self.orders[update.order_id], update.fill
        self.updates.append(update)
        if update.broker_order_id is not None:
            order.broker_order_id = update.broker_order_id
        if update.quantity is not None:
            order.quantity = update.quantity
        if fill is not None:
            known = {one.execution_id for one in self.fills}
            assert fill.execution_id not in known, f"{fill.execution_id} was told twice"
            self.fills.append(fill)
            order.filled_quantity += abs(fill.quantity)
        status = update.status or self._status_after(order, fill)
        if status is not None:
            order.advance(status, update.reason)
            self._journeys.setdefault(order.id, []).append(status)

    def _status_after(self, order: Order, fill: Fill | None) -> OrderStatus | None:
        if order.filled_quantity >= order.quantity:
            return OrderStatus.FILLED
        return None if fill is None else OrderStatus.PARTIAL

    # --- what came of it -----------------------------------------------------------------------

    def journey(self, order: Order) -> str:
        """The states an order went through, in words: `"ACKED PARTIAL FILLED"`."""
        return " ".join(self._journeys.get(order.id, ()))

    def fills_of(self, order: Order) -> list[Fill]:
        """The executions of one order."""
        return [fill for fill in self.fills if fill.order_id == order.id]

    @property
    def position(self) -> Decimal:
        """What the fills add up to."""
        return sum((fill.quantity for fill in self.fills), Decimal(0))
