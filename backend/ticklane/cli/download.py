"""`ticklane download`: bars of Alpaca into the local catalog."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticklane.cli.options import AsJson, Config, symbols_in
from ticklane.cli.output import print_json

if TYPE_CHECKING:
    from ticklane.data.download import Fetched

_PANEL = "Trade"
_INTERRUPTED = 130

Symbols = Annotated[
    list[str], typer.Argument(metavar="SYMBOL", help="Such as AAPL or BTC/USD, one or more.")
]
Begin = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day (UTC).")]
End = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="Last day, included (default: today).")
]
DaysBack = Annotated[
    int | None, typer.Option("--days-back", metavar="N", min=1, help="Instead of --from.")
]
BarLength = Annotated[str, typer.Option(metavar="TIME", help="Bar length: 1m, 15m, 1h, 1d ...")]
Adjustment = Annotated[
    str, typer.Option(metavar="KIND", help="Of stocks: raw, split, dividend or all.")
]
Feed = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of stocks: iex, or sip (all exchanges, by subscription)."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=_PANEL)(download)


def download(
    symbols: Symbols,
    begin: Begin = None,
    end: End = None,
    days_back: DaysBack = None,
    timeframe: BarLength = "1m",
    adjustment: Adjustment = "raw",
    feed: Feed = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Fetch bars from Alpaca; only what is not here yet. Use them with `--data catalog:AAPL`.

    Ctrl-C keeps what is complete, and the same command goes on from there.
    """
    from ticklane.app.download import catalog_folder, fetch, read_wanted
    from ticklane.app.settings import load_settings

    wanted = read_wanted(
        symbols_in(symbols), begin, end, timeframe, adjustment, feed, days_back=days_back
    )
    settings = load_settings(config)
    try:
        with _progress() as progress:
            found = fetch(settings, wanted, progress)
    except KeyboardInterrupt:
        print(
            "Stopped; what is complete is kept, and the same command goes on from there.",
            file=sys.stderr,
        )
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    for one in found:
        print(_words(one))
    print(f"The catalog is {catalog_folder(settings)}.")


def _words(one: Fetched) -> str:
    if not one.total_spans:
        return f"{one.series}: all of it was here already."
    left_out = f" ({one.dropped} with impossible prices left out)" if one.dropped else ""
    return f"{one.series}: {one.bars:,} bars fetched{left_out}."


def _as_json(one: Fetched) -> dict[str, Any]:
    return {
        "series": str(one.series),
        "symbol": one.series.symbol,
        "timeframe": str(one.series.timeframe),
        "bars_fetched": one.bars,
        "bars_left_out": one.dropped,
        "requests": one.fetched_spans,
    }


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], object]]:
    """A bar a symbol where somebody reads along."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def show(symbol: str, done: int, total: int) -> None:
            if total and symbol not in tasks:
                tasks[symbol] = bars.add_task(symbol, total=total)
            if symbol in tasks:
                bars.update(tasks[symbol], completed=done)

        yield show
