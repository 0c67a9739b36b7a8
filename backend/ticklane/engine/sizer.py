"""How large an order becomes when its intent names no quantity and no amount of money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from ticklane.core.instrument import Instrument
from ticklane.core.money import ZERO, round_down
from ticklane.core.order import Order, Refusal, Side
from ticklane.core.portfolio import Book, Portfolio
from ticklane.core.signal import Intent
from ticklane.risk.manager import unsold
from ticklane.risk.sizing import Sizing

Size = tuple[Decimal | None, Decimal | None, Refusal | None]  # quantity, notional, or why not

_LOTLESS = Decimal("1e-8")
_NO_SIZE = Refusal(
    "no_quantity",
    "the intent has no quantity and no sizing is configured; give it a quantity or set sizing.",
)


class Sizer:
    """Turns an intent's fraction, or the configured sizing, into a quantity or an amount."""

    def __init__(
        self,
        portfolio: Portfolio,
        sizing: Sizing | None,
        allow_short: bool,
        instrument_of: Callable[[str], Instrument],
    ) -> None:
        self.portfolio, self.sizing = portfolio, sizing
        self.allow_short = allow_short
        self.instrument_of = instrument_of

    def size(
        self, book: Book, intent: Intent, side: Side, open_orders: Mapping[str, Order]
    ) -> Size:
        """The size of an order for this book; `open_orders` are those in the intent's symbol."""
        if side is Side.SELL and not self.allow_short:
            return self._sale(book, intent, open_orders)
        quantity = notional = None
        if intent.fraction is not None:
            notional = self.portfolio.equity([book]) * intent.fraction
        elif self.sizing is None:
            return None, None, _NO_SIZE
        else:
            quantity, notional = self.sizing.size(lambda: self.portfolio.equity([book]))
        if notional is not None and notional <= ZERO:
            sentence = f"the book of {book.strategy} has no equity to size an order with."
            return None, None, Refusal("no_equity", sentence)
        return quantity, notional, None

    def _sale(self, book: Book, intent: Intent, open_orders: Mapping[str, Order]) -> Size:
        """Without short sales an unsized sale sells what is there: all of it or a fraction."""
        held = max(unsold(intent.symbol, book, open_orders), ZERO)
        if intent.fraction is not None:
            quantity = self.to_lot(intent.symbol, held * intent.fraction)
        elif self.sizing is None:
            return None, None, _NO_SIZE
        else:
            wanted, _ = self.sizing.size(lambda: self.portfolio.equity([book]))
            quantity = held if wanted is None else min(wanted, held)
        if quantity:
            return quantity, None, None
        return None, None, Refusal("short_not_allowed", f"there is no {intent.symbol} to sell.")

    def to_lot(self, symbol: str, quantity: Decimal) -> Decimal:
        """A quantity rounded down to what the instrument trades in."""
        return round_down(quantity, self.instrument_of(symbol).rules.lot or _LOTLESS)
