"""What the documents name exists, and what they list is complete."""

import ast
import dataclasses
import importlib
import inspect
import json
import re
import tomllib
from decimal import Decimal
from functools import cache

import pytest
import typer
from documents import PAGES, ROOT, Bench, blocks_of, commands_of, prose_of, text_of

import ticklane
from ticklane.analytics.metrics import Metrics
from ticklane.app.build import read_costs, read_slippage
from ticklane.app.doctor import Check
from ticklane.app.settings import Settings
from ticklane.brokers.paper import PaperBroker
from ticklane.cli.program import app
from ticklane.core.order import OrderStatus
from ticklane.core.signal import KEYS
from ticklane.engine.registry import StrategyInfo
from ticklane.storage.reader import FIELDS

GUIDE = "STRATEGIES.md"
PACKAGE = ROOT / "backend" / "ticklane"
OF_THE_ISSUE = (
    "StrategyInterface StrategyStatus Signal Intent StrategyRunner BrokerInterface PaperBroker "
    "ReplayBroker StorageService EventBus BuyAndHoldStrategy MovingAverageCrossoverStrategy "
    "backtest BacktestResult Bar Quote Order Fill Trade"
).split()
NOT_OURS = {"--fast"}  # of run_strategy_example.py


def spans_of(page):
    """The inline code of a page."""
    return re.findall(r"`([^`\n]+)`", prose_of(page))


def commands_in(page):
    """Every `ticklane ...` that a page shows, in blocks and in sentences."""
    shown = [line for b in blocks_of(page) if b.kind == "console" for line in commands_of(b)]
    return [text for text in [*shown, *spans_of(page)] if re.match(r"ticklane [a-z-]", text)]


@cache
def flags_by_command():
    """Command -> its flags."""
    commands = typer.main.get_command(app).commands
    return {
        name: {"--help", *(flag for one in command.params for flag in one.opts)}
        for name, command in commands.items()
    }


def rows_below(page, header):
    """The cells of the table whose first row begins with this header."""
    lines = iter(text_of(page).splitlines())
    assert any(line.startswith(header) for line in lines), f"{page} has no table {header}"
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def listed(page, header):
    """The names in backticks in the first column of a table."""
    return [name for row in rows_below(page, header) for name in re.findall(r"`(\w+)`", row[0])]


def slugs_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


# --- commands, flags and variables ----------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_flag_shown_exists(page):
    for text in commands_in(page):
        name, *rest = text.removeprefix("ticklane ").split()
        known = flags_by_command().get(name, set()) | ({"--version"} if name[0] == "-" else set())
        flags = {re.split("[=,]", word)[0] for word in rest if word.startswith("--")}

        assert known, f"{page}: {text}"
        assert flags <= known, f"{page}: {text}"


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_named_alone_exists(page):
    known = set().union(*flags_by_command().values()) | {"--version"} | NOT_OURS
    named = {re.split("[ =]", text)[0] for text in spans_of(page) if text.startswith("--")}

    assert named <= known


def test_every_command_is_in_the_guide():
    named = " ".join(commands_in(GUIDE) + commands_in("README.md") + spans_of(GUIDE))

    assert [name for name in flags_by_command() if not re.search(rf"\b{name}\b", named)] == []


@pytest.mark.parametrize("page", [*PAGES, ".env.example"])
def test_every_variable_named_is_a_setting(page):
    known = {f"TICKLANE_{name}".upper() for name in Settings.model_fields}
    known |= {"TICKLANE_DATABASE_URL_FILE", "TICKLANE_TEST_POSTGRES"}

    assert set(re.findall(r"\bTICKLANE_[A-Z_]+\b", text_of(page))) <= known


def test_the_example_of_the_environment_lists_exactly_the_settings():
    listed_there = re.findall(r"^#?(TICKLANE_[A-Z_]+)=", text_of(".env.example"), re.M)

    assert sorted(listed_there) == sorted(f"TICKLANE_{n}".upper() for n in Settings.model_fields)


# --- links and paths ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_internal_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / file if file else ROOT / page

        assert linked.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in slugs_of(str(linked.relative_to(ROOT))), f"{page}: {target}"


@pytest.mark.parametrize("page", ["README.md", "DEVELOPMENT.md"])
def test_every_path_named_exists(page):
    roots = ("backend/", "tests/", "deploy/", "docs/", "benchmarks/", ".ci/")
    rooms = tuple(f"{one.name}/" for one in PACKAGE.iterdir() if one.is_dir())
    for text in spans_of(page):
        is_suite = text.startswith("tests/") and text.endswith("/")  # may still be empty
        if text.startswith((*roots, *rooms)) and " " not in text and not is_suite:
            path = ROOT / text if text.startswith(roots) else PACKAGE / text

            assert path.exists(), f"{page}: {text}"


def test_every_room_and_every_suite_is_on_the_map():
    named = spans_of("DEVELOPMENT.md")
    rooms = [one.name for one in PACKAGE.iterdir() if (one / "__init__.py").exists()]
    suites = [one.name for one in (ROOT / "tests").iterdir() if any(one.glob("test_*.py"))]

    assert [room for room in rooms if f"{room}/" not in named] == []
    assert [suite for suite in suites if f"tests/{suite}/" not in named] == []


