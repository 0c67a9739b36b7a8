"""From settings to a wired runner: the table of three swaps (clock, feed, broker)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ticklane.clock import SystemClock
from ticklane.core.costs import (
    Costs,
    FixedSlippage,
    HalfSpreadSlippage,
    PercentCosts,
    PercentSlippage,
    PerOrderCosts,
    PerShareCosts,
    Slippage,
    VolumeShareSlippage,
)
from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument
from ticklane.core.market import SECOND, Timeframe
from ticklane.core.symbols import normal_symbol
from ticklane.engine.opening import checked_calendar
from ticklane.engine.runner import StrategyRunner as Lane
from ticklane.interfaces import BrokerInterface, Calendar, Clock, Feed, StrategyInterface

if TYPE_CHECKING:
    from ticklane.app.settings import Settings
    from ticklane.risk.manager import Rule
    from ticklane.storage.service import StorageService


class StrategyRunner(Lane):
    """The runner as users get it: calendars by name, and a simulated market when no feed is
    given (labelled SIMULATED; its bars are as long as the tick interval, at most a second)."""

    def find_calendar(self, calendar: Any) -> Calendar | None:
        """A Calendar, or the name of one such as "XNYS" or "24/7"."""
        return find_calendar(calendar)

    def make_feed(self) -> Feed:
        """A simulated market in real time for all loaded symbols."""
        from ticklane.data.feeds import SimulatedFeed

        self.clock = self.clock or SystemClock()
        symbols = tuple(dict.fromkeys(s for h in self.hosts.values() for s in h.strategy.symbols))
        step = SECOND
        interval = self._tick_interval
        if isinstance(interval, int | float) and not isinstance(interval, bool):
            step = min(step, max(1_000_000, int(interval * SECOND)))
        return SimulatedFeed(symbols, clock=self.clock, timeframe=Timeframe(step))


def find_calendar(calendar: Any) -> Calendar | None:
    """A Calendar stays one; a name such as "XNYS" or "24/7" is looked up."""
    if not isinstance(calendar, str):
        return checked_calendar(calendar)
    from ticklane.data.calendars import calendar_of

    return calendar_of(calendar)


def build_runner(settings: Settings, storage: StorageService | None = None) -> StrategyRunner:
    """Wire what the settings say. Raises ConfigError, DataError and StrategyError."""
    from ticklane.app.alpaca import check_start, usual_calendar

    check_start(settings)
    strategies = make_strategies(settings)
    calendar = find_calendar(settings.calendar)
    symbols = tuple(dict.fromkeys(symbol for one in strategies for symbol in one.symbols))
    feed, clock = make_feed(settings, symbols, calendar)
    runner = StrategyRunner(
        broker=make_broker(settings, symbols, calendar),
        storage=storage,
        feed=feed,
        clock=clock,
        tick_interval=settings.interval,
        sizing=settings.sizing or None,
        limits=make_limits(settings),
        signal_ttl=read_duration(settings.signal_ttl, "signal_ttl") or 60.0,
        fresh=settings.fresh,
        cancel_on_stop=settings.cancel_on_stop,
        run_config={"feed_source": settings.feed, "seed": settings.seed},
    )
    for block, strategy in zip(settings.strategy, strategies, strict=True):
        market = block.calendar or calendar or usual_calendar(settings, strategy.symbols)
        runner.load_strategy(strategy, block.interval, market, cash=block.cash)
    return runner


def make_strategies(settings: Settings) -> list[StrategyInterface]:
    """The configured strategies; those without symbols get all symbols of a recorded feed."""
    from ticklane.engine.registry import make_strategy

    if not settings.strategy:
        raise ConfigError(
            "no strategy is configured; name one with --strategy or in a [[strategy]] block of "
            "the config file."
        )
    from ticklane.app.alpaca import uses_alpaca

    made = []
    for block in settings.strategy:
        symbols = block.symbols or feed_symbols(settings)
        if uses_alpaca(settings):  # which knows BTC/USD by other names as well
            symbols = list(dict.fromkeys(map(normal_symbol, symbols)))
        config = {"symbols": symbols, **block.parameters}
        if block.name is not None:
            config["name"] = block.name
        made.append(make_strategy(block.strategy, config))
    return made


def feed_symbols(settings: Settings) -> list[str]:
    """The symbols that the configured feed tells of itself."""
    source = None if settings.feed == "alpaca" else _recorded(settings.feed)
    if source is None:
        raise ConfigError(
            "symbols are missing; name them with --symbols or in the [[strategy]] block."
        )
    from ticklane.app.prices import catalog_symbols
    from ticklane.data.files import load_bars

    return catalog_symbols(source) or list(load_bars(source, timeframe=settings.timeframe)[0])


def make_feed(
    settings: Settings, symbols: tuple[str, ...], calendar: Calendar | None
) -> tuple[Feed, Clock | None]:
    """The feed and, where it runs in real time, the machine's clock."""
    from ticklane.app.alpaca import make_alpaca_feed, uses_alpacas_prices
    from ticklane.app.prices import read_prices
    from ticklane.data.feeds import ReplayFeed, SimulatedFeed

    if uses_alpacas_prices(settings):
        return make_alpaca_feed(settings, symbols, calendar)
    source = _recorded(settings.feed)
    if source is not None:
        bars, step, label = read_prices(source, symbols, settings.timeframe, calendar)
        replay = ReplayFeed(
            bars,
            step,
            label=label or "REPLAY",
            speed=settings.speed,
            duration=settings.replay_seconds,
        )
        return replay, None
    clock = SystemClock()
    speed = settings.speed or 1.0
    step = Timeframe.parse(settings.timeframe or "1s")
    feed = SimulatedFeed(symbols, clock=clock, seed=settings.seed, timeframe=step, speed=speed)
    return feed, clock if speed == 1.0 else None


