"""When the venue is open, as Alpaca tells it: sessions, extended hours, clock and calendar."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ticklane.core.market import DAY, HOUR, to_datetime, to_ns
from ticklane.data.calendars import calendar_of
from ticklane.interfaces import Calendar, Session

_ZONE = ZoneInfo("America/New_York")
_FIRST, _LAST = date(2016, 1, 1), 1  # the calendar endpoint's reach: years ahead


class ExtendedHours:
    """The sessions of another calendar with what comes before and after: 4:00 to 20:00."""

    name = "extended"
    timezone = "America/New_York"

    def __init__(self, regular: Calendar) -> None:
        self.regular = regular

    def session(self, at_ns: int) -> Session:
        """The extended session that is open at an instant, else the next one."""
        found = self._around(self.regular.session(at_ns - 8 * HOUR))
        while found.close_ns <= at_ns:
            found = self._around(self.regular.session(found.close_ns))
        return found

    def _around(self, session: Session) -> Session:
        day = to_datetime(session.open_ns).astimezone(_ZONE)
        first = day.replace(hour=4, minute=0, second=0, microsecond=0)
        return Session(to_ns(first), to_ns(first.replace(hour=20)))


class Hours:
    """The venue's hours: those of an exchange, or around the clock where there is none."""

    def __init__(self, calendar: str | None) -> None:
        self.calendar = calendar_of(calendar)
        self.name = calendar
        self.extended = None if self.calendar is None else ExtendedHours(self.calendar)

    def is_open(self, at_ns: int, is_extended: bool = False) -> bool:
        """True in a session (or in extended hours)."""
        calendar = self.extended if is_extended else self.calendar
        return calendar is None or calendar.session(at_ns).open_ns <= at_ns

    def session_end(self, at_ns: int, is_extended: bool = False) -> int:
        """When a day order placed now ends."""
        calendar = self.extended if is_extended else self.calendar
        return at_ns - at_ns % DAY + DAY if calendar is None else calendar.session(at_ns).close_ns

    def is_same_day(self, one_ns: int, other_ns: int) -> bool:
        """True for two instants on one day in New York."""
        days = {to_datetime(at).astimezone(_ZONE).date() for at in (one_ns, other_ns)}
        return len(days) == 1

    def clock(self, at_ns: int) -> dict[str, Any]:
        """The answer of `/v2/clock`."""
        is_open, opens, closes = True, at_ns - at_ns % DAY + DAY, at_ns - at_ns % DAY + DAY
        if self.calendar is not None:
            session = self.calendar.session(at_ns)
            is_open = session.open_ns <= at_ns
            later = self.calendar.session(session.close_ns) if is_open else session
            opens, closes = later.open_ns, session.close_ns
        return {
            "timestamp": _local(at_ns),
            "is_open": is_open,
            "next_open": _local(opens),
            "next_close": _local(closes),
        }

    def days(self, first: date | None, last: date | None) -> list[dict[str, Any]]:
        """The answer of `/v2/calendar`: trading days, with their hours in New York."""
        calendar = calendar_of(self.name or "XNYS")
        assert calendar is not None
        start, end = first or _FIRST, last or (date.today() + timedelta(days=365 * _LAST))  # noqa: DTZ011
        from_ns, until_ns = _midnight(start), _midnight(end + timedelta(days=1))
        return [_day(session) for session in calendar.sessions_between(from_ns, until_ns)]


def _midnight(day: date) -> int:
    return to_ns(datetime(day.year, day.month, day.day, tzinfo=_ZONE))


def _local(at_ns: int) -> str:
    return to_datetime(at_ns).astimezone(_ZONE).isoformat()


def _day(session: Session) -> dict[str, Any]:
    opens, closes = (to_datetime(at).astimezone(_ZONE) for at in session)
    return {
        "date": opens.date().isoformat(),
        "open": opens.strftime("%H:%M"),
        "close": closes.strftime("%H:%M"),
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": (opens.date() + timedelta(days=1)).isoformat(),
    }
