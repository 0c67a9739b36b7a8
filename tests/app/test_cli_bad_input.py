"""Everything a user can give wrongly: one clear sentence, exit code 1, and nothing left broken."""

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_builders import the_error_in

HEADER = "date,open,high,low,close\n"
GOOD = "2024-01-01,10,11,9,10\n"

PRICES = {
    "a missing column": (
        "date,open,high,low\n2024-01-01,10,11,9\n",
        "has no column close",
    ),
    "unsorted times": (
        f"{HEADER}2024-01-02,10,11,9,10\n{GOOD}",
        "is not sorted by time: 2024-01-01 (row 2) comes after 2024-01-02",
    ),
    "a time twice": (f"{HEADER}{GOOD}{GOOD}", "has the time 2024-01-01 twice (row 2)"),
    "a hole": (f"{HEADER}{GOOD}2024-01-02,10,11,9,\n", "close is nan at 2024-01-02 (row 2)"),
    "a word": (f"{HEADER}{GOOD}2024-01-02,10,11,9,high\n", "close is 'high' in row 2"),
    "a negative price": (
        f"{HEADER}{GOOD}2024-01-02,10,11,-9,10\n",
        "low is -9.0 at 2024-01-02 (row 2), but must be above zero",
    ),
    "a high below the low": (
        f"{HEADER}{GOOD}2024-01-02,10,8,9,10\n",
        "high is 8.0 at 2024-01-02 (row 2), below the low 9.0",
    ),
    "an empty file": ("", "is empty; give a header line and at least one bar"),
    "no rows": (HEADER, "has no rows; give at least one bar"),
    "another encoding": (f"{HEADER}{GOOD}2024-01-02,10,11,9,\xe9\n", "is not UTF-8 text"),
    "mixed time zones": (
        f"{HEADER}2024-01-01T00:00+00:00,10,11,9,10\n2024-01-02T00:00+02:00,10,11,9,10\n",
        "column date mixes time zones",
    ),
}


@pytest.fixture
def good(bars, folder):
    """Good bars, and a check that a good command does its work after the bad one."""
    return bars


def still_works(tl):
    done = tl("run", "--feed", "replay:X.csv", "--strategy", "buy_and_hold", "--fresh")
    assert done.code == 0, done
    assert len(json.loads(tl("fills", "--json").out)) == 1


@pytest.mark.parametrize("what", PRICES)
@pytest.mark.parametrize(
    "words",
    [
        ("backtest", "buy_and_hold", "--data", "bad.csv"),
        ("run", "--strategy", "buy_and_hold", "--feed", "replay:bad.csv"),
    ],
    ids=["backtest", "run"],
)
def test_prices_that_cannot_be(tl, folder, words, what):
    text, said = PRICES[what]
    (folder / "bad.csv").write_text(text, "latin-1")

    sentence = the_error_in(tl(*words))

    assert sentence.startswith("bad.csv")
    assert said in sentence
    assert (folder / "bad.csv").read_text("latin-1") == text
    assert not list(folder.rglob("*.db"))


BACKTEST = {
    "no such file": (["--data", "none.csv"], "none.csv does not exist"),
    "no such sample": (["--data", "sample:TSLA"], "There is no sample 'TSLA'"),
    "another kind of file": (["--data", "mine.py"], "mine.py is not a price file by its ending"),
    "no such symbol": (["--symbol", "A,B"], "the prices of A are missing; there are X."),
    "dates reversed": (
        ["--from", "2024-01-09", "--to", "2024-01-02"],
        "--from 2024-01-09 is not before --to 2024-01-02; swap them.",
    ),
    "no date": (["--to", "tomorrow"], "--to is 'tomorrow', but must be a date or time"),
    "zero cash": (["--cash", "0"], "cash is 0, but must be above zero."),
    "negative cash": (["--cash", "-5"], "cash is -5, but must be above zero."),
    "all the cash there is": (["--cash", "1e20"], "cash is 1E+20, but must be at most 1E+15."),
    "no cash": (["--cash", "lots"], "cash is 'lots', but must be a number."),
    "a parameter of another type": (
        ["--param", "size=many"],
        "size of Mine is 'many', but must be a valid integer",
    ),
    "true for a number": (
        ["--param", "size=true"],
        "size of Mine is True, but must be a number, not true or false.",
    ),
    "a parameter out of bounds": (
        ["--param", "size=5000"],
        "size of Mine is 5000, but must be less than or equal to 1000.",
    ),
    "an unknown parameter": (["--param", "speed=1"], "Mine does not know the key 'speed'"),
    "a parameter without value": (["--param", "size"], "parameter 'size' must be key=value"),
    "unknown costs": (["--costs", "some=1"], "costs are some=1, but must be per_share"),
    "costs without number": (
        ["--costs", "cheap"],
        "'cheap' must be name=number, such as --costs per_share=0.005.",
    ),
    "negative slippage": (["--slippage", "fixed=-1"], "fixed of slippage is -1, but must not be"),
    "slippage of all": (["--slippage", "percent=200"], "percent of slippage is 200, but must be"),
    "endless slippage": (
        ["--slippage", "percent=1e400"],
        "percent of slippage is 1E+400, but must",
    ),
    "negative costs": (["--costs", "per_order=-1"], "per_order of costs is -1, but must not be"),
    "endless costs": (["--costs", "per_share=1e400"], "per_share of costs is 1E+400, but must be"),
    "no such calendar": (["--calendar", "MOON"], "calendar is 'MOON', but must be the code"),
    "no timeframe": (["--timeframe", "soon"], "timeframe is 'soon', but must be"),
    "no interval": (["--interval", "often"], "interval is 'often', but must be"),
    "a report nowhere": (
        ["--report", "X.csv/r.html"],
        "report path X.csv/r.html cannot be written",
    ),
    "results nowhere": (["--save", "X.csv"], "the result cannot be saved in X.csv"),
}


