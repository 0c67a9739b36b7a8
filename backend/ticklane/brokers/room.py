"""How much can still trade against one bar or quote."""

from __future__ import annotations

from decimal import Decimal


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
