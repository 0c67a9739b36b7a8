"""EventBus: fan-out of what happened to listeners that cannot answer back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from ticklane.core.events import Event

Listener = Callable[[Event], None]
_log = logging.getLogger("ticklane.bus")


class EventBus:
    """Delivers every event to every listener, in order; a listener's error stays its own."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    @property
    def has_listeners(self) -> bool:
        """True when somebody listens."""
        return bool(self._listeners)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; returns a function that removes it again."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def publish(self, events: Iterable[Event]) -> None:
        """Hand the events to every listener."""
        if not self._listeners:
            return
        for event in events:
            for listener in tuple(self._listeners):
                try:
                    listener(event)
                except Exception:
                    _log.exception("a listener of the event bus failed on %s", type(event).__name__)
