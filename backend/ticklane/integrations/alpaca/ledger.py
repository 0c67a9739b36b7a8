"""The broker's own count of what the account must hold: base, told fills, booked events."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from ticklane.core.account_event import AccountEvent
from ticklane.core.correction import TAKEN_BACK
from ticklane.core.market import DAY
from ticklane.core.money import ZERO, plain, to_cash
from ticklane.core.order import Fill, Side
from ticklane.core.symbols import is_crypto
from ticklane.integrations.alpaca.convert import Execution

_CENT: Final = Decimal("0.01")
_HALF_CENT: Final = Decimal("0.005")  # a fill's money may be rounded to whole cents
_COIN_FEE: Final = Decimal("0.003")  # the most that is taken of a coin fill
_SALE_FEES: Final = Decimal("0.0002")  # the most that is charged for the sale of a stock
KEPT_NS: Final = 4 * DAY  # ids of activities are known for so long
_CASH: Final = "cash"
_NO_QUANTITY: Final = ("DIV", "INT")  # whose quantity says on how many shares it was paid


class Ledger:
    """Cash and positions as they should be, and by how much fees to come may change them.

    Two parts: the base (what was there before the run, whatever is not ours, account events) is
    saved with the venue's marks; our own part is made of the fills of the run, which the database
    has. So a crash between the two neither loses nor doubles anything.
    """

    def __init__(self) -> None:
        self.has_base = False
        self.version = 0  # of what `marks` has
        self.base = Part()
        self.own = Part()
        self.foreign: dict[str, Decimal] = {}  # of the positions, what is not ours
        self.seen: dict[str, int] = {}  # ids of booked activities -> their instants
        self.read_until_ns = 0  # all activities until then have been read
        self.told = 0  # fills of ours, also those that were taken back

    @property
    def cash(self) -> Decimal:
        """The cash there should be."""
        return self.base.cash + self.own.cash

    @property
    def positions(self) -> dict[str, Decimal]:
        """The positions there should be."""
        both = {*self.base.positions, *self.own.positions}
        sums = {symbol: self.base.held(symbol) + self.own.held(symbol) for symbol in both}
        return {symbol: quantity for symbol, quantity in sums.items() if quantity}

    def begin(self, cash: Decimal, positions: Mapping[str, Decimal]) -> None:
        """What the account holds now, less what our fills have told, is the base."""
        self.base.cash = cash - self.own.cash
        for symbol in {*positions, *self.own.positions}:
            strange = positions.get(symbol, ZERO) - self.own.held(symbol)
            if strange:
                self.foreign[symbol] = self.base.positions[symbol] = strange
        self.has_base = True
        self.version += 1

    def book(self, fill: Fill) -> None:
        """One execution of ours."""
        self.told += 1
        if fill.rule == TAKEN_BACK:
            self.own.undo(fill.symbol, -fill.quantity, fill.price)
        else:
            self.own.trade(fill.symbol, fill.quantity, fill.price)

    def book_foreign(self, id: str, execution: Execution) -> bool:
        """One execution of somebody else's order in the same account; once."""
        if id in self.seen:
            return False
        self.seen[id] = execution.at_ns
        self.version += 1
        signed = execution.quantity if execution.side is Side.BUY else -execution.quantity
        self.base.trade(execution.symbol, signed, execution.price)
        self.foreign[execution.symbol] = self.foreign.get(execution.symbol, ZERO) + signed
        return True

    def book_event(self, event: AccountEvent) -> bool:
        """A fee, a dividend, a deposit; once."""
        if event.id in self.seen:
            return False
        self.seen[event.id] = event.at_ns
        self.version += 1
        self.base.take(event)
        return True

    def accept(self, event: AccountEvent) -> None:
        """What an operator has accepted is not ours, but it counts."""
        self.seen[event.id] = event.at_ns
        self.version += 1
        self.base.cash += event.amount
        if event.symbol is not None and event.quantity:
            symbol, quantity = event.symbol, event.quantity
            self.base.positions[symbol] = self.base.held(symbol) + quantity
            self.foreign[symbol] = self.foreign.get(symbol, ZERO) + quantity

    def skip(self, id: str, at_ns: int) -> None:
        """This happened before the base was taken: it is in it."""
        self.seen[id] = at_ns
        self.version += 1

    # --- comparing ---------------------------------------------------------------------------

    def quantity_differences(self, shown: Mapping[str, Decimal]) -> dict[str, str]:
        """Symbol -> a sentence, for each position that is not as it should be."""
        found, should = {}, self.positions
        for symbol in sorted({*shown, *should}):
            there, here, due = shown.get(symbol, ZERO), should.get(symbol, ZERO), self.due(symbol)
            if not here - due <= there <= here:
                found[symbol] = (
                    f"Alpaca holds {plain(there)} {symbol}, but our fills and events make "
                    f"{plain(here)}{_less(due)}."
                )
        return found

    def cash_difference(self, shown: Decimal) -> str | None:
        """A sentence when the cash is not as it should be, else None."""
        rounding = _CENT + _HALF_CENT * (self.own.fills + self.base.fills)
        due = self.due(_CASH)
        if self.cash - due - rounding <= shown <= self.cash + rounding:
            return None
        return (
            f"Alpaca has {shown:,.2f} of cash, but our fills and events make "
            f"{self.cash:,.2f}{_less(due)}."
        )

    def due(self, what: str) -> Decimal:
        """Fees of a symbol, or of the cash, that may be charged and are not posted yet, at most."""
        expected = self.own.expected.get(what, ZERO) + self.base.expected.get(what, ZERO)
        return max(expected - self.base.posted.get(what, ZERO), ZERO)

    def fees_due(self) -> dict[str, str]:
        """Fees that may be charged and are not posted yet, at most."""
        due = {what: self.due(what) for what in {*self.own.expected, *self.base.expected}}
        return {what: plain(amount) for what, amount in sorted(due.items()) if amount}

    # --- what a restart must find again ------------------------------------------------------

    def marks(self, now_ns: int) -> dict[str, Any]:
        """The base, and which activities it holds, as JSON values."""
        kept_ns = min(now_ns, self.read_until_ns or now_ns) - KEPT_NS
        self.seen = {id: at for id, at in self.seen.items() if at > kept_ns}
        return {
            **self.base.marks(),
            "foreign": {symbol: str(q) for symbol, q in self.foreign.items() if q},
            "seen": dict(self.seen),
            "read_until": self.read_until_ns,
        }

    def restore(self, marks: Mapping[str, Any]) -> None:
        """Take the marks back."""
        self.base, self.seen = Part.of(marks), dict(marks["seen"])
        self.foreign = {symbol: Decimal(q) for symbol, q in marks["foreign"].items()}
        self.read_until_ns = int(marks.get("read_until", 0))
        self.has_base = True


