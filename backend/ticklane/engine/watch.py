"""The watched lane: what limits look at besides the orders, at each of its instants."""

from __future__ import annotations

from ticklane.core.events import Event, FillBooked, OrderMoved
from ticklane.core.money import ZERO, plain
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.engine.lane import Lane
from ticklane.engine.surroundings import FindCalendar, LaneSurroundings
from ticklane.interfaces import BrokerInterface, Clock, Feed, Storage
from ticklane.risk.days import Days
from ticklane.risk.manager import RiskManager, Rule
from ticklane.risk.rules import DayLoss, FreshData, RejectRun
from ticklane.risk.trading import TradingStates


class WatchedLane(Lane):
    """A lane with trading states, which restricts itself when the account or the venue goes bad.

    It looks at instants of the lane only, so that a replay and a paper run of the same ticks are
    restricted alike.
    """

    def __init__(
        self,
        broker: BrokerInterface,
        storage: Storage | None,
        feed: Feed | None,
        clock: Clock | None,
    ) -> None:
        super().__init__(broker, storage, feed)
        self.clock = clock
        self.trading = TradingStates()
        self._surroundings = LaneSurroundings(self.last, feed, clock, broker.instrument)
        self._day_loss: DayLoss | None = None
        self._rejects: RejectRun | None = None
        self._fresh_data: FreshData | None = None
        self._seen_events = 0

    @property
    def is_watching(self) -> bool:
        """True when there are limits that look at more than the orders."""
        return self._day_loss is not None or self._rejects is not None

    def _make_risk(self, rules: tuple[Rule, ...], find_calendar: FindCalendar) -> RiskManager:
        """The risk manager of this lane, with its trading states."""
        for rule in rules:
            if isinstance(rule, DayLoss):
                self._day_loss = rule
            elif isinstance(rule, RejectRun):
                self._rejects = rule
            elif isinstance(rule, FreshData):
                self._fresh_data = rule
        self._surroundings = LaneSurroundings(
            self.last, self.feed, self.clock, self.broker.instrument, find_calendar
        )
        if self._day_loss is not None:
            symbols = self.feed.symbols if self.feed is not None else ()
            self._day_loss.days = Days.of_markets(map(self._surroundings.calendar, symbols))
        return RiskManager(
            self.broker.instrument,
            self.broker.allow_short,
            rules,
            self.trading,
            self._surroundings,
        )

    def _present_ns(self) -> int:
        return self._surroundings.now_ns(self.now_ns)

    def _note_tick(self, is_close: bool) -> None:
        super()._note_tick(is_close)
        if self._day_loss is not None:
            self._watch_account(self._day_loss)
        self._watch_events()
        if self.storage is None and not self.bus.has_listeners:
            self._events.clear()  # gathered to be watched only
            self._seen_events = 0

    def _note_changes(self) -> None:
        super()._note_changes()
        self._watch_events()

    async def _flush(self) -> None:
        self._watch_events()
        await super()._flush()
        self._seen_events = 0

    def _watch_account(self, rule: DayLoss) -> None:
        deposits = sum((book.deposits for book in self.portfolio.books.values()), ZERO)
        rule.observe(self.portfolio.equity(), self._present_ns(), self.trading, deposits)

    def _watch_events(self) -> None:
        """Look at what happened since the last look: rejects, and fills beyond the quantity."""
        events, rejects = self._events, self._rejects
        new, self._seen_events = events[self._seen_events :], len(events)
        for event in new:
            if event.__class__ is FillBooked:
                self._watch_fill(event)
            elif rejects is not None and event.__class__ is OrderMoved:
                order, step = event
                if order.parent_id is not None:
                    continue  # it shares the fate of its entry
                rejects.hear(step.to_status, order.reason, step.at_ns, self.trading)
        if rejects is not None:
            rejects.pass_time(self._present_ns(), self.trading)

    def _watch_fill(self, event: Event) -> None:
        assert isinstance(event, FillBooked)
        assert self.desk is not None
        order = self.desk.orders.get(event.fill.order_id)
        if order is None or order.notional is not None or order.remaining >= ZERO:
            return
        sentence = (
            f"order {order.id} was for {plain(order.quantity)} {order.symbol}, but "
            f"{plain(order.filled_quantity)} were filled."
        )
        self.trading.restrict(
            Restriction(
                "overfill", TradingState.HALTED, sentence, self._present_ns(), is_latched=True
            ),
            "fills",
        )

    def _watch_prices(self, rule: FreshData) -> None:
        """No entries in a symbol whose prices have stopped in an open session."""
        now_ns = self._present_ns()
        for symbol, seen in self.last.items():
            session = self._surroundings.session(symbol, now_ns)
            sentence = rule.complaint(symbol, seen, session, now_ns)
            if sentence is None:
                self.trading.lift("stale_data", symbol, "prices")
            elif ("stale_data", symbol) not in self.trading.restrictions:
                self.trading.restrict(
                    Restriction(
                        "stale_data", TradingState.REDUCE_ONLY, sentence, now_ns, symbol=symbol
                    ),
                    "prices",
                )
