"""Commands that list: JSON for scripts, tabs for pipes, tables for people."""

import json
import os
import pty
import subprocess
import sys

import pytest
from cli_builders import environment, the_error_in

from ticklane.cli.output import printable
from ticklane.storage.reader import FIELDS


@pytest.fixture
def traded(tl, bars, strategies):
    """A database with one finished run: a round trip of Mine, and a position of BuyAndHold."""
    (bars.parent / "two.toml").write_text(
        'feed = "replay:X.csv"\n'
        '[[strategy]]\nstrategy = "mine.py:Mine"\n[[strategy]]\nstrategy = "buy_and_hold"\n'
    )
    assert tl("run", "--config", "two.toml").code == 0


def listed(tl, *words):
    return json.loads(tl(*words, "--json").out)


@pytest.mark.parametrize(
    ("what", "count"), [("orders", 3), ("fills", 3), ("trades", 1), ("positions", 1), ("runs", 1)]
)
def test_json_holds_the_public_fields_and_the_kind_of_prices(tl, traded, what, count):
    rows = listed(tl, what)

    fields = FIELDS[what] if what == "runs" else (*FIELDS[what], "feed")
    assert len(rows) == count
    assert [tuple(row) for row in rows] == [tuple(fields)] * count


@pytest.mark.parametrize("what", ["orders", "fills", "trades", "positions", "runs"])
def test_a_pipe_gets_every_field_separated_by_tabs(tl, traded, what):
    header, *rows = tl(what).out.splitlines()

    expected = [
        ["" if value is None else str(value) for value in row.values()] for row in listed(tl, what)
    ]
    given = [row.split("\t") for row in rows]
    is_text = [n for n, value in enumerate(listed(tl, what)[0].values()) if not is_nested(value)]
    assert header.split("\t") == list(listed(tl, what)[0])
    assert [[row[n] for n in is_text] for row in given] == [
        [row[n] for n in is_text] for row in expected
    ]


def is_nested(value):
    return isinstance(value, dict | list)


def test_rows_are_picked_by_strategy_symbol_state_and_number(tl, traded):
    assert {row["strategy"] for row in listed(tl, "orders", "--strategy", "Mine")} == {"Mine"}
    assert listed(tl, "fills", "--symbol", "Y") == []
    assert listed(tl, "orders", "--open") == []
    assert listed(tl, "fills", "--limit", "1") == listed(tl, "fills")[-1:]
    assert len(listed(tl, "positions", "--all")) == 2


def test_another_run_is_asked_for_by_its_id(tl, traded):
    tl("run", "--config", "two.toml", "--symbols", "X", "--strategy", "mine.py:Patient")

    assert len(listed(tl, "fills", "--run", "r1")) == 3
    assert listed(tl, "fills") == []
    assert "has no run 'r9'; the runs are r1, r2" in the_error_in(tl("fills", "--run", "r9"))


def test_a_terminal_gets_a_table_with_a_title_and_the_kind_of_prices(folder, traded):
    shown = on_a_terminal("fills", cwd=folder)

    assert "fills of run r1  [REPLAY]" in shown
    assert "2024-01-02  r1-1   Mine" in shown
    assert "execution_id" not in shown


@pytest.mark.parametrize("what", ["orders", "fills", "trades", "positions", "runs"])
def test_a_narrow_terminal_breaks_no_number(folder, traded, what):
    shown = on_a_terminal(what, cwd=folder, columns=20)

    assert "…" not in shown


def test_a_terminal_is_told_when_there_is_nothing(folder, traded):
    assert "There are no fills in run r1." in on_a_terminal("fills", "--symbol", "Y", cwd=folder)


def test_the_newest_fifty_are_enough_for_a_terminal(tl, folder, traded):
    words = ("--feed", "sample:AAPL", "--strategy", "moving_average_crossover")
    tl("run", *words, "--database", "many.db")

    few = on_a_terminal("fills", "--database", "many.db", cwd=folder)
    many = on_a_terminal("fills", "--database", "many.db", "--limit", "0", cwd=folder)

    assert "These are the newest 50; --limit 0 shows all." in few
    assert few.count("market_at_open") == 50
    assert many.count("market_at_open") == len(listed(tl, "fills", "--database", "many.db")) > 50


def on_a_terminal(*words, cwd, columns=100):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    set_up = {**environment(), "TERM": "dumb", "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "ticklane", *words]
    with subprocess.Popen(command, cwd=cwd, env=set_up, stdout=theirs, stderr=theirs):
        os.close(theirs)
        parts = []
        while part := read(ours):
            parts.append(part)
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


def read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody is there any more
        return b""


def test_words_of_a_strategy_cannot_steer_the_terminal():
    assert printable("\x1b[2Jhello\x07\tthere") == " [2Jhello  there"


def test_without_a_database_there_is_one_sentence_and_no_file(tl, folder):
    assert "does not exist yet; start a run first" in the_error_in(tl("orders"))
    assert list(folder.iterdir()) == []


# strategies


def test_the_built_in_strategies_are_listed_with_their_parameters(tl):
    said = tl("strategies")

    assert said.code == 0
    assert "buy_and_hold  Buys `position_size` of each symbol" in said.out
    assert "    fast           int                   default 10      >= 1" in said.out


def test_strategies_as_json(tl):
    told = {one["name"]: one for one in listed(tl, "strategies")}

    assert set(told) >= {"buy_and_hold", "moving_average_crossover"}
    assert told["moving_average_crossover"]["parameters"][0] == {
        "name": "fast",
        "type": "int",
        "default": 10,
        "bounds": ">= 1",
        "description": "bars of the fast average",
        "is_required": False,
    }


def test_a_strategy_of_ones_own_is_described(tl, strategies):
    said = tl("strategies", "mine.py:Mine")

    assert "mine.py:Mine  Buys at its first tick and sells at its fourth." in said.out
    assert "size  int  default 10  >= 1, <= 1000  shares to buy" in said.out


def test_a_strategy_without_parameters_is_described_as_well(tl, strategies):
    assert "Raises at every tick." in tl("strategies", "mine.py:Failing").out
