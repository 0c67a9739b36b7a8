"""The locks: every library pinned and hashed, one version for core and tools, no index named."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(name):
    """Library -> (version, how many hashes)."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    split = [(line[0].split("=="), " ".join(line).count("--hash=sha256:")) for line in lines]
    return {library: (version, hashes) for (library, version), hashes in split}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements-dev.lock", PROJECT["dependencies"] + EXTRAS["dev"] + EXTRAS["parquet"]),
    ],
)
def test_the_lock_holds_what_the_project_asks_for(name, wanted):
    locked = pins(name)

    for requirement in map(Requirement, wanted):
        version, _ = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: run make lock"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_a_hash_and_no_place_is_named(name):
    assert all(hashes > 0 for _, hashes in pins(name).values())
    assert not re.search(r"://|file:|--(extra-)?index|--find-links", (ROOT / name).read_text())


def test_the_tools_are_tested_with_the_versions_that_are_shipped():
    core, tools = pins("requirements.lock"), pins("requirements-dev.lock")

    assert {library: tools[library] for library in core} == core


def test_the_async_database_driver_has_what_it_needs():
    # SQLAlchemy 2.1 installs greenlet only when it is asked for; without it the first await fails.
    assert "greenlet" in pins("requirements.lock")
