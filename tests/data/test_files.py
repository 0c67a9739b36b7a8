"""Price files: read as they are found, refused with one sentence that names them."""

import gzip
import sys
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from data_builders import Weekdays, a_frame, at, one_sentence, shared

from ticklane.core.errors import ConfigError, DataError
from ticklane.core.market import DAY, MINUTE
from ticklane.data.files import load_bars

HEADER = "date,open,high,low,close,volume\n"
ROWS = "2024-01-02,10,11,9,10,100\n2024-01-03,11,12,10,11,100\n2024-01-04,12,13,11,12,100\n"


def write(path, text=HEADER + ROWS):
    path.write_text(text)
    return path


def refusal(source, **options):
    with pytest.raises(DataError) as caught:
        load_bars(source, **options)
    return one_sentence(caught.value)


# What is read


def test_a_csv_is_one_symbol_by_the_name_of_the_file(tmp_path):
    bars, timeframe = load_bars(write(tmp_path / "BRK.B.csv"))

    assert list(bars) == ["BRK.B"]
    assert bars["BRK.B"].close.tolist() == [10, 11, 12]
    assert timeframe.ns == DAY


def test_a_symbol_names_the_series_of_a_single_file(tmp_path):
    bars, _ = load_bars(write(tmp_path / "prices.csv"), symbol="AAPL")

    assert list(bars) == ["AAPL"]
    assert bars["AAPL"].symbol == "AAPL"


def test_a_path_may_be_text_and_the_file_gzipped(tmp_path):
    path = tmp_path / "AAPL.CSV.GZ"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode()))

    bars, _ = load_bars(str(path))

    assert len(bars["AAPL"]) == 3


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_parquet_and_feather_hold_frames(tmp_path, ending):
    path = tmp_path / f"AAPL.{ending}"
    frame = a_frame().reset_index(names="date")
    getattr(frame, f"to_{ending}")(path)

    bars, timeframe = load_bars(path)

    assert bars["AAPL"].open_ns[0] == at(2024, 1, 2)
    assert timeframe.ns == MINUTE


def test_a_parquet_file_may_keep_its_times_in_the_index(tmp_path):
    a_frame(tz="UTC").to_parquet(tmp_path / "AAPL.parquet")

    assert load_bars(tmp_path / "AAPL.parquet")[0]["AAPL"].open_ns[0] == at(2024, 1, 2)


def test_a_frame_written_with_its_index_comes_back(tmp_path):
    a_frame().to_csv(tmp_path / "AAPL.csv")

    assert load_bars(tmp_path / "AAPL.csv")[0]["AAPL"].open_ns[0] == at(2024, 1, 2)


def test_prices_are_read_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(7)
    prices = np.round(rng.uniform(0.01, 1000, 3000), 2) * rng.uniform(0.5, 1, 3000)
    same = dict.fromkeys(("open", "high", "low", "close"), prices)
    a_frame(3000, **same).to_csv(tmp_path / "AAPL.csv")

    bars, _ = load_bars(tmp_path / "AAPL.csv")

    assert bars["AAPL"].close.tolist() == prices.tolist()


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "AAPL.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + ROWS).replace("\n", "\r\n").encode())

    assert len(load_bars(path)[0]["AAPL"]) == 3


def test_a_symbol_column_splits_a_file(tmp_path):
    rows = "2024-01-02,1,1,1,1,NA\n2024-01-02,2,2,2,2,0005\n2024-01-03,3,3,3,3,NA\n"
    path = write(tmp_path / "all.csv", f"date,open,high,low,close,Symbol\n{rows}")

    bars, _ = load_bars(path)

    assert {name: series.close.tolist() for name, series in bars.items()} == {
        "NA": [1, 3],
        "0005": [2],
    }
    assert list(load_bars(path, symbol="0005", timeframe="1d")[0]) == ["0005"]
    assert refusal(path, symbol="AAPL") == "all.csv has no symbol 'AAPL'; it has 0005, NA."


def test_a_folder_holds_a_symbol_a_file(tmp_path):
    write(tmp_path / "IBM.csv")
    a_frame(freq="1D").to_parquet(tmp_path / "AAPL.parquet")
    write(tmp_path / "notes.txt", "not prices")

    bars, timeframe = load_bars(tmp_path)

    assert list(bars) == ["AAPL", "IBM"]
    assert timeframe.ns == DAY
    assert list(load_bars(tmp_path, symbol="IBM")[0]) == ["IBM"]
    assert "has no symbol 'MSFT'; it has AAPL, IBM." in refusal(tmp_path, symbol="MSFT")


def test_timeframe_stamp_and_calendar_reach_the_bars(tmp_path):
    path = write(tmp_path / "AAPL.csv", HEADER + "2024-01-02 21:00,10,11,9,10,100\n")

    bars, _ = load_bars(path, timeframe="1d", stamp="close", calendar=Weekdays())

    assert bars["AAPL"].open_ns[0] == at(2024, 1, 2, 14, 30)
    assert bars["AAPL"].close_ns[0] == at(2024, 1, 2, 21)


