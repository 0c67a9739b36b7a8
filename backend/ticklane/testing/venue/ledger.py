"""The venue's own books for whoever checks a client: orders, executions, requests, events."""

from __future__ import annotations

from collections import deque
from typing import Any

from ticklane.testing.venue.listed import ListedOrder

_KEPT = 20_000  # requests, and as many events, that are remembered


class Ledger:
    """What happened, as plain dicts, oldest first; orders and executions are never forgotten."""

    def __init__(self, listed: dict[str, ListedOrder]) -> None:
        self._listed = listed
        self.executions: list[dict[str, Any]] = []
        self._requests: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def note_request(self, entry: dict[str, Any]) -> None:
        """Write down a request; what becomes of it is added to the entry."""
        self._requests.append(entry)

    def note_event(self, data: dict[str, Any]) -> None:
        """Write down a trade update."""
        self._events.append(data)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests and connections of late, as they came."""
        return list(self._requests)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The trade updates of late, whether or not somebody heard them."""
        return list(self._events)

    @property
    def orders(self) -> list[dict[str, Any]]:
        """Every order that was ever accepted, legs and replacements among them, as it stands."""
        return [
            {**one.public(False), "parent_id": one.parent.id if one.parent else None}
            for one in list(self._listed.values())
        ]

    def public(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "orders": self.orders,
            "executions": list(self.executions),
            "requests": self.requests,
            "events": self.events,
        }
