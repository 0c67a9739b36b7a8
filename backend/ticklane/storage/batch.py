"""What one call of `record` writes: events become rows, each touched order one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ticklane.core import events as e
from ticklane.core.events import Event
from ticklane.core.order import Order
from ticklane.storage import statements as sql
from ticklane.storage.rows import (
    Row,
    account_event_row,
    clean,
    fill_row,
    json_text,
    order_row,
    restriction_row,
    trade_row,
)

Writes = list[tuple[str, list[Row]]]
_TRADE_KEYS = ("run_id", "strategy", "symbol", "opened_ns", "closed_ns")
_RUN_COLUMNS = ("cursor_ns", "venue_marks", "ended_ns", "end_reason", "starting_cash")


class Batch:
    """The rows of one transaction, in an order in which no row names one that comes later."""

    def __init__(self, run_id: str, order_count: int, fill_count: int) -> None:
        self.run_id = run_id
        self.order_count = order_count
        self.fill_count = fill_count
        self._new: dict[str, tuple[Order, int]] = {}  # id -> order and the instant of its last step
        self._moved: dict[str, tuple[Order, int]] = {}
        self._run: Row = {}
        self._states: dict[str, Row] = {}
        self._restrictions: dict[tuple[str, str], tuple[Row, bool]] = {}
        self._rows: dict[str, list[Row]] = {
            sql.ORDER_EVENT: [],
            sql.FILL: [],
            sql.TRADE: [],
            sql.REVISED_TRADE: [],
            sql.EQUITY: [],
            sql.SIGNAL: [],
            sql.ACCOUNT_EVENT: [],
            sql.RESTRICTION_EVENT: [],
            sql.RECONCILIATION: [],
        }

    @classmethod
    def of(cls, run_id: str, events: Iterable[Event], order_count: int, fill_count: int) -> Batch:
        """Gather events; the counts are those of the run so far."""
        batch = cls(run_id, order_count, fill_count)
        for event in events:
            take = _TAKERS.get(event.__class__)
            if take is not None:
                take(batch, event)
        return batch

    def writes(self) -> Writes:
        """Statements with their rows; empty when there is nothing to write."""
        made = self._order_writes()
        made += self._rows.items()
        made.append((sql.STATE, list(self._states.values())))
        made += self._restriction_writes()
        if self._run:
            nothing = dict.fromkeys(_RUN_COLUMNS)
            made.append((sql.RUN, [{**nothing, **self._run, "k_id": self.run_id}]))
        return [(statement, rows) for statement, rows in made if rows]

    def _order_writes(self) -> Writes:
        first = self.order_count + 1 - len(self._new)
        new = [
            {**order_row(order, at_ns), "run_id": self.run_id, "number": number}
            for number, (order, at_ns) in enumerate(self._new.values(), first)
        ]
        moved = [
            {**order_row(order, at_ns), "k_id": order.id} for order, at_ns in self._moved.values()
        ]
        return [(sql.NEW_ORDER, new), (sql.MOVED_ORDER, moved)]

    def _restriction_writes(self) -> Writes:
        """Each as it stands at last. What is over is written as well, so that it can be deleted."""
        rows = [row for row, _ in self._restrictions.values()]
        over = [
            {"k_code": code, "k_symbol": symbol}
            for (code, symbol), (_, is_set) in self._restrictions.items()
            if not is_set
        ]
        return [(sql.RESTRICTION, rows), (sql.DELETE_RESTRICTION, over)]

    def _order_moved(self, event: e.OrderMoved) -> None:
        order, line = event
        if line.from_status is None and order.id not in self._new:
            self.order_count += 1
            self._new[order.id] = (order, line.at_ns)
        elif order.id in self._new:
            self._new[order.id] = (order, line.at_ns)
        else:
            self._moved[order.id] = (order, line.at_ns)
        self._rows[sql.ORDER_EVENT].append(
            {
                "run_id": self.run_id,
                "order_id": line.order_id,
                "from_status": None if line.from_status is None else line.from_status.value,
                "to_status": line.to_status.value,
                "evidence": clean(line.evidence),
                "at_ns": line.at_ns,
            }
        )

    def _fill_booked(self, event: e.FillBooked) -> None:
        self.fill_count += 1
        self._rows[sql.FILL].append(fill_row(event.fill, self.run_id, self.fill_count))
        if event.trade is not None:
            self._rows[sql.TRADE].append(trade_row(event.trade, self.run_id))

    def _trade_revised(self, event: e.TradeRevised) -> None:
        """Each row is written once, since one statement may write all of the batch."""
        told, row = trade_row(event.told, self.run_id), trade_row(event.trade, self.run_id)
        new, revised = self._rows[sql.TRADE], self._rows[sql.REVISED_TRADE]
        if told in new:
            new[new.index(told)] = row
            return
        keys = {f"k_{name}": told[name] for name in _TRADE_KEYS}
        del told["run_id"], row["run_id"]
        for number, earlier in enumerate(revised):
            if told.items() <= earlier.items():
                revised[number] = {**earlier, **row}
                return
        revised.append({**row, **keys})

    def _signal_given(self, event: e.SignalGiven) -> None:
        intent, order = event.intent, event.order
        self._signal(
            event.strategy,
            event.at_ns,
            event.reason_code,
            event.reason,
            symbol=None if intent is None else intent.symbol,
            signal=None if intent is None else intent.signal.value,
            wish=event.wish,
            order_id=None if order is None else order.id,
        )

    def _strategy_faulted(self, event: e.StrategyFaulted) -> None:
        code = "strategy_parked" if event.is_parked else "strategy_fault"
        self._signal(event.strategy, event.at_ns, code, event.error)

    def _signal(
        self,
        strategy: str,
        at_ns: int,
        reason_code: str,
        reason: str,
        symbol: str | None = None,
        signal: str | None = None,
        wish: str = "",
        order_id: str | None = None,
    ) -> None:
        self._rows[sql.SIGNAL].append(
            {
                "run_id": self.run_id,
                "at_ns": at_ns,
                "strategy": strategy,
                "symbol": None if symbol is None else clean(symbol),
                "signal": signal,
                "wish": clean(wish),
                "order_id": order_id,
                "reason_code": reason_code,
                "reason": clean(reason),
            }
        )

    def _equity_marked(self, event: e.EquityMarked) -> None:
        self._rows[sql.EQUITY].append(
            {
                "run_id": self.run_id,
                "at_ns": event.at_ns,
                "equity": float(event.equity),
                "cash": format(event.cash, "f"),
            }
        )

    def _state_saved(self, event: e.StateSaved) -> None:
        self._states[event.strategy] = {"run_id": self.run_id, **event._asdict()}

    def _tick_completed(self, event: e.TickCompleted) -> None:
        self._run["cursor_ns"] = event.at_ns
        if event.venue_marks is not None:
            self._mark(event.venue_marks)

    def _venue_marked(self, event: e.VenueMarked) -> None:
        self._mark(event.venue_marks)

    def _mark(self, marks: dict[str, Any]) -> None:
        self._run["venue_marks"] = json_text(marks, "the broker's marks()")

    def _restriction_changed(self, event: e.RestrictionChanged) -> None:
        restriction, is_set, at_ns, by = event
        row = restriction_row(restriction, self.run_id or None)
        self._restrictions[row["code"], row["symbol"]] = (row, is_set)
        told = {name: row[name] for name in ("code", "symbol", "state", "sentence", "run_id")}
        self._rows[sql.RESTRICTION_EVENT].append(
            {**told, "is_set": is_set, "who": clean(by), "at_ns": at_ns}
        )

    def _account_booked(self, event: e.AccountBooked) -> None:
        self._rows[sql.ACCOUNT_EVENT].append(account_event_row(event.account_event, self.run_id))

    def _reconciled(self, event: e.Reconciled) -> None:
        self._rows[sql.RECONCILIATION].append(
            {
                "run_id": self.run_id,
                "at_ns": event.at_ns,
                "report": json_text(event.report, "the report of a reconciliation"),
            }
        )

    def _run_funded(self, event: e.RunFunded) -> None:
        self._run["starting_cash"] = format(event.cash, "f")

    def _run_stopped(self, event: e.RunStopped) -> None:
        if event.reason == "end":  # any other stop leaves the run to be resumed
            self._run["ended_ns"] = event.at_ns
            self._run["end_reason"] = event.reason


_TAKERS: dict[type, Callable[[Batch, Any], None]] = {
    e.OrderMoved: Batch._order_moved,
    e.FillBooked: Batch._fill_booked,
    e.TradeRevised: Batch._trade_revised,
    e.SignalGiven: Batch._signal_given,
    e.EquityMarked: Batch._equity_marked,
    e.StrategyFaulted: Batch._strategy_faulted,
    e.StateSaved: Batch._state_saved,
    e.TickCompleted: Batch._tick_completed,
    e.VenueMarked: Batch._venue_marked,
    e.RestrictionChanged: Batch._restriction_changed,
    e.AccountBooked: Batch._account_booked,
    e.Reconciled: Batch._reconciled,
    e.RunFunded: Batch._run_funded,
    e.RunStopped: Batch._run_stopped,
}
