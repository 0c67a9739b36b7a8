"""Which symbols are too quiet to be believed: what should have come by now, in this session."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ticklane.core.market import SECOND, Bars, Timeframe
from ticklane.interfaces import Calendar

LATENESS_NS = 3 * SECOND  # a vendor's bar may come so long after its close
_ALONE = math.log(0.025)  # a symbol's silence this improbable is looked into
_TOGETHER = math.log(0.001)  # and that of all symbols together
_LEAST, _MOST, _UNKNOWN = 0.02, 0.98, 0.5


class QuietWatch:
    """Knows how often each symbol has a bar while its market is open, and what is missing.

    Silence counts in bars that should have closed (three seconds ago) inside sessions since the
    symbol was heard of: nights, holidays and the hours after an early close count nothing.
    """

    def __init__(self, calendars: Mapping[str, Calendar | None], timeframe: Timeframe) -> None:
        self._calendars = dict(calendars)
        self._step = timeframe.ns
        self._counts: dict[str, list[int]] = {}  # bars that were there, and that could have been
        self._rates = dict.fromkeys(calendars, _UNKNOWN)
        self._heard: dict[str, int] = dict.fromkeys(calendars, 0)

    def learn(self, bars: Bars) -> None:
        """Take from history how many of a symbol's bars in sessions there are, and how many not.

        The bars must be of the timeframe of the watch.
        """
        calendar = self._calendars[bars.symbol]
        if calendar is None or len(bars) < 2:
            return
        first, last = int(bars.open_ns[0]), int(bars.close_ns[-1])
        possible = self.expected_bars(bars.symbol, first, last)
        self._count(
            bars.symbol, sum(_is_open(calendar, at) for at in bars.open_ns.tolist()), possible
        )

    def _count(self, symbol: str, there: int, possible: int) -> None:
        counts = self._counts.setdefault(symbol, [1, 2])
        counts[0] += min(there, possible)
        counts[1] += possible
        self._rates[symbol] = min(max(counts[0] / counts[1], _LEAST), _MOST)

    def begin(self, symbols: Iterable[str], at_ns: int) -> None:
        """Nothing is missing up to now: a new connection, or a silence that was looked into."""
        for symbol in symbols:
            self._heard[symbol] = max(self._heard[symbol], at_ns)

    @property
    def heard_ns(self) -> int:
        """The close of the newest bar of any symbol."""
        return max(self._heard.values(), default=0)

    def hear(self, symbol: str, close_ns: int) -> bool:
        """A symbol's bar came; True when it is improbable that there was none before it."""
        before = self._heard[symbol]
        if close_ns <= before:
            return False
        self._heard[symbol] = close_ns
        if close_ns - before < 2 * self._step:  # the usual case, without a calendar
            self._count(symbol, 1, 1)
            return False
        self._count(symbol, 1, self.expected_bars(symbol, before, close_ns))
        return self.is_improbable(symbol, before, close_ns - self._step)

    def is_improbable(self, symbol: str, after_ns: int, until_ns: int) -> bool:
        """Whether a symbol hardly has no bar at all between two instants."""
        missed = self.expected_bars(symbol, after_ns, until_ns)
        return missed * math.log(1.0 - self._rates[symbol]) <= _ALONE

    def suspects(self, now_ns: int) -> list[str]:
        """The symbols whose silence is improbable; all of them when that of all together is."""
        until = now_ns - LATENESS_NS
        anybody = self.heard_ns
        alone, together, silent = [], 0.0, []
        for symbol, heard in self._heard.items():
            missed = self.expected_bars(symbol, heard, until)
            if not missed:
                continue
            weight = math.log(1.0 - self._rates[symbol])
            silent.append(symbol)
            if missed * weight <= _ALONE:
                alone.append(symbol)
            if heard < until:
                together += weight * self.expected_bars(symbol, max(heard, anybody), until)
        return silent if together <= _TOGETHER else alone

    def expected_bars(self, symbol: str, after_ns: int, until_ns: int) -> int:
        """How many bars could close later than `after_ns`, by `until_ns`, inside sessions."""
        calendar = self._calendars[symbol]
        if calendar is None or until_ns <= after_ns:
            return 0
        count, at = 0, after_ns
        while at < until_ns:
            session = calendar.session(at)
            first, last = max(session.open_ns, after_ns), min(session.close_ns, until_ns)
            if first >= until_ns:
                break
            count += max(0, last // self._step - first // self._step)
            at = session.close_ns
        return count

    def is_expected(self, symbol: str, close_ns: int) -> bool:
        """Whether a symbol's market was open during the bar that closed then."""
        calendar = self._calendars[symbol]
        return calendar is None or _is_open(calendar, close_ns - self._step)


def _is_open(calendar: Calendar, at_ns: int) -> bool:
    return calendar.session(at_ns).open_ns <= at_ns
