"""What happens in a run, in words: fills, refusals, the end."""

from __future__ import annotations

import logging

from ticklane.app.build import StrategyRunner
from ticklane.core.events import Event, FillBooked, OrderMoved, RunStopped, SignalGiven
from ticklane.core.money import plain
from ticklane.core.order import Fill, Order, OrderStatus

_log = logging.getLogger("ticklane.run")
_REFUSED = (OrderStatus.DENIED, OrderStatus.REJECTED)


class EventLog:
    """A listener of the bus that writes to the log; faults are logged where they happen."""

    def __init__(self, runner: StrategyRunner) -> None:
        self._runner = runner

    def __call__(self, event: Event) -> None:
        """Write a line where the event is worth one."""
        text = told(event, self._runner.feed.label if self._runner.feed else "")
        if text is not None:
            is_news = isinstance(event, FillBooked | RunStopped)
            _log.log(logging.INFO if is_news else logging.WARNING, "%s", text)


def told(event: Event, label: str) -> str | None:
    """An event in one line, None for those that say nothing to people.

    Each price carries `label`, that of the feed.
    """
    if isinstance(event, FillBooked):
        return _filled(event.fill, label)
    if isinstance(event, OrderMoved) and event.event.to_status in _REFUSED:
        return _refused(event.order)
    if isinstance(event, SignalGiven) and event.order is None and event.reason:
        return f"{event.strategy}: {event.reason}"
    if isinstance(event, RunStopped):
        return f"run {event.run_id} stopped ({event.reason})"
    return None


def _filled(fill: Fill, label: str) -> str:
    verb = "bought" if fill.quantity > 0 else "sold"
    size = f"{plain(abs(fill.quantity))} {fill.symbol}"
    mark = f" [{label}]" if label else ""
    return f"{fill.strategy} {verb} {size} at {plain(fill.price)}{mark}, order {fill.order_id}"


def _refused(order: Order) -> str:
    what = f"{order.strategy}: order {order.id} to {order.side} {order.symbol}"
    return f"{what} was {order.status.lower()}: {order.reason}"
