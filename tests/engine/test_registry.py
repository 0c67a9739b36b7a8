"""Registry: strategies by name, in files and in modules, and what is said when there is none."""

import subprocess
import sys
import textwrap
import tomllib
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ticklane.core.errors import ConfigError, StrategyError
from ticklane.engine import registry
from ticklane.engine.registry import (
    Parameter,
    describe,
    find_strategy,
    list_strategies,
    make_strategy,
    parse_parameters,
)

ROOT = Path(__file__).parents[2]
CROSSOVER = "ticklane.strategies.moving_average_crossover:MovingAverageCrossoverStrategy"
HEAD = "from ticklane.interfaces import StrategyInterface\n"
MINE = """
class Mine(StrategyInterface):
    def on_tick(self, market_data):
        return None
"""


@pytest.fixture
def a_file(tmp_path):
    """Writes a strategy file below a folder of its own and returns its path as text."""

    def write(text, name="mine.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(HEAD + textwrap.dedent(text), "utf-8")
        return str(file)

    return write


@pytest.fixture
def installed(monkeypatch):
    """Pretends that packages with these entry points (name, value) are installed."""

    def install(*given):
        points = [EntryPoint(name, value, registry.GROUP) for name, value in given]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)

    return install


def refusal(spec):
    with pytest.raises(StrategyError) as refused:
        find_strategy(spec)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


# By name


@pytest.mark.parametrize("entries", [[], [("buy_and_hold", "elsewhere:Other")]])
def test_the_built_in_strategies_are_found_also_where_nothing_is_installed(installed, entries):
    installed(*entries)

    assert find_strategy("buy_and_hold").__name__ == "BuyAndHoldStrategy"
    assert find_strategy(" moving_average_crossover ").__name__ == "MovingAverageCrossoverStrategy"


def test_the_built_in_names_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["entry-points"][registry.GROUP] == registry.BUILT_IN


def test_an_installed_strategy_is_found_by_its_name(installed):
    installed(("trend", CROSSOVER))

    assert find_strategy("trend") is find_strategy("moving_average_crossover")


def test_an_unknown_name_is_answered_with_the_known_ones(installed):
    installed(("trend", CROSSOVER))

    assert refusal("tend") == (
        "strategy 'tend' is not known; installed are buy_and_hold, moving_average_crossover, "
        "trend, and your own is given as path/to/file.py:ClassName or package.module:ClassName."
    )


def test_a_name_that_two_packages_claim_is_ambiguous(installed):
    installed(("trend", "one.a:Trend"), ("trend", "two.b:Trend"))

    assert refusal("trend") == "strategy 'trend' is ambiguous; give one.a:Trend or two.b:Trend."


def test_asking_by_name_imports_no_other_strategy():
    code = (
        "import sys; from ticklane.engine.registry import find_strategy; "
        "assert not [m for m in sys.modules if m.startswith(('pydantic', 'ticklane.strategies'))]; "
        "find_strategy('buy_and_hold'); "
        "assert 'ticklane.strategies.moving_average_crossover' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


# By file


def test_a_file_with_one_strategy_needs_no_class_name(a_file):
    path = a_file("from ticklane.strategies.buy_and_hold import BuyAndHoldStrategy\n" + MINE)

    assert find_strategy(path).__name__ == "Mine"
    assert find_strategy(f"{path}:").__name__ == "Mine"
    assert find_strategy(f"{path}:Mine").__name__ == "Mine"


def test_a_file_is_found_from_the_present_folder_and_from_home(a_file, monkeypatch, tmp_path):
    a_file(MINE, "strategies/my-trend.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert find_strategy("strategies/my-trend.py").__name__ == "Mine"
    assert find_strategy("~/strategies/my-trend.py:Mine").__name__ == "Mine"


def test_a_file_may_inherit_from_a_strategy_of_its_own(a_file):
    path = a_file(
        """
        class Frame(StrategyInterface):
            pass

        class Real(Frame):
            def on_tick(self, market_data):
                return None
        """
    )

    assert find_strategy(path).__name__ == "Real"


def test_a_file_may_import_what_lies_beside_it(a_file, tmp_path):
    (tmp_path / "beside_it.py").write_text("NAME = 'Beside'", "utf-8")
    path = a_file(f"from beside_it import NAME\n{MINE}    title = NAME\n")

    assert find_strategy(path).title == "Beside"
    assert str(tmp_path) not in sys.path


def test_files_in_two_folders_have_neighbours_of_their_own(a_file, tmp_path):
    titles = []
    for folder in ("one", "two"):
        path = a_file(f"from neighbour import NAME\n{MINE}    title = NAME\n", f"{folder}/mine.py")
        (tmp_path / folder / "neighbour.py").write_text(f"NAME = '{folder}'", "utf-8")
        titles.append(find_strategy(path).title)

    assert titles == ["one", "two"]


def test_files_of_the_same_name_do_not_meet(a_file):
    kinds = [find_strategy(a_file(MINE, f"{folder}/mine.py")) for folder in ("one", "two")]

    assert kinds[0] is not kinds[1]
    assert len({kind.__module__ for kind in kinds} & set(sys.modules)) == 2


def test_a_file_is_read_anew_each_time(a_file):
    assert find_strategy(a_file(MINE + "    size = 1\n")).size == 1
    assert find_strategy(a_file(MINE + "    size = 2\n")).size == 2


def test_pydantic_and_dataclasses_work_in_a_file(a_file):
    path = a_file(
        """
        from dataclasses import dataclass
        from pydantic import BaseModel

        @dataclass(slots=True)
        class Level:
            price: float

        class Mine(StrategyInterface):
            class Config(BaseModel):
                level: Level

            def on_tick(self, market_data):
                return None
        """
    )

    assert make_strategy(path, {"level": {"price": 5}}).config["level"].price == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "x = 1\n1 / 0\n",
            "does not import: ZeroDivisionError: division by zero (mine.py, line 3)",
        ),
        ("def f(:\n", "does not import: SyntaxError: invalid syntax (mine.py, line 2)"),
        (
            "import not_there\n",
            "ModuleNotFoundError: No module named 'not_there' (mine.py, line 2)",
        ),
        ("import sys\nsys.exit(3)\n", "does not import: SystemExit: 3 (mine.py, line 3)"),
        ("import json\njson.loads('x')\n", "Expecting value"),
        ("raise ValueError('one.\\ntwo')\n", "ValueError: one. two (mine.py, line 2)"),
        ("raise KeyError\n", "does not import: KeyError (mine.py, line 2)"),
        ("", "holds no strategy; write a class that inherits from StrategyInterface"),
        (
            MINE + MINE.replace("Mine", "Other"),
            "holds several strategies (Mine, Other); name one, as in ",
        ),
        ("class Half(StrategyInterface):\n    pass\n", "is abstract; it still needs on_tick"),
    ],
)
def test_a_file_without_a_usable_strategy_is_refused_in_one_sentence(a_file, text, said):
    path = a_file(text)

    assert said in refusal(path)


