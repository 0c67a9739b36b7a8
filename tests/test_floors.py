"""Imports go down: a room sees the floors below it; no circles, no way in by the front door."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "backend" / "ticklane"

FLOOR_1 = {"interfaces", "strategy_config", "clock", "indicators", "whole_file"}
BELOW = {"core"} | FLOOR_1
PURE_ROOMS = {"risk", "analytics", "strategies"}
ROOMS = PURE_ROOMS | {"brokers", "data", "storage", "integrations", "notifications", "sandbox"}
UP_TO_4 = BELOW | ROOMS | {"engine", "api", "testing"}

# What a room may import besides itself, the version, and libraries; DEVELOPMENT.md draws it.
MAY_SEE = (
    {room: set() for room in ("_version", "core", "dashboard")}
    | dict.fromkeys(FLOOR_1 | ROOMS, BELOW)
    | {"engine": BELOW | {"risk"}, "api": BELOW | {"engine", "analytics"}}
    | {"testing": BELOW | {"brokers", "data"}}
    | {"app": UP_TO_4, "cli": UP_TO_4 | {"app"}, "__main__": {"cli"}, "ticklane": UP_TO_4 | {"app"}}
)

CORE_LIBRARIES = (sys.stdlib_module_names | {"numpy"}) - {"asyncio", "logging", "time", "uuid"}
NO_CALLS_IN_CORE = {"open", "now", "utcnow", "today"}


def modules_of(package):
    """Dotted name -> file; templates are a user's code, not ours."""
    found = {}
    for file in package.rglob("*.py"):
        *rooms, name = file.relative_to(package.parent).with_suffix("").parts
        if "templates" not in rooms:
            found[".".join(rooms if name == "__init__" else [*rooms, name])] = file
    return found


def statements_of(node, at_start=True):
    """Yield (import statement, whether it runs when the module is imported)."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_start
            continue
        is_later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from statements_of(child, at_start and not is_later and not is_for_types)


def targets_of(statement, module, file, known):
    """The dotted names an import statement reaches: the submodule where a name is one."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    source = [statement.module] if statement.module else []
    if statement.level:
        package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
        source = package[: len(package) - statement.level + 1] + source
    names = (".".join([*source, alias.name]) for alias in statement.names)
    return [name if name in known else ".".join(source) for name in names]


def room_of(name):
    """`ticklane.core.money` -> `core`; the front door itself -> `ticklane`."""
    return name.split(".")[1] if "." in name else name


def is_allowed(room, target):
    """Whether a module of the room may import the target."""
    if target == "ticklane":
        return False
    if target.startswith("ticklane."):
        return room_of(target) in MAY_SEE[room] | {room, "_version"}
    return room != "core" or target.split(".")[0] in CORE_LIBRARIES


def calls_in_core(tree):
    """Calls that read files or clocks."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [c for c in calls if ast.unparse(c.func).split(".")[-1] in NO_CALLS_IN_CORE]


def wrong_steps(package):
    """Everything that the plan forbids, one sentence each."""
    known, graph = modules_of(package), {}
    for module, file in known.items():
        room, tree = room_of(module), ast.parse(file.read_text("utf-8"))
        if room not in MAY_SEE:
            yield f"{module} has no floor: give it one in the plan"
            continue
        for statement, at_start in statements_of(tree):
            for target in targets_of(statement, module, file, known):
                if not is_allowed(room, target):
                    yield f"{module} imports {target} in line {statement.lineno}"
                if at_start and target != module:
                    graph.setdefault(module, set()).add(target)
        for call in calls_in_core(tree) if room == "core" else []:
            yield f"{module} calls {ast.unparse(call.func)} in line {call.lineno}"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "imports walk in a circle: " + " <- ".join(error.args[1])


def test_every_import_goes_down():
    assert list(wrong_steps(PACKAGE)) == []


@pytest.fixture
def a_house(tmp_path):
    """Builds a small package `ticklane` of the given files and returns its wrong steps."""

    def build(**files):
        defaults = {"core/__init__": "", "core/money": "", "engine/desk": "", "brokers/paper": ""}
        for name, text in {"__init__": "", **defaults, **files}.items():
            file = tmp_path / "ticklane" / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return list(wrong_steps(tmp_path / "ticklane"))

    return build


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("core/order", "from decimal import Decimal\nimport numpy as np\nfrom .money import cents"),
        ("interfaces", "from ticklane.core import money\nfrom ticklane._version import VERSION"),
        ("engine/runner", "from ticklane.risk.rules import Rule\nfrom ticklane import core"),
        ("app/build", "from ticklane.brokers.paper import PaperBroker\nimport sqlalchemy"),
        ("app/templates/strategy", "from ticklane import StrategyInterface"),
        ("data/feeds", "import asyncio, logging, time\nopen('x')"),
    ],
)
def test_an_import_that_goes_down_is_welcome(a_house, name, text):
    assert a_house(**{name: text}) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("core/order", "from ticklane.engine.desk import Desk", "ticklane.engine.desk"),
        ("core/order", "import pandas", "pandas"),
        ("core/order", "from asyncio import Queue", "asyncio"),
        ("core/order", "import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
        ("core/order", "def load():\n    return open('x')", "calls open"),
        ("clock", "from ticklane.data.feeds import ReplayFeed", "ticklane.data.feeds"),
        ("strategies/mine", "from ticklane.risk import sizing", "ticklane.risk"),
        ("brokers/replay", "from ..storage import schema", "ticklane.storage"),
        ("engine/runner", "def f():\n    from ticklane.brokers.paper import P", "brokers.paper"),
        (
            "engine/desk",
            "if TYPE_CHECKING:\n    from ticklane.brokers import paper",
            "brokers.paper",
        ),
        ("engine/runner", "import ticklane", "imports ticklane in line 1"),
        ("app/build", "from ticklane import PaperBroker", "imports ticklane in line 1"),
        ("app/build", "from ticklane.cli import main", "ticklane.cli"),
        ("api/routes", "from .. import testing", "imports ticklane in line 1"),
        ("helpers", "", "ticklane.helpers has no floor"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_caught(a_house, name, text, said):
    [wrong] = a_house(**{name: text})

    assert said in wrong


def test_a_circle_of_imports_is_caught(a_house):
    [wrong] = a_house(**{"core/a": "from .b import x", "core/b": "from ticklane.core import a"})

    assert {"ticklane.core.a", "ticklane.core.b"} <= set(wrong.split())


def test_imports_inside_functions_and_for_types_make_no_circle(a_house):
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ticklane.core import a"

    assert a_house(**{"core/a": "from .b import x", "core/b": late}) == []
    assert a_house(**{"core/b": "def f():\n    from .a import y"}) == []
