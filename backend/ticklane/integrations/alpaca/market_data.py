"""Stocks and crypto of one Alpaca account, as one provider."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ticklane.core.market import Bars, Quote, Timeframe
from ticklane.core.symbols import is_crypto, normal_symbol
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.crypto import AlpacaCryptoData
from ticklane.integrations.alpaca.market_stream import MarketStream
from ticklane.integrations.alpaca.stocks import Adjustment, AlpacaStockData
from ticklane.interfaces import Calendar


class AlpacaMarketData:
    """A MarketDataProvider that asks for each symbol where it belongs.

    `calendar` is that of the stocks; crypto is always open.
    """

    def __init__(
        self,
        account: AlpacaAccount,
        *,
        adjustment: Adjustment = "raw",
        feed: str | None = None,
        calendar: Calendar | None = None,
        **options: Any,
    ) -> None:
        self.stocks = AlpacaStockData(
            account, adjustment=adjustment, feed=feed, calendar=calendar, **options
        )
        self.crypto = AlpacaCryptoData(account, **options)

    @property
    def name(self) -> str:
        """What stands beside these prices."""
        return self.stocks.name

    @property
    def history_delay_ns(self) -> int:
        """How much later than its close a bar of a stock is in the history."""
        return self.stocks.history_delay_ns

    async def bars(self, symbol: str, timeframe: Timeframe, start_ns: int, end_ns: int) -> Bars:
        """The bars that open at or after `start_ns` and close by `end_ns`."""
        return await self._source(symbol).bars(symbol, timeframe, start_ns, end_ns)

    async def bars_of(
        self, symbols: Sequence[str], timeframe: Timeframe, start_ns: int, end_ns: int
    ) -> dict[str, Bars]:
        """The bars of several symbols; one without a bar is there, too, and empty."""
        parts = await asyncio.gather(
            *(
                source.bars_of(names, timeframe, start_ns, end_ns)
                for source, names in self._split(symbols)
            )
        )
        return {name: bars for part in parts for name, bars in part.items()}

    async def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """The newest quote of each symbol that has one."""
        parts = await asyncio.gather(
            *(source.latest_quotes(names) for source, names in self._split(symbols))
        )
        return {name: quote for part in parts for name, quote in part.items()}

    async def latest_price(self, symbol: str) -> float:
        """The price of the newest trade."""
        return await self._source(symbol).latest_price(symbol)

    def stream(self, symbols: Sequence[str], **callbacks: Any) -> BothStreams:
        """A subscription; stocks and crypto have a connection each."""
        return BothStreams(
            [source.stream(names, **callbacks) for source, names in self._split(symbols)]
        )

    async def close(self) -> None:
        """Let go of connections and threads."""
        await self.stocks.close()
        await self.crypto.close()

    def _source(self, symbol: str) -> AlpacaStockData:
        return self.crypto if is_crypto(symbol) else self.stocks

    def _split(self, symbols: Sequence[str]) -> list[tuple[AlpacaStockData, list[str]]]:
        names = [normal_symbol(symbol) for symbol in symbols]
        coins = [name for name in names if is_crypto(name)]
        shares = [name for name in names if not is_crypto(name)]
        return [(s, n) for s, n in ((self.stocks, shares), (self.crypto, coins)) if n]


class BothStreams:
    """Several streams as one."""

    def __init__(self, streams: Sequence[MarketStream]) -> None:
        self._streams = tuple(streams)

    async def run(self) -> None:
        """Read all of them for ever; the first that cannot go on ends all."""
        tasks = [asyncio.ensure_future(stream.run()) for stream in self._streams]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def reconnect(self, symbols: Sequence[str], reason: str) -> None:
        """Connect those again that carry one of these symbols."""
        for stream in self._streams:
            stream.reconnect(symbols, reason)

    def status(self) -> dict[str, Any]:
        """For `ticklane status`: the streams by their addresses."""
        return {stream.status()["url"]: stream.status() for stream in self._streams}
