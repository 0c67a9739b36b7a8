"""init, backup and export: what they write, and that they never spoil what is there."""

import csv
import io
import json
import subprocess
import sys
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from cli_builders import environment, the_error_in

from no_room import no_room
from ticklane.app.project import make_project
from ticklane.core.errors import ConfigError
from ticklane.storage.reader import FIELDS, Reader

FILES = [".gitignore", "README.md", "strategy.py", "test_strategy.py", "ticklane.toml"]


# init


def test_a_new_project_is_made_and_the_next_commands_are_told(tl, folder):
    said = tl("init", "my project")

    assert said.code == 0
    assert sorted(file.name for file in (folder / "my project").iterdir()) == FILES
    assert said.out.splitlines()[-4:] == [
        "Next:",
        "  cd 'my project'",
        "  ticklane backtest strategy.py:TrendStrategy --data sample:AAPL",
        "  ticklane run",
    ]


def test_the_new_project_is_tested_backtested_and_run(tl, folder, monkeypatch):
    tl("init", "new")
    monkeypatch.chdir(folder / "new")

    tests = pytest_in(folder / "new")
    backtest = tl("backtest", "strategy.py:TrendStrategy", "--data", "sample:AAPL", "--json")
    run = tl("run", "--duration", "2s")

    assert tests.returncode == 0, tests.stdout
    assert len(json.loads(backtest.out)["trades"]) > 10
    assert run.code == 0
    assert "[SIMULATED]" in run.out
    assert (folder / "new" / "ticklane-data" / "ticklane.db").is_file()


def pytest_in(directory):
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    return subprocess.run(
        words, cwd=directory, env=environment(), capture_output=True, text=True, timeout=60
    )


def test_the_comments_of_the_config_can_be_taken_at_their_word(tl, folder, monkeypatch):
    tl("init", "new")
    monkeypatch.chdir(folder / "new")
    config = folder / "new" / "ticklane.toml"
    config.write_text(config.read_text().replace('"simulated"', '"sample:AAPL"'))

    said = tl("run", "--fresh")

    assert "[adjusted prices]" in said.out


def test_the_new_project_is_as_clean_as_our_own(folder):
    make_project(folder / "new")

    for words in (["check", "--select", "E,F,I,UP,B"], ["format", "--check"]):
        settled = ["ruff", *words, "--isolated", "--no-cache", "--config", "line-length = 100"]
        done = subprocess.run(
            [sys.executable, "-m", *settled], cwd=folder / "new", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_a_folder_that_is_not_empty_is_left_alone(tl, folder):
    (folder / "notes.txt").write_text("mine")

    assert the_error_in(tl("init", ".")) == (
        "the folder . is not empty; choose a new or empty one."
    )
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


def test_a_file_in_the_way_is_named(tl, bars):
    assert "the project X.csv cannot be made (Not a directory)" in the_error_in(tl("init", "X.csv"))


def test_an_empty_folder_is_used(tl, folder):
    assert tl("init", ".").code == 0
    assert sorted(file.name for file in folder.iterdir()) == FILES


def test_a_project_that_cannot_be_written_leaves_nothing_behind(folder):
    (folder / "empty").mkdir()

    for name in ("new", "empty"):
        with (
            no_room(),
            pytest.raises(ConfigError, match=f"{name} cannot be made \\(File too large"),
        ):
            make_project(folder / name)

    assert [file.name for file in folder.rglob("*")] == ["empty"]


def test_a_name_that_cannot_be_is_refused(folder):
    with pytest.raises(ConfigError, match="cannot be made"):
        make_project(folder / ("x" * 300))


# backup and export


@pytest.fixture
def traded(tl, bars, strategies):
    assert tl("run", "--feed", "replay:X.csv", "--strategy", "mine.py:Mine").code == 0


def test_a_backup_is_a_whole_database(tl, traded, folder):
    said = tl("backup", "copy.db")

    assert said.code == 0
    assert said.out.startswith("Backup copy.db is written (")
    with Reader(folder / "copy.db") as copy, Reader("ticklane-data/ticklane.db") as original:
        assert copy.fills() == original.fills()


def test_a_backup_replaces_nothing(tl, traded, bars):
    before = bars.read_text()

    assert "the backup file X.csv exists already" in the_error_in(tl("backup", "X.csv"))
    assert bars.read_text() == before


@pytest.mark.parametrize("table", ["trades", "fills", "orders", "equity"])
def test_an_export_goes_to_the_screen_as_csv(tl, traded, table):
    said = tl("export", table)

    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert tuple(rows[0]) == FIELDS[table]
    assert len(rows) == {"trades": 1, "fills": 2, "orders": 2, "equity": 12}[table]


def test_an_export_goes_to_a_file_as_json_or_parquet(tl, traded, folder):
    as_json = tl("export", "fills", "--format", "json", "--output", "fills.json")
    as_parquet = tl("export", "fills", "--format", "parquet", "-o", "fills.parquet")

    assert (as_json.out, as_parquet.code) == ("Export fills.json is written.\n", 0)
    prices = [fill["price"] for fill in json.loads((folder / "fills.json").read_text())]
    assert [Decimal(price) for price in prices] == [101, 104]
    assert pq.read_table(folder / "fills.parquet")["price"].to_pylist() == prices


def test_an_export_has_the_format_that_its_file_ends_in_unless_another_is_named(tl, traded, folder):
    for words in (
        ["-o", "o.json"],
        ["-o", "O.PARQUET"],
        ["-o", "o.txt"],
        ["-o", "odd.json", "--format", "csv"],
    ):
        assert tl("export", "orders", *words).code == 0

    assert len(json.loads((folder / "o.json").read_text())) == 2
    assert pq.read_table(folder / "O.PARQUET").num_rows == 2
    for name in ("o.txt", "odd.json"):
        assert (folder / name).read_text().startswith("id,client_order_id,")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fills", "--format", "parquet"], "parquet is not text, so it needs a file"),
        (["fills", "--output", "no/where.csv"], "the export no/where.csv cannot be written"),
        (["fills", "--output", "ticklane-data/ticklane.db"], "would replace the database"),
        (["fills", "--run", "r7"], "has no run 'r7'"),
    ],
)
def test_an_export_that_cannot_be_is_refused(tl, traded, words, said):
    assert said in the_error_in(tl("export", *words))
