"""When markets are open: around the clock, or the sessions of an exchange."""

from __future__ import annotations

import warnings
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, to_datetime, to_ns
from ticklane.interfaces import Session

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar as Source  # type: ignore[import-untyped]

# How far beyond an instant outside the known span the next build reaches.
_YEARS_BACK = 5
_YEARS_AHEAD = 1
_FIRST, _LAST = date(1700, 1, 1), date(2250, 12, 31)  # what 64 bits of nanoseconds can say


class AlwaysOpen:
    """A market that never closes; its sessions are the UTC days."""

    name = "24/7"
    timezone = "UTC"

    def session(self, at_ns: int) -> Session:
        """The UTC day of an instant."""
        opening = at_ns - at_ns % DAY
        return Session(opening, opening + DAY)

    def session_of_date(self, day: date) -> Session:
        """The UTC day of a date."""
        return self.session(_midnight(day))

    def sessions_between(self, start_ns: int, end_ns: int) -> list[Session]:
        """The days that begin at or after `start_ns` and before `end_ns`."""
        first = start_ns + -start_ns % DAY
        return [Session(opening, opening + DAY) for opening in range(first, end_ns, DAY)]


class ExchangeCalendar:
    """The sessions of an exchange, holidays and early closes included, by exchange_calendars.

    A session runs from the opening to the closing of its day; lunch breaks count as open. The
    first build covers 20 years back to one year ahead and takes 0.1 to 0.8 s; an instant outside
    is answered after a wider build. Raises ConfigError for an unknown name, or for an instant
    outside the years for which the exchange's holidays are recorded.
    """

    def __init__(self, name: str) -> None:
        self.name = _resolved(name)
        source = _build(self.name)
        self.timezone = str(source.tz)
        self._take(source, None)

    def session(self, at_ns: int) -> Session:
        """The session that is open at an instant (opening <= instant < closing), else the next."""
        if not self._from_ns <= at_ns < self._until_ns:
            self._reach(at_ns)
        return self._sessions[bisect_right(self._closes, at_ns)]

    def session_of_date(self, day: date) -> Session | None:
        """The session that the exchange counts to a date; None on holidays and weekends."""
        self._reach(_midnight(day))
        number = day.toordinal()
        row = bisect_left(self._days, number)
        is_there = row < len(self._days) and self._days[row] == number
        return self._sessions[row] if is_there else None

    def sessions_between(self, start_ns: int, end_ns: int) -> list[Session]:
        """The sessions that open at or after `start_ns` and before `end_ns`."""
        self._reach(start_ns)
        self._reach(end_ns)
        return self._sessions[bisect_left(self._opens, start_ns) : bisect_left(self._opens, end_ns)]

    def _reach(self, at_ns: int) -> None:
        """Build a wider calendar when this instant lies outside the known span."""
        if self._from_ns <= at_ns < self._until_ns:
            return
        asked = _utc_day(at_ns)
        start, end = _utc_day(self._from_ns), _utc_day(self._until_ns)
        if at_ns < self._from_ns:
            start = self._within(date(max(asked.year - _YEARS_BACK, 1), 1, 1))
        else:
            end = self._within(date(min(asked.year + _YEARS_AHEAD, 9999), 12, 31))
        if not start <= asked <= end:
            raise self._out_of_reach(asked)
        self._take(_build(self.name, start, end), start)
        if not self._from_ns <= at_ns < self._until_ns:
            raise self._out_of_reach(asked)

    def _within(self, day: date) -> date:
        return min(max(day, self._earliest or _FIRST), self._latest or _LAST)

    def _out_of_reach(self, asked: date) -> ConfigError:
        known = f"{self._earliest or _FIRST} to {self._latest or _LAST}"
        return ConfigError(
            f"The calendar {self.name} knows the holidays of {known} only, but {asked} was asked "
            "for; choose other dates or another calendar."
        )

    def _take(self, source: Source, start: date | None) -> None:
        opens = source.schedule["open"].dt.as_unit("ns").astype("int64").tolist()
        closes = source.schedule["close"].dt.as_unit("ns").astype("int64").tolist()
        self._days: list[int] = [day.toordinal() for day in source.sessions.date]
        self._opens: list[int] = opens
        self._closes: list[int] = closes
        self._sessions = [Session(*both) for both in zip(opens, closes, strict=True)]
        self._from_ns = opens[0] if start is None else min(opens[0], _midnight(start))
        self._until_ns = closes[-1]
        bounds = (source.bound_min(), source.bound_max())
        self._earliest, self._latest = (None if b is None else b.date() for b in bounds)


@cache
def calendar_of(name: str | None) -> AlwaysOpen | ExchangeCalendar | None:
    """The calendar of a market by its name, such as "XNYS" or "24/7"; None for None.

    Built once a process. Raises ConfigError for an unknown name.
    """
    if name is None:
        return None
    return AlwaysOpen() if name == AlwaysOpen.name else ExchangeCalendar(name)


def _resolved(name: str) -> str:
    import exchange_calendars

    names = exchange_calendars.get_calendar_names(include_aliases=True)
    spelled = {known.casefold(): known for known in names}
    known = spelled.get(str(name).strip().casefold())
    if known is None:
        raise ConfigError(
            f"calendar is {name!r}, but must be the code of an exchange such as XNYS, XNAS, XLON, "
            "XETR, XTKS or CMES, or 24/7."
        )
    return str(exchange_calendars.resolve_alias(known))


def _build(name: str, start: date | None = None, end: date | None = None) -> Source:
    import exchange_calendars
    import pandas as pd

    span: dict[str, Any] = {"start": start, "end": end}
    asked = {key: pd.Timestamp(day) for key, day in span.items() if day is not None}
    with warnings.catch_warnings():
        # exchange_calendars 4.13 reads Series.values, which pandas 3.1 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        return exchange_calendars.get_calendar(name, **asked)


def _midnight(day: date) -> int:
    return to_ns(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _utc_day(at_ns: int) -> date:
    return to_datetime(at_ns).date()
