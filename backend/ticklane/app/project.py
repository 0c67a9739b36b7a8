"""Makes a small project of one's own: a strategy, a config, a test."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from ticklane.core.errors import ConfigError

TEMPLATES = Path(__file__).parent / "templates" / "project"
_ENDING = ".template"


def make_project(directory: Path) -> list[Path]:
    """Write the files of a new project; returns their paths.

    The folder is made where it is missing. Raises ConfigError when it is not empty or cannot be
    written; then nothing is left behind.
    """
    is_new = False
    made: list[Path] = []
    try:
        is_new = not directory.exists()
        if not is_new and any(directory.iterdir()):
            raise ConfigError(f"the folder {directory} is not empty; choose a new or empty one.")
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in _files():
            made.append(directory / name)
            made[-1].write_text(text, "utf-8")
    except OSError as error:
        _take_back(directory, made, is_new)
        raise ConfigError(
            f"the project {directory} cannot be made ({error.strerror}); choose another folder."
        ) from None
    return made


def next_commands(directory: Path) -> tuple[str, ...]:
    """What to type after `make_project`."""
    return (
        f"cd {shlex.quote(str(directory))}",
        "ticklane backtest strategy.py:TrendStrategy --data sample:AAPL",
        "ticklane run",
    )


def _files() -> Iterator[tuple[str, str]]:
    for file in sorted(TEMPLATES.glob(f"*{_ENDING}")):
        name = file.name.removesuffix(_ENDING)
        # Builds of packages leave out files that begin with a dot.
        yield name.replace("dot-", ".", 1), file.read_text("utf-8")


def _take_back(directory: Path, made: list[Path], is_new: bool) -> None:
    for file in made:
        file.unlink(missing_ok=True)
    if is_new and directory.is_dir():
        directory.rmdir()
