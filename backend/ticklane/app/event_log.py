"""What happens in a run, in words: fills, refusals, the end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ticklane.app.build import StrategyRunner
from ticklane.core.correction import TAKEN_BACK
from ticklane.core.events import (
    Event,
    FillBooked,
    OrderMoved,
    Reconciled,
    RestrictionChanged,
    RunStopped,
    SignalGiven,
)
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
        if isinstance(event, RestrictionChanged):
            return  # logged at once, not only when it is durable
        text = told(event, self._runner.feed.label if self._runner.feed else "")
        if text is not None:
            is_news = isinstance(event, FillBooked | RunStopped) or _is_agreed(event)
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
    if isinstance(event, RestrictionChanged):
        return _restricted(event)
    if isinstance(event, Reconciled):
        return _compared(event.report)
    if isinstance(event, RunStopped):
        return f"run {event.run_id} stopped ({event.reason})"
    return None


def _restricted(event: RestrictionChanged) -> str:
    one = event.restriction
    what = f"trading of {one.symbol}" if one.symbol else "trading"
    if event.is_set:
        return f"{what} is {one.state}: {one.sentence}"
    return f"{what}: {one.code} is over ({event.by})"


def _is_agreed(event: Event) -> bool:
    """A comparison with the venue in which all added up."""
    return isinstance(event, Reconciled) and not event.report.get("differs")


def _compared(report: Mapping[str, Any]) -> str | None:
    """What a comparison with the venue has shown, where somebody waits for it or has to act."""
    adopted, differs = report.get("adopted") or (), report.get("differs") or ()
    if report.get("why") != "start" and not adopted and not differs:
        return None
    parts = [
        f"{name}: {'; '.join(str(line).rstrip('.') for line in lines)}"
        for name, lines in (
            ("found", report.get("found") or ()),
            ("taken over", adopted),
            ("differs", differs),
        )
        if lines
    ]
    return f"compared with the venue ({report.get('why', 'asked')}): {'. '.join(parts)}"


def _filled(fill: Fill, label: str) -> str:
    if fill.rule == TAKEN_BACK:
        size = f"{plain(abs(fill.quantity))} {fill.symbol} at {plain(fill.price)}"
        return f"{fill.strategy}: of what was inferred, {size} is replaced, order {fill.order_id}"
    verb = "bought" if fill.quantity > 0 else "sold"
    size = f"{plain(abs(fill.quantity))} {fill.symbol}"
    mark = f" [{label}]" if label else ""
    return f"{fill.strategy} {verb} {size} at {plain(fill.price)}{mark}, order {fill.order_id}"


def _refused(order: Order) -> str:
    what = f"{order.strategy}: order {order.id} to {order.side} {order.symbol}"
    return f"{what} was {order.status.lower()}: {order.reason}"
