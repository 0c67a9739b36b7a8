"""Prices of stocks at Alpaca."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, MINUTE, SECOND, Bars, Quote, Timeframe
from ticklane.core.prints import Print
from ticklane.core.resample import joined
from ticklane.core.symbols import is_crypto, normal_symbol
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.history import DataRequests
from ticklane.integrations.alpaca.market_stream import Address, MarketStream
from ticklane.integrations.alpaca.wire import (
    bars_of_rows,
    print_of,
    quote_of,
    to_text,
    wire_timeframe,
)
from ticklane.interfaces import Calendar

Adjustment = Literal["raw", "split", "dividend", "all"]
ADJUSTMENTS = ("raw", "split", "dividend", "all")
FEEDS = ("iex", "sip", "delayed_sip")
_DELAYED = "delayed_sip"
_DELAY_NS = 15 * MINUTE + 5 * SECOND  # clocks may differ a little
_PAGE = 10_000
_AT_ONCE = 100  # symbols in one request
Found = TypeVar("Found")


class AlpacaStockData:
    """History, newest prices and streams of US stocks.

    `adjustment` is raw, split, dividend or all; `feed` iex (free) or sip (all exchanges, by
    subscription), by default that of the account. With a `calendar` a daily bar opens and closes
    with its session. Errors are BrokerError and DataError with one sentence.
    """

    _kind = "stocks"
    _folder = "/stocks"

    def __init__(
        self,
        account: AlpacaAccount,
        *,
        adjustment: Adjustment = "raw",
        feed: str | None = None,
        calendar: Calendar | None = None,
        **options: Any,
    ) -> None:
        if adjustment not in ADJUSTMENTS:
            raise ConfigError(
                f"adjustment is {adjustment!r}, but must be {', '.join(ADJUSTMENTS)}."
            )
        self.feed = feed or account.feed
        if self.feed not in FEEDS:
            raise ConfigError(f"feed is {self.feed!r}, but must be {', '.join(FEEDS)}.")
        self.adjustment = adjustment
        self._account, self._calendar, self._options = account, calendar, options
        self._requests = DataRequests(account, self._kind, **options)

    @property
    def name(self) -> str:
        """What stands beside these prices."""
        return f"ALPACA {self.feed.upper()}"

    @property
    def history_delay_ns(self) -> int:
        """How much later than its close a bar is in the history at the latest."""
        return _DELAY_NS if self.feed == _DELAYED else 0

    # --- history -------------------------------------------------------------------------------

    async def bars(self, symbol: str, timeframe: Timeframe, start_ns: int, end_ns: int) -> Bars:
        """The bars that open at or after `start_ns` and close by `end_ns`."""
        return (await self.bars_of([symbol], timeframe, start_ns, end_ns))[self._own(symbol)]

    async def bars_days_back(self, symbol: str, timeframe: Timeframe, days_back: int) -> Bars:
        """The bars of the last so many days of 24 hours."""
        now_ns = self._requests.now_ns()
        return await self.bars(symbol, timeframe, now_ns - days_back * DAY, now_ns)

    async def bars_of(
        self, symbols: Sequence[str], timeframe: Timeframe, start_ns: int, end_ns: int
    ) -> dict[str, Bars]:
        """The bars of several symbols; one without a bar is there, too, and empty."""
        names = [self._own(symbol) for symbol in symbols]
        wire, step = wire_timeframe(timeframe)
        if step != timeframe:  # whole ones only
            start_ns = -(-start_ns // timeframe.ns) * timeframe.ns
        end_ns = self._recorded_until(end_ns)
        rows: dict[str, list[Any]] = {name: [] for name in names}
        for first in range(0, len(names) if start_ns < end_ns else 0, _AT_ONCE):
            part = names[first : first + _AT_ONCE]
            asked = {**self._span(part, start_ns, end_ns), "timeframe": wire, **self._terms()}
            await self._pages(f"{self._folder}/bars", "bars", asked, rows)
        made = {}
        for name in names:
            bars = bars_of_rows(name, rows[name], step, self._calendar)
            made[name] = _complete(joined(bars, timeframe) if step != timeframe else bars, end_ns)
        return made

    async def trades(self, symbol: str, start_ns: int, end_ns: int) -> list[Print]:
        """The trades on the tape at or after `start_ns` and before `end_ns`."""
        name = self._own(symbol)
        rows: dict[str, list[Any]] = {name: []}
        end_ns = self._recorded_until(end_ns)
        if start_ns < end_ns:
            terms = {key: one for key, one in self._terms().items() if key != "adjustment"}
            asked = {**self._span([name], start_ns, end_ns), **terms}
            await self._pages(f"{self._folder}/trades", "trades", asked, rows)
        return [print_of(name, row) for row in rows[name]]

    # --- newest ----------------------------------------------------------------------------------

    async def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """The newest quote of each symbol that has one."""
        found = await self._latest("quotes", symbols)
        return {name: quote_of(name, row) for name, row in found.items()}

    async def latest_quote(self, symbol: str) -> Quote:
        """The newest quote of a symbol; raises DataError when there is none."""
        return self._only(await self.latest_quotes([symbol]), symbol, "quote")

    async def latest_trade(self, symbol: str) -> Print:
        """The newest trade of a symbol; raises DataError when there is none."""
        found = await self._latest("trades", [symbol])
        trades = {name: print_of(name, row) for name, row in found.items()}
        return self._only(trades, symbol, "trade")

    async def latest_price(self, symbol: str) -> float:
        """The price of the newest trade."""
        return (await self.latest_trade(symbol)).price

    # --- stream ----------------------------------------------------------------------------------

    def stream(self, symbols: Sequence[str], **callbacks: Any) -> MarketStream:
        """A subscription; see MarketDataProvider.stream for the callbacks."""
        names = [self._own(symbol) for symbol in symbols]
        return MarketStream(self._address(), names, **callbacks, **self._options)

    async def close(self) -> None:
        """Let go of connections and threads."""
        await self._requests.close()

    # --- how stocks differ from crypto -----------------------------------------------------------

    def _own(self, symbol: str) -> str:
        name = normal_symbol(symbol)
        if is_crypto(name):
            raise DataError(f"symbol is {symbol!r}, which is no stock; ask AlpacaCryptoData.")
        return name

    def _terms(self) -> dict[str, Any]:
        """Of history: it has no delayed feed, but the SIP's is free once it is old enough."""
        feed = "sip" if self.feed == _DELAYED else self.feed
        return {"feed": feed, "adjustment": self.adjustment}

    def _latest_terms(self) -> dict[str, Any]:
        return {"feed": self.feed}

    def _recorded_until(self, end_ns: int) -> int:
        """How far history goes for this feed."""
        delay_ns = self.history_delay_ns
        return min(end_ns, self._requests.now_ns() - delay_ns) if delay_ns else end_ns

    def _address(self) -> Address:
        account = self._account
        return Address(account.stock_stream_url(self.feed), account.key, account.secret)

    def _latest_path(self, what: str) -> str:
        return f"{self._folder}/{what}/latest"

    # --- requests --------------------------------------------------------------------------------

    def _span(self, names: Sequence[str], start_ns: int, end_ns: int) -> dict[str, Any]:
        return {
            "symbols": ",".join(names),
            "start": to_text(start_ns),
            "end": to_text(max(start_ns, end_ns - 1)),  # Alpaca includes it
            "limit": _PAGE,
            "sort": "asc",
        }

    async def _pages(
        self, path: str, what: str, asked: dict[str, Any], rows: dict[str, list[Any]]
    ) -> None:
        token: str | None = None
        while True:
            answer = await self._requests.get(path, {**asked, "page_token": token})
            for name, more in (answer.get(what) or {}).items():
                rows.setdefault(normal_symbol(name), []).extend(more or ())
            token = answer.get("next_page_token")
            if not token:
                return

    async def _latest(self, what: str, symbols: Sequence[str]) -> dict[str, Any]:
        names = [self._own(symbol) for symbol in symbols]
        found: dict[str, Any] = {}
        for first in range(0, len(names), _AT_ONCE):
            part = ",".join(names[first : first + _AT_ONCE])
            asked = {"symbols": part, **self._latest_terms()}
            answer = (await self._requests.get(self._latest_path(what), asked)).get(what) or {}
            found.update({normal_symbol(name): row for name, row in answer.items() if row})
        return found

    def _only(self, found: dict[str, Found], symbol: str, what: str) -> Found:
        if self._own(symbol) not in found:
            raise DataError(f"Alpaca has no {what} of {symbol}; check the symbol.")
        return found[self._own(symbol)]


def _complete(bars: Bars, end_ns: int) -> Bars:
    """Without the bar that is not over yet."""
    return bars.between(0, int(bars.close_ns.searchsorted(end_ns, side="right")))
