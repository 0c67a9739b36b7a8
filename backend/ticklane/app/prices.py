"""Whatever a user gives as prices, turned into columns for the strategies that want them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import Bars, Timeframe
from ticklane.core.symbols import normal_symbol
from ticklane.data.frames import bars_of_frame, bars_of_frames
from ticklane.interfaces import Calendar

CATALOG = "catalog:"


def read_prices(
    data: Any,
    symbols: Sequence[str],
    timeframe: Any = None,
    calendar: Calendar | None = None,
) -> tuple[dict[str, Bars], Timeframe, str]:
    """Read the bars of the wanted symbols; returns symbol -> Bars, timeframe and a label.

    `data` is a DataFrame (it belongs to the one symbol), a mapping symbol -> DataFrame or Bars,
    the path of a file or folder, `sample:AAPL`, or `catalog:AAPL` for what `ticklane download` has
    fetched; a mapping may hold such texts, too. Raises DataError and ConfigError.
    """
    label = ""
    if isinstance(data, str) and data.startswith(CATALOG):
        found, step, label = _from_catalog(data, symbols, timeframe, calendar)
    elif isinstance(data, str | os.PathLike):
        found, step, label = _from_path(data, symbols, timeframe, calendar)
    elif isinstance(data, Mapping) and any(isinstance(one, str) for one in data.values()):
        found, step, label = _from_texts(data, timeframe, calendar)
    elif isinstance(data, Mapping):
        found, step = _from_mapping(data, timeframe, calendar)
    elif hasattr(data, "columns") and hasattr(data, "index"):
        if len(symbols) != 1:
            raise ConfigError(
                f"one DataFrame was given for {len(symbols)} symbols; give a mapping of symbol to "
                "DataFrame instead."
            )
        bars, step = bars_of_frame(data, symbols[0], timeframe, calendar=calendar)
        found = {symbols[0]: bars}
    else:
        raise DataError(
            f"data is {type(data).__name__}, but must be a DataFrame, a mapping of symbol to "
            "DataFrame, a path, sample:AAPL or catalog:AAPL."
        )
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise DataError(f"the prices of {missing[0]} are missing; there are {', '.join(found)}.")
    return {symbol: found[symbol] for symbol in symbols}, step, label


def catalog_symbols(data: str) -> list[str] | None:
    """The symbols of `catalog:AAPL,BTC/USD`; None for another source."""
    if not data.startswith(CATALOG):
        return None
    names = [text.partition("@")[0] for text in data.removeprefix(CATALOG).split(",")]
    return [normal_symbol(name) for name in names]


def _from_catalog(
    data: str, symbols: Sequence[str], timeframe: Any, calendar: Calendar | None
) -> tuple[dict[str, Bars], Timeframe, str]:
    """Bars of the local catalog, under the names that the caller uses."""
    from ticklane.app.download import catalog_folder
    from ticklane.app.settings import load_settings
    from ticklane.data.catalog import BarCatalog

    catalog = BarCatalog(catalog_folder(load_settings()))
    texts = data.removeprefix(CATALOG).split(",")
    found, step, label = catalog.load(texts, timeframe, calendar)
    named = {normal_symbol(symbol): symbol for symbol in symbols}
    return (
        {
            named.get(name, name): replace(bars, symbol=named.get(name, name))
            for name, bars in found.items()
        },
        step,
        label,
    )


def _from_texts(
    data: Mapping[str, Any], timeframe: Any, calendar: Calendar | None
) -> tuple[dict[str, Bars], Timeframe, str]:
    """A mapping of symbol to a path, `sample:` or `catalog:` each."""
    read = [read_prices(text, [symbol], timeframe, calendar) for symbol, text in data.items()]
    steps = {step for _, step, _ in read}
    if len(steps) > 1:
        raise DataError("the prices in data have bars of different lengths; give timeframe=.")
    found = {symbol: bars for part, _, _ in read for symbol, bars in part.items()}
    return found, steps.pop(), read[0][2]


def _from_path(
    data: str | os.PathLike[str], symbols: Sequence[str], timeframe: Any, calendar: Calendar | None
) -> tuple[dict[str, Bars], Timeframe, str]:
    from ticklane.data.files import load_bars

    text = os.fspath(data)
    found, step = load_bars(text, timeframe=timeframe, calendar=calendar)
    if len(found) == len(symbols) == 1 and symbols[0] not in found and ":" not in text:
        found, step = load_bars(text, symbols[0], timeframe=timeframe, calendar=calendar)
    return found, step, "adjusted prices" if text.startswith("sample:") else ""


def _from_mapping(
    data: Mapping[str, Any], timeframe: Any, calendar: Calendar | None
) -> tuple[dict[str, Bars], Timeframe]:
    if data and all(isinstance(value, Bars) for value in data.values()):
        return dict(data), _step_of(data, timeframe)
    return bars_of_frames(data, timeframe, calendar=calendar)


def _step_of(data: Mapping[str, Bars], timeframe: Any) -> Timeframe:
    if timeframe is not None:
        return Timeframe.parse(timeframe)
    first = next(iter(data.values()))
    if not len(first):
        raise DataError(f"{first.symbol} has no bars.")
    return Timeframe(int(first.close_ns[0] - first.open_ns[0]))