# Start and end


@pytest.mark.parametrize("start", ["2024-01-03", date(2024, 1, 3), datetime(2024, 1, 3)])  # noqa: DTZ001
@pytest.mark.parametrize("end", ["2024-01-03", date(2024, 1, 3), "2024-01-04T00:00Z"])
def test_only_bars_between_start_and_end_are_kept_and_an_end_date_counts(tmp_path, start, end):
    bars, _ = load_bars(write(tmp_path / "AAPL.csv"), start=start, end=end)

    assert bars["AAPL"].close.tolist() == [11]


def test_the_timeframe_is_found_before_the_cut(tmp_path):
    assert str(load_bars(write(tmp_path / "AAPL.csv"), start="2024-01-04")[1]) == "1d"


def test_an_empty_span_says_what_there_is(tmp_path):
    path = write(tmp_path / "AAPL.csv")

    assert refusal(path, start="2025-01-01") == (
        "AAPL.csv has no bar after 2025-01-01: its bars closed from 2024-01-03T00:00 to "
        "2024-01-05T00:00 UTC."
    )
    assert "no bar until 2020-01-01" in refusal(path, end="2020-01-01")
    assert "no bar between 2020-01-01 and 2021-01-01" in refusal(
        path, start="2020-01-01", end="2021-01-01"
    )


def test_reversed_dates_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="start is 2024-02-01, which is not before end 2024-01-0"):
        load_bars(write(tmp_path / "AAPL.csv"), start="2024-02-01", end="2024-01-01")


# What is refused


def test_a_missing_path_is_named(tmp_path):
    assert refusal(tmp_path / "AAPL.csv") == (
        f"{tmp_path / 'AAPL.csv'} does not exist; give a CSV, Parquet or Feather file, a folder "
        "of them, or sample:AAPL."
    )


def test_a_folder_without_files_is_refused(tmp_path):
    assert refusal(tmp_path) == (
        f"{tmp_path} holds no price file; put files in it that end in .csv, .csv.gz, .parquet or "
        ".feather."
    )


def test_a_file_of_another_kind_is_refused(tmp_path):
    assert refusal(write(tmp_path / "AAPL.xlsx")) == (
        "AAPL.xlsx is not a price file by its ending: use .csv, .csv.gz, .parquet or .feather."
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "AAPL.csv is empty; give a header line and at least one bar."),
        (b"\n\n", "AAPL.csv is empty; give a header line and at least one bar."),
        (HEADER.encode(), "AAPL.csv has no rows; give at least one bar."),
        ("date,öpen\n".encode("latin-1"), "AAPL.csv is not UTF-8 text (it holds the byte 0xf6)"),
        ((HEADER + ROWS).encode("utf-16"), "AAPL.csv is not UTF-8 text (it holds the byte 0xff)"),
        ((HEADER + ROWS + "é").encode("latin-1"), "AAPL.csv is not UTF-8 text"),
        (
            (HEADER + ROWS).replace(",", ";").replace("10;11", "10,5;11").encode(),
            "AAPL.csv has no column open: its first line is 'date;open;high;low;close;volume', so "
            "the values seem to be separated by ';'; save it with commas.",
        ),
        (
            (HEADER + ROWS).replace(",", "\t").encode(),
            "the values seem to be separated by tabs; save it with commas.",
        ),
        (
            (HEADER.replace("volume", "volume,Close") + ROWS.replace("100\n", "100,7\n")).encode(),
            "AAPL.csv has the column close twice; keep one of them.",
        ),
        (
            (HEADER.replace("volume", "close") + ROWS).encode(),
            "AAPL.csv has the column close twice; keep one of them.",
        ),
        ((HEADER + ROWS + "1,2,3,4,5,6,7\n").encode(), "(line 5 has 7 values, not 6)"),
        ((HEADER + ROWS + '2024-01-05,"10').encode(), "AAPL.csv is not a CSV table"),
        (("credits\n" + HEADER + ROWS).encode(), "rows with more values than its first line has"),
        (b"open,high,low,close\n1,1,1,1\n", "AAPL.csv has no time column and no DatetimeIndex"),
        ((HEADER + ROWS).replace("12,13", "12,").encode(), "high is nan at 2024-01-04 (row 3)"),
        ((HEADER + ROWS).replace("12,13", "12,-").encode(), "high is '-' in row 3, but must be a"),
    ],
)
def test_a_broken_csv_is_refused(tmp_path, content, words):
    path = tmp_path / "AAPL.csv"
    path.write_bytes(content)

    message = refusal(path)

    assert words in message
    assert message.startswith("AAPL.csv")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "AAPL.csv").mkdir()

    assert "holds no price file" in refusal(tmp_path / "AAPL.csv")
    assert refusal(tmp_path) == "AAPL.csv cannot be read: is a directory; check the file."


