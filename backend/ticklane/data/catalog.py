"""The local bar catalog: Parquet files of a vendor's bars, and which spans of time they cover.

    ROOT/AAPL/1m-raw-iex/2026-11.parquet    bars that open in that month (a year's for daily bars)
    ROOT/AAPL/1m-raw-iex/covered.json       spans of openings that were fetched, bars or not

Files are written beside their place and moved there whole, first the bars, then the spans: after a
crash at worst a span is fetched again. One process writes; any may read.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import Bars, Timeframe, to_datetime, to_ns
from ticklane.core.symbols import normal_symbol
from ticklane.data.folder_lock import only_writer
from ticklane.data.frames import bars_of_frames
from ticklane.data.ranges import Span, merged, missing
from ticklane.data.soundness import sound_part
from ticklane.interfaces import Calendar
from ticklane.whole_file import whole_file

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "catalog:"
_COVERED = "covered.json"
_PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Series:
    """The bars of one symbol of one kind: length, adjustment and feed (`1m-raw-iex`)."""

    symbol: str
    timeframe: Timeframe
    variant: str = ""  # such as raw-iex; empty where a vendor has one kind only

    @property
    def name(self) -> str:
        """What the folder is called."""
        return f"{self.timeframe}-{self.variant}" if self.variant else str(self.timeframe)

    def __str__(self) -> str:
        return f"{self.symbol}@{self.name}"


class BarCatalog:
    """Bars on disk; `frames` and `bars` read them, `add` and `missing` serve a download."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()

    # --- reading -------------------------------------------------------------------------------

    def series(self, symbol: str | None = None) -> list[Series]:
        """What there is, in the order of the alphabet."""
        folders = sorted(self.root.glob(f"*/*/{_COVERED}"))
        found = [_series_of(folder.parent) for folder in folders]
        name = None if symbol is None else normal_symbol(symbol)
        return [one for one in found if one is not None and name in (None, one.symbol)]

    def has_bars(self, series: Series) -> bool:
        """Whether there is a single bar."""
        return any(self._folder(series).glob("*.parquet"))

    def covered(self, series: Series) -> list[Span]:
        """The spans of openings that are here."""
        try:
            text = (self._folder(series) / _COVERED).read_text("utf-8")
            return merged((int(start), int(end)) for start, end in json.loads(text))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError):
            return []  # what is not known to be here is fetched again

    def missing(self, series: Series, start_ns: int, end_ns: int) -> list[Span]:
        """The spans between two openings that a download has to fetch, a file's each."""
        gaps = missing(self.covered(series), start_ns, end_ns)
        return [part for gap in gaps for part in _by_file(series.timeframe, *gap)]

    def frame(self, series: Series) -> pd.DataFrame:
        """All bars of a series: open, high, low, close, volume by their opening, UTC."""
        parquet = _parquet()
        files = sorted(self._folder(series).glob("*.parquet"))
        if not files:
            raise DataError(f"the catalog has no bars of {series}; fetch them: {_remedy(series)}.")
        try:
            tables = [parquet.read_table(file) for file in files]
            frame: pd.DataFrame = (
                importlib.import_module("pyarrow").concat_tables(tables).to_pandas()
            )
        except (OSError, ValueError) as error:
            raise DataError(
                f"the catalog's bars of {series} cannot be read ({type(error).__name__}); remove "
                f"{self._folder(series)} and fetch them again: {_remedy(series)}."
            ) from None
        return frame.set_index("time")

    def bars(
        self, *symbols: str, timeframe: Any = None, calendar: Calendar | None = None
    ) -> dict[str, Bars]:
        """Symbol -> Bars, for `backtest`; `AAPL@1d` picks a series where there are several."""
        return self.load(symbols, timeframe, calendar)[0]

    def load(
        self, symbols: Sequence[str], timeframe: Any = None, calendar: Calendar | None = None
    ) -> tuple[dict[str, Bars], Timeframe, str]:
        """Symbol -> Bars, their common timeframe, and in words what kind of prices they are."""
        chosen = [self.find(symbol, timeframe) for symbol in symbols]
        frames = {one.symbol: self.frame(one) for one in chosen}
        step = _common(chosen)
        sources = {one.symbol: f"{PREFIX}{one}" for one in chosen}
        bars, step = bars_of_frames(frames, step, calendar=calendar, sources=sources)
        return bars, step, _label(chosen)

    def find(self, text: str, timeframe: Any = None) -> Series:
        """The series that a text such as `AAPL`, `AAPL@1d` or `AAPL@1d-all-sip` means.

        Raises DataError when there is none, or more than one.
        """
        symbol, _, kind = text.partition("@")
        there = self.series(symbol)
        step = None if timeframe is None else Timeframe.parse(timeframe)
        fitting = [
            one
            for one in there
            if (not kind or one.name == kind or one.name.startswith(f"{kind}-"))
            and step in (None, one.timeframe)
        ]
        if len(fitting) == 1:
            return fitting[0]
        name = normal_symbol(symbol)
        if not there:
            raise DataError(
                f"the catalog {self.root} has no bars of {name}; fetch them: "
                f"`ticklane download {name} --from 2024-01-01`."
            )
        listed = ", ".join(map(str, there))
        if not fitting:
            raise DataError(f"the catalog has no such bars of {name}; it has {listed}.")
        raise DataError(f"the catalog has several kinds of bars of {name}; take one of {listed}.")

    # --- writing -------------------------------------------------------------------------------

    def writing(self) -> AbstractContextManager[None]:
        """Be the only writer; raises DataError naming the process that is."""
        _parquet()
        return only_writer(self.root)

    def add(self, series: Series, bars: Bars, span: Span) -> int:
        """Put the bars that open in a span into their files and note the span as covered.

        Bars that are here already are replaced. Returns how many bars were not sound and left out.
        """
        kept, dropped = sound_part(bars)
        inside = (kept.open_ns >= span[0]) & (kept.open_ns < span[1])
        kept = Bars(kept.symbol, *(column[inside] for column in kept.columns()))
        for start, end in _by_file(series.timeframe, *span):
            first, last = np.searchsorted(kept.open_ns, (start, end))
            if last > first:
                self._put(series, kept.between(int(first), int(last)))
        self._write_covered(series, [*self.covered(series), span])
        return dropped

    def forget(self, series: Series) -> None:
        """Take back what was noted of a series without bars, such as a symbol that is none."""
        folder = self._folder(series)
        if folder.exists() and not any(folder.glob("*.parquet")):
            (folder / _COVERED).unlink(missing_ok=True)
            for empty in (folder, folder.parent):
                with suppress(OSError):  # others may have put something there
                    empty.rmdir()

    def _put(self, series: Series, bars: Bars) -> None:
        arrow, parquet = importlib.import_module("pyarrow"), _parquet()
        path = self._folder(series) / _file_name(series.timeframe, int(bars.open_ns[0]))
        columns = {name: getattr(bars, name) for name in ("open_ns", *_PRICES)}
        if path.exists():
            columns = _laid_over(_columns(parquet.read_table(path)), columns)
        times = arrow.array(columns.pop("open_ns"), arrow.timestamp("ns", "UTC"))
        table = arrow.table({"time": times, **columns})
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            parquet.write_table(table, part, compression="zstd")

    def _write_covered(self, series: Series, spans: Iterable[Span]) -> None:
        folder = self._folder(series)
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / _COVERED) as part:
            part.write_text(json.dumps(merged(spans)), "utf-8")

    def _folder(self, series: Series) -> Path:
        return self.root / series.symbol.replace("/", "-") / series.name


