"""Inferred: what was booked of an order without executions, until the real ones come."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ticklane.core.correction import INFERRED, TAKEN_BACK
from ticklane.core.money import ZERO, plain
from ticklane.core.order import Fill
from ticklane.integrations.alpaca.convert import Execution

_STEP: Final = Decimal("0.000000001")  # of quantities and of fees in coins


class Inferred:
    """The inferred fills of one order, and what of them no execution has replaced yet."""

    def __init__(self) -> None:
        self.covered = ZERO  # up to this total of the venue's order, all is told
        self._parts: list[_Part] = []

    @property
    def quantity(self) -> Decimal:
        """What is still inferred."""
        return sum((part.left for part in self._parts), ZERO)

    @property
    def since_ns(self) -> int:
        """When the newest of what is still inferred was."""
        return max((part.fill.seen_ns for part in self._parts if part.left), default=0)

    def add(self, fill: Fill) -> None:
        """An inferred fill was booked."""
        total = total_of(fill)
        self.covered = max(self.covered, total)
        self._parts.append(_Part(fill, total))

    def restore(self, fill: Fill) -> None:
        """A part of one was taken back before a restart."""
        name = fill.execution_id.rpartition(":")[0]
        for part in self._parts:
            if part.fill.execution_id == name:
                part.left -= abs(fill.quantity)
                part.fee += fill.fee

    def overlap(self, execution: Execution, missing: Decimal) -> Decimal:
        """How much of an execution stands in the books as inferred already."""
        quantity, total = execution.quantity, execution.total
        if total is None:
            known = max(quantity - missing, ZERO)
        else:
            known = max(min(self.covered, total) - (total - quantity), ZERO)
        return min(known, self.quantity)

    def take_back(self, execution: Execution, quantity: Decimal, now_ns: int) -> tuple[Fill, ...]:
        """The fills that make room for so much of an execution, nearest part first."""
        begin = (execution.total or ZERO) - execution.quantity
        made: list[Fill] = []
        for part in sorted(self._parts, key=lambda part: part.total <= begin):
            size = min(part.left, quantity)
            if size:
                made.append(part.take_back(size, execution.id, now_ns))
                quantity -= size
        return tuple(made)


class _Part:
    """One inferred fill, and what is left of it."""

    def __init__(self, fill: Fill, total: Decimal) -> None:
        self.fill, self.total = fill, total
        self.left, self.fee = abs(fill.quantity), fill.fee

    def take_back(self, size: Decimal, by: str, now_ns: int) -> Fill:
        """The fill that undoes so much of it; its id says how much of it is undone with it."""
        is_all = size == self.left
        fee = self.fee if is_all else (self.fee * size / self.left).quantize(_STEP)
        self.left -= size
        self.fee -= fee
        undone = abs(self.fill.quantity) - self.left
        return self.fill._replace(
            execution_id=f"{self.fill.execution_id}:{plain(undone)}",
            quantity=-size if self.fill.quantity > ZERO else size,
            fee=-fee,
            rule=TAKEN_BACK,
            seen_ns=now_ns,
            detail=f"for execution {by}",
        )


def inferred_key(broker_order_id: str, total: Decimal) -> str:
    """What an inferred fill is booked under: never what a real execution is."""
    return f"{broker_order_id}:{plain(total)}:{INFERRED}"


def total_of(fill: Fill) -> Decimal:
    """The order's total after an inferred fill."""
    return Decimal(fill.execution_id.split(":")[1])


def broker_order_of(fill: Fill) -> str:
    """The venue's id of the order; empty where an execution is known by its own id only."""
    return fill.execution_id.partition(":")[0] if ":" in fill.execution_id else ""