def test_an_error_inside_a_neighbour_names_the_neighbour(a_file, tmp_path):
    (tmp_path / "broken_one.py").write_text("\n\n1 / 0\n", "utf-8")

    assert "(broken_one.py, line 3)" in refusal(a_file("import broken_one\n"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Yours", "has no class Yours; the strategies there are: Mine."),
        ("Mi-ne", "has no class Mi-ne; the strategies there are: Mine."),
        ("Path", "Path in {path} is not a strategy; it must be a class that inherits from"),
        ("LIMIT", "LIMIT in {path} is not a strategy"),
        ("StrategyInterface", "StrategyInterface in {path} is abstract; it still needs on_tick."),
    ],
)
def test_a_class_that_is_none_is_refused_in_one_sentence(a_file, name, said):
    path = a_file("from pathlib import Path\nLIMIT = 5\n" + MINE)

    assert said.format(path=path) in refusal(f"{path}:{name}")


@pytest.mark.parametrize("name", ["none.py", "none.py:Mine", "folder.py"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    (tmp_path / "folder.py").mkdir()

    path = name.partition(":")[0]

    assert refusal(f"{tmp_path / name}") == (
        f"strategy file {tmp_path / path} is not there; check the path."
    )


# By module


def test_a_module_is_found_by_its_dotted_name():
    assert find_strategy(CROSSOVER) is find_strategy("moving_average_crossover")
    assert find_strategy("ticklane.strategies.buy_and_hold:").__name__ == "BuyAndHoldStrategy"


def test_a_module_of_the_present_folder_is_found(a_file, monkeypatch, tmp_path):
    a_file(MINE, "my_own_package/trend_module.py")
    monkeypatch.chdir(tmp_path)

    assert find_strategy("my_own_package.trend_module:Mine").__name__ == "Mine"

    sys.modules.pop("my_own_package.trend_module")
    sys.modules.pop("my_own_package")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("not_there:Mine", "there is no module 'not_there'; give a strategy as package.module:"),
        ("ticklane.not_there:Mine", "there is no module 'ticklane.not_there'"),
        ("not there:Mine", "there is no module 'not there'"),
        (".hidden:Mine", "there is no module '.hidden'"),
        (":Mine", "there is no module ''"),
        ("", "strategy '' is not known"),
        (
            "ticklane.clock:Mine",
            "ticklane.clock has no class Mine; the strategies there are: none.",
        ),
    ],
)
def test_a_module_without_the_strategy_is_refused_in_one_sentence(spec, said):
    assert said in refusal(spec)


def test_a_module_that_fails_is_not_taken_for_a_missing_one(a_file, monkeypatch, tmp_path):
    a_file("import missing_dependency\n", "needs_more.py")
    a_file("raise ValueError('too bad')\n", "fails_inside.py")
    monkeypatch.chdir(tmp_path)

    assert "needs_more does not import: ModuleNotFoundError: No mod" in refusal("needs_more:Mine")
    assert refusal("fails_inside:Mine") == (
        "fails_inside does not import: ValueError: too bad (fails_inside.py, line 2)."
    )


