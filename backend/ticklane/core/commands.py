"""What an operator asks of the running lane; imperative, handled one at a time."""

from __future__ import annotations

from typing import NamedTuple


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


class Stop(NamedTuple):
    """End the run; `reason` is shutdown, operator or end."""

    reason: str = "shutdown"


Command = Wake | Pause | Resume | Cancel | Close | Stop
