"""Whatever a user gives as prices, turned into columns for the strategies that want them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import Bars, Timeframe
from ticklane.interfaces import Calendar


def read_prices(
    data: Any,
    symbols: Sequence[str],
    timeframe: Any = None,
    calendar: Calendar | None = None,
) -> tuple[dict[str, Bars], Timeframe, str]:
    """Read the bars of the wanted symbols; returns symbol -> Bars, timeframe and a label.

    `data` is a DataFrame (it belongs to the one symbol), a mapping symbol -> DataFrame or Bars,
    the path of a file or folder, or `sample:AAPL`. Raises DataError and ConfigError.
    """
    label = ""
    if isinstance(data, str | os.PathLike):
        found, step, label = _from_path(data, symbols, timeframe, calendar)
    elif isinstance(data, Mapping):
        found, step = _from_mapping(data, timeframe, calendar)
    elif hasattr(data, "columns") and hasattr(data, "index"):
        from ticklane.data.frames import bars_of_frame

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
            "DataFrame, a path, or sample:AAPL."
        )
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise DataError(f"the prices of {missing[0]} are missing; there are {', '.join(found)}.")
    return {symbol: found[symbol] for symbol in symbols}, step, label


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
    from ticklane.data.frames import bars_of_frames

    return bars_of_frames(data, timeframe, calendar=calendar)


def _step_of(data: Mapping[str, Bars], timeframe: Any) -> Timeframe:
    if timeframe is not None:
        return Timeframe.parse(timeframe)
    first = next(iter(data.values()))
    if not len(first):
        raise DataError(f"{first.symbol} has no bars.")
    return Timeframe(int(first.close_ns[0] - first.open_ns[0]))
