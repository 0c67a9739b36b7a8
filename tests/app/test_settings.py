"""Settings: flags over environment over .env over file over default, and clear refusals."""

import ast
import re
from decimal import Decimal
from pathlib import Path

import pytest

from ticklane.app.environment import present_keys
from ticklane.app.settings import CONFIG_FILE, Settings, load_settings
from ticklane.core.errors import ConfigError

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
VARIABLE = re.compile(r"^#(TICKLANE_\w+)=(.*)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _nothing_is_set(folder):
    """Every test begins in an empty folder without our variables."""


def sentence_of(**flags):
    with pytest.raises(ConfigError) as caught:
        load_settings(**flags)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


# .env.example


def test_the_example_lists_exactly_the_settings():
    listed = [name for name, _ in VARIABLE.findall(EXAMPLE)]

    assert sorted(listed) == sorted(f"TICKLANE_{name}".upper() for name in Settings.model_fields)


@pytest.mark.parametrize(("name", "value"), VARIABLE.findall(EXAMPLE))
def test_the_example_shows_the_default(name, value, monkeypatch):
    monkeypatch.setenv(name, value)

    assert load_settings() == Settings()


def test_the_whole_example_can_be_used_as_it_is(folder):
    (folder / ".env").write_text(VARIABLE.sub(r"\1=\2", EXAMPLE))

    assert load_settings() == Settings()


def test_every_setting_has_words_for_people():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


# Which one wins


def test_without_anything_the_defaults_count():
    settings = load_settings()

    assert (settings.cash, settings.feed) == (Decimal(100_000), "simulated")
    assert settings.database_path == Path("ticklane-data/ticklane.db")


def test_each_source_wins_over_the_next(folder, monkeypatch):
    (folder / CONFIG_FILE).write_text('seed = 1\ncash = 1\ncurrency = "EUR"\nspeed = 1')
    (folder / ".env").write_text("TICKLANE_SEED=2\nTICKLANE_CASH=2\nTICKLANE_CURRENCY=CHF\n")
    monkeypatch.setenv("TICKLANE_SEED", "3")
    monkeypatch.setenv("ticklane_cash", "3")

    settings = load_settings(seed=4, cash=None)

    assert (settings.seed, settings.cash, settings.currency, settings.speed) == (4, 3, "CHF", 1)


def test_what_is_empty_counts_as_not_given(folder, monkeypatch):
    (folder / CONFIG_FILE).write_text("cash = 5")
    (folder / ".env").write_text("TICKLANE_SPEED=\n")
    monkeypatch.setenv("TICKLANE_CASH", "")

    assert (load_settings().cash, load_settings().speed) == (5, None)


def test_tables_come_from_the_environment_as_json_or_by_part(monkeypatch):
    monkeypatch.setenv("TICKLANE_COSTS", '{"per_order": 1}')
    monkeypatch.setenv("TICKLANE_SLIPPAGE__PERCENT", "0.05")
    monkeypatch.setenv("TICKLANE_STRATEGY", '[{"strategy": "buy_and_hold", "symbols": ["A"]}]')

    settings = load_settings()

    assert settings.costs == {"per_order": 1}
    assert settings.slippage == {"percent": Decimal("0.05")}
    assert settings.strategy[0].symbols == ["A"]


def test_the_keys_of_a_block_that_are_not_ours_are_the_strategys_own(folder):
    (folder / CONFIG_FILE).write_text(
        '[[strategy]]\nstrategy = "mine.py:Mine"\nsymbols = ["A"]\ninterval = "5m"\nfast = 3'
    )

    [block] = load_settings().strategy

    assert (block.interval, block.parameters) == ("5m", {"fast": 3})


# Where files are


def test_paths_in_a_file_are_relative_to_it(folder):
    (folder / "conf").mkdir()
    (folder / "conf" / "a.toml").write_text(
        'data_dir = "data"\nfeed = "replay:prices/X.csv"\n'
        '[[strategy]]\nstrategy = "mine.py:Mine"\n'
        '[[strategy]]\nstrategy = "package.module:Mine"'
    )

    settings = load_settings("conf/a.toml")

    assert settings.database_path == Path("conf/data/ticklane.db")
    assert settings.feed == "replay:conf/prices/X.csv"
    assert [b.strategy for b in settings.strategy] == ["conf/mine.py:Mine", "package.module:Mine"]


def test_paths_of_flags_and_of_the_environment_are_left_as_they_are(folder, monkeypatch):
    (folder / "conf").mkdir()
    (folder / "conf" / "a.toml").write_text("")
    monkeypatch.setenv("TICKLANE_DATA_DIR", "elsewhere")

    settings = load_settings("conf/a.toml", feed="replay:X.csv")

    assert (settings.data_dir, settings.feed) == (Path("elsewhere"), "replay:X.csv")


def test_absolute_paths_and_other_feeds_stay(folder, tmp_path):
    (folder / "a.toml").write_text(f'database = "{tmp_path}/a.db"\nfeed = "sample:AAPL"')

    settings = load_settings("a.toml")

    assert (settings.database_path, settings.feed) == (tmp_path / "a.db", "sample:AAPL")


def test_a_file_may_begin_with_a_byte_order_mark(folder):
    (folder / CONFIG_FILE).write_bytes(b"\xef\xbb\xbfcash = 500")

    assert load_settings().cash == 500


# What is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "nonsense = 1",
            "the setting 'nonsense' is unknown; known are account, allow_short, broker,",
        ),
        ("cash = 0", "the setting 'cash' is 0, but must be greater than 0."),
        ("cash = 1e25", "the setting 'cash' is 1e+25, but must be at most 1E+15."),
        ("cash = 'much'", "the setting 'cash' is 'much', but must be a valid decimal."),
        ("data_dir = 3", "the setting 'data_dir' is 3, but must be a path."),
        ("latency = inf", "the setting 'latency' is inf, but must be at most 3600."),
        ("broker = 'other'", "the setting 'broker' is 'other', but must be 'paper' or 'alpaca'."),
        ("interval = [1]", "the setting 'interval' is [1], but must be a valid string."),
        ("strategy = 'x'", "the setting 'strategy' is 'x', but must be a list of blocks; write"),
        ("strategy = 5", "the setting 'strategy' is 5, but must be a list of blocks; write"),
        (
            "[strategy]\nstrategy = 'x'",
            "the setting 'strategy' is a single block, but must be a list of blocks; write "
            "[[strategy]], with two brackets, above each of them.",
        ),
        ("strategy = ['x']", "the setting strategy 1 is 'x', but must be a [[strategy]] block."),
        ("[[strategy]]\nname = 'x'", "the setting 'strategy' of strategy 1 is missing."),
        ("[[strategy]]\nstrategy = 'x'\ncash = -1", "'cash' of strategy 1 is -1, but must be"),
        ("[[strategy]]\nstrategy = 'x'\ncash = 1e16", "'cash' of strategy 1 is 1e+16, but must be"),
        ("cash =", "the config file ticklane.toml is not valid TOML: Invalid value"),
    ],
)
def test_a_file_that_says_nonsense_is_refused(folder, text, said):
    (folder / CONFIG_FILE).write_text(text)

    assert said in sentence_of()


