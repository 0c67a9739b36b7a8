"""Recorder: what happened in the lane, durable in one transaction and then published."""

from __future__ import annotations

from ticklane.core.events import (
    EquityMarked,
    Event,
    StateSaved,
    StrategyFaulted,
    TickCompleted,
    VenueMarked,
)
from ticklane.core.market import MarketData
from ticklane.core.portfolio import Portfolio
from ticklane.engine.bus import EventBus
from ticklane.engine.desk import Desk
from ticklane.engine.host import StrategyHost
from ticklane.interfaces import BrokerInterface, Storage


class Recorder:
    """Gathers the events of the lane and writes them.

    Nothing is gathered while there is neither a storage nor a listener on the bus. What no order
    waits for may be written a little later, but always in the order in which it happened, so that
    the database holds the run up to some instant and nothing of what came after.
    """

    def __init__(self, broker: BrokerInterface, storage: Storage | None) -> None:
        self.broker = broker
        self.storage = storage
        self.bus = EventBus()
        self.run_id: str | None = None
        self.last = MarketData()  # the newest prices; its time is the lane's
        self.portfolio = Portfolio(self._last_price)
        self.desk: Desk | None = None
        self._in_order: tuple[StrategyHost, ...] = ()
        self._events: list[Event] = []
        self._is_recording = self._has_begun = False

    @property
    def now_ns(self) -> int:
        """The instant the lane is at: that of the message it takes."""
        return self.last.time_ns

    def _last_price(self, symbol: str) -> float | None:
        seen = self.last.get(symbol)
        return None if seen is None else seen.close

    def _begin_recording(self) -> None:
        """Make events from now on: there is a storage, or the bus has its first listener."""
        assert self.desk is not None
        self._is_recording = True
        self.desk.events = self._events

    def _emit(self, event: Event) -> None:
        if self._is_recording:
            self._events.append(event)

    def _note_tick(self, is_close: bool) -> None:
        """The account at the close of a bar, and how things stand after it."""
        if is_close:
            self._note_equity()
        self._note_completion()

    def _note_equity(self) -> None:
        if self._is_begun():
            equity, cash = float(self.portfolio.equity()), self.portfolio.cash
            self._events.append(EquityMarked(self.now_ns, equity, cash))

    def _note_completion(self) -> None:
        """The lane is done with this instant, and this is how things stand."""
        self._note_states()
        self._events.append(TickCompleted(self.now_ns, self.broker.marks()))

    def _is_begun(self) -> bool:
        """True from the first tick of any strategy on, also if that was before a restart."""
        if not self._has_begun:
            self._has_begun = any(host.first_tick_ns is not None for host in self._in_order)
        return self._has_begun

    def _note_states(self) -> None:
        for host in self._in_order:
            text = host.changed_state()
            if text is not None:
                self._events.append(StateSaved(host.name, self.now_ns, text, *host.standing))
            self._take_fault(host)

    def _note_changes(self) -> None:
        """What a restart must find again besides the orders. It becomes durable together with
        them, or an instant would be half forgotten: an order taken, but not the mark it follows."""
        self._note_states()
        marks = self.broker.marks()
        if marks is not None:
            self._events.append(VenueMarked(self.now_ns, marks))

    def _take_fault(self, host: StrategyHost) -> None:
        """Record what a strategy's last call has raised, if it has."""
        if host.fault is not None:
            is_parked = host.status.state == "parked"
            self._emit(StrategyFaulted(host.name, self.now_ns, host.fault, is_parked))
            host.fault = None

    async def _flush(self) -> None:
        """Write what happened in one transaction, then publish it."""
        if not self._events:
            return
        events = self._events[:]
        self._events.clear()
        if self.storage is not None and self.run_id is not None:
            await self.storage.record(self.run_id, events)
        self.bus.publish(events)
