"""Export: the same rows as CSV, JSON or Parquet."""

import csv
import io
import json
import sys
from datetime import datetime

import pytest
from storage_builders import START, a_whole_tick

from no_room import no_room
from ticklane.core.errors import ConfigError, StorageError
from ticklane.storage.export import FORMATS, TABLES, export
from ticklane.storage.reader import FIELDS, Reader


@pytest.fixture
async def reader(storage, place):
    for number in (1, 2):
        await storage.record("r1", a_whole_tick(number))
    with Reader(place) as found:
        yield found


@pytest.mark.parametrize("what", TABLES)
def test_csv_has_a_header_and_the_rows(reader, what):
    rows = list(csv.reader(io.StringIO(export(reader, what, "csv"))))

    assert tuple(rows[0]) == FIELDS[what]
    assert len(rows) == 3


@pytest.mark.parametrize("what", TABLES)
def test_json_is_what_the_reader_tells(reader, what):
    told = reader.equity_rows() if what == "equity" else getattr(reader, what)()

    assert json.loads(export(reader, what, "json")) == told


def test_a_file_gets_what_the_text_would_be(reader, tmp_path):
    file = tmp_path / "trades.csv"

    assert export(reader, "trades", "csv", file) is None
    assert file.read_text() == export(reader, "trades", "csv", run="r1")


@pytest.mark.parametrize("what", TABLES)
def test_parquet_has_instants_and_exact_texts(reader, tmp_path, what):
    pq = pytest.importorskip("pyarrow.parquet")

    export(reader, what, "parquet", tmp_path / "out.parquet")

    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    told = json.loads(export(reader, what, "json"))
    instant = next(name for name in FIELDS[what] if name == "at" or name.endswith("_at"))
    assert tuple(rows[0]) == FIELDS[what]
    assert rows[0][instant] == datetime.fromisoformat(told[0][instant])
    money = "cash" if what == "equity" else "quantity"
    assert [row[money] for row in rows] == [row[money] for row in told]


async def test_nothing_to_export_is_a_header_an_empty_list_and_an_empty_table(
    reader, tmp_path, storage
):
    pq = pytest.importorskip("pyarrow.parquet")
    await storage.begin_run("other", {}, START)

    export(reader, "fills", "parquet", tmp_path / "out.parquet")

    assert export(reader, "fills", "csv") == ",".join(FIELDS["fills"]) + "\n"
    assert json.loads(export(reader, "fills", "json")) == []
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_parquet_without_pyarrow_names_the_extra(reader, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError, match=r"pip install 'ticklane\[parquet\]'"):
        export(reader, "trades", "parquet", tmp_path / "out.parquet")


def test_parquet_needs_a_file(reader):
    with pytest.raises(ConfigError, match="it needs a file"):
        export(reader, "trades", "parquet")


def test_unknown_words_are_answered_with_the_known_ones(reader):
    with pytest.raises(ConfigError, match="'xml', but must be one of csv, json, parquet"):
        export(reader, "trades", "xml")
    with pytest.raises(ConfigError, match="'runs', but must be one of trades, fills, orders"):
        export(reader, "runs", "csv")


@pytest.mark.parametrize("format", FORMATS)
def test_a_place_that_cannot_be_written_is_named(reader, tmp_path, format):
    with pytest.raises(StorageError, match="cannot be written"):
        export(reader, "trades", format, tmp_path / "nowhere" / "out")


@pytest.mark.parametrize("format", FORMATS)
def test_of_an_export_that_does_not_fit_nothing_is_left(reader, tmp_path, format):
    out = tmp_path / "out"
    out.mkdir()

    with no_room(20), pytest.raises(StorageError, match="cannot be written"):
        export(reader, "trades", format, out / "trades")

    assert list(out.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_the_database_itself_is_never_replaced(reader, path, format):
    with pytest.raises(StorageError, match="would replace the database"):
        export(reader, "trades", format, path)
