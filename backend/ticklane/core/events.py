"""What happened in the lane; past tense, published after it is durable."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from ticklane.core.order import Fill, Order, OrderEvent
from ticklane.core.position import Trade
from ticklane.core.signal import Intent


class SignalGiven(NamedTuple):
    """A strategy wanted something; `order` is what became of it, `reason` why not."""

    strategy: str
    at_ns: int
    intent: Intent | None  # None where the wish was malformed
    wish: str  # the wish as it was given, for people
    order: Order | None
    reason_code: str = ""
    reason: str = ""


class OrderMoved(NamedTuple):
    """An order took a step: the order's summary after it, and the journal line."""

    order: Order
    event: OrderEvent


class FillBooked(NamedTuple):
    """A fill is in the books; `trade` is the round trip it closed."""

    fill: Fill
    trade: Trade | None


class EquityMarked(NamedTuple):
    """The account at one bar close."""

    at_ns: int
    equity: float
    cash: Decimal


class StrategyFaulted(NamedTuple):
    """A strategy raised; `is_parked` when it will not be asked any more."""

    strategy: str
    at_ns: int
    error: str
    is_parked: bool


class StateSaved(NamedTuple):
    """A strategy's `state` changed to this JSON text, or its standing did."""

    strategy: str
    at_ns: int
    state: str
    status: str = "running"  # or paused, or parked
    faults: int = 0  # in a row, up to now


class TickCompleted(NamedTuple):
    """The lane has dealt with everything known at this instant."""

    at_ns: int
    venue_marks: dict[str, Any] | None = None  # what a simulated venue must find again


class VenueMarked(NamedTuple):
    """What a simulated venue must find again has changed since the last tick."""

    at_ns: int
    venue_marks: dict[str, Any]


class RunStarted(NamedTuple):
    """The lane runs."""

    run_id: str
    at_ns: int


class RunStopped(NamedTuple):
    """The lane has ended; `reason` is shutdown, operator or end."""

    run_id: str
    at_ns: int
    reason: str


Event = (
    SignalGiven
    | OrderMoved
    | FillBooked
    | EquityMarked
    | StrategyFaulted
    | StateSaved
    | TickCompleted
    | VenueMarked
    | RunStarted
    | RunStopped
)
