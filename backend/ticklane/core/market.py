"""What is observed: bars, quotes, ticks and columns of bars. Observations are floats."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ticklane.core.errors import ConfigError, StrategyError
from ticklane.core.plain_tuple import maker_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def to_datetime(time_ns: int) -> datetime:
    """Turn nanoseconds since the epoch into an aware UTC datetime (to the microsecond)."""
    return EPOCH + timedelta(microseconds=time_ns // 1000)


def to_ns(instant: datetime) -> int:
    """Turn a datetime into nanoseconds since the epoch; a naive one means UTC."""
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000


class Bar(NamedTuple):
    """One completed bar. Prices are floats; it never changes afterwards.

    `.time` is its close, the instant at which it may be known. `bar["close"]` and `bar["price"]`
    read the same as `.close`.
    """

    symbol: str
    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def time(self) -> datetime:
        """The close of the bar, aware UTC."""
        return to_datetime(self.close_ns)

    @property
    def opened_at(self) -> datetime:
        """The opening of the bar, aware UTC."""
        return to_datetime(self.open_ns)

    @property
    def price(self) -> float:
        """The newest price the bar tells: its close."""
        return self.close

    def __getitem__(self, key: Any) -> Any:
        return _field(self, key) if key.__class__ is str else tuple.__getitem__(self, key)


class Quote(NamedTuple):
    """The best bid and ask at one instant; `.price` (and `.close`) is the mid."""

    symbol: str
    time_ns: int
    bid: float
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0

    @property
    def time(self) -> datetime:
        """The instant of the quote, aware UTC."""
        return to_datetime(self.time_ns)

    @property
    def price(self) -> float:
        """The mid of bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def close(self) -> float:
        """The mid as well, so that a strategy may read bars and quotes alike."""
        return (self.bid + self.ask) / 2

    @property
    def close_ns(self) -> int:
        """The instant of the quote in nanoseconds, named as on a Bar."""
        return self.time_ns

    def __getitem__(self, key: Any) -> Any:
        return _field(self, key) if key.__class__ is str else tuple.__getitem__(self, key)


def _field(observed: Bar | Quote, key: str) -> Any:
    if key in ("price", "close", "time") or key in observed._fields:
        return getattr(observed, key)
    raise KeyError(key)


Observation = Bar | Quote


class Tick(NamedTuple):
    """Everything that became known at one instant: `symbols` and `observed` run in parallel."""

    time_ns: int
    symbols: tuple[str, ...]
    observed: tuple[Observation, ...]


make_bar, make_tick = maker_of(Bar), maker_of(Tick)

PlainTick = tuple[int, tuple[str, ...], tuple[Observation, ...]]
"""A Tick, or its three fields in an exact tuple, which is made and taken apart faster."""
ClosedBar = tuple[int, Bar]
"""A bar and its close: all there is to a tick of one symbol."""


class MarketData(dict[str, Any]):
    """What a strategy sees at a tick: each subscribed symbol's newest Bar or Quote, read-only.

    `updated` are the symbols with something new at this tick, `time` is the instant. The mapping
    is refreshed for each tick: keep its bars, which never change, not the mapping.
    """

    __slots__ = ("time_ns", "updated")

    def __init__(self) -> None:
        super().__init__()
        self.updated: tuple[str, ...] = ()
        self.time_ns = 0

    @property
    def time(self) -> datetime:
        """The instant of this tick, aware UTC."""
        return to_datetime(self.time_ns)

    def __missing__(self, symbol: str) -> Any:
        known = ", ".join(self) or "no symbol"
        raise KeyError(f"there is no price of {symbol!r} at this tick, only of {known}")

    def _refuse(self, *_arguments: Any, **_named: Any) -> Any:
        raise StrategyError("market_data is read-only; keep values of your own in self.state.")

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)  # a copy is a dict of the copier's own

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = pop = popitem = setdefault = clear = _refuse


put_price = dict.__setitem__  # how the lane itself writes into MarketData
put_prices = dict.update


_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """The length of a bar: `Timeframe.parse("5m")`; units are s, m, h and d."""

    ns: int

    @classmethod
    def parse(cls, text: str | Timeframe | timedelta) -> Timeframe:
        """Read `"1m"`, `"15m"`, `"1h"`, `"1d"` or a timedelta; raises ConfigError otherwise."""
        if isinstance(text, Timeframe):
            return text
        if isinstance(text, timedelta) and text > timedelta(0):
            return cls(text // timedelta(microseconds=1) * 1000)
        found = re.fullmatch(r"\s*(\d+)\s*([smhdSHD])\s*", str(text))
        if not found or int(found[1]) == 0:
            raise ConfigError(
                f"timeframe is {text!r}, but must be a number and a unit such as 1m, 1h or 1d."
            )
        return cls(int(found[1]) * _UNITS[found[2].lower()])

    @property
    def is_daily(self) -> bool:
        """True for bars of a day and longer."""
        return self.ns >= DAY

    def __str__(self) -> str:
        for unit in ("d", "h", "m", "s"):
            if self.ns % _UNITS[unit] == 0:
                return f"{self.ns // _UNITS[unit]}{unit}"
        return f"{self.ns / SECOND:g}s"


Column = NDArray[np.float64]
Instants = NDArray[np.int64]
COLUMNS = ("open_ns", "close_ns", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """The bars of one symbol as columns of equal length, oldest first, times strictly rising.

    `open_ns` and `close_ns` are int64 nanoseconds UTC, the others float64.
    """

    symbol: str
    open_ns: Instants
    close_ns: Instants
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    def __len__(self) -> int:
        return len(self.close_ns)

    @property
    def time(self) -> NDArray[np.datetime64]:
        """The close of each bar as datetime64[ns], UTC."""
        return self.close_ns.view("datetime64[ns]")

    def columns(self) -> tuple[Any, ...]:
        """The seven arrays in the order of COLUMNS."""
        return tuple(getattr(self, name) for name in COLUMNS)

    def between(self, first: int, last: int) -> Bars:
        """Rows `first` to `last` (exclusive), as views."""
        return Bars(self.symbol, *(column[first:last] for column in self.columns()))

    def last(self, count: int, until_ns: int) -> Bars:
        """Copies of the last `count` bars that closed at or before `until_ns`, read-only."""
        end = int(np.searchsorted(self.close_ns, until_ns, side="right"))
        start = max(0, end - max(0, count))
        copies = [column[start:end].copy() for column in self.columns()]
        for column in copies:
            column.setflags(write=False)
        return Bars(self.symbol, *copies)

    def rows(self) -> Iterable[Bar]:
        """Each row as a Bar."""
        lists = (column.tolist() for column in self.columns())
        return (Bar(self.symbol, *row) for row in zip(*lists, strict=True))

    @classmethod
    def of(cls, symbol: str, bars: Iterable[Bar]) -> Bars:
        """Gather Bars (oldest first) into columns."""
        rows = list(bars)
        arrays = [
            np.array(
                [getattr(bar, name) for bar in rows], np.int64 if name.endswith("_ns") else float
            )
            for name in COLUMNS
        ]
        return cls(symbol, *arrays)
