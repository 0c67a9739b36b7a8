"""Reads a database while a daemon writes it: what the command line and the reports show."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ticklane.core.correction import book_again
from ticklane.core.errors import StorageError
from ticklane.core.market import to_datetime
from ticklane.core.money import ZERO, plain
from ticklane.core.order import TERMINAL, Fill, Order, public
from ticklane.core.portfolio import Book
from ticklane.core.trading_state import Restriction
from ticklane.storage.reading import ALL, open_reading
from ticklane.storage.revisions import VERSION_TABLE, check_owner, check_revision
from ticklane.storage.rows import Row, fill_of, order_of, restriction_of
from ticklane.storage.server import Server, place_of

if TYPE_CHECKING:
    from ticklane.core.market import Column, Instants
    from ticklane.core.secret import Secret

FIELDS: dict[str, tuple[str, ...]] = {
    "runs": (
        "id",
        "started_at",
        "ended_at",
        "end_reason",
        "cursor_at",
        "resumed",
        "orders",
        "fills",
        "trades",
        "config",
    ),
    "orders": (
        "id",
        "client_order_id",
        "broker_order_id",
        "strategy",
        "symbol",
        "side",
        "type",
        "quantity",
        "notional",
        "filled_quantity",
        "limit_price",
        "stop_price",
        "trail_amount",
        "trail_percent",
        "time_in_force",
        "order_class",
        "parent_id",
        "status",
        "reason_code",
        "reason",
        "tag",
        "created_at",
    ),
    "order_events": ("order_id", "from_status", "to_status", "evidence", "at"),
    "fills": (
        "order_id",
        "execution_id",
        "strategy",
        "symbol",
        "quantity",
        "price",
        "fee",
        "fee_asset",
        "filled_at",
        "rule",
        "detail",
        "source",
    ),
    "trades": (
        "strategy",
        "symbol",
        "side",
        "quantity",
        "entry_price",
        "exit_price",
        "opened_at",
        "closed_at",
        "profit",
        "fees",
    ),
    "positions": ("strategy", "symbol", "quantity", "average_price", "realised_profit"),
    "equity": ("at", "equity", "cash"),
    "signals": (
        "at",
        "strategy",
        "symbol",
        "signal",
        "wish",
        "order_id",
        "reason_code",
        "reason",
    ),
    "restriction_events": ("at", "run_id", "code", "symbol", "state", "is_set", "sentence", "who"),
    "account_events": ("id", "kind", "at", "amount", "symbol", "quantity", "detail"),
    "reconciliations": ("id", "at", "report"),
}


class Reader:
    """Read-only queries; opening raises StorageError where there is no database yet.

    Each answer is a list of plain dicts, oldest first, with the public JSON names of FIELDS:
    exact numbers are texts, instants (`at` and `..._at`) ISO texts in UTC, equity is a float.
    `run` is a run id; None means the newest run. `limit` gives the newest rows only.
    """

    def __init__(self, path_or_url: str | Path | Secret | Server) -> None:
        self.place = place_of(path_or_url)
        self._reading = open_reading(self.place)
        try:
            self._check_schema()
        except BaseException:
            self.close()
            raise

    def _check_schema(self) -> None:
        tables = self._reading.tables()
        check_owner(self.place, tables)
        if not tables:
            raise StorageError(
                f"the database {self.place} is empty; start a run first or name another database."
            )
        for row in self._fetch(f"SELECT version_num FROM {VERSION_TABLE}"):
            check_revision(self.place, row["version_num"])

    def close(self) -> None:
        """Let go of the database."""
        self._reading.close()

    def runs(self) -> list[Row]:
        """Every run with what it holds; `ended_at` is None while it can be resumed."""
        return [self._run_fields(run) for run in self._run_rows()]

    def newest_run(self) -> str | None:
        """The id of the run begun last; None when there is none."""
        ids = [run["id"] for run in self._run_rows()]
        return ids[-1] if ids else None

    def orders(
        self,
        run: str | None = None,
        open_only: bool = False,
        strategy: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Orders with the fields of `core.order.public`."""
        where = f"status NOT IN ({_quoted(TERMINAL)})" if open_only else ""
        found = self._rows("orders", "number", run, limit, where, strategy=strategy, symbol=symbol)
        return [public(order_of(row)) for row in found]

    def order_events(self, order_id: str) -> list[Row]:
        """The journal of one order."""
        query = "SELECT * FROM order_events WHERE order_id = ? ORDER BY seq"
        return [_fields(row, "order_events") for row in self._fetch(query, [order_id])]

    def fills(
        self,
        run: str | None = None,
        strategy: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Executions in booking order; `source` is the bar or quote as a mapping, or None."""
        found = self._rows("fills", "number", run, limit, strategy=strategy, symbol=symbol)
        return [
            {**_fields(row, "fills"), "source": json.loads(row["source"] or "null")}
            for row in found
        ]

    def fills_of(self, run: str | None = None) -> list[Fill]:
        """Executions in booking order as core values, exact."""
        return [fill_of(row) for row in self._rows("fills", "number", run)]

    def orders_of(self, run: str | None = None) -> list[Order]:
        """Orders as core values, oldest first, without their legs."""
        return [order_of(row) for row in self._rows("orders", "number", run)]

    def trades(
        self,
        run: str | None = None,
        strategy: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Closed round trips."""
        found = self._rows("trades", "seq", run, limit, strategy=strategy, symbol=symbol)
        return [_fields(row, "trades") for row in found]

    def positions(self, run: str | None = None, open_only: bool = False) -> list[Row]:
        """What the fills add up to, a strategy and symbol; flat ones too unless `open_only`."""
        books: dict[str, Book] = {}
        for fill in self.fills_of(run):
            book_again(books.setdefault(fill.strategy, Book(fill.strategy, ZERO)), fill)
        return [
            {
                "strategy": position.strategy,
                "symbol": position.symbol,
                "quantity": plain(position.quantity),
                "average_price": plain(position.average_price),
                "realised_profit": plain(position.realised_profit),
            }
            for _, book in sorted(books.items())
            for _, position in sorted(book.positions.items())
            if position.quantity or not open_only
        ]

    def equity(self, run: str | None = None) -> tuple[Instants, Column]:
        """The account's curve: instants in ns UTC (int64) and equity (float64)."""
        import numpy as np

        found = self._rows("equity", "at_ns", run)
        times = np.array([row["at_ns"] for row in found], np.int64)
        return times, np.array([row["equity"] for row in found], np.float64)

    def equity_rows(self, run: str | None = None, limit: int | None = None) -> list[Row]:
        """The account's curve as dicts, with the exact cash."""
        return [_fields(row, "equity") for row in self._rows("equity", "at_ns", run, limit)]

    def signals(
        self,
        run: str | None = None,
        strategy: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """What strategies wished and what became of it; faults have a `strategy_...` code."""
        found = self._rows("signals", "seq", run, limit, strategy=strategy, symbol=symbol)
        return [_fields(row, "signals") for row in found]

    def restrictions(self) -> list[Restriction]:
        """What restricts trading in this database, oldest first, as core values."""
        query = "SELECT * FROM restrictions ORDER BY since_ns, code, symbol"
        return [restriction_of(row) for row in self._fetch(query)]

    def restriction_events(self, limit: int | None = None) -> list[Row]:
        """Who restricted and who released trading, of all runs and between them."""
        query = "SELECT * FROM restriction_events ORDER BY seq DESC LIMIT ?"
        found = self._fetch(query, [ALL if limit is None else limit])[::-1]
        return [
            {**_fields(row, "restriction_events"), "is_set": bool(row["is_set"])} for row in found
        ]

    def account_events(self, run: str | None = None, limit: int | None = None) -> list[Row]:
        """Fees, dividends, deposits and the like, as the venue told them."""
        found = self._rows("account_events", "at_ns", run, limit)
        return [_fields(row, "account_events") for row in found]

    def reconciliations(self, run: str | None = None, limit: int | None = None) -> list[Row]:
        """The reports of all comparisons of our books with the venue's."""
        found = self._rows("reconciliations", "id", run, limit)
        return [
            {**_fields(row, "reconciliations"), "report": json.loads(row["report"])}
            for row in found
        ]

    def state(self, run: str | None = None) -> dict[str, Any]:
        """Each strategy's saved `state`."""
        found = self._rows("strategy_state", "strategy", run)
        return {row["strategy"]: json.loads(row["state"]) for row in found}

    def _run_rows(self) -> list[Any]:
        return self._fetch("SELECT * FROM runs ORDER BY CAST(substr(id, 2) AS INTEGER)")

    def _run_fields(self, run: Any) -> Row:
        counts = {
            table: self._fetch(f"SELECT count(*) FROM {table} WHERE run_id = ?", [run["id"]])[0][0]
            for table in ("orders", "fills", "trades")
        }
        known = {**dict(run), **counts, "config": json.loads(run["config"])}
        return _fields(known, "runs")

    def _rows(
        self,
        table: str,
        by: str,
        run: str | None,
        limit: int | None = None,
        where: str = "",
        **equal: str | None,
    ) -> list[Any]:
        """The rows of one run in the order of column `by`, the last `limit` of them."""
        chosen = self._run_id(run)
        if chosen is None:
            return []
        wanted = {"run_id": chosen, **{k: v for k, v in equal.items() if v is not None}}
        tests = " AND ".join([*(f"{name} = ?" for name in wanted), *([where] if where else [])])
        query = f"SELECT * FROM {table} WHERE {tests} ORDER BY {by} DESC LIMIT ?"
        found = self._fetch(query, [*wanted.values(), ALL if limit is None else limit])
        return found[::-1]

    def _run_id(self, run: str | None) -> str | None:
        ids = [row["id"] for row in self._run_rows()]
        if run is None:
            return ids[-1] if ids else None
        if run not in ids:
            known = f"the runs are {', '.join(ids)}" if ids else "it has no runs yet"
            raise StorageError(f"the database {self.place} has no run {run!r}; {known}.")
        return run

    def _fetch(self, query: str, values: list[Any] | None = None) -> list[Any]:
        return self._reading.fetch(query, values or ())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def _fields(row: Any, table: str) -> Row:
    return {name: _field(row, name) for name in FIELDS[table]}


def _field(row: Any, name: str) -> Any:
    if name != "at" and not name.endswith("_at"):
        return row[name]
    instant = row[f"{name.removesuffix('at')}ns" if name != "at" else "at_ns"]
    return None if instant is None else to_datetime(instant).isoformat()
