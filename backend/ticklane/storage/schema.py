"""The tables. Change them together with a new file in `migrations/versions` (see migrate.py).

- Money and quantities are TEXT: exact decimals in plain notation, never floats.
- Instants are INTEGER nanoseconds since 1970-01-01 UTC in columns named `..._ns`, and nothing
  else; to read one by hand: `datetime(filled_ns / 1000000000, 'unixepoch')`.
- `order_events` is the append-only truth about orders, the row in `orders` its summary.
- Order ids and client order ids are unique in the whole file, execution ids within a run.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Sequence = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts INTEGER keys only


def _run() -> Column[str]:
    return Column("run_id", Text, ForeignKey("runs.id"), nullable=False)


def _order() -> Column[str]:
    return Column("order_id", Text, ForeignKey("orders.id"), nullable=False)


def _sequence(name: str = "seq") -> Column[int]:
    return Column(name, _Sequence, primary_key=True, autoincrement=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _maybe(name: str) -> Column[str]:
    return Column(name, Text)


def _instant(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),  # installation
    _text("value"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),  # r1, r2, ...
    _text("fingerprint"),  # of database, config and strategies: who may resume this run
    _text("config"),  # JSON, for people
    _instant("started_ns"),
    Column("ended_ns", BigInteger),  # NULL: unfinished, to be resumed
    _maybe("end_reason"),  # end, or fresh when another run took its place
    Column("cursor_ns", BigInteger),  # the last tick wholly done
    _maybe("venue_marks"),  # JSON
    Column("resumed", Integer, nullable=False),  # how often
    _maybe("starting_cash"),  # of the account, where the venue decides it
)

orders = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    _run(),
    Column("number", Integer, nullable=False),  # of the intent within the run, from 1
    Column("client_order_id", Text, nullable=False, unique=True),
    _maybe("broker_order_id"),
    _text("strategy"),
    _text("symbol"),
    _text("side"),
    _text("type"),
    _text("time_in_force"),
    _text("order_class"),
    _text("status"),
    _text("reason_code"),
    _text("reason"),
    _maybe("parent_id"),
    _maybe("replaces_id"),
    _text("quantity"),
    _text("filled_quantity"),
    _maybe("notional"),
    _maybe("limit_price"),
    _maybe("stop_price"),
    _maybe("trail_amount"),
    _maybe("trail_percent"),
    _text("tag"),
    Column("is_cancel_pending", Boolean, nullable=False),
    _instant("created_ns"),
    _instant("updated_ns"),
    Column("valid_until_ns", BigInteger),  # NULL: its signal is good for ever
    UniqueConstraint("run_id", "number"),
)

order_events = Table(
    "order_events",
    metadata,
    _sequence(),
    _run(),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False, index=True),
    _maybe("from_status"),  # NULL: the order was made
    _text("to_status"),
    _text("evidence"),
    _instant("at_ns"),
)

fills = Table(
    "fills",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("execution_id", Text, primary_key=True),
    Column("number", Integer, nullable=False),  # order of booking within the run, from 1
    _order(),
    _text("strategy"),
    _text("symbol"),
    _text("quantity"),  # signed: bought is positive
    _text("price"),
    _text("fee"),
    _maybe("fee_asset"),  # NULL: the account currency
    _instant("filled_ns"),
    _instant("seen_ns"),
    _text("rule"),
    _text("detail"),
    _maybe("source"),  # JSON: the bar (open_ns, close_ns, ...) or quote (time_ns, ...)
)

trades = Table(
    "trades",
    metadata,
    _sequence(),
    _run(),
    _text("strategy"),
    _text("symbol"),
    _text("side"),
    _text("quantity"),
    _text("entry_price"),
    _text("exit_price"),
    _instant("opened_ns"),
    _instant("closed_ns"),
    _text("profit"),  # after fees
    _text("fees"),
)

strategy_state = Table(
    "strategy_state",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("strategy", Text, primary_key=True),
    _text("state"),  # JSON
    _text("status"),  # running, paused or parked
    Column("faults", Integer, nullable=False),  # in a row
    _instant("at_ns"),
)

equity = Table(
    "equity",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("at_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("equity", Float, nullable=False),
    _text("cash"),
    sqlite_with_rowid=False,
)

signals = Table(
    "signals",
    metadata,
    _sequence(),
    _run(),
    _instant("at_ns"),
    _text("strategy"),
    _maybe("symbol"),  # NULL: malformed, or a fault of the strategy
    _maybe("signal"),
    _text("wish"),
    _maybe("order_id"),
    _text("reason_code"),  # of a fault: strategy_fault or strategy_parked
    _text("reason"),
)

account_events = Table(
    "account_events",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("id", Text, primary_key=True),  # the venue's own
    _text("kind"),  # FEE, CFEE, DIV, INT, CSD, CSW, JNLC, SPLIT ...
    _instant("at_ns"),
    _text("amount"),  # what it adds to the cash
    _maybe("symbol"),
    _maybe("quantity"),  # what it adds to the position
    _text("detail"),
)

restrictions = Table(  # of the whole file, not of a run: the kill switch outlives runs
    "restrictions",
    metadata,
    Column("code", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),  # empty: the whole account
    _text("state"),
    _text("sentence"),
    _instant("since_ns"),
    Column("is_latched", Boolean, nullable=False),
    _maybe("run_id"),  # in which it was set; NULL: no daemon was running
)

restriction_events = Table(  # append-only: who restricted and who released, when and why
    "restriction_events",
    metadata,
    _sequence(),
    _maybe("run_id"),
    _text("code"),
    _text("symbol"),
    _text("state"),
    Column("is_set", Boolean, nullable=False),
    _text("sentence"),
    _text("who"),
    _instant("at_ns"),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    _sequence("id"),
    _run(),
    _instant("at_ns"),
    _text("report"),  # JSON
)
