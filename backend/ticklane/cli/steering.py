"""Commands to a running daemon, and the one that makes the next start a fresh one."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ticklane.cli.options import AsJson, Config, Database, settings_of
from ticklane.cli.output import print_json
from ticklane.cli.status_lines import report_lines, status_lines
from ticklane.core.errors import ConfigError

_PANEL = "Steer"
_COMPARING_SECONDS = 60.0

Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="A strategy (default: all of them).")
]


Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept in the journal.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (
        *(status, pause, resume, stop, cancel, close),
        *(halt, release, flatten, reconcile, reset),
    ):
        app.command(rich_help_panel=_PANEL)(command)


def status(as_json: AsJson = False, config: Config = None, database: Database = None) -> None:
    """Show how the running daemon is doing."""
    told = _ask("status", config, database)
    if as_json:
        print_json(told)
        return
    print("\n".join(status_lines(told)))


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


def halt(reason: Reason, config: Config = None, database: Database = None) -> None:
    """Set the kill switch: cancel our open orders and send nothing more, until a release.

    It stays set across restarts, and counts also while a strategy hangs or no daemon is running.
    """
    from ticklane.app import halting

    print(halting.halt(settings_of(config, database), reason))


def release(reason: Reason, config: Config = None, database: Database = None) -> None:
    """Let trading go on: lift the kill switch and all that only an operator can lift."""
    from ticklane.app import halting

    print(halting.release(settings_of(config, database), reason))


def flatten(reason: Reason, config: Config = None, database: Database = None) -> None:
    """Cancel our open orders and close every position of ours, also while halted."""
    print(_ask("flatten", config, database, reason=reason))


def reconcile(
    accept: Annotated[
        str | None,
        typer.Option(metavar="SYMBOL", help="Let the broker's position in it (or its cash) count."),
    ] = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why it is accepted; it is kept in the journal.")
    ] = "",
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Compare our books with the broker's now, and show what is found.

    A symbol whose position differs stays halted, and a difference of the cash lets only what
    reduces through, until it is explained or accepted: --accept SYMBOL, or --accept cash.
    """
    if (accept is None) is not (not reason.strip()):
        raise ConfigError("--accept SYMBOL and --reason TEXT belong together; give both.")
    wanted = {} if accept is None else {"accept": accept, "reason": reason}
    report = _ask("reconcile", config, database, timeout=_COMPARING_SECONDS, **wanted)
    if as_json:
        print_json(report)
    elif report is None:
        print("There is nothing to compare: the account is in this daemon itself.")
    else:
        print("\n".join(report_lines(report)))


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

    store = settings_of(config, database).store
    ended = asyncio.run(end_runs(store, (lambda _: None) if is_sure else _confirm))
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
