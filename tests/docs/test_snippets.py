"""Every snippet of README.md, STRATEGIES.md and DEVELOPMENT.md runs and prints what the page shows."""

import sys
import tomllib

import pytest
from documents import Desk, blocks_of, commands_of, sections_of

GUIDES = ("README.md", "STRATEGIES.md", "DEVELOPMENT.md")
SECTIONS = [section for page in GUIDES for section in sections_of(page) if section.blocks]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder to work in, from which modules can be imported and forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    desk = Desk(tmp_path)
    monkeypatch.setitem(sys.modules, "snippets", desk.module)
    yield desk
    desk.close()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: f"{section.page} {section.title}")
def test_a_section_runs_as_shown(desk, section):
    desk.write_files(blocks_of(section.page))
    prelude = sections_of(section.page)[0]
    if section is not prelude:
        desk.run(prelude.blocks)

    desk.run(section.blocks)
