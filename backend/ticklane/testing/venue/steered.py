"""What can be done to a venue from any thread while it runs in its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from ticklane.core.market import Bar
from ticklane.testing.venue.control import Control
from ticklane.testing.venue.exchange import Exchange
from ticklane.testing.venue.faults import Fault, Faults

T = TypeVar("T")
PATIENCE = 20.0  # seconds, until something that should take milliseconds is given up


class Steered:
    """A venue in a thread of its own; what is asked of it is done there."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.control: Control = Control(exchange)
        self.faults: Faults = Faults()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changed, self._changes = threading.Condition(), 0
        exchange.teller.listen(lambda _: self.notify())
        self.faults.on_strike = self.notify

    def do(self, action: Callable[[], T]) -> T:
        """Do something in the venue's thread and wait for it."""
        loop = self._loop
        if loop is None or threading.current_thread() is self._thread:
            return action()
        done: Future[T] = Future()

        def act() -> None:
            try:
                done.set_result(action())
            except BaseException as error:
                done.set_exception(error)

        loop.call_soon_threadsafe(act)
        return done.result(PATIENCE)

    # --- waiting -----------------------------------------------------------------------------

    def notify(self) -> None:
        """Something has happened: let those look again who wait for something."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def wait_for(self, is_so: Callable[[], Any], seconds: float = 10.0) -> None:
        """Wait until something is so; it is looked at after each request, trade update and fault.

        `venue.wait_for(lambda: venue.trade_streams.listeners)`. Raises TimeoutError.
        """
        until = time.monotonic() + seconds
        while True:
            seen = self._changes
            if self.do(is_so):
                return
            if not self._wait_for_change(seen, until - time.monotonic()):
                raise TimeoutError(f"it was not so within {seconds:g} s.")

    def _wait_for_change(self, seen: int, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._changes != seen, seconds)

    # --- faults ------------------------------------------------------------------------------

    def fault(self, where: str, kind: str, **terms: Any) -> Fault:
        """Order a fault: `venue.fault("POST /v2/orders", "drop_after")`."""
        return self.do(lambda: self.faults.add(Fault(where, kind, **terms)))

    def release_faults(self) -> None:
        """Let go what faults keep waiting."""
        self.do(self.faults.release)

    def clear_faults(self) -> None:
        """Take all faults back, and let go what they keep waiting."""
        self.do(self.faults.clear)

    def price(self, symbol: str, price: float) -> None:
        """Say what a symbol costs from now on."""
        self.do(lambda: self.control.price(symbol, price))

    def quote(self, symbol: str, bid: float, ask: float, size: float = 1_000.0) -> None:
        """Show a quote now."""
        self.do(lambda: self.control.quote(symbol, bid, ask, size))

    def bar(self, bar: Bar) -> None:
        """Show a bar."""
        self.do(lambda: self.control.bar(bar))

    def status(self, symbol: str, code: str, reason: str = "") -> None:
        """Tell a trading status, such as H (halt), P (pause) and T (trading goes on)."""
        self.do(lambda: self.control.status(symbol, code, reason))

    def correct_trade(
        self, symbol: str, price: float, size: float | None = None, trade: int | None = None
    ) -> None:
        """Correct a trade that was printed, by default the newest."""
        self.do(lambda: self.control.correct_trade(symbol, price, size, trade))

    def cancel_trade(self, symbol: str, trade: int | None = None) -> None:
        """Take a trade back that was printed, by default the newest."""
        self.do(lambda: self.control.cancel_trade(symbol, trade))

    def set_time(self, time_ns: int) -> None:
        """Put the venue's clock there; it stands still until it is moved."""
        self.do(lambda: self.control.set_time(time_ns))

    def advance(self, seconds: float) -> None:
        """Move the venue's clock forward."""
        self.do(lambda: self.control.advance(seconds))

    def set_skew(self, seconds: float) -> None:
        """Let the venue's clock be ahead of the machine's."""
        self.do(lambda: self.control.set_skew(seconds))

    def fill(self, order: Any, qty: Any = None, price: Any = None) -> dict[str, Any]:
        """Let an order (id or client id) trade now: all that is left, or `qty` of it."""
        return self.do(lambda: self.control.fill(str(order), qty, price))

    def reject(self, order: Any, reason: str = "rejected by the venue") -> None:
        """Reject an order that was taken."""
        self.do(lambda: self.control.reject(str(order), reason))

    def refuse(self, order: Any) -> None:
        """Refuse a pending cancel, or a pending replacement (named by the new order)."""
        self.do(lambda: self.control.refuse(str(order)))

    def expire(self, order: Any) -> None:
        """Let an order expire."""
        self.do(lambda: self.control.expire(str(order)))

    def cancel(self, order: Any) -> None:
        """Cancel an order without its client."""
        self.do(lambda: self.control.cancel(str(order)))

    def done_for_day(self, order: Any) -> None:
        """Tell that an order does nothing more today."""
        self.do(lambda: self.control.done_for_day(str(order)))

    def release(self, order: Any) -> None:
        """Let go an order, or its cancel, that is kept waiting."""
        self.do(lambda: self.control.release(str(order)))

    def switch(self, **switches: bool) -> None:
        """Set is_matching, is_accepting, is_cancelling, is_replacing; False keeps them waiting.

        While is_reporting is False, orders show that they fill, but by which executions is told
        only later, by the activities.
        """
        self.do(lambda: self.control.switch(**switches))

    def set_account(self, **values: Any) -> None:
        """Set account flags, shorting_enabled, buying_power or cash."""
        self.do(lambda: self.control.set_account(**values))

    def hold(self, symbol: str, qty: Any, price: Any) -> None:
        """Give the account a position that no order has made."""
        self.do(lambda: self.control.hold(symbol, qty, price))

    def activity(self, kind: str, amount: Any = 0, **fields: Any) -> dict[str, Any]:
        """Book an activity such as FEE, DIV, INT or CSD."""
        return self.do(lambda: self.control.activity(kind, amount, **fields))

    def post_fees(self) -> None:
        """Post all fees in coins that are due later."""
        self.do(self.control.post_fees)
