"""A download as somebody asks for it: days in, a provider and a catalog wired, words out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ticklane.clock import SystemClock
from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, Timeframe, to_datetime
from ticklane.core.symbols import is_crypto, normal_symbol
from ticklane.data.dates import instant_of

if TYPE_CHECKING:
    from ticklane.app.settings import Settings
    from ticklane.data.download import Fetched, Progress
    from ticklane.integrations.alpaca.market_data import AlpacaMarketData
    from ticklane.interfaces import Clock

_FOLDER = "catalog"


class Wanted(NamedTuple):
    """What to download, checked."""

    symbols: tuple[str, ...]
    timeframe: Timeframe
    start_ns: int
    end_ns: int
    adjustment: str
    feed: str | None


def catalog_folder(settings: Settings) -> Path:
    """Where the catalog is: beside the database's default place."""
    return settings.data_dir / _FOLDER


def read_wanted(
    symbols: Sequence[str],
    begin: Any,
    end: Any,
    timeframe: str,
    adjustment: str = "raw",
    feed: str | None = None,
    *,
    days_back: int | None = None,
    clock: Clock | None = None,
) -> Wanted:
    """Check what a user asks for, by the names of the flags. Raises ConfigError."""
    from ticklane.integrations.alpaca.wire import wire_timeframe

    names = tuple(dict.fromkeys(normal_symbol(symbol) for symbol in symbols))
    if not names:
        raise ConfigError("no symbol is named; name one or more, such as AAPL or BTC/USD.")
    step = Timeframe.parse(timeframe)
    wire_timeframe(step)
    _one_of("--adjustment", adjustment, ("raw", "split", "dividend", "all"))
    if feed is not None:
        _one_of("--feed", feed, ("iex", "sip"))
    now_ns = (clock or SystemClock()).now_ns()
    start_ns, end_ns = _span(begin, end, days_back, now_ns)
    return Wanted(names, step, start_ns, end_ns, adjustment, feed)


def _span(begin: Any, end: Any, days_back: int | None, now_ns: int) -> tuple[int, int]:
    if begin is None and days_back is None:
        raise ConfigError("download needs --days-back, such as 30, or --from, the first day.")
    if begin is not None and days_back is not None:
        raise ConfigError("give either --from, the first day, or --days-back, and not both.")
    first = instant_of(begin, "--from")
    last = instant_of(end, "--to", is_end=True)
    today_ends = now_ns - now_ns % DAY + DAY
    if last is not None and last > today_ends:
        raise ConfigError(f"--to is {end}, which is in the future; give today or an earlier day.")
    if first is None:
        assert days_back is not None
        first = (last if last is not None else now_ns) - days_back * DAY
    if first >= now_ns:
        raise ConfigError(f"--from is {begin}, which is in the future; give an earlier day.")
    last = now_ns if last is None else min(last, now_ns)
    if first >= last:
        raise ConfigError(f"--from {begin} is not before --to {end}; swap them.")
    return first, last


def _one_of(flag: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{flag} is {value!r}, but must be one of {', '.join(choices)}.")


def fetch(
    settings: Settings,
    wanted: Wanted,
    progress: Progress = lambda *_: None,
    clock: Clock | None = None,
) -> list[Fetched]:
    """Download what is missing; raises DataError and BrokerError. Ctrl-C keeps what is whole."""
    from ticklane.app.alpaca import alpaca_account
    from ticklane.data.catalog import BarCatalog
    from ticklane.integrations.alpaca.market_data import AlpacaMarketData

    account = alpaca_account(settings)
    provider = AlpacaMarketData(
        account,
        adjustment=wanted.adjustment,  # type: ignore[arg-type]  # read_wanted has checked it
        feed=wanted.feed,
    )
    catalog = BarCatalog(catalog_folder(settings))
    found = asyncio.run(_fetch(catalog, provider, wanted, progress, clock or SystemClock()))
    empty = [one.series for one in found if not catalog.has_bars(one.series)]
    if empty:
        raise DataError(_nothing(empty[0].symbol, wanted))
    return found


async def _fetch(
    catalog: Any,
    provider: AlpacaMarketData,
    wanted: Wanted,
    progress: Progress,
    clock: Clock,
) -> list[Fetched]:
    from ticklane.data.download import download

    try:
        return await download(
            catalog,
            provider,
            wanted.symbols,
            wanted.timeframe,
            wanted.start_ns,
            wanted.end_ns,
            now_ns=clock.now_ns(),
            variant=_variant(wanted, provider.stocks.feed),
            progress=progress,
        )
    finally:
        await provider.close()


def _variant(wanted: Wanted, feed: str) -> Callable[[str], str]:
    """Prices of different kinds are never mixed: each has a folder of its own."""
    return lambda symbol: "us" if is_crypto(symbol) else f"{wanted.adjustment}-{feed}"


def _nothing(symbol: str, wanted: Wanted) -> str:
    first, last = (f"{to_datetime(at):%Y-%m-%d}" for at in (wanted.start_ns, wanted.end_ns - 1))
    return f"Alpaca has no bars of {symbol} from {first} to {last}; check the symbol and the dates."