def test_a_file_that_is_not_there_or_no_text_is_refused(folder):
    (folder / "latin.toml").write_bytes(b"# caf\xe9")

    assert sentence_of(config="none.toml") == "the config file none.toml does not exist."
    assert "latin.toml cannot be read (it is not UTF-8 text)" in sentence_of(config="latin.toml")
    assert "cannot be read (Is a directory)" in sentence_of(config=".")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TICKLANE_NONSENSE", "1", "the variable TICKLANE_NONSENSE is unknown; .env.example lists"),
        ("TICKLANE_COSTS", "cheap", "TICKLANE_COSTS must be JSON ("),
        ("TICKLANE_CASH", "nan", "the setting 'cash' is 'nan', but must be a finite number."),
        ("TICKLANE_FRESH", "perhaps", "the setting 'fresh' is 'perhaps', but must be a valid bool"),
    ],
)
def test_a_variable_that_says_nonsense_is_refused(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)

    assert said in sentence_of()


def test_a_dotenv_file_that_is_no_text_is_refused(folder):
    (folder / ".env").write_bytes(b"TICKLANE_CASH=\xff")

    assert sentence_of() == "the file .env cannot be read (it is not UTF-8 text)."


# Keys


def test_keys_are_told_of_but_never_told(folder, monkeypatch):
    (folder / ".env").write_text("ALPACA_API_KEY=CANARY\n")

    told = present_keys()

    assert told == {"ALPACA_API_KEY": ".env", "ALPACA_API_SECRET": None}
    assert "CANARY" not in repr(load_settings())


def test_nothing_else_reads_the_environment():
    package = ROOT / "backend" / "ticklane"
    readers = [
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    ]

    assert set(readers) == {"app/environment.py"}
