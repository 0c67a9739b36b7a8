"""Orders at the simulated venue that hang together: an entry and its exits, or a pair of exits."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from ticklane.brokers.working import Working
from ticklane.core.money import ZERO
from ticklane.core.order import OrderClass, OrderStatus, Refusal

if TYPE_CHECKING:
    from ticklane.brokers.venue import Venue

_OCO = Refusal("oco", "the other order of the pair was filled or has ended.")
_ENTRY_GONE = Refusal("entry_gone", "the entry it protects did not fill.")
_EXIT_GONE = Refusal("exit_gone", "an order that was to protect it has ended.")


class Family:
    """Exits, of which one ends the others, and the entry whose fills they protect (or none).

    `id` is that of the order the family began with; it stays when that order is replaced.
    """

    __slots__ = ("_venue", "entry", "exits", "id")

    def __init__(self, venue: Venue, family_id: str, members: Iterable[Working]) -> None:
        self._venue = venue
        self.id = family_id
        self.entry: Working | None = None
        self.exits: tuple[Working, ...] = ()
        for working in members:
            self._add(working)

    def _add(self, working: Working) -> None:
        """Take an order in, in its role: what has no parent and is no pair is the entry."""
        order = working.order
        if order.parent_id is None and order.order_class is not OrderClass.OCO:
            self.entry = working
        else:
            self.exits = (*self.exits, working)
        working.family = self
        working.is_plain = False

    def swap(self, old: Working, new: Working) -> None:
        """Put a replacement in the place of a member; an exit protects what the old one did."""
        self.exits = tuple(one for one in self.exits if one is not old)
        self._add(new)
        if new is not self.entry:
            new.remaining = min(new.remaining, old.remaining)

    def wait(self) -> None:
        """Let the exits wait for the fills of the entry."""
        for leg in self.exits if self.entry is not None else ():
            leg.remaining = ZERO

    def may_grow(self, working: Working) -> bool:
        """True for an exit whose entry may still fill more."""
        entry = self.entry
        return entry is not None and entry is not working and self._venue.is_open(entry)

    def note_fill(self, working: Working, quantity: Decimal, is_done: bool) -> None:
        """Let exits protect what was filled now, and siblings know that so much is gone."""
        if working is not self.entry:
            self._note_exit(working, quantity, is_done)
            return
        for leg in self.exits:
            leg.remaining += quantity
            if not leg.quantity:
                self._venue.resize(leg, working.quantity)
        if is_done:
            self._fit_exits()

    def _note_exit(self, working: Working, quantity: Decimal, is_done: bool) -> None:
        may_grow = self.may_grow(working)
        for sibling in self._open_exits():
            if sibling is working:
                continue
            if is_done:
                self._venue.end(sibling, OrderStatus.CANCELED, _OCO)
                continue
            sibling.remaining -= quantity
            if not may_grow:
                self._venue.resize(sibling, sibling.filled + sibling.remaining)

    def note_end(self, working: Working) -> None:
        """A member has ended unfilled: exits fit what their entry has filled, or go with it."""
        if working is self.entry:
            self._fit_exits()
            return
        for sibling in self._open_exits():
            self._venue.end(sibling, OrderStatus.CANCELED, _OCO)
        if self.entry is not None and self._venue.is_open(self.entry):
            self._venue.end(self.entry, OrderStatus.CANCELED, _EXIT_GONE)

    def _fit_exits(self) -> None:
        """The entry is over: its exits are for exactly what it has filled."""
        reason = _OCO if any(leg.filled for leg in self.exits) else _ENTRY_GONE
        for leg in self._open_exits():
            size = leg.filled + leg.remaining
            if not size:
                self._venue.end(leg, OrderStatus.CANCELED, reason)
            elif size != leg.quantity:
                self._venue.resize(leg, size)
                if leg.remaining <= ZERO:
                    self._venue.forget(leg)  # with this size it is filled

    def _open_exits(self) -> list[Working]:
        return [leg for leg in self.exits if self._venue.is_open(leg)]
