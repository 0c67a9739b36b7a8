"""When a strategy ticks: aligned intervals and crontab, worked out without reading any clock."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from numbers import Real
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, EPOCH, HOUR, MINUTE, SECOND, Timeframe, to_datetime, to_ns
from ticklane.interfaces import Calendar, Session

_MICROSECOND = 1000
_LONGEST = 3660 * DAY
_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_WORDS = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "day": "d"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")  # as crontab counts them
_READABLE = "seconds, a text such as 30s, 5m, 1h or 1d, or crontab such as '0 16 * * 1-5'"
_EMPTY_SESSIONS = 400  # after that many days without one tick there never is one
_EMPTY_DAYS = 12 * 366  # 29 February comes once in eight years around 2100


class Schedule(ABC):
    """The instants at which a strategy ticks."""

    @staticmethod
    def parse(
        value: Any, calendar: Calendar | None = None, name: str = "interval"
    ) -> Schedule | None:
        """Read `interval=`, `tick_interval=` or `schedule=`; None stands for every bar.

        `value` is a number of seconds, a timedelta, a text ("30s", "5m", "1h", "1d") or five
        fields of crontab in the calendar's time zone (UTC without a calendar). An interval is
        aligned to the UTC epoch, with a calendar to the opening of the session; one of whole days
        then means the session's close. With a calendar there are ticks at `open < t <= close`
        only. `name` is the setting's name in the message. Raises ConfigError.
        """
        if value is None or isinstance(value, Schedule):
            return value
        if isinstance(value, str) and len(value.split()) > 2:
            return _Cron(value, calendar, name)
        length = _length(value, name)
        if calendar is None:
            return _Interval(length)
        if length < DAY:
            return _InSessions(length, calendar)
        if length % DAY:
            raise ConfigError(
                f"{name} is {value!r}, but with a calendar it must be shorter than a day "
                "or whole days."
            )
        return _AtCloses(length // DAY, calendar)

    @abstractmethod
    def after(self, ns: int) -> int:
        """The first instant strictly later than `ns`, both in nanoseconds since the epoch.

        Raises ConfigError when no session of the calendar ever holds one.
        """

    @abstractmethod
    def describe(self) -> str:
        """The schedule in words for people."""

    def __repr__(self) -> str:
        return f"<Schedule {self.describe()}>"


class _Interval(Schedule):
    """Every so often from the UTC epoch on: APScheduler's IntervalTrigger, but exact to the ns."""

    def __init__(self, step: int) -> None:
        self._step = step

    def after(self, ns: int) -> int:
        return (ns // self._step + 1) * self._step

    def describe(self) -> str:
        return f"every {_text(self._step)}"


class _InSessions(Schedule):
    """Every so often inside the sessions of a calendar, counted from each opening."""

    def __init__(self, step: int, calendar: Calendar) -> None:
        self._step = step
        self._calendar = calendar
        self._session = Session(0, 0)

    def after(self, ns: int) -> int:
        session = self._session
        if not session.open_ns <= ns < session.close_ns:
            session = _unclosed(self._calendar, ns)
        for _ in range(_EMPTY_SESSIONS):
            passed = max(0, (ns - session.open_ns) // self._step)
            instant = session.open_ns + (passed + 1) * self._step
            if instant <= session.close_ns:
                self._session = session
                return instant
            session = _unclosed(self._calendar, session.close_ns)
        raise ConfigError(
            f"interval is {_text(self._step)}, but no session of {self._calendar.name} is that "
            "long; use 1d for a tick at each close."
        )

    def describe(self) -> str:
        return f"every {_text(self._step)} in the sessions of {self._calendar.name}"


class _AtCloses(Schedule):
    """Each close of a calendar's sessions; of several days, the last close of each such block.

    Blocks are counted in days since 1970-01-01 in the calendar's time zone.
    """

    def __init__(self, days: int, calendar: Calendar) -> None:
        self._days = days
        self._calendar = calendar
        self._zone = _zone(_zone_name(calendar))
        self._asked = self._found = 0

    def after(self, ns: int) -> int:
        if not self._asked <= ns < self._found:
            self._asked, self._found = ns, self._find(ns)
        return self._found

    def _find(self, ns: int) -> int:
        session = _unclosed(self._calendar, ns)
        if self._days == 1:
            return session.close_ns
        following = _unclosed(self._calendar, session.close_ns)
        while self._block(following) == self._block(session):
            session, following = following, _unclosed(self._calendar, following.close_ns)
        return session.close_ns

    def _block(self, session: Session) -> int:
        last = session.close_ns - _MICROSECOND  # a close at midnight belongs to the day before
        return (last + _offset(self._zone, last)) // DAY // self._days

    def describe(self) -> str:
        rhythm = "every" if self._days == 1 else f"every {self._days}d at a"
        return f"{rhythm} session close of {self._calendar.name}"


class _Cron(Schedule):
    """Five fields of crontab, in the calendar's time zone and inside its sessions.

    As in crontab, 0 and 7 are Sunday, and where both day fields are restricted either suffices.
    APScheduler finds the dates, in wall time: given the zone itself, its 3.11 loses the Monday
    midnight after the clocks went forward (issues 529 and 606). An instant that daylight saving
    skips comes that much later; one that it repeats comes once, unless the cron runs every hour.
    The first instants are those of 1970.
    """

    def __init__(self, text: str, calendar: Calendar | None = None, name: str = "schedule") -> None:
        minutes, hours, *dates = _read_fields(text, name)
        self._text = " ".join(text.split())
        self._calendar = calendar
        self._zone_name = _zone_name(calendar)
        self._zone = _zone(self._zone_name)
        self._is_hourly = len(hours) == 24
        self._times = [hour * HOUR + minute * MINUTE for hour in hours for minute in minutes]
        self._dates = _date_triggers(self._text.split()[2:], *dates)
        self._name = name
        self._span = max(1, min(7, 2048 // len(self._times)))  # days worked out at a time
        self._ahead: list[int] = []  # all instants later than _from, up to _until
        self._from = self._until = 0
        self._next_date(0)

    def after(self, ns: int) -> int:
        if not self._from <= ns < self._until:
            self._look_ahead(ns)
        return self._ahead[bisect_right(self._ahead, ns)]

    def describe(self) -> str:
        return f"cron {self._text} {self._zone_name}"

    def _look_ahead(self, ns: int) -> None:
        first = day = ns // DAY
        instants: list[int] = []
        tried, patience = 0, _EMPTY_SESSIONS * len(self._times)
        while not instants or instants[-1] <= ns:
            if self._calendar and (tried > patience or day - first > _EMPTY_DAYS):
                raise ConfigError(
                    f"{self._name} is {self._text!r}, but none of its instants lies inside a "
                    f"session of {self._calendar.name} ({self._zone_name} time)."
                )
            found = self._window(day)
            tried += len(found)
            instants += self._in_sessions(found)
            day += self._span
            # Wall and UTC dates differ by a day at most; another day covers a shift of the clocks.
            day = max(day, self._next_date(day - 2) - 2)
        self._from, self._until, self._ahead = first * DAY, instants[-1], instants

    def _window(self, day: int) -> list[int]:
        """All instants later than the start of a UTC day, up to the end of the last of the span."""
        start, end = day * DAY, (day + self._span) * DAY
        offset = _offset(self._zone, end)
        if offset == _offset(self._zone, start - DAY):
            walls: Iterable[int] = self._walls((start + offset) // DAY, (end + offset) // DAY)
            found = [wall - offset for wall in walls]
        else:
            walls = self._walls(day - 2, day + self._span + 2)
            found = sorted({instant for wall in walls for instant in self._instants(wall)})
        return [instant for instant in found if start < instant <= end]

    def _walls(self, first: int, last: int) -> Iterator[int]:
        """Wall times on the dates `first` to `last` (days since the epoch), as if they were UTC."""
        date = self._next_date(first)
        while date <= last:
            for time in self._times:
                yield date * DAY + time
            date = self._next_date(date + 1)

    def _next_date(self, day: int) -> int:
        midnight = to_datetime(day * DAY)
        found = (trigger.get_next_fire_time(None, midnight) for trigger in self._dates)
        dates: list[int] = [(date - EPOCH).days for date in found if date is not None]
        if not dates:
            raise ConfigError(f"{self._name} is {self._text!r}, but there is no such date.")
        return min(dates)

    def _instants(self, wall: int) -> list[int]:
        local = to_datetime(wall).replace(tzinfo=self._zone)
        first, second = to_ns(local), to_ns(local.replace(fold=1))
        return [first, second] if self._is_hourly and second > first else [first]

    def _in_sessions(self, instants: list[int]) -> list[int]:
        if self._calendar is None:
            return instants
        kept, session = [], Session(0, 0)
        for instant in instants:
            if instant > session.close_ns:
                session = _unclosed(self._calendar, instant - 1)
            if instant > session.open_ns:
                kept.append(instant)
        return kept


def _unclosed(calendar: Calendar, ns: int) -> Session:
    """The first session that closes later than `ns`."""
    session = calendar.session(ns)
    return session if session.close_ns > ns else calendar.session(ns + 1)


def _zone_name(calendar: Calendar | None) -> str:
    return str(getattr(calendar, "timezone", "UTC"))


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(
            f"timezone of the calendar is {name!r}, which this machine does not know; "
            "use an IANA name such as America/New_York and install tzdata."
        ) from None


def _offset(zone: tzinfo, ns: int) -> int:
    shift = to_datetime(ns).astimezone(zone).utcoffset() or timedelta(0)
    return shift // timedelta(microseconds=1) * _MICROSECOND


def _text(ns: int) -> str:
    for unit in ("d", "h", "m"):
        if ns % _UNITS[unit] == 0:
            return f"{ns // _UNITS[unit]}{unit}"
    return f"{(Decimal(ns) / SECOND).normalize():f}s"


def _length(value: Any, name: str) -> int:
    """An interval in nanoseconds."""
    exact = _exact_length(value)
    if exact is None or not exact.is_finite():
        raise ConfigError(f"{name} is {value!r}, but must be {_READABLE}.")
    if not _MICROSECOND <= exact <= _LONGEST:
        raise ConfigError(
            f"{name} is {value!r}, but must be longer than zero (one microsecond at least) "
            "and at most ten years."
        )
    return round(exact)


def _exact_length(value: Any) -> Decimal | None:
    if isinstance(value, Timeframe):
        return Decimal(value.ns)
    if isinstance(value, timedelta):
        return Decimal(value // timedelta(microseconds=1)) * _MICROSECOND
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        try:
            return Decimal(str(value)) * SECOND
        except InvalidOperation:
            return None
    return _read_length(value) if isinstance(value, str) else None


def _read_length(text: str) -> Decimal | None:
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not found or found[2] == "M":  # a month to some, a minute to others
        return None
    unit = found[2].lower() or "s"
    unit = _WORDS.get(unit.removesuffix("s"), unit)
    return Decimal(found[1]) * _UNITS[unit] if unit in _UNITS else None


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    highest: int = 0  # 7 for weekdays: Sunday once more


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, _WEEKDAYS, highest=7),
)


def _read_fields(text: str, name: str) -> list[list[int]]:
    """The values of each of the five fields, rising; weekdays are 0 (Sunday) to 6."""
    given = text.split()
    if len(given) != 5:
        raise ConfigError(
            f"{name} is {text!r}, but crontab has five fields: "
            "minute, hour, day of the month, month, weekday."
        )
    return [_read_field(field, part, name) for field, part in zip(_FIELDS, given, strict=True)]


def _read_field(field: _Field, text: str, name: str) -> list[int]:
    """Read a list of `*`, `a` or `a-b`, each with an optional `/step`."""
    try:
        values = {value for item in text.split(",") for value in _read_item(field, item)}
    except ValueError:
        raise ConfigError(
            f"{name} has the {field.name} {text!r}, but crontab knows {field.low} to "
            f"{field.highest or field.high}, lists, rising ranges and steps, and *."
        ) from None
    return sorted({value % 7 for value in values} if field.highest else values)


def _read_item(field: _Field, item: str) -> range:
    found = re.fullmatch(r"(?:\*|([0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?)(?:/(\d{1,2}))?", item)
    if not found:
        raise ValueError(item)
    first, last, step = found.groups()
    low = _read_number(field, first) if first else field.low
    high = field.high if step or not first else low
    if last:
        high = _read_number(field, last)
        if field.highest and high == 0 < low:  # fri-sun
            high = 7
    if low > high:
        raise ValueError(item)
    return range(low, high + 1, int(step or 1))  # a step of 0 is a ValueError as well


def _read_number(field: _Field, text: str) -> int:
    if text.lower() in field.words:
        return field.words.index(text.lower()) + field.low
    if not field.low <= int(text) <= (field.highest or field.high):
        raise ValueError(text)
    return int(text)


def _date_triggers(
    fields: list[str], days: list[int], months: list[int], weekdays: list[int]
) -> tuple[Any, ...]:
    """APScheduler's triggers of the matching dates, at midnight."""
    by_day, by_weekday = _listed(days, 31), _listed([_WEEKDAYS[day] for day in weekdays], 7)
    if fields[0].startswith("*") or fields[2].startswith("*"):
        return (_date_trigger(by_day, months, by_weekday),)
    return (_date_trigger(by_day, months, "*"), _date_trigger("*", months, by_weekday))


def _date_trigger(days: str, months: list[int], weekdays: str) -> Any:
    from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]

    month = _listed(months, 12)
    return CronTrigger(
        month=month, day=days, day_of_week=weekdays, hour=0, minute=0, second=0, timezone=UTC
    )


def _listed(values: list[Any], full: int) -> str:
    return "*" if len(values) == full else ",".join(map(str, values))
