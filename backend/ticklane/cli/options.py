"""Options that several commands share, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ticklane.app.settings import Settings
    from ticklane.storage.reader import Reader

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Config file (default: ticklane.toml, if there)."
    ),
]
Database = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Database (default: ticklane.db in the data folder)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Run = Annotated[str | None, typer.Option(metavar="ID", help="A run (default: the newest).")]
Strategy = Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this strategy.")]
Symbol = Annotated[str | None, typer.Option(metavar="SYMBOL", help="Only those of this symbol.")]
Limit = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="The newest N, 0 for all (default: 50 on a terminal, else all).",
    ),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE", help="A parameter of the strategy, such as fast=5; repeat for more."
    ),
]
Interval = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Schedule: 5m, 1h or a crontab text; else every bar."),
]
Calendar = Annotated[
    str | None, typer.Option(metavar="NAME", help="Market calendar, such as XNYS or 24/7.")
]


def settings_of(config: Path | None, database: Path | None) -> Settings:
    """The settings that say where the database is."""
    from ticklane.app.settings import load_settings

    return load_settings(config, database=database)


def open_reader(config: Path | None, database: Path | None) -> Reader:
    """The database, for reading."""
    from ticklane.storage.reader import Reader

    return Reader(settings_of(config, database).store)


def symbols_in(given: str | Iterable[str] | None) -> list[str]:
    """The symbols in `A,B` or in several such texts, each once."""
    texts = [given] if isinstance(given, str) else list(given or ())
    names = [name.strip() for text in texts for name in text.split(",")]
    return list(dict.fromkeys(name for name in names if name))
