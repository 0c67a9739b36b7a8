"""Executions that were inferred, and the real ones that take their place.

A venue may show that an order has filled before it tells by which executions. What is missing is
then booked as one inferred fill. When the real executions come, each takes the place of as much of
it: the journal gets a fill of the opposite quantity (`TAKEN_BACK`) and the real one, and the books
stand as if the real one had been booked there in the first place.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from ticklane.core.money import ZERO
from ticklane.core.order import Fill, OrderUpdate
from ticklane.core.portfolio import Book
from ticklane.core.position import Position, Trade

INFERRED: Final = "inferred"  # the rule of a fill that no execution of the venue explains
TAKEN_BACK: Final = "taken_back"  # the rule of one that undoes an inferred fill, or a part of it
_MANY: Final = 20_000  # so many fills of a symbol are kept for an execution that may still come
_STATE: Final = Position.__slots__


class Correction(NamedTuple):
    """An update whose fill is inferred, or stands in place of inferred ones, which it names.

    All of it is booked at once, so that a journal never holds half of it.
    """

    update: OrderUpdate
    taken_back: tuple[Fill, ...] = ()  # with the quantities and fees that are undone, negated


Told = OrderUpdate | Correction


def update_in(told: Told) -> OrderUpdate:
    """What is told of an order, be it a correction or not."""
    return told.update if isinstance(told, Correction) else told


class ProvisionalPosition(Position):
    """A position with an inferred fill: it remembers what came since, to be reckoned again."""

    __slots__ = ("_before", "_lines", "_place", "revised")

    def __init__(self, position: Position) -> None:
        _copy(position, self)
        self._before = Position(self.symbol, self.strategy)
        self._lines: list[_Line] | None = None  # None: nothing is inferred
        self._place: int | None = None  # where the next fill belongs
        self.revised: list[tuple[Trade, Trade]] = []  # closed trades that were told otherwise

    def expect(self) -> None:
        """From now on there is something inferred."""
        if self._lines is None:
            _copy(self, self._before)
            self._lines = []

    def apply(self, fill: Fill, amount: Decimal) -> Trade | None:
        """Book one fill; one after a `TAKEN_BACK` stands where the inferred one stood."""
        if self._lines is None:
            return super().apply(fill, amount)
        if fill.rule == TAKEN_BACK and self._undo(fill, amount):
            return None
        if self._place is not None:
            return self._put_in_place(fill, amount)
        trade = super().apply(fill, amount)
        self._lines.append(_Line(fill, amount, trade))
        if len(self._lines) > _MANY:
            self._lines = None
        return trade

    def _undo(self, fill: Fill, amount: Decimal) -> bool:
        """Take its quantity out of the inferred fill it names; the books follow with the next."""
        assert self._lines is not None
        name = fill.execution_id.rpartition(":")[0]
        for number, (old, worth, trade) in enumerate(self._lines):
            if old.execution_id == name:
                quantity, fee = old.quantity + fill.quantity, old.fee + fill.fee
                if self._place is None:
                    self._place = number
                left = old._replace(quantity=quantity, fee=fee)
                self._lines[number] = _Line(left, worth + amount, trade)
                return True
        return False

    def _put_in_place(self, fill: Fill, amount: Decimal) -> Trade | None:
        assert self._lines is not None
        assert self._place is not None
        told = [line.trade for line in self._lines if line.trade is not None]
        self._lines.insert(self._place, _Line(fill, amount, None))
        self._place = None
        self._drop_undone(fill)
        trades = self._reckon_again()
        self.revised += [(old, new) for old, new in zip(told, trades, strict=False) if old != new]
        if not any(line.fill.rule == INFERRED for line in self._lines):
            self._lines = None
        return trades[-1] if len(trades) > len(told) else None

    def _drop_undone(self, fill: Fill) -> None:
        """Lines of which nothing is left; the roundings of theirs go to the fill in their place."""
        assert self._lines is not None
        over = [line for line in self._lines if not line.fill.quantity]
        amount = sum((line.amount for line in over), ZERO)
        fee = sum((line.fill.fee for line in over), ZERO)
        self._lines = [line for line in self._lines if line.fill.quantity]
        for number, line in enumerate(self._lines):
            if line.fill is fill:
                whole = fill._replace(fee=fill.fee + fee)
                self._lines[number] = _Line(whole, line.amount + amount, None)

    def _reckon_again(self) -> list[Trade]:
        assert self._lines is not None
        anew = Position(self.symbol, self.strategy)
        _copy(self._before, anew)
        self._lines = [_Line(f, amount, anew.apply(f, amount)) for f, amount, _ in self._lines]
        _copy(anew, self)
        return [line.trade for line in self._lines if line.trade is not None]


class _Line(NamedTuple):
    """One fill since the first inferred one, and the trade that it closed."""

    fill: Fill
    amount: Decimal
    trade: Trade | None


def expect_correction(book: Book, symbol: str) -> None:
    """Let the book remember what it needs to put real executions in the place of inferred ones."""
    position = book.positions.get(symbol)
    if not isinstance(position, ProvisionalPosition):
        plain = Position(symbol, book.strategy) if position is None else position
        book.positions[symbol] = position = ProvisionalPosition(plain)
    position.expect()


def book_again(book: Book, fill: Fill) -> Trade | None:
    """Book a fill of a journal, inferred or not; returns the trade it closes.

    What it changes in trades that were closed before is given by `revised_trades`.
    """
    if fill.rule == INFERRED:
        expect_correction(book, fill.symbol)
    return book.apply(fill)


def revised_trades(book: Book, symbol: str) -> list[tuple[Trade, Trade]]:
    """Trades that were closed with an inferred price, each as it was told and as it is; once."""
    position = book.positions.get(symbol)
    if not isinstance(position, ProvisionalPosition) or not position.revised:
        return []
    found, position.revised = position.revised, []
    return found


def standing(fills: Iterable[Fill]) -> list[Fill]:
    """The fills that still count: without what was taken back of inferred ones."""
    found = {fill.execution_id: fill for fill in fills if fill.rule != TAKEN_BACK}
    for fill in fills:
        if fill.rule == TAKEN_BACK:
            name = fill.execution_id.rpartition(":")[0]
            old = found[name]
            quantity, fee = old.quantity + fill.quantity, old.fee + fill.fee
            found[name] = old._replace(quantity=quantity, fee=fee)
    return [fill for fill in found.values() if fill.quantity]


def _copy(source: Position, target: Position) -> None:
    for name in _STATE:
        setattr(target, name, getattr(source, name))
