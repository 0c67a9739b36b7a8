"""What `run_strategy_example.py` runs."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal

from rich.console import Console

from ticklane.app.build import StrategyRunner
from ticklane.app.daemon import serve
from ticklane.app.run_report import run_result
from ticklane.app.settings import Settings, load_settings
from ticklane.app.view import live_table, start_logging
from ticklane.core.errors import TicklaneError

SYMBOLS = ["AAPL", "IBM", "MSFT"]
_SECONDS = 20.0


def run_example(is_fast: bool = False, fresh: bool = False) -> int:
    """Run moving-average crossover and buy-and-hold side by side; returns the exit code."""
    console = Console()
    try:
        settings = _settings(fresh, None if is_fast else _SECONDS)
        has_table = sys.stdout.isatty()
        start_logging(settings, has_table)
        console.print(
            "Two strategies on one paper account, real daily prices of AAPL, IBM and MSFT "
            "(2000-2013, adjusted for splits and dividends)."
        )
        runner = asyncio.run(serve(settings, live_table if has_table else None))
        _report(console, runner, settings)
    except KeyboardInterrupt:  # before the daemon listens to it, or while the report is drawn
        return 0
    except (TicklaneError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _settings(fresh: bool, replay_seconds: float | None) -> Settings:
    return load_settings(
        broker="paper",  # whatever the environment or a file here says
        feed=f"sample:{','.join(SYMBOLS)}",
        cash=Decimal(100_000),
        fresh=fresh or None,
        replay_seconds=replay_seconds,
        strategy=[
            {
                "strategy": "moving_average_crossover",
                "name": "crossover",
                "symbols": SYMBOLS,
                "fast": 20,
                "slow": 100,
                "position_size": 200,
            },
            {"strategy": "buy_and_hold", "name": "hold", "symbols": SYMBOLS, "position_size": 200},
        ],
    )


def _report(console: Console, runner: StrategyRunner, settings: Settings) -> None:
    database = settings.store
    result = run_result(runner, database)
    console.print()
    console.print(result.summary(), highlight=False, markup=False)
    console.print()
    console.print(f"Database  {database}", highlight=False, soft_wrap=True)
    if runner.ended_by != "end":
        console.print("Stopped before the end; start it again and it goes on from here.")
        return
    page, _ = result.plot(settings.data_dir / "reports" / f"{runner.run_id}.html")
    console.print(f"Report    {page}", highlight=False, soft_wrap=True)