def _series_of(folder: Path) -> Series | None:
    step, _, variant = folder.name.partition("-")
    try:
        return Series(normal_symbol(folder.parent.name), Timeframe.parse(step), variant)
    except ConfigError:
        return None  # somebody else's folder


def _file_name(timeframe: Timeframe, open_ns: int) -> str:
    return f"{to_datetime(open_ns):{'%Y' if timeframe.is_daily else '%Y-%m'}}.parquet"


def _by_file(timeframe: Timeframe, start_ns: int, end_ns: int) -> Iterator[Span]:
    """Cut a span where a file ends: at the end of a month, or of a year for daily bars."""
    while start_ns < end_ns:
        at = to_datetime(start_ns)
        year, month = (at.year + 1, 1) if timeframe.is_daily else _next_month(at)
        edge = min(end_ns, to_ns(datetime(year, month, 1, tzinfo=UTC)))
        yield start_ns, edge
        start_ns = edge


def _next_month(at: datetime) -> tuple[int, int]:
    return (at.year, at.month + 1) if at.month < 12 else (at.year + 1, 1)


def _columns(table: Any) -> dict[str, Any]:
    times = table.column("time").to_numpy().astype("datetime64[ns]").astype(np.int64)
    return {"open_ns": times, **{name: table.column(name).to_numpy() for name in _PRICES}}


def _laid_over(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Both, rising by their opening; the new ones where both have a bar."""
    keep = ~np.isin(old["open_ns"], new["open_ns"])
    both = {name: np.concatenate([old[name][keep], new[name]]) for name in new}
    order = np.argsort(both["open_ns"], kind="stable")
    return {name: column[order] for name, column in both.items()}


def _parquet() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise DataError(
            "the bar catalog needs pyarrow, which is not installed; run "
            "`pip install ticklane[parquet]`."
        ) from None


def _common(chosen: Sequence[Series]) -> Timeframe:
    steps = list(dict.fromkeys(one.timeframe for one in chosen))
    if len(steps) > 1:
        raise DataError(
            f"{chosen[0]} and {next(o for o in chosen if o.timeframe != steps[0])} have bars of "
            "different lengths; give --timeframe, or fetch bars of one length."
        )
    return steps[0]


def _label(chosen: Sequence[Series]) -> str:
    kinds = sorted({one.variant for one in chosen if one.variant})
    return f"catalog, {', '.join(kinds)}" if kinds else "catalog"


def _remedy(series: Series) -> str:
    return f"`ticklane download {series.symbol} --from 2024-01-01 --timeframe {series.timeframe}`"
