"""How much can still trade against one bar or quote."""

from __future__ import annotations

from decimal import Decimal
from math import inf

from ticklane.core.costs import NO_SLIPPAGE, Slippage
from ticklane.core.market import Observation, Quote
from ticklane.core.money import ZERO, exact


class Room:
    """What is left for buyers and for sellers; one volume for both sides, or one for each."""

    __slots__ = ("_is_shared", "_left")

    def __init__(self, buy: Decimal, sell: Decimal, is_shared: bool = False) -> None:
        self._left = {True: buy, False: sell}
        self._is_shared = is_shared

    @classmethod
    def shared(cls, room: Decimal) -> Room:
        """One volume for both sides."""
        return cls(room, room, is_shared=True)

    def left(self, is_buy: bool) -> Decimal:
        """What an order of this side may still take."""
        return self._left[is_buy]

    def take(self, is_buy: bool, quantity: Decimal) -> None:
        """Use some of it up."""
        self._left[is_buy] -= quantity
        if self._is_shared:
            self._left[not is_buy] -= quantity


def room_at(seen: Observation, slippage: Slippage, limit_to_quote_size: bool) -> Room | None:
    """The room that a bar or quote leaves, by the model of slippage or the size a quote shows."""
    if limit_to_quote_size and isinstance(seen, Quote):
        return Room(_size(seen.ask_size), _size(seen.bid_size))
    room = None if slippage is NO_SLIPPAGE else slippage.room(seen)
    return None if room is None else Room.shared(room)


def _size(shown: float) -> Decimal:
    """A size as a feed shows it; what is no number leaves no room."""
    return exact(shown) if 0 <= shown < inf else ZERO
