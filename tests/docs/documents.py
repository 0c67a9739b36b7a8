"""The documents as data: their headings, links and fenced blocks, and how blocks are run.

A page before its first `## ` heading is its prelude; every section runs after the prelude, in a
folder of its own, and knows nothing of the other sections. What a block is for:

    ```python     run, top to bottom; the blocks of a section build on each other
    ```console    each line is a command (ticklane, pytest, cd); `&` leaves a daemon running
    ```text       right after one of them: exactly what it prints

An HTML comment right before a block says otherwise: `<!-- file: NAME -->` writes it to that file
(in every section, before anything runs), `<!-- not run -->` leaves it alone.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "STRATEGIES.md", "DEVELOPMENT.md", "CHANGELOG.md", "deploy/README.md")
_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `line` is where its text begins in the page."""

    page: str
    kind: str
    text: str
    line: int
    mark: str

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under a `## ` heading; the prelude has an empty title."""

    page: str
    title: str
    blocks: tuple[Block, ...]


@cache
def text_of(page: str) -> str:
    """The whole page."""
    return (ROOT / page).read_text("utf-8")


@cache
def blocks_of(page: str) -> tuple[Block, ...]:
    """All fenced blocks of a page."""
    text = text_of(page)
    return tuple(
        Block(
            page,
            found["kind"],
            found["text"],
            text.count("\n", 0, found.start("text")) + 1,
            found["mark"] or "",
        )
        for found in _FENCE.finditer(text)
    )


def prose_of(page: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


@cache
def sections_of(page: str) -> tuple[Section, ...]:
    """The prelude and then every section that has blocks."""
    lines = text_of(page).splitlines()
    starts = [n for n, line in enumerate(lines, 1) if line.startswith("## ")]
    titles = ["", *(lines[n - 1].removeprefix("## ") for n in starts)]
    spans = zip(titles, [0, *starts], [*starts, len(lines) + 1], strict=True)
    return tuple(
        Section(page, title, tuple(b for b in blocks_of(page) if first < b.line < end))
        for title, first, end in spans
    )


class Bench:
    """Where the blocks of a section are run: a folder, a module, and daemons left running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = ModuleType("snippets")
        self.daemons: list[subprocess.Popen[str]] = []

    def write_files(self, blocks: Iterable[Block]) -> None:
        """Write the blocks that are files."""
        for block in blocks:
            if block.mark.startswith("file: "):
                (self.folder / block.mark.removeprefix("file: ")).write_text(block.text, "utf-8")

    def run(self, blocks: Sequence[Block]) -> None:
        """Run the blocks and compare what they print with what the page shows."""
        for block, following in pairwise([*blocks, None]):
            assert block is not None
            if block.mark or block.kind not in RUNNERS:
                continue
            said = RUNNERS[block.kind](self, block)
            if following is not None and following.kind == "text":
                check_output(following, said)

    def python(self, block: Block) -> str:
        """Execute a block; line numbers in a traceback are those of the page."""
        code = compile("\n" * (block.line - 1) + block.text, ROOT / block.page, "exec")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(code, self.module.__dict__)
        return said.getvalue()

    def console(self, block: Block) -> str:
        """Run each line as a command; it must end with 0."""
        return "".join(self.command(line) for line in commands_of(block))

    def command(self, line: str, path: Path | None = None) -> str:
        """Run one command, with something more on Python's path; returns what it prints."""
        words = shlex.split(line)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return ""
        if words[-1] == "&":
            self._start(program(words[:-1]))
            return ""
        return self._finished(program(words), path)

    def _finished(self, words: list[str], path: Path | None = None) -> str:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment(path),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _start(self, words: list[str]) -> None:
        """Start a daemon and wait until it answers."""
        daemon = subprocess.Popen(
            words,
            cwd=self.folder,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.daemons.append(daemon)
        asked = [*program(["ticklane"]), "status", "--json"]
        options = {"cwd": self.folder, "env": environment(), "capture_output": True}
        while subprocess.run(asked, **options).returncode:
            assert daemon.poll() is None, daemon.communicate()[0]

    def close(self) -> None:
        """End what is still running."""
        for daemon in self.daemons:
            daemon.terminate()
            daemon.communicate(timeout=20)


def check_output(shown: Block, said: str) -> None:
    """Compare what the page shows with what was printed."""
    assert trimmed(said) == trimmed(shown.text), f"{shown.place} shows something else"


RUNNERS = {"python": Bench.python, "console": Bench.console}


def commands_of(block: Block) -> list[str]:
    """The commands of a console block, comments and continued lines put together."""
    joined = block.text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def program(words: list[str]) -> list[str]:
    """The argument vector of a command of the pages."""
    assert words[0] in ("ticklane", "pytest"), f"{words[0]} is not run by the tests: mark it"
    return [sys.executable, "-m", *words]


def environment(path: Path | None = None) -> dict[str, str]:
    """The environment of a command: none of our own settings, the checkout in reach."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKLANE_")}
    reach = [str(ROOT / "backend"), *([str(path)] if path else [])]
    return {**kept, "PYTHONPATH": os.pathsep.join(reach), "COLUMNS": "100", "NO_COLOR": "1"}


def trimmed(text: str) -> list[str]:
    """Lines without trailing blanks, for comparison."""
    return [line.rstrip() for line in text.strip("\n").splitlines()]
