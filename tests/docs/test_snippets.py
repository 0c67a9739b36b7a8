"""Every snippet of the guides runs, and prints what the page shows."""

import sys
import tomllib

import pytest
from documents import Bench, blocks_of, sections_of

from ticklane.app.build import build_runner
from ticklane.app.settings import load_settings

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


def test_the_configuration_of_the_guide_is_built_as_written(bench):
    bench.write_files(blocks_of("STRATEGIES.md"))

    runner = build_runner(load_settings("ticklane.toml"))

    assert list(runner.hosts) == ["fast", "BuyAndHoldStrategy"]
    assert runner.hosts["fast"].strategy.config["entry"] == 20
    assert runner.broker.starting_cash == 50_000


def test_the_package_of_the_guide_is_known_by_its_name(bench):
    bench.write_files(blocks_of("STRATEGIES.md"))
    install(bench.folder)

    said = bench.command("ticklane strategies", path=bench.folder)
    result = bench.command("ticklane backtest breakout --data sample:IBM", path=bench.folder)

    assert "breakout:Breakout" in said
    assert "Trades" in result


def install(folder):
    """Leave what pip leaves of the pyproject.toml there: its metadata and entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["entry-points"].items()
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in one.items()) for group, one in groups
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
