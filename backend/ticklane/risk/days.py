"""The days of an account: from midnight to midnight by the wall clock of its market."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from ticklane.core.market import to_datetime, to_ns
from ticklane.interfaces import Calendar

_UTC = "UTC"


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a time zone; one in which the clocks change has 23 or 25 hours."""

    timezone: str = _UTC

    @classmethod
    def of_markets(cls, calendars: Iterable[Calendar | None]) -> Days:
        """Those of the exchange that is traded at; of UTC for coins, or for several zones."""
        zones = {one.timezone for one in calendars if one is not None} - {_UTC}
        return cls(zones.pop() if len(zones) == 1 else _UTC)

    def around(self, at_ns: int) -> tuple[int, int]:
        """The midnights at or before an instant and after it."""
        day = to_datetime(at_ns).astimezone(self._zone).date()
        return self._midnight(day), self._midnight(day + timedelta(days=1))

    @property
    def _zone(self) -> tzinfo:
        return UTC if self.timezone == _UTC else ZoneInfo(self.timezone)

    def __str__(self) -> str:
        return _UTC if self.timezone == _UTC else f"in {self.timezone}"

    def _midnight(self, day: date) -> int:
        return to_ns(datetime(day.year, day.month, day.day, tzinfo=self._zone).astimezone(UTC))
