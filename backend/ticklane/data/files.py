"""Price files in, checked columns out: CSV, Parquet, Feather, folders of them, and the samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticklane.core.errors import DataError
from ticklane.core.market import Bars, Timeframe
from ticklane.data.dates import rows_between, span_of
from ticklane.data.frames import PRICES, Stamp, bars_of_frames
from ticklane.data.tables import ENDINGS, read_table
from ticklane.data.times import fold
from ticklane.interfaces import Calendar

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = Path(__file__).parent / "samples"
_SAMPLE = "sample:"
_SYMBOL_NAMES = ("symbol", "ticker")
Named = tuple[str, "pd.DataFrame", str]  # symbol, its frame, and the words that name its source


def load_bars(
    source: str | Path,
    symbol: str | None = None,
    timeframe: Timeframe | timedelta | str | None = None,
    stamp: Stamp = "open",
    calendar: Calendar | None = None,
    start: Any = None,
    end: Any = None,
    adjusted: bool = True,
) -> tuple[dict[str, Bars], Timeframe]:
    """Read the bars of one or more symbols; returns symbol -> Bars and their common timeframe.

    `source` is a CSV (.csv, .csv.gz), .parquet or .feather file, a folder of such files, or
    `sample:AAPL` (`sample:AAPL,IBM` for several; `sample_names()` lists them). A column symbol or
    ticker splits a file into its symbols; without one the symbol is the file's name without its
    ending. `symbol` names the series of a single file, or picks one of several. Only bars that
    closed later than `start` and not later than `end` are kept; a date as `end` is included.
    `adjusted=False` takes the columns raw_open, raw_high, raw_low and raw_close, as the samples
    have them. The other parameters, and what a file must hold, are those of `bars_of_frame`.

    Raises DataError with one sentence that names the file.
    """
    span = span_of(start, end)
    named = list(_tables(source, symbol))
    if not adjusted:
        named = [(name, _raw(frame, where), where) for name, frame, where in named]
    frames = _by_symbol(named)
    wheres = {name: where for name, _, where in named}
    bars, step = bars_of_frames(frames, timeframe, stamp, calendar, sources=wheres)
    kept = {name: rows_between(series, *span) for name, series in bars.items()}
    for name, series in kept.items():
        if not len(series):
            raise DataError(_nothing_left(bars[name], wheres[name], start, end))
    return kept, step


def sample_names() -> tuple[str, ...]:
    """The symbols of the sample bars that come with ticklane."""
    return tuple(sorted(path.name.removesuffix(".csv.gz") for path in SAMPLES.glob("*.csv.gz")))


def _tables(source: str | Path, symbol: str | None) -> Iterator[Named]:
    if str(source).startswith(_SAMPLE):
        found = list(_samples(str(source).removeprefix(_SAMPLE)))
        return _picked(found, symbol, str(source))
    path = Path(source).expanduser()
    if path.is_dir():
        return _picked(list(_folder(path)), symbol, str(path))
    return _file(path, symbol)


def _samples(wanted: str) -> Iterator[Named]:
    names = {name.casefold(): name for name in sample_names()}
    for text in wanted.split(","):
        name = names.get(text.strip().casefold())
        if name is None:
            raise DataError(
                f"There is no sample {text.strip()!r}; the samples are {', '.join(names.values())}."
            )
        yield name, read_table(SAMPLES / f"{name}.csv.gz"), f"sample:{name}"


def _folder(folder: Path) -> Iterator[Named]:
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ENDINGS))
    if not files:
        raise DataError(f"{folder} holds no price file; put files in it that end in {_endings()}.")
    for path in files:
        yield from _file(path, None)


def _file(path: Path, symbol: str | None) -> Iterator[Named]:
    if not path.exists():
        raise DataError(
            f"{path} does not exist; give a CSV, Parquet or Feather file, a folder of them, or "
            f"{_SAMPLE}{(*sample_names(), 'NAME')[0]}."
        )
    if not path.name.lower().endswith(ENDINGS):
        raise DataError(f"{path.name} is not a price file by its ending: use {_endings()}.")
    frame = read_table(path)
    columns = [name for name in frame.columns if fold(name) in _SYMBOL_NAMES]
    if not columns:
        return iter([(symbol or _stem(path), frame, path.name)])
    return _picked(list(_split(frame, columns[0], path.name)), symbol, path.name)


def _split(frame: pd.DataFrame, column: Any, where: str) -> Iterator[Named]:
    if not len(frame):
        raise DataError(f"{where} has no rows; give at least one bar.")
    if frame[column].isna().any():
        row = int(frame[column].isna().to_numpy().argmax()) + 1
        raise DataError(f"{where}: {column} is empty in row {row}; name the symbol of each row.")
    for name, rows in frame.groupby(column, sort=False):
        yield str(name).strip(), rows, f"{where}, {name}"


def _picked(found: list[Named], symbol: str | None, where: str) -> Iterator[Named]:
    if symbol is None:
        return iter(found)
    picked = [table for table in found if table[0] == symbol]
    if not picked:
        listed = ", ".join(sorted(table[0] for table in found))
        raise DataError(f"{where} has no symbol {symbol!r}; it has {listed}.")
    return iter(picked)


def _by_symbol(named: Iterable[Named]) -> dict[str, pd.DataFrame]:
    frames: dict[str, pd.DataFrame] = {}
    origin: dict[str, str] = {}
    for name, frame, where in named:
        if name in frames:
            raise DataError(
                f"{name} is both in {origin[name]} and in {where}; keep one file a symbol."
            )
        frames[name], origin[name] = frame, where
    return frames


def _raw(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """The frame with its raw prices in the place of the adjusted ones."""
    found = {fold(name): name for name in frame.columns}
    for name in PRICES:
        if f"raw_{name}" not in found:
            raise DataError(
                f"{where} has no column raw_{name}, which adjusted=False asks for; leave "
                "adjusted out."
            )
    others = frame.drop(columns=[found[name] for name in PRICES if name in found])
    return others.rename(columns={found[f"raw_{name}"]: name for name in PRICES})


def _stem(path: Path) -> str:
    lower = path.name.lower()
    ending = next(known for known in ENDINGS if lower.endswith(known))
    return path.name[: -len(ending)]


def _endings() -> str:
    return ", ".join(ENDINGS[:-1]) + f" or {ENDINGS[-1]}"


def _nothing_left(bars: Bars, where: str, start: Any, end: Any) -> str:
    first, last = (str(bars.time[row].astype("datetime64[m]")) for row in (0, -1))
    asked = (
        f"between {start} and {end}"
        if start is not None and end is not None
        else (f"after {start}" if end is None else f"until {end}")
    )
    return f"{where} has no bar {asked}: its bars closed from {first} to {last} UTC."
