"""The live table in the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ticklane.app.build import StrategyRunner
from ticklane.core.money import plain

_SECONDS = 0.25


@asynccontextmanager
async def live_table(runner: StrategyRunner) -> AsyncIterator[None]:
    """Show the run while it goes on; the last picture stays."""
    console = Console(stderr=False)
    with Live(console=console, auto_refresh=False) as live:
        task = asyncio.create_task(_refresh(runner, live))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            live.update(picture(runner), refresh=True)


async def _refresh(runner: StrategyRunner, live: Live) -> None:
    while True:
        live.update(picture(runner), refresh=True)
        await asyncio.sleep(_SECONDS)


def picture(runner: StrategyRunner) -> Any:
    """The run as a rich renderable: head line, prices, strategies."""
    return Group(_head(runner), _prices(runner), _strategies(runner))


def _head(runner: StrategyRunner) -> Text:
    status = runner.get_status()
    when = status.time.strftime("%Y-%m-%d %H:%M:%S") if status.time else "-"
    text = Text.assemble(("ticklane ", "bold"), f"run {status.run_id}  {when} UTC  ")
    text.append(f"[{status.feed}]" if status.feed else "", style="yellow")
    text.append(f"  equity {float(status.equity):,.2f}", style="bold green")
    text.append(f"  cash {float(status.cash):,.2f}  open orders {status.open_orders}")
    return text


def _prices(runner: StrategyRunner) -> Table:
    label = runner.feed.label if runner.feed else ""
    table = Table(title_justify="left", expand=False)
    table.add_column("symbol")
    table.add_column(f"price {label}".strip(), justify="right")
    table.add_column("position", justify="right")
    table.add_column("average", justify="right")
    table.add_column("unrealised", justify="right")
    for symbol, seen in sorted(runner.last.items()):
        held = runner.portfolio.holding(symbol, runner.portfolio.books.values())
        table.add_row(
            symbol,
            f"{seen.close:,.4f}",
            plain(held.quantity),
            f"{held.average_price:,.4f}" if held.quantity else "-",
            f"{held.unrealised_profit:+,.2f}" if held.quantity else "-",
        )
    return table


def _strategies(runner: StrategyRunner) -> Table:
    table = Table(expand=False)
    for name in ("strategy", "state", "schedule"):
        table.add_column(name)
    for name in ("signals", "equity", "profit", "fees"):
        table.add_column(name, justify="right")
    for name, host in runner.hosts.items():
        book = runner.portfolio.books.get(name)
        equity = runner.portfolio.equity([book]) if book else 0
        profit = equity - book.deposits if book else 0
        status = host.status
        table.add_row(
            name,
            status.state + (f": {status.error}" if status.error else ""),
            status.schedule,
            f"{status.signals:,}",
            f"{equity:,.2f}",
            f"{profit:+,.2f}",
            f"{book.fees:,.2f}" if book else "-",
        )
    return table
