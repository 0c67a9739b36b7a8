"""Orders of ours that were found at the venue, and that no strategy knows of any more."""

from __future__ import annotations

from typing import Final, NamedTuple

from ticklane.core.order import Order

ORPHAN: Final = "orphan"  # in place of a strategy's name


class Adopted(NamedTuple):
    """An order that is open at the venue is followed from now on."""

    order: Order
