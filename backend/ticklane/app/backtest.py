"""One replay of recorded bars through the lane that also trades live."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from ticklane.analytics.curve import equity_curve
from ticklane.app.build import StrategyRunner, find_calendar
from ticklane.app.prices import read_prices
from ticklane.app.result import BacktestResult
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.costs import Costs, Slippage
from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument
from ticklane.core.money import exact
from ticklane.core.position import Trade
from ticklane.data.dates import span_of
from ticklane.data.feeds import ReplayFeed
from ticklane.engine.collector import resting_collector
from ticklane.engine.tape import Tape
from ticklane.interfaces import Calendar, StrategyInterface, check_strategy
from ticklane.risk.manager import Rule
from ticklane.risk.sizing import Sizing

_LONG_RUN = 1.0  # seconds after which a progress bar is worth its line


def backtest(
    strategies: StrategyInterface | Iterable[StrategyInterface],
    data: Any,
    *,
    cash: Any = 100_000,
    costs: Costs | None = None,
    slippage: Slippage | None = None,
    venue: Mapping[str, Any] | None = None,
    sizing: Sizing | Mapping[str, Any] | None = None,
    limits: Iterable[Rule] | None = None,
    schedule: Any = None,
    calendar: Any = None,
    timeframe: Any = None,
    start: Any = None,
    end: Any = None,
    seed: int = 0,
    progress: bool | Callable[[int, int], object] = False,
) -> BacktestResult:
    """Run strategies over recorded bars, by the same runner, desk and venue as paper and live.

    `data` is a DataFrame (open, high, low, close, volume; DatetimeIndex, naive means UTC), a
    mapping symbol -> DataFrame, a CSV or Parquet path, or `sample:AAPL`. `start` and `end` (dates
    or instants) bound the trading; bars before `start` serve as history and warm-up. `venue` holds
    further options of ReplayBroker (`allow_short`, `latency`, `instruments`, ...), `schedule` is
    the interval or crontab for all strategies, `calendar` a market such as "XNYS". `progress`
    shows a bar in the terminal if it takes long, or is called with (done, total). Nothing in a
    replay is random: `seed` is kept in the result's notes for strategies that draw numbers.

    It is a plain function and also works where an event loop is running. Ctrl-C ends the replay
    early; the result then `is_partial`. Raises ConfigError and DataError.
    """
    loaded = [strategies] if isinstance(strategies, StrategyInterface) else list(strategies)
    symbols = tuple(dict.fromkeys(symbol for one in loaded for symbol in _symbols_of(one)))
    market = find_calendar(calendar)
    bars, step, label = read_prices(data, symbols, timeframe, market)
    start_ns, end_ns = span_of(start, end)
    feed = ReplayFeed(bars, step, start_ns=start_ns, end_ns=end_ns)
    tape = Tape()
    runner = StrategyRunner(
        broker=_broker(cash, costs, slippage, venue, symbols, market),
        feed=feed,
        sizing=sizing,
        limits=limits or (),
        tape=tape,
    )
    for one in loaded:
        runner.load_strategy(one, schedule, market)
    with resting_collector():
        with _progress(feed, progress), _interruptible(feed):
            _run(runner.replay)
        notes = [*_notes(runner, limits), f"Seed {seed}."]
        return _result(runner, feed, bars, tape, market, label, notes)


def _symbols_of(strategy: Any) -> tuple[str, ...]:
    if not isinstance(strategy, StrategyInterface):
        raise ConfigError(
            f"{strategy!r} is not a strategy; give an instance of a class that inherits from "
            "StrategyInterface."
        )
    check_strategy(strategy)
    if not strategy.symbols:
        raise ConfigError(f"symbols of {strategy.name} is empty; name at least one.")
    return strategy.symbols


def _broker(
    cash: Any,
    costs: Costs | None,
    slippage: Slippage | None,
    venue: Mapping[str, Any] | None,
    symbols: tuple[str, ...],
    calendar: Calendar | None,
) -> ReplayBroker:
    options = dict(venue or {})
    if calendar is not None:
        options.setdefault("calendars", [calendar])
        options.setdefault(
            "instruments", [Instrument(symbol=s, calendar=calendar.name) for s in symbols]
        )
    known = ("allow_short", "latency", "limit_to_quote_size", "target_first", "instruments")
    unknown = sorted(set(options) - {*known, "calendars", "currency"})
    if unknown:
        raise ConfigError(f"venue has {unknown[0]!r}, but may hold only {', '.join(known)}.")
    return ReplayBroker(cash, costs=costs, slippage=slippage, **options)


def _run(replay: Callable[[], Any]) -> None:
    """Drive the lane to its end, in a thread of its own where a loop is running already."""
    if not _is_in_loop():
        asyncio.run(replay())
        return
    with ThreadPoolExecutor(1, "ticklane-backtest") as pool:
        pool.submit(lambda: asyncio.run(replay())).result()


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _interruptible(feed: ReplayFeed) -> Iterator[None]:
    """The first Ctrl-C ends the replay at its next block, the second one is Python's own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        feed.stop()
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _progress(feed: ReplayFeed, progress: bool | Callable[[int, int], object]) -> Any:
    if callable(progress):
        feed.progress = progress
        return nullcontext()
    return _progress_bar(feed) if progress else nullcontext()


