"""The live table in the terminal."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TextIO, cast

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ticklane.app.build import StrategyRunner
from ticklane.app.environment import known_secrets
from ticklane.app.event_log import told
from ticklane.app.logs import configure_logging
from ticklane.app.settings import Settings
from ticklane.core.events import Event
from ticklane.core.market import to_datetime
from ticklane.core.money import ZERO, plain

_SECONDS = 0.25
_RECENT = 6  # lines of what happened last


def start_logging(settings: Settings, has_table: bool) -> None:
    """Log to `ticklane.log` in the data folder and to stderr; beside a table only what is bad.

    Raises ConfigError when the file cannot be written.
    """
    errors = cast(TextIO, _Stderr())
    file = settings.data_dir / "ticklane.log"
    configure_logging(
        settings.log_level,
        file,
        settings.log_json,
        known_secrets(),
        stream=errors if has_table else None,
    )
    for handler in logging.getLogger().handlers:
        if getattr(handler, "stream", None) is errors:
            handler.setLevel(logging.ERROR)


class _Stderr(io.TextIOBase):
    """What is stderr at the moment: while a table is live, its lines go above it."""

    def write(self, text: str) -> int:
        """Pass it on."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Pass it on."""
        sys.stderr.flush()

    def isatty(self) -> bool:
        """As that of the real one."""
        return sys.stderr.isatty()


@asynccontextmanager
async def live_table(runner: StrategyRunner) -> AsyncIterator[None]:
    """Show the run while it goes on; the last picture stays."""
    recent: deque[str] = deque(maxlen=_RECENT)

    def listen(event: Event) -> None:
        text = told(event, runner.feed.label if runner.feed else "")
        if text is not None:
            recent.append(text)

    unsubscribe = runner.bus.subscribe(listen)
    console = Console()
    if runner.is_resumed:
        since = f"{to_datetime(runner.now_ns):%Y-%m-%d %H:%M} UTC"
        console.print(f"Run {runner.run_id} goes on from {since}.", highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        task = asyncio.create_task(_refresh(runner, live, recent))
        try:
            yield
        finally:
            unsubscribe()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            live.update(picture(runner, recent), refresh=True)


async def _refresh(runner: StrategyRunner, live: Live, recent: Iterable[str]) -> None:
    while True:
        live.update(picture(runner, recent), refresh=True)
        await asyncio.sleep(_SECONDS)


def picture(runner: StrategyRunner, recent: Iterable[str] = ()) -> RenderableType:
    """The run as a rich renderable: head lines, prices, strategies, what happened last."""
    lines = Text("\n".join(recent), style="dim", overflow="ellipsis", no_wrap=True)
    return Group(*_head(runner), _prices(runner), _strategies(runner), lines, Text())


def _head(runner: StrategyRunner) -> tuple[Text, Text]:
    status = runner.get_status()
    when = status.time.strftime("%Y-%m-%d %H:%M:%S UTC") if status.time else "-"
    first = Text.assemble(("ticklane", "bold"), f"  run {status.run_id}  {status.state}  {when}")
    if status.trading_state != "ACTIVE":
        first.append(f"  {status.trading_state}", style="bold red")
    if status.feed:
        first.append(f"  [{status.feed}]", style="bold yellow")
    second = Text.assemble(
        "equity ",
        (f"{float(status.equity):,.2f}", "bold green"),
        f"  cash {float(status.cash):,.2f}",
    )
    return first, second.append(f"  open orders {status.open_orders}")


def _table(texts: Iterable[str], numbers: Iterable[str | Text]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in texts:
        table.add_column(name, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _prices(runner: StrategyRunner) -> Table:
    label = runner.feed.label if runner.feed else ""
    price = Text(f"price [{label}]" if label else "price")
    table = _table(("symbol",), (price, "position", "average", "unrealised"))
    for symbol, seen in sorted(runner.last.items()):
        held = runner.portfolio.holding(symbol, runner.portfolio.books.values())
        table.add_row(
            Text(symbol),
            f"{seen.close:,.4f}",
            plain(held.quantity),
            f"{held.average_price:,.4f}" if held.quantity else "-",
            f"{held.unrealised_profit:+,.2f}" if held.quantity else "-",
        )
    return table


def _strategies(runner: StrategyRunner) -> Table:
    table = _table(("strategy", "state", "schedule"), ("signals", "equity", "profit", "fees"))
    for name, host in runner.hosts.items():
        book = runner.portfolio.books.get(name)
        equity = runner.portfolio.equity([book]) if book else ZERO
        status = host.status
        table.add_row(
            Text(name),
            Text(status.state + (f": {status.error}" if status.error else "")),
            Text(status.schedule),
            f"{status.signals:,}",
            f"{equity:,.2f}",
            f"{equity - book.deposits:+,.2f}" if book else "-",
            f"{book.fees:,.2f}" if book else "-",
        )
    return table
