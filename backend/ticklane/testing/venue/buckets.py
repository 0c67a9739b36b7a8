"""Timeframes as Alpaca counts them: which bar of 5 minutes, a day or a quarter an instant is in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, Bars, Instants, to_ns

STOCK_ZONE, CRYPTO_ZONE = ZoneInfo("America/New_York"), ZoneInfo("America/Chicago")
_UNITS = {
    "min": "Min",
    "t": "Min",
    "hour": "Hour",
    "h": "Hour",
    "day": "Day",
    "d": "Day",
    "week": "Week",
    "w": "Week",
    "month": "Month",
    "m": "Month",
}
_LARGEST = {"Min": 59, "Hour": 23, "Day": 1, "Week": 1}
_MONTHS = (1, 2, 3, 4, 6, 12)


class Buckets:
    """The bars of one timeframe: `starts` gives the stamp of the bar that holds each instant.

    Minutes and hours are counted from midnight UTC, days and longer from midnight in the zone of
    the market (New York for stocks, Chicago for crypto, as Alpaca does).
    """

    def __init__(self, amount: int, unit: str, zone: ZoneInfo) -> None:
        self.amount, self.unit, self.zone = amount, unit, zone

    @classmethod
    def parse(cls, timeframe: str | int | Buckets, is_crypto: bool = False) -> Buckets:
        """Read "5Min", "1H", "1Day", "1Week", "12Month", or nanoseconds; raises ConfigError."""
        if isinstance(timeframe, Buckets):
            return timeframe
        zone = CRYPTO_ZONE if is_crypto else STOCK_ZONE
        if isinstance(timeframe, int):
            return cls(*_of_ns(timeframe), zone)
        found = re.fullmatch(r"(\d+)\s*([A-Za-z]+)", timeframe.strip())
        text = found[2] if found else ""
        unit = _UNITS.get("m" if text == "M" else "t" if text == "m" else text.lower())
        amount = int(found[1]) if found else 0
        if unit is None or not _is_allowed(amount, unit):
            raise ConfigError(
                f"timeframe is {timeframe!r}, but must be 1Min to 59Min, 1Hour to 23Hour, 1Day, "
                "1Week, or 1, 2, 3, 4, 6 or 12Month."
            )
        return cls(amount, unit, zone)

    @property
    def is_intraday(self) -> bool:
        """True for minutes and hours."""
        return self.unit in ("Min", "Hour", "Sec")

    @property
    def is_coarse(self) -> bool:
        """True for hours and longer."""
        return not self.is_intraday or self.step_ns >= HOUR

    @property
    def step_ns(self) -> int:
        """The length of an intraday bar."""
        return self.amount * {"Sec": SECOND, "Min": MINUTE, "Hour": HOUR}[self.unit]

    def start(self, at_ns: int) -> int:
        """The stamp of the bar that holds an instant."""
        if self.is_intraday:
            return _floor_in_day(at_ns, self.step_ns)
        return _start_of_days(at_ns // HOUR, self.zone, self.unit, self.amount)

    def end(self, start_ns: int) -> int:
        """Where the bar with this stamp ends."""
        if self.is_intraday:
            midnight = start_ns - start_ns % DAY
            return min(start_ns + self.step_ns, midnight + DAY)
        return _end_of_days(start_ns, self.zone, self.unit, self.amount)

    def starts(self, instants: Instants) -> Instants:
        """`start` of many instants."""
        if self.is_intraday:
            in_day = instants % DAY
            return instants - in_day % self.step_ns
        hours, where = np.unique(instants // HOUR, return_inverse=True)
        found = [_start_of_days(h, self.zone, self.unit, self.amount) for h in hours.tolist()]
        return np.array(found, np.int64)[where]


def gather(base: Bars, buckets: Buckets, start_ns: int, end_ns: int) -> Bars:
    """Base bars as bars of a timeframe whose stamps lie in start to end (both inclusive).

    A base bar belongs where its last moment is, so one that is longer than the timeframe (a day
    asked for in minutes) stands in the last of its pieces, and is known when that one is.
    """
    starts = buckets.starts(base.close_ns - 1)
    keep = (starts >= start_ns) & (starts <= end_ns)
    first, last = _ends_of(keep)
    return _grouped(base.between(first, last), starts[first:last], buckets.end)


def _ends_of(keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[int, int]:
    rows = np.flatnonzero(keep)
    return (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)


def _grouped(base: Bars, starts: Instants, end: Callable[[int], int]) -> Bars:
    """One bar a run of equal starts."""
    if not len(base):
        return base
    first = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
    last = np.append(first[1:], len(starts)) - 1
    stamps = starts[first].copy()
    return Bars(
        base.symbol,
        stamps,
        np.array([end(stamp) for stamp in stamps.tolist()], np.int64),
        base.open[first].copy(),
        np.maximum.reduceat(base.high, first),
        np.minimum.reduceat(base.low, first),
        base.close[last].copy(),
        np.add.reduceat(base.volume, first),
    )


def _is_allowed(amount: int, unit: str) -> bool:
    return amount in _MONTHS if unit == "Month" else 1 <= amount <= _LARGEST[unit]


def _of_ns(step: int) -> tuple[int, str]:
    for unit, length in (("Day", DAY), ("Hour", HOUR), ("Min", MINUTE), ("Sec", SECOND)):
        if step and step % length == 0 and (unit != "Day" or step == DAY):
            return step // length, unit
    raise ConfigError(f"timeframe is {step} ns, but must be whole seconds up to a day.")


def _floor_in_day(at_ns: int, step: int) -> int:
    return at_ns - at_ns % DAY % step


@lru_cache(maxsize=200_000)
def _start_of_days(hour: int, zone: ZoneInfo, unit: str, amount: int) -> int:
    """The first midnight of the day, week or months that an hour (counted from 1970) is in."""
    day = datetime.fromtimestamp(hour * 3600, UTC).astimezone(zone)
    day = day.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if unit == "Week":
        day -= timedelta(days=day.weekday())
    elif unit == "Month":
        day = day.replace(day=1, month=(day.month - 1) // amount * amount + 1)
    return to_ns(day)


@lru_cache(maxsize=50_000)
def _end_of_days(start_ns: int, zone: ZoneInfo, unit: str, amount: int) -> int:
    day = datetime.fromtimestamp(start_ns // SECOND, UTC).astimezone(zone)
    if unit == "Month":
        month = day.month - 1 + amount
        return to_ns(day.replace(year=day.year + month // 12, month=month % 12 + 1))
    return to_ns(day + timedelta(days=7 if unit == "Week" else amount))