@pytest.mark.parametrize("what", BACKTEST)
def test_a_backtest_that_cannot_be(tl, good, strategies, what):
    words, said = BACKTEST[what]
    before = good.read_text()

    sentence = the_error_in(tl("backtest", "mine.py:Mine", "--data", "X.csv", *words))

    assert said in sentence
    assert good.read_text() == before


STRATEGIES = {
    "no import": ("import nothing_of_the_kind", "does not import: ModuleNotFoundError"),
    "no python": ("def (:", "does not import: SyntaxError: invalid syntax (bad.py, line 1)"),
    "an exit": ("raise SystemExit(3)", "does not import: SystemExit: 3 (bad.py, line 1)"),
    "no strategy": ("x = 1", "bad.py holds no strategy"),
    "no on_tick": (
        "from ticklane import StrategyInterface\nclass A(StrategyInterface): pass",
        "is abstract; it still needs on_tick",
    ),
}


@pytest.mark.parametrize("what", STRATEGIES)
@pytest.mark.parametrize("command", ["backtest", "run", "strategies"])
def test_a_strategy_file_that_cannot_be_used(tl, good, folder, what, command):
    text, said = STRATEGIES[what]
    (folder / "bad.py").write_text(text)
    words = {
        "backtest": ("backtest", "bad.py", "--data", "X.csv"),
        "run": ("run", "--strategy", "bad.py", "--feed", "replay:X.csv"),
        "strategies": ("strategies", "bad.py"),
    }

    assert said in the_error_in(tl(*words[command]))


def test_a_strategy_that_is_not_there(tl, good):
    for spec in ("none.py:Mine", "nobody", "no.module:Mine"):
        the_error_in(tl("backtest", spec, "--data", "X.csv"))


RUN = {
    "zero cash": (["--cash", "0"], "the setting 'cash' is '0', but must be greater than 0."),
    "all the cash there is": (
        ["--cash", "1e25"],
        "the setting 'cash' is '1e25', but must be at most",
    ),
    "no speed": (["--speed", "0"], "the setting 'speed' is '0', but must be greater than 0."),
    "endless speed": (["--speed", "inf"], "speed is inf, but must be a number above zero"),
    "no duration": (["--duration", "long"], "duration is 'long', but must be seconds"),
    "no time": (["--duration", "0"], "duration is '0', but must be seconds"),
    "no feed": (
        ["--feed", "internet"],
        "feed is 'internet', but must be simulated, alpaca, alpaca:polling, sample:AAPL",
    ),
    "no file": (["--feed", "replay:none.csv"], "none.csv does not exist"),
    "no seed": (["--seed", "dice"], "the setting 'seed' is 'dice', but must be a valid integer"),
    "no broker": (["--broker", "bank"], "'broker' is 'bank', but must be 'paper' or 'alpaca'."),
    "no config": (["--config", "none.toml"], "the config file none.toml does not exist."),
    "no symbols": (["--feed", "simulated"], "symbols are missing; name them with --symbols"),
    "a bad parameter": (["--param", "size=0"], "size of Mine is 0, but must be greater than"),
}


