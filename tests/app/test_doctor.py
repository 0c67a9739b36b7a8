"""doctor: every check says ok, notice or failed, whatever else is broken, and shows no key."""

import json
import os
import re
import socket
import tomllib
from pathlib import Path

import pytest
from cli_builders import STRATEGY, the_error_in, write_bars

from ticklane.app import doctor
from ticklane.app.doctor import OPTIONAL, PACKAGES, examine

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
NAMES = ("python clock packages settings database daemon permissions disk data keys").split()


@pytest.fixture(autouse=True)
def _at_home(folder):
    """Every test begins in an empty folder without our variables."""


def found():
    """The checks by their names."""
    return {check.name: check for check in examine()}


def test_a_healthy_installation_is_told_so(tl, folder):
    said = tl("doctor")

    assert (said.code, said.err) == (0, "")
    assert [line.split()[:2] for line in said.out.splitlines()] == [["ok", n] for n in NAMES]
    assert list(folder.iterdir()) == []


def test_scripts_read_the_same_as_json(tl):
    told = json.loads(tl("doctor", "--json").out)

    assert [check["name"] for check in told] == NAMES
    assert set(told[0]) == {"name", "state", "text"}


def test_the_packages_are_those_of_the_project():
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    wanted = {}
    for text in project["dependencies"]:
        name, least = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+).*", text).groups()
        wanted[name] = least
    extras = project["optional-dependencies"]
    optional = {re.match(r"[\w-]+", text)[0] for text in extras["parquet"]}

    assert wanted | {"aiosqlite": "0", "greenlet": "0"} == PACKAGES
    assert set(OPTIONAL) == optional | {"asyncpg"}  # comes with sqlalchemy[postgresql-asyncpg]


def test_a_package_that_is_missing_or_old_is_named_and_the_rest_left_out(monkeypatch):
    monkeypatch.setitem(PACKAGES, "no-such-package", "1")
    monkeypatch.setitem(PACKAGES, "numpy", "99.1")

    *_, last = examine()

    assert (last.name, last.state) == ("packages", "failed")
    assert "no-such-package is missing; numpy is " in last.text
    assert ", but must be 99.1 or newer; install ticklane anew with pip." in last.text


def test_what_failed_is_summed_up_in_one_sentence(tl, folder):
    (folder / "ticklane.toml").write_text("nonsense = 1")

    said = tl("doctor")

    assert (said.code, said.err) == (1, "Error: doctor found a problem with settings.\n")
    assert "failed  settings  the setting 'nonsense' is unknown" in said.out
    assert "ok      data " in said.out


def test_the_configured_strategies_are_looked_at(folder):
    (folder / "mine.py").write_text(STRATEGY)
    (folder / "ticklane.toml").write_text(
        '[[strategy]]\nstrategy = "mine.py:Mine"\nsymbols = ["A"]\nsize = 2000\n'
    )

    assert "size of Mine is 2000, but must be less than" in found()["settings"].text


def test_a_database_is_counted_and_a_foreign_file_refused(tl, folder):
    write_bars(folder / "X.csv")
    tl("run", "--feed", "replay:X.csv", "--strategy", "buy_and_hold")
    assert "ticklane.db, 0 MB, 1 run, 0 unfinished" in found()["database"].text

    (folder / "ticklane-data" / "ticklane.db").write_bytes(b"no database at all")
    assert found()["database"].state == "failed"
    assert "is not a SQLite database" in found()["database"].text


def test_a_dead_socket_is_no_daemon(folder):
    (folder / "ticklane-data").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("ticklane-data/ticklane.db.sock")

    check = found()["daemon"]

    assert (check.state, check.text[:24]) == ("notice", "no daemon is running on ")


def test_a_place_that_cannot_be_written_is_a_problem(folder):
    (folder / "ticklane-data").write_text("a file where the folder should be")

    checks = found()

    assert checks["permissions"].state == "failed"
    assert "ticklane-data cannot be written by this user" in checks["permissions"].text


def test_a_database_in_a_folder_that_is_missing_is_refused_as_a_run_refuses_it(tl, folder):
    said = tl("doctor", "--database", "nodir/x.db")

    run = tl("run", "--strategy", "buy_and_hold", "--symbols", "A", "--database", "nodir/x.db")
    refused = the_error_in(run)
    assert said.code == 1
    assert f"failed  database     {refused}\n" in said.out
    assert refused.startswith(f"the folder {folder / 'nodir'} of the database does not exist")


def test_a_data_folder_that_is_missing_is_no_problem(folder):
    (folder / "ticklane.toml").write_text('data_dir = "deep/down"\n')

    assert found()["database"].text == (
        "deep/down/ticklane.db does not exist yet; the first run makes it"
    )
    assert found()["permissions"].state == "ok"
    assert [file.name for file in folder.iterdir()] == ["ticklane.toml"]


@pytest.mark.parametrize("words", [["--database", "/proc/x.db"], ["--config", "own.toml"]])
def test_a_folder_in_which_nobody_can_make_files_is_a_problem(tl, folder, words):
    (folder / "own.toml").write_text('data_dir = "/proc/deep"\n')

    said = tl("doctor", *words)

    assert said.code == 1
    assert "failed  permissions  /proc cannot be written by this user" in said.out


def test_keys_are_told_of_but_never_shown(tl, folder):
    (folder / ".env").write_text("ALPACA_API_KEY=CANARY-1\nALPACA_API_SECRET=CANARY-2\n")
    os.chmod(folder / ".env", 0o600)

    said = tl("doctor", "--no-connect")

    assert "ALPACA_API_KEY is set (.env), ALPACA_API_SECRET is set (.env)" in said.out
    assert "CANARY" not in said.out + said.err


def test_keys_that_others_may_read_are_a_notice(folder):
    (folder / ".env").write_text("ALPACA_API_KEY=x\n")
    os.chmod(folder / ".env", 0o644)

    check = found()["permissions"]

    assert (check.state, check.text) == (
        "notice",
        "others may read .env; run chmod 600 .env if it holds keys.",
    )


def test_little_room_on_the_disk_is_a_notice(monkeypatch):
    monkeypatch.setattr("ticklane.storage.service.MINIMUM_FREE_BYTES", 10**18)

    check = found()["disk"]

    assert check.state == "notice"
    assert check.text.startswith("only ")


def test_a_clock_before_the_installation_is_a_problem(tmp_path, monkeypatch):
    from_the_future = tmp_path / "doctor.py"
    from_the_future.touch()
    os.utime(from_the_future, (4e9, 4e9))
    monkeypatch.setattr(doctor, "__file__", str(from_the_future))

    check = found()["clock"]

    assert check.state == "failed"
    assert "before ticklane was installed; set it." in check.text
