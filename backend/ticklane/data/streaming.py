"""StreamingFeed: the market as a vendor streams it, with what the stream does not tell fetched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ticklane.core.errors import ConfigError
from ticklane.core.market import DAY, MINUTE, SECOND, Bar, Quote, Tick
from ticklane.core.prints import Amendment, MarketStatus, Print
from ticklane.data.halts import Halts
from ticklane.data.joining import BarJoiner, PrintJoiner
from ticklane.data.provider import MarketDataProvider
from ticklane.data.watched import ONE_MINUTE, WatchedFeed

_log = logging.getLogger("ticklane.data")
Source = Literal["bars", "trades", "quotes"]
_CONNECT_SECONDS = 15.0  # a start waits so long for the stream, and then begins without it
_FEW = 50  # symbols of which a day of minutes is fetched at the start


class StreamingFeed(WatchedFeed):
    """Bars (and quotes) from a stream that is looked after.

    `source` says what bars are made of: the vendor's own minute bars (joined into longer ones), or
    trades or quotes, which also make bars shorter than a minute. With `quotes=True` quotes are
    ticks as well: of each symbol only the newest waits, and a tick of them comes at most every
    `quote_interval` seconds.

    After each connection the time since the last bar is fetched, and ticks wait for that. A symbol
    from which something should have come by now is looked up; when the vendor has what the stream
    did not tell, the connection is mute and is made anew. While there is none, bars are fetched.
    """

    def __init__(
        self,
        provider: MarketDataProvider,
        symbols: Sequence[str],
        *,
        source: Source = "bars",
        quotes: bool = False,
        quote_interval: float = 0.05,
        **options: Any,
    ) -> None:
        if source not in ("bars", "trades", "quotes"):
            raise ConfigError(f"source is {source!r}, but must be bars, trades or quotes.")
        self._source, self._has_quotes = source, quotes
        super().__init__(provider, symbols, **options)
        step = self.timeframe
        if step.is_daily:
            raise ConfigError(f"timeframe is {step}, but days are polled; take a PollingFeed.")
        if source == "bars" and step.ns % MINUTE:
            raise ConfigError(
                f"timeframe is {step}, but the bars of a stream are whole minutes; take 1m, or "
                "source trades."
            )
        self.is_up = False
        self.reconnects = 0
        self._joiner = BarJoiner(step) if source == "bars" and step != ONE_MINUTE else None
        self._prints = PrintJoiner(step) if source != "bars" else None
        self._quotes: dict[str, Quote] = {}  # the newest of each symbol, until they are told
        self._quote_times: dict[str, int] = {}
        self._quote_interval = quote_interval
        self._next_quotes = 0.0
        self._quote_heard_ns = 0
        self._connected = asyncio.Event()
        self._doubted: dict[str, int] = {}
        self._halts = Halts()
        self.listen = self._halts.listen  # the lane hears of halts

    @property
    def _heard_quotes_ns(self) -> int | None:
        if not self._has_quotes and self._has_minutes:
            return None
        return max([self._quote_heard_ns, *self._quote_times.values()])

    @property
    def _has_minutes(self) -> bool:
        return self._source == "bars"

    def _warmup_spans(self, since_ns: int) -> Iterable[tuple[list[str], int]]:
        """None where no history of such bars is recorded."""
        return super()._warmup_spans(since_ns) if self._can_fetch else ()

    # --- the stream ----------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._prices = self._provider.stream(
            list(self._names),
            on_bar=self._on_bar if self._source == "bars" else None,
            on_correction=self._on_bar if self._source == "bars" else None,
            on_quote=self._on_quote if self._has_quotes or self._source == "quotes" else None,
            on_trade=self._on_trade if self._source == "trades" else None,
            on_amendment=self._on_amendment if self._source == "trades" else None,
            on_status=self._on_status,
            on_state=self._on_state,
            merge_quotes=self._source != "quotes",
        )
        running = self._start(self._prices.run(), "price stream")
        connected = asyncio.ensure_future(self._connected.wait())
        done, _ = await asyncio.wait(
            (running, connected),
            timeout=_CONNECT_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        connected.cancel()
        if running in done:
            await running  # raises what ended it
        if not done:
            _log.warning("the stream of %s is not there yet; bars are fetched", self.label)

    async def _after_warmup(self) -> None:
        await self._learn_minutes()
        self._start_watch()

    async def _learn_minutes(self) -> None:
        """How often a symbol has a minute cannot be told by longer bars."""
        if self._joiner is None or len(self.symbols) > _FEW:
            return
        now_ns = self._clock.now_ns()
        found = await self._fetch(self.symbols, ONE_MINUTE, now_ns - DAY, now_ns)
        for bars in found.values():
            self._quiet.learn(bars)

    def _on_state(self, symbols: tuple[str, ...], is_up: bool, reason: str) -> None:
        names = self._own(symbols)
        if is_up:
            self._up |= names
            self._up_ns = self._clock.now_ns()
            self._quiet.begin(names, self._clock.now_ns())
            self._connected.set()
            if self._source == "quotes":  # no trade will tell that a halt ended in between
                self._halts.forget(names)
            self._want_filled(names)
        else:
            self._up -= names
            self.reconnects += 1
            _log.debug("stream of %s: %s", self.label, reason)  # who lost it has warned of it
        self.is_up = len(self._up) == len(self.symbols)

    def _own(self, symbols: Iterable[str]) -> set[str]:
        return {self._names[name] for name in symbols if name in self._names}

    def _on_bar(self, bar: Bar) -> None:
        name = self._names.get(bar.symbol)
        if name is None:
            return
        if name != bar.symbol:
            bar = bar._replace(symbol=name)
        if self._quiet.hear(name, bar.close_ns):
            self._want_filled((name,))
        self._streamed[name] = max(bar.close_ns, self._streamed.get(name, 0))
        self._halts.see_trade(name, bar.open_ns)
        self._take_base(bar)

    def _take_base(self, bar: Bar) -> None:
        """A minute, of the stream or fetched; which of them came first makes no difference."""
        if self._joiner is None:
            self._take(bar)
            return
        for made in self._joiner.add(bar):
            self._take(made)
        self._news.set()

    def _on_trade(self, trade: Print) -> None:
        name = self._names.get(trade.symbol)
        if name is not None and self._prints is not None and trade.price > 0:
            self._halts.see_trade(name, trade.time_ns)
            self._take_print(name, trade.time_ns, trade.price, trade.size, trade.id)

    def _on_amendment(self, amendment: Amendment) -> None:
        """A bar that was made of what is different now is corrected, as far as it is remembered."""
        name = self._names.get(amendment.symbol)
        after = amendment.after
        if name is None or self._prints is None or (after is not None and not after.price > 0):
            return
        self.counts["amended_trades"] += 1
        changed, is_known = self._prints.amend(name, amendment)
        if not is_known:
            self.counts["unknown_amendments"] += 1
            _log.warning("a trade of %s was amended that is too old to correct its bar", name)
        if changed is not None:
            self._take(changed)

    def _on_status(self, status: MarketStatus) -> None:
        name = self._names.get(status.symbol)
        if name is not None:
            self._halts.hear(name, status)

    def _on_quote(self, quote: Quote) -> None:
        """The hot path: the newest of each symbol, whatever came before."""
        name = self._names.get(quote.symbol)
        bid, ask = quote.bid, quote.ask
        if name is None or not 0.0 < bid <= ask:  # one side missing, or crossed
            self.counts["unusable_quotes"] += 1
            return
        if quote.time_ns < self._quote_times.get(name, 0):
            self.counts["stale_quotes"] += 1
            return
        self._quote_times[name] = quote.time_ns
        if self._source == "quotes":
            self._take_print(name, quote.time_ns, (bid + ask) / 2, 0.0)
        if self._has_quotes:
            if not self._quotes:
                self._news.set()
            elif name in self._quotes:
                self.counts["merged_quotes"] += 1
            self._quotes[name] = quote if name == quote.symbol else quote._replace(symbol=name)

    def _take_print(
        self, name: str, time_ns: int, price: float, size: float, print_id: str = ""
    ) -> None:
        assert self._prints is not None
        self._quote_heard_ns = time_ns
        for bar in self._prints.add(name, time_ns, price, size, print_id):
            self._take(bar)

    # --- ticks ---------------------------------------------------------------------------------

    def _due(self) -> list[Tick]:
        now_ns = self._clock.now_ns()
        made = self._prints.due(now_ns) if self._prints is not None else []
        if not self._is_holding() and self._joiner is not None:
            made = self._joiner.due(now_ns, self._is_doubtful)
        for bar in made:
            self._take(bar)
        if self._is_holding():
            return []
        return [*self._instants.due(now_ns), *self._quote_ticks(now_ns)]

    def _is_doubtful(self, symbol: str, last_ns: int, end_ns: int) -> bool:
        """The last minute of a bar hardly fails to come: then it is looked up, once."""
        if self._doubted.get(symbol) == end_ns or not self._can_fetch:
            return False
        self._doubted[symbol] = end_ns
        if not self._quiet.is_improbable(symbol, last_ns, end_ns):
            return False
        self._want_filled((symbol,))
        return True

    def _due_ns(self) -> int | None:
        now, now_ns = asyncio.get_running_loop().time(), self._clock.now_ns()
        dues: list[int | None] = []
        if self._prints is not None:
            dues.append(self._prints.due_ns(now_ns))
        if self._is_holding():
            assert self._held_until is not None
            dues.append(now_ns + round((self._held_until - now) * SECOND))
        else:
            dues.append(self._instants.due_ns)
            dues.append(self._joiner.due_ns(now_ns) if self._joiner is not None else None)
            if self._quotes:
                dues.append(now_ns + round((self._next_quotes - now) * SECOND))
        return min((at for at in dues if at is not None), default=None)

    def _quote_ticks(self, now_ns: int) -> list[Tick]:
        now = asyncio.get_running_loop().time()
        if not self._quotes or now < self._next_quotes:
            return []
        quotes, self._quotes = self._quotes, {}
        self._next_quotes = now + self._quote_interval
        return [Tick(self._instants.claim(now_ns), tuple(quotes), tuple(quotes.values()))]

    def status(self) -> dict[str, Any]:
        """For `ticklane status`."""
        stream = self._prices.status() if self._prices is not None else {}
        return {
            **super().status(),
            "is_up": self.is_up,
            "reconnects": self.reconnects,
            "stream": stream,
        }
