"""What happened in the lane; past tense, published after it is durable."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from ticklane.core.account_event import AccountEvent
from ticklane.core.order import Fill, Order, OrderEvent
from ticklane.core.position import Trade
from ticklane.core.signal import Intent
from ticklane.core.trading_state import Restriction


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


class TradeRevised(NamedTuple):
    """A round trip was told with an inferred price, and is known now."""

    told: Trade
    trade: Trade


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


class RestrictionChanged(NamedTuple):
    """A restriction was set, renewed in other words, or is over; `by` says by whom and why."""

    restriction: Restriction
    is_set: bool
    at_ns: int
    by: str = ""


class AccountBooked(NamedTuple):
    """An entry of the account's own journal is in the books."""

    account_event: AccountEvent


class Reconciled(NamedTuple):
    """Our books and the venue's were compared; the report says what was found."""

    report: dict[str, Any]
    at_ns: int


class RunFunded(NamedTuple):
    """The cash that a new run begins with, as the venue told it."""

    run_id: str
    cash: Decimal


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
    | TradeRevised
    | EquityMarked
    | StrategyFaulted
    | StateSaved
    | TickCompleted
    | VenueMarked
    | RestrictionChanged
    | AccountBooked
    | Reconciled
    | RunFunded
    | RunStarted
    | RunStopped
)
