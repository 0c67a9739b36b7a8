"""The symbols that do not trade at the moment, as restrictions that the lane is told of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ticklane.core.commands import Lift, Restrict
from ticklane.core.prints import MarketStatus
from ticklane.core.trading_state import Restriction, TradingState

CODE = "market_halt"
_BY = "prices"


class Halts:
    """No entries in a halted symbol, until its exchange says that trading goes on.

    That word may be lost with a connection: a price that was traded later than the halt counts for
    it. Whether a symbol was halted before the stream began is not told.
    """

    def __init__(self) -> None:
        self.restrictions: dict[str, Restriction] = {}
        self._put: Callable[[Any], None] | None = None

    def listen(self, put: Callable[[Any], None]) -> None:
        """Tell of changes from now on, and at once of what is halted already."""
        self._put = put
        for restriction in self.restrictions.values():
            put(Restrict(restriction, _BY))

    def hear(self, symbol: str, status: MarketStatus) -> None:
        """What the exchange says; a word that is older than the halt changes nothing."""
        known = self.restrictions.get(symbol)
        if known is not None and status.time_ns < known.since_ns:
            return
        if status.is_trading:
            self._end(symbol)
            return
        since_ns = status.time_ns if known is None else known.since_ns
        sentence = f"{symbol} is halted at its exchange: {status.reason.rstrip('.')}."
        restriction = Restriction(CODE, TradingState.REDUCE_ONLY, sentence, since_ns, symbol=symbol)
        if restriction != known:
            self.restrictions[symbol] = restriction
            self._tell(Restrict(restriction, _BY))

    def see_trade(self, symbol: str, time_ns: int) -> None:
        """A price was traded at this instant, or a bar of trades began then."""
        known = self.restrictions.get(symbol)
        if known is not None and time_ns > known.since_ns:
            self._end(symbol)

    def forget(self, symbols: Iterable[str]) -> None:
        """It is not known any more whether these are halted."""
        for symbol in symbols:
            self._end(symbol)

    def _end(self, symbol: str) -> None:
        if self.restrictions.pop(symbol, None) is not None:
            self._tell(Lift(CODE, symbol, _BY))

    def _tell(self, command: Restrict | Lift) -> None:
        if self._put is not None:
            self._put(command)
