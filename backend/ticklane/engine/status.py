"""What a runner and its strategies tell about themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class StrategyStatus:
    """How one strategy is doing.

    `state` is loaded, running, paused, parked (after three faults in a row) or stopped;
    `merged` counts schedule instants that were late and joined a later tick.
    """

    name: str
    symbols: tuple[str, ...]
    schedule: str
    state: str = "loaded"
    ticks: int = 0
    signals: int = 0
    faults: int = 0
    merged: int = 0
    error: str | None = None  # of the last fault
    last_tick_at: datetime | None = None
    hang_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        at = self.last_tick_at
        return {**asdict(self), "last_tick_at": at.isoformat() if at else None}


@dataclass(slots=True)
class RunnerStatus:
    """How a runner is doing; money as exact text in `to_dict`."""

    run_id: str | None
    state: str  # created, running, paused, stopped, failed
    broker: str
    feed: str
    time: datetime | None  # of the last tick
    cash: str
    equity: str
    open_orders: int
    strategies: dict[str, StrategyStatus] = field(default_factory=dict)
    error: str | None = None
    trading_state: str = "ACTIVE"  # of the account: ACTIVE, REDUCE_ONLY or HALTED
    restrictions: list[dict[str, Any]] = field(default_factory=list)  # why, since when
    venue: dict[str, Any] = field(default_factory=dict)  # what the broker tells of itself
    prices: dict[str, Any] = field(default_factory=dict)  # and the feed, if it tells anything

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        names = (
            "run_id state trading_state restrictions broker venue feed prices cash equity "
            "open_orders error"
        ).split()
        values = {name: getattr(self, name) for name in names}
        return {
            **values,
            "time": self.time.isoformat() if self.time else None,
            "strategies": [status.to_dict() for status in self.strategies.values()],
        }