@pytest.mark.parametrize("what", RUN)
def test_a_run_that_cannot_be(tl, good, strategies, what):
    words, said = RUN[what]

    sentence = the_error_in(
        tl("run", "--feed", "replay:X.csv", "--strategy", "mine.py:Mine", *words)
    )

    assert said in sentence
    still_works(tl)


def test_a_config_with_an_unknown_key_is_refused_by_every_command_that_reads_it(tl, good, folder):
    (folder / "ticklane.toml").write_text("speeed = 60\n")

    for words in (["run"], ["orders"], ["status"], ["reset", "--yes"], ["export", "fills"]):
        assert "the setting 'speeed' is unknown" in the_error_in(tl(*words))


def test_a_config_with_an_unknown_key_of_a_strategy_is_refused(tl, good, folder):
    (folder / "ticklane.toml").write_text(
        'feed = "replay:X.csv"\n[[strategy]]\nstrategy = "buy_and_hold"\npositionsize = 3\n'
    )

    assert "does not know the key 'positionsize'" in the_error_in(tl("run"))


# The database

RECORDED = ("run", "--feed", "replay:X.csv", "--strategy", "buy_and_hold", "--database")


def test_a_database_in_a_folder_that_is_not_there(tl, good):
    assert the_error_in(tl(*RECORDED, "no/where.db")).startswith("the folder ")
    still_works(tl)


def test_a_database_that_is_a_folder(tl, good, folder):
    (folder / "runs.db").mkdir()

    assert "is a folder; give the path of a file in it." in the_error_in(tl(*RECORDED, "runs.db"))


def test_a_database_that_is_something_else(tl, good):
    before = good.read_text()

    for words in ([*RECORDED, "X.csv"], ["orders", "--database", "X.csv"]):
        assert "X.csv is not a SQLite database" in the_error_in(tl(*words))
    assert good.read_text() == before


def test_a_database_of_another_program(tl, good, folder):
    with sqlite3.connect(folder / "theirs.db") as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = (folder / "theirs.db").read_bytes()

    assert "belongs to another program" in the_error_in(tl(*RECORDED, "theirs.db"))
    said = tl("backup", "copy.db", "--database", "theirs.db")
    assert "belongs to another program" in the_error_in(said)
    assert (folder / "theirs.db").read_bytes() == before
    assert [file.name for file in folder.glob("*.db*")] == ["theirs.db"]


@pytest.fixture
def unwritable():
    """A folder that only root may write, in a place where everybody can come."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def somebody_else():
    """Permissions do not bind root, so root is nobody for a while."""
    before = os.getresuid()
    if before[1] == 0:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(*before)


def test_a_database_that_cannot_be_written(tl, good, unwritable, monkeypatch):
    still_works(tl)  # and so everything is imported: nobody may not read root's libraries
    data = Path(tempfile.mkdtemp(dir=unwritable.parent))
    data.chmod(0o777)
    monkeypatch.chdir(data)
    shutil.copy(good, data)

    with somebody_else():
        said = tl(*RECORDED, unwritable / "runs.db")

    shutil.rmtree(data)
    assert f"the folder {unwritable} of the database cannot be written" in the_error_in(said)
    assert list(unwritable.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system with 0.5 MB for the database, and a ballast to throw off."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    (disk / "ballast").write_bytes(b"x" * (16 * 1024 * 1024 - 500_000))
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_gets_full_ends_the_run_and_loses_nothing(tl, small_disk, monkeypatch):
    monkeypatch.setenv("TICKLANE_LOG_LEVEL", "ERROR")
    words = ("run", "--feed", "sample:AAPL", "--strategy", "moving_average_crossover")

    full = tl(*words, "--database", small_disk / "runs.db")
    (small_disk / "ballast").unlink()
    resumed = tl(*words, "--database", small_disk / "runs.db")
    whole = tl(*words, "--database", "whole.db")

    sentence = the_error_in(full)
    assert f"the disk of the database {small_disk}/runs.db is full (" in sentence
    assert sentence.endswith("free some space and start again.")
    assert (resumed.code, whole.code) == (0, 0)
    for what in ("orders", "fills", "trades"):
        assert without_ids(tl(what, "--json", "--database", small_disk / "runs.db")) == without_ids(
            tl(what, "--json", "--database", "whole.db")
        )


def without_ids(said):
    """The rows but for what differs between two installations."""
    return [{**row, "client_order_id": None} for row in json.loads(said.out)]
