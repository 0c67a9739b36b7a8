"""PollingFeed: bars asked for when they should be there, for accounts without streams."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from ticklane.core.errors import TicklaneError
from ticklane.core.market import MINUTE, SECOND
from ticklane.data.live import LiveFeed
from ticklane.data.provider import MarketDataProvider

_log = logging.getLogger("ticklane.data")
_AGAIN_SECONDS = (1.0, 1.0, 2.0, 4.0, 8.0)  # between two looks for the same instant
_DAILY_AGAIN_SECONDS = 300.0


class PollingFeed(LiveFeed):
    """Asks for the newest bars `delay` seconds after each close, and again while some are missing.

    Daily bars are asked for after each session's close, or every five minutes without a calendar.
    """

    def __init__(
        self,
        provider: MarketDataProvider,
        symbols: Sequence[str],
        *,
        delay: float = 1.0,
        bar_grace: float = 15.0,
        **options: Any,
    ) -> None:
        super().__init__(provider, symbols, bar_grace=bar_grace, **options)
        self._delay = delay

    async def _after_warmup(self) -> None:
        self._start(self._poll(), "polling")

    async def _poll(self) -> None:
        since = self._clock.now_ns()
        while True:
            close_ns = self._next_close(since)
            await self._until(close_ns + round(self._delay * SECOND))
            for seconds in (*_AGAIN_SECONDS, 0.0):
                if await self._look(close_ns):
                    break
                await asyncio.sleep(seconds)
            since = max(close_ns, self._clock.now_ns() - self.timeframe.ns)

    def _next_close(self, after_ns: int) -> int:
        """The first instant later than this at which some symbol may complete a bar."""
        if not self.timeframe.is_daily:
            return (after_ns // self.timeframe.ns + 1) * self.timeframe.ns
        closes = [
            calendar.session(after_ns).close_ns
            for calendar in self._calendars.values()
            if calendar is not None
        ]
        return min([*closes, after_ns + round(_DAILY_AGAIN_SECONDS * SECOND)])

    async def _look(self, close_ns: int) -> bool:
        """Fetch what is new; True when nothing more is expected of this instant."""
        known = [h.last_close_ns or 0 for h in self._histories.values()]
        now_ns = self._clock.now_ns()
        since = max(min(known), now_ns - 100 * self.timeframe.ns, now_ns - 7 * 24 * 60 * MINUTE)
        try:
            found = await self._fetch(self.symbols, self.timeframe, since, now_ns)
        except TicklaneError as error:
            self.counts["failed_requests"] += 1
            _log.warning("%s cannot be asked: %s", self.label, error)
            return False
        for bars in found.values():
            for bar in bars.rows():
                self._take(bar)
        return self._is_all_there(close_ns)

    def _is_all_there(self, close_ns: int) -> bool:
        return all(
            (history.last_close_ns or 0) >= close_ns
            or not self._quiet.is_expected(symbol, close_ns)
            for symbol, history in self._histories.items()
        )

    async def _until(self, due_ns: int) -> None:
        while (left := due_ns - self._clock.now_ns()) > 0:  # noqa: ASYNC110  # a timer may be early
            await asyncio.sleep(left / SECOND)
