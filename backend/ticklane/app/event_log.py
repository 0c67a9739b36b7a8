"""What happens in a run, told in the log: fills, refusals, faults."""

from __future__ import annotations

import logging

from ticklane.app.build import StrategyRunner
from ticklane.core.events import Event, FillBooked, OrderMoved, RunStopped, SignalGiven
from ticklane.core.money import plain
from ticklane.core.order import Fill, Order, OrderStatus

_log = logging.getLogger("ticklane.run")
_REFUSED = (OrderStatus.DENIED, OrderStatus.REJECTED)


class EventLog:
    """A listener of the bus. Every price it writes carries the label of the feed."""

    def __init__(self, runner: StrategyRunner) -> None:
        self._runner = runner

    def __call__(self, event: Event) -> None:
        """Write a line where the event is worth one."""
        if isinstance(event, FillBooked):
            _log.info("%s", self._filled(event.fill))
        elif isinstance(event, OrderMoved):
            if event.event.to_status in _REFUSED:
                _log.warning("%s", _refused(event.order))
        elif isinstance(event, SignalGiven):
            if event.order is None and event.reason:
                _log.warning("%s: %s", event.strategy, event.reason)
        elif isinstance(event, RunStopped):
            _log.info("run %s stopped (%s)", event.run_id, event.reason)

    def _filled(self, fill: Fill) -> str:
        verb = "bought" if fill.quantity > 0 else "sold"
        label = self._runner.feed.label if self._runner.feed else ""
        mark = f" [{label}]" if label else ""
        size = f"{plain(abs(fill.quantity))} {fill.symbol}"
        return f"{fill.strategy} {verb} {size} at {plain(fill.price)}{mark}, order {fill.order_id}"


def _refused(order: Order) -> str:
    words = f"{order.strategy}: order {order.id} to {order.side.lower()} {order.symbol}"
    return f"{words} was {order.status.lower()}: {order.reason}"