class Part:
    """Cash and positions, and the fees that their trades will cost at most."""

    def __init__(self) -> None:
        self.cash = ZERO
        self.positions: dict[str, Decimal] = {}
        self.expected: dict[str, Decimal] = {}  # fees in a coin, or in cash
        self.posted: dict[str, Decimal] = {}
        self.fills = 0

    def held(self, symbol: str) -> Decimal:
        """The signed quantity of a position."""
        return self.positions.get(symbol, ZERO)

    def trade(self, symbol: str, quantity: Decimal, price: Decimal) -> None:
        """One execution, and the fees it will cost."""
        self.positions[symbol] = self.held(symbol) + quantity
        self.cash -= to_cash(quantity * price)
        self.fills += 1
        self._expect(symbol, quantity, price, 1)

    def undo(self, symbol: str, quantity: Decimal, price: Decimal) -> None:
        """Such an execution is not what it was told to be, or a part of it is not."""
        self.positions[symbol] = self.held(symbol) - quantity
        self.cash += to_cash(quantity * price)
        self._expect(symbol, quantity, price, -1)

    def _expect(self, symbol: str, quantity: Decimal, price: Decimal, sign: int) -> None:
        value = abs(quantity * price)
        if not is_crypto_like(symbol):
            if quantity < ZERO:
                _add(self.expected, _CASH, sign * (value * _SALE_FEES + _CENT))
        elif quantity > ZERO:
            _add(self.expected, symbol, sign * quantity * _COIN_FEE)
        else:
            _add(self.expected, _CASH, sign * value * _COIN_FEE)

    def take(self, event: AccountEvent) -> None:
        """An account event: cash, and for fees in coins and splits a quantity."""
        self.cash += event.amount
        if event.kind in ("FEE", "CFEE"):
            _add(self.posted, _CASH, -event.amount)
        if event.symbol is not None and event.quantity and event.kind not in _NO_QUANTITY:
            self.positions[event.symbol] = self.held(event.symbol) + event.quantity
            _add(self.posted, event.symbol, -event.quantity)

    def marks(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "cash": str(self.cash),
            "fills": self.fills,
            "positions": _texts(self.positions),
            "expected": _texts(self.expected),
            "posted": _texts(self.posted),
        }

    @classmethod
    def of(cls, marks: Mapping[str, Any]) -> Part:
        """Out of the marks."""
        part = cls()
        part.cash, part.fills = Decimal(marks["cash"]), int(marks["fills"])
        for name in ("positions", "expected", "posted"):
            setattr(part, name, {key: Decimal(value) for key, value in marks[name].items()})
        return part


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {key: str(amount) for key, amount in amounts.items() if amount}


def _add(amounts: dict[str, Decimal], key: str, amount: Decimal) -> None:
    amounts[key] = amounts.get(key, ZERO) + amount


def is_crypto_like(symbol: str) -> bool:
    """True for a pair; whatever cannot be read is none."""
    return "/" in symbol and is_crypto(symbol)


def _less(due: Decimal) -> str:
    return f", less up to {plain(due)} of fees not posted yet" if due else ""
