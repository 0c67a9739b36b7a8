"""`ticklane backtest`: a strategy on recorded prices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticklane.cli.options import AsJson, Calendar, Interval, Param, symbols_in
from ticklane.cli.output import print_json
from ticklane.core.errors import ConfigError, StrategyError

if TYPE_CHECKING:
    from ticklane.app.result import BacktestResult
    from ticklane.core.market import Bars, Timeframe
    from ticklane.interfaces import Calendar as Market
    from ticklane.interfaces import StrategyInterface

_PANEL = "Trade"
_INTERRUPTED = 130

Strategy = Annotated[
    str,
    typer.Argument(
        metavar="STRATEGY", help="Built-in name, file.py:Class or package.module:Class."
    ),
]
Data = Annotated[
    str,
    typer.Option(
        metavar="PATH", help="A CSV or Parquet file, a folder of them, sample:AAPL or catalog:AAPL."
    ),
]
Symbols = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="What to trade (default: every symbol in the data)."),
]
Begin = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First day or instant (UTC).")
]
End = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="Last day, included, or instant.")
]
Cash = Annotated[str, typer.Option(metavar="AMOUNT", help="Starting cash.")]
BarLength = Annotated[
    str | None, typer.Option(metavar="TIME", help="Bar length (default: the usual step).")
]
CostModel = Annotated[
    str | None,
    typer.Option(
        metavar="COSTS",
        help="per_share=0.005, or per_order=1,rate=0.001, or maker=0.1,taker=0.2 in percent.",
    ),
]
SlippageModel = Annotated[
    str | None,
    typer.Option(
        metavar="SLIPPAGE",
        help="fixed=0.01, percent=0.05, spread_percent=0.1, or cap=0.025,impact=0.1.",
    ),
]
Sizing = Annotated[
    str | None,
    typer.Option(
        metavar="SIZING",
        help="For orders without a quantity: quantity=10, notional=5000 or percent=20.",
    ),
]
Short = Annotated[bool, typer.Option("--short", help="Permit short sales.")]
Report = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Write an HTML report and a PNG.")
]
Save = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write everything there: CSV, JSON, report.")
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=_PANEL)(backtest)


def backtest(
    strategy: Strategy,
    data: Data,
    symbol: Symbols = None,
    begin: Begin = None,
    end: End = None,
    cash: Cash = "100000",
    param: Param = None,
    interval: Interval = None,
    calendar: Calendar = None,
    timeframe: BarLength = None,
    costs: CostModel = None,
    slippage: SlippageModel = None,
    sizing: Sizing = None,
    short: Short = False,
    report: Report = None,
    save: Save = None,
    as_json: AsJson = False,
) -> None:
    """Run a strategy over recorded prices.

    Ctrl-C ends it early with the result so far and exit code 130.
    """
    from ticklane.analytics.report import report_files
    from ticklane.app.backtest import backtest as replay
    from ticklane.app.build import find_calendar, read_costs, read_slippage
    from ticklane.engine.registry import make_strategy, parse_parameters

    _check_dates(begin, end)
    if report is not None:
        report_files(report)  # before the work, not after it
    market = find_calendar(calendar)
    own = parse_parameters(param or ())
    bars, step, label = _read(data, symbols_in(symbol), timeframe, market)
    chosen = make_strategy(strategy, {"symbols": list(bars), **own})
    result = replay(
        chosen,
        bars,
        cash=cash,
        costs=read_costs(_numbers(costs, "--costs per_share=0.005")),
        slippage=read_slippage(_numbers(slippage, "--slippage percent=0.05")),
        venue={"allow_short": short},
        sizing=_numbers(sizing, "--sizing percent=20") or None,
        schedule=interval,
        calendar=market,
        timeframe=step,
        start=begin,
        end=end,
        progress=sys.stderr.isatty(),
    )
    result.label = label
    if not len(result.times):
        raise ConfigError(_nothing_left(bars, chosen, data))
    _tell(result, report, save, as_json)
    _judge(result, chosen.name)


def _read(
    data: str, symbols: list[str], timeframe: str | None, calendar: Market | None
) -> tuple[dict[str, Bars], Timeframe, str]:
    """The bars of these symbols, or of all there are."""
    from ticklane.app.prices import catalog_symbols, read_prices
    from ticklane.data.files import load_bars

    symbols = symbols or catalog_symbols(data) or []
    if symbols:
        return read_prices(data, symbols, timeframe, calendar)
    bars, step = load_bars(data, timeframe=timeframe, calendar=calendar)
    return bars, step, "adjusted prices" if data.startswith("sample:") else ""


def _check_dates(begin: str | None, end: str | None) -> None:
    """The flags by the names they have here."""
    from ticklane.data.dates import instant_of

    first, last = instant_of(begin, "--from"), instant_of(end, "--to", is_end=True)
    if first is not None and last is not None and first >= last:
        raise ConfigError(f"--from {begin} is not before --to {end}; swap them.")


def _numbers(given: str | None, example: str) -> dict[str, Any]:
    """Read `maker=0.1,taker=0.2`."""
    from ticklane.core.money import to_decimal

    pairs = [pair.partition("=") for pair in given.split(",")] if given else []
    for name, equals, _ in pairs:
        if not name or not equals:
            raise ConfigError(f"{given!r} must be name=number, such as {example}.")
    return {name.strip(): to_decimal(value, name.strip()) for name, _, value in pairs}


def _tell(result: BacktestResult, report: Path | None, save: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(result.to_dict())
    else:
        print(result.summary())
    written: list[Path] = []
    if report is not None:
        written += result.plot(report)
    if save is not None:
        written.append(result.save(save))
    if written and not as_json:
        print()
        for file in written:
            print(f"Written  {file}")


def _nothing_left(bars: dict[str, Bars], strategy: StrategyInterface, data: str) -> str:
    first, last = (
        edge(str(one.time[row])[:10] for one in bars.values())
        for edge, row in ((min, 0), (max, -1))
    )
    warmup = f" once {strategy.warmup} have warmed it up" if strategy.warmup else ""
    return (
        f"no bar is left for {strategy.name} to trade on{warmup}: those in {data} closed from "
        f"{first} to {last}; choose other dates with --from and --to."
    )


def _judge(result: BacktestResult, strategy: str) -> None:
    """Whether the replay came to its end; the exit code says it."""
    refused = [order for order in result.orders if order.status in ("DENIED", "REJECTED")]
    if refused and len(refused) == len(result.orders):
        print(f"Warning: no order was taken; the first: {refused[0].reason}", file=sys.stderr)
    if result.is_partial:
        raise typer.Exit(_INTERRUPTED)
    status = result.strategies[strategy]
    if status.state == "parked":
        raise StrategyError(
            f"{status.name} was parked after {status.faults} faults, the last: {status.error}."
        )