@contextmanager
def _progress_bar(feed: ReplayFeed, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """A bar in the terminal from when on the replay is a long run."""
    begin = clock()
    show: Callable[[int], None] | None = None

    def tell(done: int, total: int) -> None:
        nonlocal show
        if show is None and done < total and clock() - begin > _LONG_RUN:
            show = stack.enter_context(_drawn(total))
        if show is not None:
            show(done)

    with ExitStack() as stack:
        feed.progress = tell
        yield


@contextmanager
def _drawn(total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("replay"), BarColumn(), TextColumn("{task.completed:,.0f} ticks"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("replay", total=total)
        yield lambda done: bar.update(task, completed=done)


def _notes(runner: StrategyRunner, limits: Iterable[Rule] | None) -> list[str]:
    broker = runner.broker
    assert isinstance(broker, ReplayBroker)
    venue = broker.venue
    first = "target" if venue.target_first else "stop"
    return [
        "Market orders fill at the open of the next bar.",
        f"A bar that reaches stop and target fills the {first} first.",
        f"Costs: {_named(venue.costs)}. Slippage: {_named(venue.slippage)}.",
        "Short sales are allowed." if broker.allow_short else "Short sales are not allowed.",
        "Limits: as given." if limits else "Limits: none.",
    ]


def _named(model: object) -> str:
    words = {"NoCosts": "none", "NoSlippage": "none"}
    return words.get(type(model).__name__) or str(model)


def _result(
    runner: StrategyRunner,
    feed: ReplayFeed,
    bars: dict[str, Any],
    tape: Tape,
    calendar: Calendar | None,
    label: str,
    notes: list[str],
) -> BacktestResult:
    firsts = [h.first_tick_ns for h in runner.hosts.values() if h.first_tick_ns is not None]
    last_ns = runner.now_ns
    first_ns = min(firsts) if firsts else last_ns + 1
    cash = float(runner.broker.starting_cash)
    curve = equity_curve(bars, tape.fills, cash, tape.cash, tape.held, first_ns, last_ns)
    return BacktestResult(
        orders=tape.orders,
        fills=tape.fills,
        trades=[*tape.trades, *_open_trades(runner)],
        times=curve.times,
        equity=curve.equity,
        exposed=curve.exposed,
        starting_cash=runner.broker.starting_cash,
        cash=runner.portfolio.cash,
        bars=bars,
        timeframe=feed.timeframe,
        strategies=runner.get_status().strategies,
        calendar=calendar,
        label=label,
        notes=notes,
        is_partial=feed.is_stopped and len(feed.instants(last_ns)) > 0,
    )


def _open_trades(runner: StrategyRunner) -> list[Trade]:
    """Positions that are open at the end, marked at the last price."""
    found = []
    for book in runner.portfolio.books.values():
        for symbol, position in book.positions.items():
            price = runner.portfolio.price_of(symbol)
            trade = position.open_trade(exact(price)) if price is not None else None
            if trade is not None:
                found.append(trade)
    return found
