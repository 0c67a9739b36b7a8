"""`ticklane run`: the daemon."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ticklane.cli.options import Calendar, Config, Database, Interval, Param, symbols_in
from ticklane.cli.output import is_terminal
from ticklane.core.errors import ConfigError

if TYPE_CHECKING:
    from ticklane.app.settings import Settings

_PANEL = "Trade"

Strategy = Annotated[
    str | None,
    typer.Option(
        metavar="STRATEGY",
        help="Built-in name, file.py:Class or package.module:Class; instead of those in the "
        "config file.",
    ),
]
Symbols = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="What it trades (default: all of a recorded feed)."),
]
Broker = Annotated[
    str | None, typer.Option(metavar="BROKER", help="Where orders go: paper or alpaca.")
]
Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help='Real money. Also needs mode = "live" and account = "NUMBER" in the config file.',
    ),
]
Limits = Annotated[
    str | None,
    typer.Option(metavar="PROFILE", help="safe or none (default: safe with --broker alpaca)."),
]
Feed = Annotated[
    str | None,
    typer.Option(
        metavar="FEED",
        help="simulated, alpaca, alpaca:polling, sample:AAPL, catalog:AAPL or replay:PATH.",
    ),
]
Quotes = Annotated[
    bool,
    typer.Option("--quotes", help="Ticks on quotes as well as on bars (feed alpaca only)."),
]
Speed = Annotated[str | None, typer.Option(metavar="N", help="So many times faster than recorded.")]
Timeframe = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Bar length (default: 1s simulated, 1m at alpaca)."),
]
Seed = Annotated[str | None, typer.Option(metavar="N", help="Seed of the simulated market.")]
Cash = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT", help="Starting cash on paper; at alpaca, how much of the account to use."
    ),
]
Duration = Annotated[
    str | None, typer.Option(metavar="TIME", help="End the run after this time, such as 60s.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin a new run even if one can be resumed.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=_PANEL)(run)


def run(
    config: Config = None,
    strategy: Strategy = None,
    symbols: Symbols = None,
    param: Param = None,
    interval: Interval = None,
    calendar: Calendar = None,
    broker: Broker = None,
    live: Live = False,
    limits: Limits = None,
    feed: Feed = None,
    quotes: Quotes = False,
    speed: Speed = None,
    timeframe: Timeframe = None,
    seed: Seed = None,
    cash: Cash = None,
    duration: Duration = None,
    fresh: Fresh = False,
    database: Database = None,
) -> None:
    """Trade on paper on simulated, recorded or real prices, or an account at Alpaca.

    Flags win over TICKLANE_ variables, those over .env, and .env over the config file.
    After Ctrl-C, SIGTERM or a crash the next start goes on where the run was.
    """
    flags = {
        "calendar": calendar,
        "broker": broker,
        "live": live,
        "limits": limits,
        "feed": feed,
        "quotes": quotes or None,
        "speed": speed,
        "timeframe": timeframe,
        "seed": seed,
        "cash": cash,
        "duration": duration,
        "fresh": fresh or None,
        "interval": interval,
        "database": database,
    }
    with _quiet_end():
        _serve(_settings(config, flags, strategy, symbols, param))


@contextmanager
def _quiet_end() -> Iterator[None]:
    """SIGTERM and Ctrl-C are orders, not errors, also before the daemon listens to them."""

    def leave(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings(
    config: Path | None,
    flags: dict[str, Any],
    strategy: str | None,
    symbols: list[str] | None,
    param: list[str] | None,
) -> Settings:
    from ticklane.app.settings import load_settings
    from ticklane.engine.registry import parse_parameters

    own = parse_parameters(param or ())
    if symbols:
        own["symbols"] = symbols_in(symbols)
    if strategy is not None:
        return load_settings(config, **flags, strategy=[{**own, "strategy": strategy}])
    settings = load_settings(config, **flags)
    blocks = [block.model_dump(exclude_none=True) for block in settings.strategy]
    if own and len(blocks) != 1:
        raise ConfigError(
            f"--symbols and --param need --strategy, since {len(blocks)} strategies are configured."
        )
    for block in blocks:
        block.update(own)
        for name in ("interval", "calendar"):
            if flags[name] is not None:  # a flag wins over what a block says for itself
                block.pop(name, None)
    return load_settings(config, **flags, strategy=blocks or None)


def _serve(settings: Settings) -> None:
    import asyncio

    from ticklane.app.daemon import serve
    from ticklane.app.summary import run_text
    from ticklane.app.view import live_table, start_logging

    has_table = is_terminal() and not settings.log_json
    start_logging(settings, has_table)
    runner = asyncio.run(serve(settings, live_table if has_table else None))
    print(run_text(runner, settings.store))