def _recorded(feed: str) -> str | None:
    """The source of a recorded feed, None for a simulated one."""
    if feed == "simulated":
        return None
    kind, _, rest = feed.partition(":")
    if kind in ("sample", "catalog") and rest:
        return feed
    if kind == "replay" and rest:
        return rest
    raise ConfigError(
        f"feed is {feed!r}, but must be simulated, alpaca, alpaca:polling, sample:AAPL, "
        "catalog:AAPL or replay:PATH."
    )


def make_limits(settings: Settings) -> tuple[Rule, ...]:
    """The limits before each order: by default those of `safe` wherever Alpaca is used."""
    from ticklane.app.alpaca import uses_alpaca
    from ticklane.risk.rules import read_limits

    default = "safe" if uses_alpaca(settings) else "none"
    if settings.limits is None or isinstance(settings.limits, str):
        return read_limits(settings.limits or default)
    changes = dict(settings.limits)
    return read_limits(changes.pop("profile", default), changes)


def make_broker(
    settings: Settings, symbols: tuple[str, ...], calendar: Calendar | None
) -> BrokerInterface:
    """The account at Alpaca, or the paper broker with the configured costs and slippage."""
    from ticklane.brokers.paper import PaperBroker

    if settings.broker == "alpaca":
        from ticklane.app.alpaca import make_alpaca_broker

        return make_alpaca_broker(settings, symbols)
    instruments = make_instruments(settings, symbols, calendar)
    names = {one.calendar for one in instruments if one.calendar is not None}
    return PaperBroker(
        settings.cash,
        costs=read_costs(settings.costs),
        slippage=read_slippage(settings.slippage),
        latency=timedelta(seconds=settings.latency),
        allow_short=settings.allow_short,
        instruments=instruments,
        calendars=[one for name in sorted(names) if (one := find_calendar(name)) is not None],
        currency=settings.currency,
    )


def make_instruments(
    settings: Settings, symbols: tuple[str, ...], calendar: Calendar | None
) -> list[Instrument]:
    """With prices of Alpaca its own instruments and rules, else plain ones."""
    from ticklane.app.alpaca import alpaca_instruments, uses_alpacas_prices

    if uses_alpacas_prices(settings):
        return alpaca_instruments(settings, symbols)
    name = calendar.name if calendar is not None else None
    return [
        Instrument(symbol=symbol, currency=settings.currency, calendar=name) for symbol in symbols
    ]


def read_costs(given: Mapping[str, Decimal]) -> Costs | None:
    """Turn `{"per_share": ...}` and its kin into a cost model."""
    match dict(given):
        case {} if not given:
            return None
        case {"per_share": amount, **rest} if not rest:
            return PerShareCosts(amount)
        case {"per_order": amount, **rest} if set(rest) <= {"rate"}:
            return PerOrderCosts(amount, rest.get("rate", Decimal(0)))
        case {"maker": maker, "taker": taker, **rest} if not rest:
            return PercentCosts(maker, taker)
    raise ConfigError(
        f"costs are {_shown(given)}, but must be per_share, per_order (with rate), or maker and "
        "taker in percent."
    )


def read_slippage(given: Mapping[str, Decimal]) -> Slippage | None:
    """Turn `{"percent": ...}` and its kin into a slippage model."""
    match dict(given):
        case {} if not given:
            return None
        case {"fixed": amount, **rest} if not rest:
            return FixedSlippage(amount)
        case {"percent": percent, **rest} if not rest:
            return PercentSlippage(percent)
        case {"spread_percent": percent, **rest} if not rest:
            return HalfSpreadSlippage(percent)
        case {"cap": cap, **rest} if set(rest) <= {"impact"}:
            return VolumeShareSlippage(cap, rest.get("impact", Decimal("0.1")))
    raise ConfigError(
        f"slippage is {_shown(given)}, but must be fixed, percent, spread_percent, or cap (with "
        "impact)."
    )


def _shown(given: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{key}={value}" for key, value in given.items())


def read_duration(value: str | float | None, name: str = "duration") -> float | None:
    """Turn "60s", "5m" or a number of seconds into seconds."""
    if value is None or value == "":
        return None
    text = str(value).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    else:
        try:
            seconds = Timeframe.parse(text).ns / SECOND
        except ConfigError:
            seconds = 0.0
    if seconds <= 0:
        raise ConfigError(f"{name} is {value!r}, but must be seconds or a text such as 60s or 5m.")
    return seconds
