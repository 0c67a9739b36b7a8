"""Commands that look into the database, and at the strategies there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticklane.cli.options import (
    AsJson,
    Config,
    Database,
    Limit,
    Run,
    Strategy,
    Symbol,
    open_reader,
)
from ticklane.cli.output import MANY, is_terminal, print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ticklane.engine.registry import StrategyInfo
    from ticklane.storage.reader import Reader

Rows = list[dict[str, Any]]
_PANEL = "Look"

_COLUMNS = {
    "orders": (
        ("created_at", "created"),
        ("id", "order"),
        ("strategy", "strategy"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("type", "type"),
        ("quantity", "qty"),
        ("notional", "notional"),
        ("limit_price", "limit"),
        ("stop_price", "stop"),
        ("status", "status"),
        ("filled_quantity", "done"),
        ("reason", "reason"),
    ),
    "fills": (
        ("filled_at", "filled"),
        ("order_id", "order"),
        ("strategy", "strategy"),
        ("symbol", "symbol"),
        ("quantity", "qty"),
        ("price", "price"),
        ("fee", "fee"),
        ("rule", "rule"),
    ),
    "trades": (
        ("opened_at", "opened"),
        ("closed_at", "closed"),
        ("strategy", "strategy"),
        ("symbol", "symbol"),
        ("quantity", "qty"),
        ("entry_price", "entry"),
        ("exit_price", "exit"),
        ("profit", "profit"),
        ("fees", "fees"),
    ),
    "positions": (
        ("strategy", "strategy"),
        ("symbol", "symbol"),
        ("quantity", "qty"),
        ("average_price", "average price"),
        ("realised_profit", "realised profit"),
    ),
    "runs": (
        ("id", "run"),
        ("state", "state"),
        ("started_at", "from"),
        ("cursor_at", "to"),
        ("prices", "prices"),
        ("strategies", "strategies"),
        ("fills", "fills"),
        ("trades", "trades"),
        ("resumed", "resumed"),
    ),
}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (strategies, orders, fills, trades, positions, runs):
        app.command(rich_help_panel=_PANEL)(command)


def orders(
    run: Run = None,
    is_open: Annotated[bool, typer.Option("--open", help="Only those still open.")] = False,
    strategy: Strategy = None,
    symbol: Symbol = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """List the orders of a run, oldest first."""
    with open_reader(config, database) as reader:
        rows = reader.orders(run, is_open, strategy, symbol, _most(limit, as_json))
        _print("orders", rows, reader, run, as_json, limit)


def fills(
    run: Run = None,
    strategy: Strategy = None,
    symbol: Symbol = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """List what was executed, oldest first."""
    with open_reader(config, database) as reader:
        rows = reader.fills(run, strategy, symbol, _most(limit, as_json))
        _print("fills", rows, reader, run, as_json, limit)


def trades(
    run: Run = None,
    strategy: Strategy = None,
    symbol: Symbol = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """List the closed round trips, oldest first."""
    with open_reader(config, database) as reader:
        rows = reader.trades(run, strategy, symbol, _most(limit, as_json))
        _print("trades", rows, reader, run, as_json, limit)


def positions(
    run: Run = None,
    is_all: Annotated[bool, typer.Option("--all", help="Flat ones, too.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """List what each strategy holds."""
    with open_reader(config, database) as reader:
        _print("positions", reader.positions(run, not is_all), reader, run, as_json, 0)


def runs(as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """List the runs in the database."""
    with open_reader(config, database) as reader:
        _print("runs", reader.runs(), reader, None, as_json, 0)


def strategies(
    strategy: Annotated[
        str | None,
        typer.Argument(metavar="[STRATEGY]", help="One of them, also file.py:Class."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies there are, with their parameters."""
    from dataclasses import asdict

    from ticklane.engine.registry import describe, find_strategy, list_strategies

    found = list_strategies() if strategy is None else [describe(strategy, find_strategy(strategy))]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        _print_strategy(one)


def _most(limit: int | None, as_json: bool) -> int | None:
    """How many rows to read; one more than a terminal shows, to see whether there are more."""
    if limit is None:
        return MANY + 1 if is_terminal() and not as_json else None
    return limit or None


def _print(
    what: str, rows: Rows, reader: Reader, run: str | None, as_json: bool, limit: int | None
) -> None:
    from ticklane.storage.reader import FIELDS

    of_run, label = _run_of(reader, run)
    is_cut = limit is None and is_terminal() and not as_json and len(rows) > MANY
    rows = rows[-MANY:] if is_cut else rows
    if what != "runs":  # nobody shall take simulated prices for real ones, no script either
        rows = [{**row, "feed": label} for row in rows]
    if as_json:
        print_json(rows)
        return
    title = f"{what} of run {of_run}" + (f"  [{label}]" if label else "")
    print_rows(
        [_for_people(what, row) for row in rows] if is_terminal() else rows,
        FIELDS[what] if what == "runs" else (*FIELDS[what], "feed"),
        _COLUMNS[what],
        title=f"runs in {reader.place.name}" if what == "runs" else title,
        empty=f"There are no {what} in run {of_run}.",
    )
    if is_cut:
        print(f"These are the newest {MANY}; --limit 0 shows all.")


def _run_of(reader: Reader, run: str | None) -> tuple[str, str]:
    """The run that was looked at, and the label of its prices."""
    found = [one for one in reader.runs() if run in (None, one["id"])]
    if not found:
        return "-", ""
    return found[-1]["id"], _label(found[-1]["config"])


def _label(config: Any) -> str:
    feed = config.get("feed", {}) if isinstance(config, dict) else {}
    return str(feed.get("label", "")) if isinstance(feed, dict) else ""


def _for_people(what: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as its table shows it."""
    if what == "trades" and row["side"] == "sell":
        return {**row, "quantity": f"-{row['quantity']}"}
    return _run_row(row) if what == "runs" else row


def _run_row(run: dict[str, Any]) -> dict[str, Any]:
    config = run["config"]
    listed = config.get("strategies", []) if isinstance(config, dict) else []
    is_ended = run["ended_at"] is not None
    return {
        **run,
        "state": f"ended ({run['end_reason']})" if is_ended else "unfinished",
        "prices": _label(config),
        "strategies": ", ".join(str(one["config"]["name"]).strip("'") for one in listed),
    }


def _print_strategy(one: StrategyInfo) -> None:
    print(f"{one.name}  {one.summary or one.error or ''}".rstrip())
    rows = [
        (
            parameter.name,
            parameter.type,
            "required" if parameter.is_required else f"default {parameter.default}",
            parameter.bounds,
            parameter.description,
        )
        for parameter in one.parameters
    ]
    _print_aligned(rows)
    print(f"    {one.target}")
    print()


def _print_aligned(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print(f"    {line}".rstrip())
