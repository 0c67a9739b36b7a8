"""The command line in a folder of its own, with no setting but those of the test."""

import logging
import os

import pytest
import structlog
from cli_builders import STRATEGY, Said, write_bars

from ticklane.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory, and an environment without our variables."""
    for name in os.environ:
        if name.startswith(("TICKLANE_", "ALPACA_", "APCA_", "CREDENTIALS_DIRECTORY")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def bars(folder):
    """`X.csv` in the working directory: twelve daily bars."""
    return write_bars(folder / "X.csv")


@pytest.fixture
def strategies(folder):
    """`mine.py` in the working directory."""
    file = folder / "mine.py"
    file.write_text(STRATEGY)
    return file


@pytest.fixture
def tl(folder, capfd):
    """Runs a command in this process: `tl("orders", "--json")` gives its code, out and err."""

    def run(*words):
        capfd.readouterr()
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Said(code, out, err)

    root = logging.getLogger()
    level = root.level
    yield run
    for handler in root.handlers[:]:
        if type(handler).__module__ == "ticklane.app.logs":
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
