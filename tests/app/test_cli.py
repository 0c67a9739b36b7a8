"""The command line as a program: help, wrong usage, pipes, one sentence for what goes wrong."""

import subprocess
import sys

import pytest
from cli_builders import environment, run_process, the_error_in

from ticklane._version import __version__

COMMANDS = (
    "run backtest strategies orders fills trades positions runs status pause resume stop cancel "
    "close reset init backup export doctor"
).split()


def test_help_names_every_command(tl):
    said = tl("--help")

    assert said.code == 0
    assert [name for name in COMMANDS if f" {name} " not in said.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(tl, command):
    said = tl(command, "--help")

    assert (said.code, said.err) == (0, "")
    assert f"Usage: ticklane {command}" in said.out


def test_help_loads_nothing_heavy(folder):
    heavy = {"numpy", "pandas", "pydantic", "sqlalchemy", "asyncio", "structlog", "matplotlib"}
    program = (
        "import sys; from ticklane.cli import main; main(['--help']); "
        "print('loaded', *sys.modules, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True
    )

    assert "Usage: ticklane" in done.stdout
    assert heavy & set(done.stderr.split()) == set()


def test_the_version_is_told(tl):
    assert tl("--version") == (0, f"ticklane {__version__}\n", "")


def test_without_a_command_the_help_is_shown_and_the_code_is_2(tl):
    said = tl()

    assert said.code == 2
    assert "Usage: ticklane" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["orders", "--nonsense"], "No such option: --nonsense"),
        (["backtest", "buy_and_hold"], "Missing option '--data'."),
        (["cancel"], "Missing argument 'ORDER'."),
        (["orders", "--limit", "-1"], "Invalid value for '--limit'"),
        (["export", "everything"], "'everything' is not one of"),
    ],
)
def test_wrong_usage_is_explained_and_the_code_is_2(tl, words, complaint):
    said = tl(*words)

    usage, hint, empty, error = said.err.splitlines()
    assert (said.code, said.out, empty) == (2, "", "")
    assert usage.startswith("Usage: ticklane")
    assert hint.startswith("Try 'ticklane")
    assert error.startswith(f"Error: {complaint}") or complaint in error


def test_a_sentence_stays_on_one_line_whatever_is_in_it(tl):
    said = tl("strategies", "two\nlines")

    assert "strategy 'two\\nlines' is not known" in the_error_in(said)


def test_an_error_of_the_system_is_one_sentence(tl):
    said = tl("orders", "--config", "x" * 300)

    assert "File name too long" in the_error_in(said)


@pytest.mark.parametrize("words", [["--help"], ["strategies", "--json"]])
def test_a_reader_that_goes_away_is_no_error(folder, words):
    program = [sys.executable, "-m", "ticklane", *words]
    with subprocess.Popen(
        program, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        err = process.stderr.read()

    assert (process.returncode, err) == (0, "")


def test_it_runs_as_a_module_as_well(folder):
    said = run_process("--version", cwd=folder)

    assert said == (0, f"ticklane {__version__}\n", "")