# Making


def test_a_strategy_is_made_with_its_config():
    strategy = make_strategy("buy_and_hold", {"symbols": "AAPL", "position_size": 5})

    assert (strategy.symbols, strategy.config["position_size"]) == (("AAPL",), 5)
    assert make_strategy("buy_and_hold").symbols == ()


def test_a_wrong_parameter_is_a_config_error():
    with pytest.raises(ConfigError, match=r"^fast of .* is 0, but must be greater than or"):
        make_strategy("moving_average_crossover", {"fast": 0})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("self.size = config['size']", "Mine cannot be made: KeyError: 'size' (mine.py, line 8)."),
        ("self.size = 5", "Mine.__init__ must call super().__init__(config)."),
    ],
)
def test_a_constructor_that_fails_is_told_in_one_sentence(a_file, body, said):
    path = a_file(f"{MINE}\n    def __init__(self, config=None):\n        {body}\n")

    with pytest.raises(StrategyError) as refused:
        make_strategy(path, {})

    assert str(refused.value) == said


# Listing


def test_the_list_shows_every_strategy_with_its_parameters(installed):
    installed()

    hold, crossover = list_strategies()

    assert (hold.name, hold.class_name) == ("buy_and_hold", "BuyAndHoldStrategy")
    assert crossover.target == CROSSOVER
    assert hold.summary.startswith("Buys `position_size` of each symbol")
    assert hold.parameters[0] == Parameter(
        "position_size", "Decimal", "100", "> 0", "shares or coins to buy"
    )
    assert {p.name: (p.type, p.default, p.bounds) for p in crossover.parameters} == {
        "fast": ("int", 10, ">= 1"),
        "slow": ("int", 30, ">= 2"),
        "average": ("simple | exponential", "simple", ""),
        "position_size": ("Decimal", "100", "> 0"),
    }


def test_a_broken_plugin_is_listed_with_its_error(installed):
    installed(("broken", "nowhere.at_all:Gone"))

    broken = next(info for info in list_strategies() if info.name == "broken")

    assert (broken.target, broken.class_name) == ("nowhere.at_all:Gone", "Gone")
    assert broken.error.startswith("there is no module 'nowhere'")


def test_every_kind_of_parameter_is_described(a_file):
    path = a_file(
        """
        from pydantic import BaseModel, Field

        class Mine(StrategyInterface):
            "One line only."

            class Config(BaseModel):
                must: float = Field(gt=0, lt=1)
                maybe: int | None = None
                many: list[int] = Field(default_factory=lambda: [1], min_length=1, max_length=9)
                steps: int = Field(5, multiple_of=5, le=50, description="in fives")

            def on_tick(self, market_data):
                return None
        """
    )

    info = describe("mine", find_strategy(path))

    assert info.summary == "One line only."
    assert info.parameters == (
        Parameter("must", "float", None, "> 0, < 1", "", is_required=True),
        Parameter("maybe", "int | None", None, "", ""),
        Parameter("many", "list[int]", "[1]", "at least 1 long, at most 9 long", ""),
        Parameter("steps", "int", 5, "<= 50, multiple of 5", "in fives"),
    )


def test_a_strategy_without_config_has_no_parameters(a_file):
    info = describe("mine", find_strategy(a_file(MINE)))

    assert (info.parameters, info.error) == ((), None)


# Parameters on the command line


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("x=5", 5),
        ("x=-0.5", -0.5),
        ("x=1e3", 1000.0),
        ("x=true", True),
        ("x = false ", False),
        ("x=exponential", "exponential"),
        ("x=", ""),
        ("x=a=b", "a=b"),
        ("x=2024-01-01", "2024-01-01"),
        ("x=NaN", "NaN"),
        ("x=null", "null"),
        ('x="5"', '"5"'),
        ("x=007", "007"),
        ("x=[1, 2]", [1, 2]),
        ('x={"a": 1}', {"a": 1}),
        ("x=" + "1" * 5000, "1" * 5000),
    ],
)
def test_a_value_is_a_json_number_or_bool_else_text(given, value):
    found = parse_parameters([given])["x"]

    assert (found, type(found)) == (value, type(value))


def test_several_parameters_become_one_config():
    assert parse_parameters(["fast=5", "average=exponential"]) == {
        "fast": 5,
        "average": "exponential",
    }
    assert parse_parameters([]) == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["fast"], "parameter 'fast' must be key=value, such as fast=5."),
        (["=5"], "parameter '=5' must be key=value, such as fast=5."),
        ([""], "parameter '' must be key=value, such as fast=5."),
        (["fast=5", "fast=6"], "parameter 'fast' is given twice; give it once."),
    ],
)
def test_a_malformed_parameter_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(ConfigError) as refused:
        parse_parameters(given)

    assert str(refused.value) == sentence


def test_text_from_the_command_line_is_read_by_the_model():
    config = parse_parameters(["fast=5", "slow=20", "position_size=0.1"])

    strategy = make_strategy("moving_average_crossover", config)

    assert strategy.config["position_size"] == Decimal("0.1")