@pytest.mark.parametrize("damage", [slice(20), slice(60)])
def test_a_torn_gzip_file_is_refused(tmp_path, damage):
    path = tmp_path / "AAPL.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode())[damage])

    assert refusal(path) == "AAPL.csv.gz is not a whole gzip file; fetch or compress it anew."


def test_a_file_that_is_not_gzipped_is_refused(tmp_path):
    path = write(tmp_path / "AAPL.csv.gz")

    assert refusal(path) == "AAPL.csv.gz is not a whole gzip file; fetch or compress it anew."


@pytest.mark.parametrize("ending", ["parquet", "feather"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PAR1nonsensePAR1", b"ARROW1nonsense"])
def test_a_broken_parquet_or_feather_file_is_refused(tmp_path, ending, content):
    path = tmp_path / f"AAPL.{ending}"
    path.write_bytes(content)

    assert refusal(path) == f"AAPL.{ending} is not a {ending} file; write it anew."


def test_without_pyarrow_the_remedy_is_named(tmp_path, monkeypatch):
    path = tmp_path / "AAPL.parquet"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert refusal(path) == (
        "AAPL.parquet needs pyarrow, which is not installed; run `pip install "
        "ticklane[parquet]`, or give a CSV file."
    )


def test_a_row_without_a_symbol_is_refused(tmp_path):
    rows = "2024-01-02,1,1,1,1,AAA\n2024-01-03,1,1,1,1,\n"
    path = write(tmp_path / "all.csv", f"date,open,high,low,close,ticker\n{rows}")

    assert refusal(path) == "all.csv: ticker is empty in row 2; name the symbol of each row."
    write(path, "date,open,high,low,close,ticker\n")
    assert refusal(path) == "all.csv has no rows; give at least one bar."


def test_a_broken_row_of_one_symbol_names_file_and_symbol(tmp_path):
    rows = "2024-01-02,1,1,1,1,AAA\n2024-01-02,1,1,1,-1,BBB\n"
    path = write(tmp_path / "all.csv", f"date,open,high,low,close,symbol\n{rows}")

    assert "all.csv, BBB: close is -1.0 at 2024-01-02" in refusal(path, timeframe="1d")


def test_a_symbol_in_two_files_is_refused(tmp_path):
    write(tmp_path / "AAPL.csv")
    (tmp_path / "AAPL.csv.gz").write_bytes(gzip.compress((HEADER + ROWS).encode()))

    assert refusal(tmp_path) == (
        "AAPL is both in AAPL.csv and in AAPL.csv.gz; keep one file a symbol."
    )


def test_files_of_different_timeframes_are_refused(tmp_path):
    write(tmp_path / "AAPL.csv")
    a_frame().to_csv(tmp_path / "IBM.csv")

    assert refusal(tmp_path) == (
        "AAPL.csv has a bar every 1d, but IBM.csv every 1m; give bars of one length, or timeframe=."
    )


def test_raw_prices_are_refused_where_a_file_has_none(tmp_path):
    assert refusal(write(tmp_path / "AAPL.csv"), adjusted=False) == (
        "AAPL.csv has no column raw_open, which adjusted=False asks for; leave adjusted out."
    )


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "AAPL.csv")

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pd, "read_csv", refuse)  # tests may run as root, who may read everything

    assert refusal(path) == "AAPL.csv cannot be read: permission denied; check the file."


# Real files


def test_a_real_feather_file_of_minutes_is_read_whole():
    path = shared("binance-usdm-feather/BTC_USDT_USDT-1m-futures.feather")

    bars, timeframe = load_bars(path, symbol="BTC/USDT")

    assert len(bars["BTC/USDT"]) == 43_199
    assert str(timeframe) == "1m"
    assert bars["BTC/USDT"].open_ns[0] == at(2025, 5, 4, 15, 33)


def test_a_real_file_with_gaps_keeps_its_timeframe():
    path = shared("freqtrade/UNITTEST_BTC-1m.feather")

    bars, timeframe = load_bars(path)
    series = bars["UNITTEST_BTC-1m"]

    assert str(timeframe) == "1m"
    assert (series.close_ns - series.open_ns == MINUTE).all()


def test_a_real_csv_of_days_and_one_of_minutes_are_read():
    daily, _ = load_bars(shared("basana/binance_btcusdt_day_2020.csv"))
    minutes, _ = load_bars(shared("nautilus/btc-perp-20211231-20220201_1m.csv"), symbol="BTC")

    assert len(daily["binance_btcusdt_day_2020"]) == 366
    assert len(minutes["BTC"]) == 45_031


def test_real_funding_rates_are_not_taken_for_prices():
    path = shared("binance-usdm-feather/LAYER_USDT_USDT-8h-funding_rate.feather")

    assert "but must be above zero" in refusal(path)
