"""The guarded lane: the kill switch, and what an operator or the broker restricts."""

from __future__ import annotations

import logging
from typing import Protocol

from ticklane.core.commands import Flatten, Halt, Lift, Release, Restrict
from ticklane.core.errors import TicklaneError
from ticklane.core.events import RestrictionChanged
from ticklane.core.order import Order
from ticklane.core.signal import Intent, Signal
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.engine.remembering import RememberingLane
from ticklane.interfaces import BrokerInterface, Clock, Feed, Recovered, Storage

_log = logging.getLogger("ticklane.trading")
_GRACE_NS = 2_000_000_000  # a schedule's tick comes so much after its instant
_ASK_AGAIN_NS = 5_000_000_000  # a cancel that nobody answered is asked for again after this


class HaltSign(Protocol):
    """The kill switch as others see it and set it, even while the lane is stuck: a file."""

    def is_set(self) -> bool:
        """Look at it; cheap enough for each order."""
        ...

    def read(self) -> tuple[str, int | None]:
        """Why and when it was set."""
        ...

    def set(self, reason: str, at_ns: int) -> None:
        """Set it durably."""
        ...

    def clear(self) -> None:
        """Take it away."""
        ...


class GuardedLane(RememberingLane):
    """A lane that obeys its trading states.

    A kill switch cancels our orders at once, in a replay too; the patrol of a running daemon goes
    on with that until none is open.
    """

    def __init__(
        self,
        broker: BrokerInterface,
        storage: Storage | None,
        feed: Feed | None,
        clock: Clock | None,
    ) -> None:
        super().__init__(broker, storage, feed, clock)
        self.trading.on_change = self._note_restriction
        self.halt_sign: HaltSign | None = None  # given by the daemon before the start
        self._cancel_asked: dict[str, int] = {}
        self._tries: dict[tuple[str, str], tuple[int, int]] = {}
        self._flattening = ""  # the reason, while positions are being closed

    @property
    def is_clearing(self) -> bool:
        """True while orders or positions of ours have to go."""
        return bool(self._flattening) or self.trading.is_killed

    def _valid_until(self, life_ns: int, strategy: str, at_ns: int) -> int:
        """How long an entry may be sent: to the strategy's next tick, and `life_ns` from now."""
        present_ns, schedule = self._present_ns(), self.hosts[strategy].schedule
        if schedule is None:
            return present_ns + life_ns
        next_ns = max(schedule.after(at_ns), present_ns) + _GRACE_NS
        return min(present_ns + life_ns, next_ns)

    # --- before the first tick -----------------------------------------------------------------

    def _stay_restricted(self, recovered: Recovered) -> None:
        """Take over what was latched before, and what the halt file says, before anything moves."""
        self.trading.restore(recovered.restrictions)
        if self.halt_sign is not None:
            self.trading.watch(self._look_at_sign)
            self._look_at_sign()
            if self.trading.is_killed:
                self._set_sign(self._kill_sentence())
        if self._day_loss is not None:
            for at_ns, equity in recovered.equity_marks:
                self._day_loss.observe(equity, at_ns)
        if self.broker.is_remote:
            self._resolve_what_left()
        if self._fresh_data is not None:  # a calendar takes a while to load: not before an order
            for symbol in self.feed.symbols if self.feed is not None else ():
                self._surroundings.session(symbol, self._present_ns())

    def _resolve_what_left(self) -> None:
        """The broker finds out about orders that were perhaps sent before a restart.

        What may not be sent now is looked for, but not sent again.
        """
        desk = self.desk
        assert desk is not None
        for one in [by or order for verb, order, by in desk.outgoing if verb != "cancel"]:
            if self._is_forbidden(one):
                one.valid_until_ns = 0
            self.trading.let_through_once(one.id)

    def _is_forbidden(self, order: Order) -> bool:
        book = self.portfolio.books[order.strategy]
        open_orders = self.desk.open.get(order.symbol, {})  # type: ignore[union-attr]
        return self.trading.late_refusal(order, book, open_orders) is not None

    # --- restrictions --------------------------------------------------------------------------

    def _note_restriction(self, restriction: Restriction, is_set: bool, by: str) -> None:
        """Called at once with each change: journal it, and see to a kill switch."""
        self._emit(RestrictionChanged(restriction, is_set, self._present_ns(), by))
        where = f" of {restriction.symbol}" if restriction.symbol else ""
        if not is_set:
            words = "%s%s is over (%s); it was: %s"
            _log.warning(words, restriction.code, where, by, restriction.sentence)
            return
        _log.warning("trading%s is %s: %s", where, restriction.state, restriction.sentence)
        if restriction.is_kill_switch:
            self._set_sign(restriction.sentence)
            self._cancel_all()

    def _set_sign(self, sentence: str) -> None:
        if self.halt_sign is None:
            return
        try:
            self.halt_sign.set(sentence, self._present_ns())
        except TicklaneError as error:  # a full disk must not keep the lane from halting
            _log.error("%s The lane is halted all the same.", error)

    def _kill_sentence(self) -> str:
        found = (r for r in self.trading.restrictions.values() if r.is_kill_switch)
        return next(found).sentence

    def clear_while_stuck(self) -> int | None:
        """From another thread, while a strategy holds up the lane and the kill switch is set:
        have the broker cancel our orders; how many it cancelled, None where it cannot."""
        if self.halt_sign is None or not self.halt_sign.is_set():
            return None
        try:
            count = self.broker.cancel_all_now()
        except TicklaneError as error:
            _log.error("our open orders could not be cancelled: %s", error)
            return None
        if count is not None:
            _log.warning("%d open orders were cancelled while the lane is held up", count)
        return count

    def _look_at_sign(self) -> None:
        """Whoever set the halt file, and however: it counts from the next look on."""
        sign = self.halt_sign
        if sign is None or not sign.is_set() or self.trading.is_killed:
            return
        reason, at_ns = sign.read()
        self._halt(reason or "the halt file was set.", "halt file", at_ns)

    def _halt(self, reason: str, by: str, at_ns: int | None = None) -> None:
        since_ns = self._present_ns() if at_ns is None else at_ns
        self.trading.restrict(
            Restriction("operator_halt", TradingState.HALTED, reason, since_ns, is_latched=True), by
        )

    def _release(self, reason: str) -> None:
        """Lift everything latched; the file goes first, or it would halt the lane again."""
        if self.halt_sign is not None:
            self.halt_sign.clear()
        self.trading.release(f"operator: {reason}")
        self._flattening = ""
        for rule in self.desk.risk.rules if self.desk is not None else ():
            restart = getattr(rule, "restart", None)
            if restart is not None:
                restart()

    async def _steer(self, command: Restrict | Lift | Halt | Release | Flatten) -> None:
        """Take what the broker, the feed or an operator asks; durable when this returns."""
        if isinstance(command, Restrict):
            self.trading.restrict(command.restriction, command.by)
        elif isinstance(command, Lift):
            self.trading.lift(command.code, command.symbol, command.by)
        elif isinstance(command, Halt):
            self._halt(command.reason, "operator")
        elif isinstance(command, Release):
            self._release(command.reason)
        else:
            self._flattening = command.reason
            _log.warning("everything is being closed: %s", command.reason)
        await self._go_on_clearing()
        await self._flush()

    # --- our orders and positions --------------------------------------------------------------

    def _cancel_all(self) -> None:
        """Ask for every open order of ours to be cancelled, but for an operator's own."""
        desk = self.desk
        if desk is None:
            return
        unsent = {order.id for verb, order, _ in desk.outgoing if verb != "cancel"}
        now_ns = self._present_ns()
        for lane in list(desk.open.values()):
            for order in list(lane.values()):
                if order.id in unsent or self.trading.is_let_through(order.id):
                    continue  # the gate holds back what has not been sent
                self._cancel_again(order, now_ns)

    def _cancel_again(self, order: Order, now_ns: int) -> None:
        """Ask once, and again when nothing came of it for a while."""
        desk = self.desk
        assert desk is not None
        asked_ns = self._cancel_asked.setdefault(order.id, now_ns)
        if not order.is_cancel_pending:
            desk.cancel(order.id, self.now_ns)
        elif now_ns - asked_ns >= _ASK_AGAIN_NS:
            desk.outgoing.append(("cancel", order, None))
        else:
            return
        self._cancel_asked[order.id] = now_ns

    def _flatten_on(self) -> None:
        """Close what is still held, symbol by symbol, once its working orders are gone."""
        desk = self.desk
        assert desk is not None
        is_busy = False
        for book in self.portfolio.books.values():
            for symbol, position in list(book.positions.items()):
                if not position.quantity:
                    continue
                is_busy = True
                if not desk.open.get(symbol) and self._may_try(book.strategy, symbol):
                    self._close_as_operator(book.strategy, symbol)
        if not is_busy:
            self._tries.clear()
            _log.warning("everything is flat: %s", self._flattening)
            self._flattening = ""

    def _may_try(self, strategy: str, symbol: str) -> bool:
        """A close that the venue has rejected is tried again, each time a little later."""
        count, next_ns = self._tries.get((strategy, symbol), (0, 0))
        now_ns = self._present_ns()
        if now_ns < next_ns:
            return False
        self._tries[strategy, symbol] = (count + 1, now_ns + min(count + 1, 12) * _ASK_AGAIN_NS)
        return True

    def _close_as_operator(self, strategy: str, symbol: str) -> None:
        self.trading.is_operator = True
        try:
            intent = Intent(symbol, Signal.CLOSE, reason="operator")
            self.desk.close(strategy, intent, self.now_ns)  # type: ignore[union-attr]
        finally:
            self.trading.is_operator = False

    async def _patrol(self) -> None:
        """About once a second in a running daemon: what no message tells of."""
        if self.halt_sign is not None:
            self._look_at_sign()
        if self._fresh_data is not None and self._surroundings.is_real_time:
            self._watch_prices(self._fresh_data)
        if self._rejects is not None:
            self._rejects.pass_time(self._present_ns(), self.trading)
        await self._take_strays()
        await self._forget_old()
        await self._go_on_clearing()

    async def _go_on_clearing(self) -> None:
        """While killed, none of our orders stays open; while flattening, no position either."""
        if self.is_clearing:
            self._cancel_all()
            self.broker.cancel_orphans()
            await self._settle()
        if self._flattening:
            self._flatten_on()
        if self._outgoing:
            await self._settle()
        for order_id in [o for o in self._cancel_asked if not self._is_open(o)]:
            del self._cancel_asked[order_id]

    def _is_open(self, order_id: str) -> bool:
        order = self.desk.orders.get(order_id) if self.desk is not None else None
        return order is not None and order.is_open
