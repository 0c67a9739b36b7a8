"""Every snippet of the guides runs, and prints what the page shows."""

import sys

import pytest
from documents import Bench, blocks_of, sections_of

GUIDES = ("README.md", "STRATEGIES.md", "DEVELOPMENT.md")
SECTIONS = [section for page in GUIDES for section in sections_of(page) if section.blocks]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A folder to work in, from which modules can be imported and forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    bench = Bench(tmp_path)
    monkeypatch.setitem(sys.modules, "snippets", bench.module)
    yield bench
    bench.close()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: f"{section.page} {section.title}")
def test_a_section_runs_as_shown(bench, section):
    bench.write_files(blocks_of(section.page))
    prelude = sections_of(section.page)[0]
    if section is not prelude:
        bench.run(prelude.blocks)

    bench.run(section.blocks)


def test_the_package_of_the_guide_is_known_by_its_name(bench):
    bench.write_files(blocks_of("STRATEGIES.md"))

    wheel = bench.build_wheel()

    assert "breakout:Breakout" in bench.command("ticklane strategies", path=wheel)
    assert "trades" in bench.command(
        "ticklane backtest breakout --data sample:IBM --json", path=wheel
    )
