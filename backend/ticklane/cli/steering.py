"""Commands to a running daemon, and the one that makes the next start a fresh one."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ticklane.cli.options import AsJson, Config, Database, settings_of
from ticklane.cli.output import print_json
from ticklane.core.errors import ConfigError

_PANEL = "Steer"
_LINES = (
    ("Run", "run_id"),
    ("State", "state"),
    ("Broker", "broker"),
    ("Prices", "feed"),
    ("Time", "time"),
    ("Equity", "equity"),
    ("Cash", "cash"),
    ("Open orders", "open_orders"),
    ("Process", "pid"),
    ("Error", "error"),
)

Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="A strategy (default: all of them).")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (status, pause, resume, stop, cancel, close, reset):
        app.command(rich_help_panel=_PANEL)(command)


def status(as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """Show how the running daemon is doing."""
    told = _ask("status", config, database)
    if as_json:
        print_json(told)
        return
    print("\n".join(_status_lines(told)))


def pause(name: Name = None, config: Config = None, database: Database = None) -> None:
    """Stop asking a strategy, or all; open orders and stops stay in force."""
    print(_ask("pause", config, database, strategy=name))


def resume(name: Name = None, config: Config = None, database: Database = None) -> None:
    """Ask a paused or parked strategy, or all, again."""
    print(_ask("resume", config, database, strategy=name))


def stop(config: Config = None, database: Database = None) -> None:
    """End the daemon in order; strategies may sell on this stop if they are set to."""
    print(_ask("stop", config, database))


def cancel(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Its id, see `orders --open`.")],
    config: Config = None,
    database: Database = None,
) -> None:
    """Cancel an open order."""
    print(_ask("cancel", config, database, order=order))


def close(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL")],
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what this strategy holds.")
    ] = None,
    config: Config = None,
    database: Database = None,
) -> None:
    """Close what the strategies hold of a symbol."""
    print(_ask("close", config, database, symbol=symbol, strategy=strategy))


def reset(
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """End the unfinished run, so that the next start is a fresh paper account.

    What the run has done stays in the database.
    """
    import asyncio

    from ticklane.app.reset import end_runs

    path = settings_of(config, database).database_path
    ended = asyncio.run(end_runs(path, (lambda _: None) if is_sure else _confirm))
    for run in ended:
        print(f"Run {run} is ended.")
    print("The next start is a fresh paper account.")


def _confirm(runs: list[str]) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("reset needs --yes where nobody can be asked.")
    named = " and ".join(runs)
    typer.confirm(f"End run {named}? The next start begins with new cash, no positions", abort=True)


def _ask(command: str, config: Any, database: Any, **arguments: Any) -> Any:
    from ticklane.app.control_socket import ask

    return ask(settings_of(config, database).database_path, command, **arguments)


def _status_lines(told: dict[str, Any]) -> list[str]:
    money = ("equity", "cash")
    shown = {**told, **{name: f"{float(told[name]):,.2f}" for name in money}}
    shown["time"] = str(told["time"] or "")[:19].replace("T", " ") + " UTC" * bool(told["time"])
    lines = [f"{name:<12} {shown[key]}" for name, key in _LINES if shown.get(key) not in (None, "")]
    for one in told["strategies"]:
        lines += ["", *_strategy_lines(one)]
    return lines


def _strategy_lines(one: dict[str, Any]) -> list[str]:
    head = f"{one['name']}: {one['state']}, {', '.join(one['symbols'])}, {one['schedule']}"
    counts = [
        f"{one[key]:,} {key}"
        for key in ("ticks", "signals", "merged", "faults")
        if one[key] or key in ("ticks", "signals")
    ]
    lines = [head, f"  {', '.join(counts)}"]
    if one["hang_seconds"]:
        lines.append(f"  held up the lane for {one['hang_seconds']:.1f} s in all")
    if one["error"]:
        lines.append(f"  last error: {one['error']}")
    return lines
