"""Read a file into a pandas frame; what pandas and pyarrow complain of becomes one sentence."""

from __future__ import annotations

import gzip
import importlib
import re
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticklane.core.errors import DataError
from ticklane.data.frames import check_once
from ticklane.data.times import TIME_NAMES, fold

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".csv.gz", ".parquet", ".feather")
_TEXT = ("symbol", "ticker")  # "NA", "TRUE" and "0005" are symbols, not values
_OTHER_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}


def read_table(path: Path) -> pd.DataFrame:
    """The table in a CSV, gzipped CSV, Parquet or Feather file; raises DataError."""
    try:
        if path.name.lower().endswith((".csv", ".csv.gz")):
            return _read_csv(path)
        return _read_arrow(path)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise DataError(
            f"{path.name} is not a whole gzip file; fetch or compress it anew."
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path.name} cannot be read: {reason}; check the file.") from None


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return _with_time_name(_parse_csv(path))
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(
            f"{path.name} is not UTF-8 text (it holds the byte 0x{byte:02x}); save it as UTF-8."
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path.name} is empty; give a header line and at least one bar.") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{path.name} is not a CSV table{_place(error)}; repair it.") from None
    except pd.errors.ParserWarning:
        raise DataError(
            f"{path.name} has rows with more values than its first line has names; let the first "
            "line name the columns."
        ) from None


def _parse_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    written = _first_line(path)
    _check_separator(written, path.name)
    check_once(written, path.name)  # pandas would call the second one close.1
    names = pd.read_csv(path, encoding="utf-8-sig", nrows=0).columns
    texts = [name for name in names if fold(name) in _TEXT]
    return pd.read_csv(
        path,
        encoding="utf-8-sig",
        low_memory=False,  # one type a column, however long the file
        index_col=False,  # a row that is too long must not shift the columns
        dtype=dict.fromkeys(texts, str),
        keep_default_na=not texts,
        na_values={name: _missing(name in texts) for name in names} if texts else None,
    )


def _first_line(path: Path) -> list[str]:
    """The names of the columns as they stand in the file."""
    import pandas as pd

    line = pd.read_csv(
        path, encoding="utf-8-sig", nrows=1, header=None, dtype=str, keep_default_na=False
    )
    return [str(name) for name in line.iloc[0]]


def _check_separator(names: list[str], where: str) -> None:
    for sign, words in _OTHER_SEPARATORS.items():
        if len(names) == 1 and sign in names[0]:
            raise DataError(
                f"{where} has no column open: its first line is {names[0]!r}, so the values "
                f"seem to be separated by {words}; save it with commas."
            )


def _missing(is_text: bool) -> list[str]:
    return [""] if is_text else ["", "NaN", "nan", "NA", "N/A", "null", "NULL", "None"]


def _read_arrow(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        arrow: Any = importlib.import_module("pyarrow")
    except ImportError:
        raise DataError(
            f"{path.name} needs pyarrow, which is not installed; run "
            "`pip install ticklane[parquet]`, or give a CSV file."
        ) from None
    read = pd.read_parquet if path.name.lower().endswith(".parquet") else pd.read_feather
    try:
        return read(path)
    except (arrow.ArrowException, ValueError):
        kind = path.suffix[1:].lower()
        raise DataError(f"{path.name} is not a {kind} file; write it anew.") from None


def _with_time_name(frame: pd.DataFrame) -> pd.DataFrame:
    """Call the first column date where `to_csv` wrote an index without a name there."""
    if any(fold(name) in TIME_NAMES for name in frame.columns):
        return frame
    return frame.rename(columns={"Unnamed: 0": "date"})


def _place(error: Exception) -> str:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    return f" (line {found[2]} has {found[3]} values, not {found[1]})" if found else ""
