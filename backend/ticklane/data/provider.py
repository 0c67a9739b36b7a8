"""What a vendor of market data offers: history, newest prices, and a stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ticklane.core.market import Bar, Bars, Quote, Timeframe
from ticklane.core.prints import Amendment, MarketStatus, Print

OnBar = Callable[[Bar], object]
OnQuote = Callable[[Quote], object]
OnTrade = Callable[[Print], object]
OnAmendment = Callable[[Amendment], object]
OnStatus = Callable[[MarketStatus], object]
OnState = Callable[[tuple[str, ...], bool, str], object]  # symbols, is it up, why


class PriceStream(Protocol):
    """A running subscription; it connects again by itself until its task is cancelled."""

    async def run(self) -> None:
        """Read for ever; raises DataError for what no new attempt can mend, such as wrong keys."""
        ...

    def reconnect(self, symbols: Sequence[str], reason: str) -> None:
        """Let go of the connection that carries these symbols, which is mute, and make another."""
        ...

    def status(self) -> dict[str, Any]:
        """Connection, attempts and ages, for `ticklane status`."""
        ...


class MarketDataProvider(Protocol):
    """A vendor of market data; instants are nanoseconds UTC, symbols in their normal form."""

    @property
    def name(self) -> str:
        """Shown wherever its prices are shown."""
        ...

    async def bars(self, symbol: str, timeframe: Timeframe, start_ns: int, end_ns: int) -> Bars:
        """The bars of a symbol that open at or after `start_ns` and close by `end_ns`."""
        ...

    async def bars_of(
        self, symbols: Sequence[str], timeframe: Timeframe, start_ns: int, end_ns: int
    ) -> dict[str, Bars]:
        """The same of several symbols; those without a bar are there, too, and empty."""
        ...

    async def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """The newest quote of each symbol that has one."""
        ...

    def stream(
        self,
        symbols: Sequence[str],
        *,
        on_bar: OnBar | None = None,
        on_correction: OnBar | None = None,
        on_quote: OnQuote | None = None,
        on_trade: OnTrade | None = None,
        on_amendment: OnAmendment | None = None,
        on_status: OnStatus | None = None,
        on_state: OnState | None = None,
        merge_quotes: bool = False,
    ) -> PriceStream:
        """A subscription to what there is a callback for; bars are of one minute.

        `on_correction` gets a bar that was told before and is different now, `on_amendment` what
        became of a trade that was told; `on_status` hears of halts, where they are told. With
        `merge_quotes` only the newest quote of a symbol is told where several came at once.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...
