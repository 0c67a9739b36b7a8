"""What the broker has found that limits trading: set once, lifted when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ticklane.core.commands import Lift, Restrict
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.interfaces import Clock

_log = logging.getLogger("ticklane.alpaca")


class Restrictions:
    """Remembers what was set, so that the lane hears of changes only."""

    def __init__(self, put: Callable[[Any], None], clock: Clock) -> None:
        self._put, self._clock = put, clock
        self._set: dict[tuple[str, str | None], Restriction] = {}

    def impose(
        self,
        code: str,
        sentence: str,
        state: TradingState = TradingState.REDUCE_ONLY,
        symbol: str | None = None,
        is_latched: bool = False,
    ) -> None:
        """Restrict trading for this reason, unless it is already."""
        known = self._set.get((code, symbol))
        if known is not None and (known.sentence, known.state) == (sentence, state):
            return
        since_ns = self._clock.now_ns() if known is None else known.since_ns
        restriction = Restriction(code, state, sentence, since_ns, is_latched, symbol)
        self._set[code, symbol] = restriction
        words = "%s%s: %s"  # the lane warns of it, too, once it has taken the message
        _log.debug(words, state, f" {symbol}" if symbol else "", sentence)
        self._put(Restrict(restriction))

    def lift(self, code: str, symbol: str | None = None) -> None:
        """The reason is gone."""
        if self._set.pop((code, symbol), None) is not None:
            self._put(Lift(code, symbol))

    def bars(self, symbol: str) -> bool:
        """True while no entries may leave in a symbol."""
        return any(
            restricted in (None, symbol) and not one.is_latched  # the lane knows of its release
            for (_, restricted), one in self._set.items()
        )

    def keep_only(self, code: str, symbols: set[str]) -> None:
        """Lift this code of every symbol but these."""
        for known, symbol in list(self._set):
            if known == code and symbol is not None and symbol not in symbols:
                self.lift(code, symbol)

    def to_list(self) -> list[dict[str, Any]]:
        """For `ticklane status`."""
        return [restriction.to_dict() for restriction in self._set.values()]