def test_the_picture_is_small_enough_for_a_page():
    assert 20_000 < (ROOT / "docs" / "report.png").stat().st_size < 200_000


# --- names and fields -----------------------------------------------------------------------------


def test_the_public_names_can_be_imported_and_are_in_the_guide():
    indicators = importlib.import_module("ticklane.indicators").__all__
    named = set(spans_of(GUIDE))

    assert set(OF_THE_ISSUE) <= set(ticklane.__all__)
    for name in ticklane.__all__:
        assert getattr(ticklane, name) is not None
        assert name in named or name == "__version__", name
    assert sorted(listed(GUIDE, "| indicator |")) == sorted(indicators)
    assert set(indicators) <= named


def test_the_intent_keys_are_all_there():
    assert sorted(listed(GUIDE, "| key |")) == sorted(KEYS)


def test_the_arguments_of_backtest_and_of_the_venue_are_all_there():
    arguments = set(inspect.signature(ticklane.backtest).parameters) - {"strategies"}
    venue = set(inspect.signature(PaperBroker).parameters)
    apart = {"cash", "starting_balance", "costs", "slippage", "currency"}

    assert set(listed(GUIDE, "| argument |")) == arguments
    assert set(listed(GUIDE, "| `venue` |")) == venue - apart


def test_the_metrics_are_all_there():
    assert listed(GUIDE, "| metric |") == [field.name for field in dataclasses.fields(Metrics)]


def test_the_json_fields_are_those_of_the_reader():
    rows = {cells[0]: re.findall(r"`(\w+)`", cells[1]) for cells in rows_below(GUIDE, "| rows |")}

    assert {name: tuple(fields) for name, fields in rows.items()} == FIELDS


def test_the_json_objects_have_the_fields_documented(a_result):
    values = a_result.to_dict()
    rows = rows_below(GUIDE, "| objects |")
    result, added, status, strategy, info, check = (re.findall(r"`(\w+)`", row[1]) for row in rows)

    assert [*result, "orders", "fills", "trades"] == list(values)
    assert added == ["orders", "fills", "detail", "source", "trades"]
    assert strategy == list(values["strategies"][0])
    assert status == [*a_runner().get_status().to_dict(), "pid"]
    assert info == [field.name for field in dataclasses.fields(StrategyInfo)]
    assert check == list(Check._fields)


def test_orders_fills_and_trades_of_a_result_have_the_fields_of_the_reader(a_result):
    values = a_result.to_dict()

    assert list(values["orders"][0]) == list(FIELDS["orders"])
    assert list(values["fills"][0]) == [
        name for name in FIELDS["fills"] if name not in ("detail", "source")
    ]
    assert list(values["trades"][0]) == list(FIELDS["trades"])


def test_the_rows_of_the_command_line_have_the_fields_documented(tmp_path):
    bench = Bench(tmp_path)
    start = "ticklane run --feed sample:AAPL --strategy moving_average_crossover"

    bench.command(start)

    for name in ("orders", "fills", "trades", "positions", "runs"):
        flat_too = " --all" if name == "positions" else ""
        rows = json.loads(bench.command(f"ticklane {name} --json{flat_too}"))
        label = () if name == "runs" else ("feed",)
        assert tuple(rows[0]) == (*FIELDS[name], *label)


@pytest.mark.parametrize("kind", ["costs", "slippage"])
def test_the_models_of_costs_and_slippage_are_made_as_shown(kind):
    read = {"costs": read_costs, "slippage": read_slippage}[kind]
    for model, setting, _ in rows_below(GUIDE, f"| `{kind}` |"):
        given = tomllib.loads(setting.strip("`"), parse_float=Decimal)[kind]

        assert type(read(given)).__name__ == re.match(r"`(\w+)", model)[1]


def test_the_order_states_and_refusal_codes_are_all_there():
    states = re.findall(r"`([A-Z_]+)`", text_of(GUIDE))
    codes = listed(GUIDE, "| `order.reason_code` |")

    assert {status.value for status in OrderStatus} <= set(states)
    assert sorted(codes) == sorted(codes_in_the_source())


def a_runner():
    return ticklane.StrategyRunner(broker=ticklane.PaperBroker())


@pytest.fixture(scope="module")
def a_result():
    strategy = ticklane.BuyAndHoldStrategy({"symbols": ["IBM"]})
    return ticklane.backtest(strategy, "sample:IBM", start="2012-01-01", end="2012-02-01")


def codes_in_the_source():
    """The first argument of each Refusal of an order; the local venue has Alpaca's words."""
    found = set()
    ours = [one for one in PACKAGE.rglob("*.py") if one.relative_to(PACKAGE).parts[0] != "testing"]
    for file in ours:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal":
                found |= codes_of(node.args[0])
    return found


def codes_of(argument):
    """A literal code; the loops over kinds and times are known by name."""
    if isinstance(argument, ast.Constant):
        return {argument.value}
    names = {"name": {"order_type", "time_in_force", "order_class"}, "str(term)": {"ioc", "fok"}}
    return names[ast.unparse(argument)]
