"""What an operator asks of the running lane; imperative, handled one at a time."""

from __future__ import annotations

from typing import NamedTuple

from ticklane.core.account_event import AccountEvent
from ticklane.core.trading_state import Restriction


class Wake(NamedTuple):
    """A schedule's instant has come."""

    time_ns: int


class Pause(NamedTuple):
    """Stop asking a strategy (all of them without a name)."""

    strategy: str | None = None


class Resume(NamedTuple):
    """Ask a strategy again (all of them without a name)."""

    strategy: str | None = None


class Cancel(NamedTuple):
    """Cancel one open order."""

    order_id: str


class Close(NamedTuple):
    """Close what all strategies, or one, hold of a symbol."""

    symbol: str
    strategy: str | None = None


class Restrict(NamedTuple):
    """Trade less than usual from now on, for the reason given; the same code again renews it."""

    restriction: Restriction
    by: str = "broker"


class Lift(NamedTuple):
    """What this restriction was for is over; a latched one stays until it is released."""

    code: str
    symbol: str | None = None
    by: str = "broker"


class Halt(NamedTuple):
    """Set the kill switch: our open orders are cancelled, and nothing more is sent."""

    reason: str


class Release(NamedTuple):
    """An operator lets trading go on: every latched restriction is lifted."""

    reason: str


class Flatten(NamedTuple):
    """Cancel our open orders and close every position, whatever the trading state is."""

    reason: str


class Accept(NamedTuple):
    """Let the venue's number of a position or of the cash count: this entry makes it ours."""

    event: AccountEvent


class Stop(NamedTuple):
    """End the run; `reason` is shutdown, operator or end."""

    reason: str = "shutdown"


Command = (
    Wake
    | Pause
    | Resume
    | Cancel
    | Close
    | Accept
    | Stop
    | Restrict
    | Lift
    | Halt
    | Release
    | Flatten
)
