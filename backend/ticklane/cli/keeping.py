"""Commands around a project and its data: init, backup, export, doctor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ticklane.cli.options import AsJson, Config, Database, Run, open_reader, settings_of
from ticklane.cli.output import print_json
from ticklane.core.errors import TicklaneError

if TYPE_CHECKING:
    from ticklane.app.doctor import Check

_PANEL = "Keep"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (init, backup, export, doctor):
        app.command(rich_help_panel=_PANEL)(command)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
) -> None:
    """Make a small project: a strategy, a config, a test."""
    from ticklane.app.project import make_project, next_commands

    for file in make_project(directory):
        print(f"made {file}")
    print("\nNext:")
    for command in next_commands(directory):
        print(f"  {command}")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that does not exist yet.")],
    config: Config = None,
    database: Database = None,
) -> None:
    """Copy the SQLite database, consistent, also while a daemon writes it."""
    from ticklane.storage.backup import back_up
    from ticklane.storage.files import megabytes

    back_up(settings_of(config, database).store, file)
    print(f"Backup {file} is written ({megabytes(file.stat().st_size)}).")


def export(
    table: Annotated[
        Literal["trades", "fills", "orders", "equity"], typer.Argument(help="What to write.")
    ],
    format: Annotated[
        Literal["csv", "json", "parquet"] | None,
        typer.Option(help="In which format (default: as the file ends, else csv)."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where (default: here).")
    ] = None,
    run: Run = None,
    config: Config = None,
    database: Database = None,
) -> None:
    """Write trades, fills, orders or the equity curve of a run as CSV, JSON or Parquet."""
    from ticklane.storage.export import export as write
    from ticklane.storage.export import format_of

    with open_reader(config, database) as reader:
        text = write(reader, table, format or format_of(output), output, run)
    if text is not None:
        sys.stdout.write(text)
    else:
        print(f"Export {output} is written.")


def doctor(
    is_connecting: Annotated[
        bool,
        typer.Option("--connect/--no-connect", help="With keys: look at the account at Alpaca."),
    ] = True,
    as_json: AsJson = False,
    config: Config = None,
    database: Database = None,
) -> None:
    """Check this installation, the keys, and the account behind them."""
    from ticklane.app.doctor import examine

    checks = examine(config, database, is_connecting)
    if as_json:
        print_json([check._asdict() for check in checks])
    else:
        _print_checks(checks)
    failed = [check.name for check in checks if check.state == "failed"]
    if failed:
        raise TicklaneError(f"doctor found a problem with {', '.join(failed)}.")


def _print_checks(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{check.state:<7} {check.name:<{width}}  {check.text}")
