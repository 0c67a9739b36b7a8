"""The front of a strategy: its configuration, its helpers, and what they say when misused."""

from collections import UserDict
from decimal import Decimal
from typing import Literal

import pytest
from pydantic import BaseModel, Field, field_validator, model_validator

from ticklane.core.errors import ConfigError, StrategyError
from ticklane.core.market import MarketData
from ticklane.indicators import SMA
from ticklane.interfaces import StrategyInterface, check_strategy


class Bare(StrategyInterface):
    """Has no Config: takes any keys."""

    def on_tick(self, market_data):
        return None


class Trend(Bare):
    class Config(BaseModel):
        fast: int = Field(10, ge=1, le=500)
        size: Decimal = Field(Decimal(1), gt=0)
        average: Literal["simple", "exponential"] = "simple"
        levels: list[float] = Field(default_factory=list, min_length=0, max_length=2)
        odd: int = 1
        is_loud: bool | int = False
        key: str = "x"

        @field_validator("odd")
        @classmethod
        def _is_odd(cls, value):
            if value % 2 == 0:
                raise ValueError("must be odd")
            return value

        @model_validator(mode="after")
        def _fits(self):
            if self.fast == 99:
                raise ValueError("fast (99) must not be 99")
            return self


class Needy(Bare):
    class Config(BaseModel):
        threshold: float


# Configuration


def test_a_strategy_without_config_has_its_class_name_and_no_symbols():
    strategy = Bare()

    assert (strategy.name, strategy.symbols, strategy.state) == ("Bare", (), {})
    assert dict(strategy.config) == {"name": "Bare", "symbols": ()}
    assert strategy.is_running is False


@pytest.mark.parametrize("kind", [dict, UserDict])
def test_any_mapping_with_any_values_configures_a_strategy_without_model(kind):
    anything = object()

    strategy = Bare(kind(name="Mine", symbols=["AAPL", "IBM"], anything=anything))

    assert (strategy.name, strategy.symbols) == ("Mine", ("AAPL", "IBM"))
    assert strategy.config["anything"] is anything


@pytest.mark.parametrize(
    ("symbols", "listed"),
    [("AAPL", ("AAPL",)), ({"IBM", "AAPL"}, ("AAPL", "IBM")), (iter(["B", "A"]), ("B", "A"))],
)
def test_symbols_may_be_one_text_or_any_collection(symbols, listed):
    assert Bare({"symbols": symbols}).symbols == listed


def test_config_is_a_mapping_that_cannot_be_changed():
    strategy = Trend({"fast": 5})

    assert strategy.config["fast"] == 5
    assert strategy.config["average"] == "simple"
    with pytest.raises(TypeError):
        strategy.config["fast"] = 6


def test_the_config_given_is_left_alone():
    given = {"symbols": ["AAPL"], "fast": 5}

    Trend(given)

    assert given == {"symbols": ["AAPL"], "fast": 5}


def test_values_are_turned_into_the_types_of_the_model():
    config = Trend({"fast": "5", "size": 2, "levels": (1, 2)}).config

    assert (config["fast"], config["levels"]) == (5, [1.0, 2.0])
    assert isinstance(config["size"], Decimal)


def test_true_and_false_are_taken_where_they_are_asked_for():
    assert Trend({"is_loud": True}).config["is_loud"] is True


@pytest.mark.parametrize(
    ("kind", "config", "sentence"),
    [
        (Trend, {"fast": 0}, "fast of Trend is 0, but must be greater than or equal to 1."),
        (Trend, {"fast": 501}, "fast of Trend is 501, but must be less than or equal to 500."),
        (
            Trend,
            {"fast": "many"},
            "fast of Trend is 'many', but must be a valid integer, unable to parse string as an "
            "integer.",
        ),
        (
            Trend,
            {"fast": True},
            "fast of Trend is True, but must be a number, not true or false.",
        ),
        (
            Needy,
            {"threshold": False},
            "threshold of Needy is False, but must be a number, not true or false.",
        ),
        (Trend, {"size": 0}, "size of Trend is 0, but must be greater than 0."),
        (Trend, {"size": "x"}, "size of Trend is 'x', but must be a valid decimal."),
        (
            Trend,
            {"average": "x"},
            "average of Trend is 'x', but must be 'simple' or 'exponential'.",
        ),
        (
            Trend,
            {"levels": [1, "x"]},
            "levels.1 of Trend is 'x', but must be a valid number, unable to parse string as a "
            "number.",
        ),
        (
            Trend,
            {"levels": [1, 2, 3]},
            "levels of Trend is [1, 2, 3], but list should have at most 2 items after validation, "
            "not 3.",
        ),
        (Trend, {"odd": 2}, "odd of Trend is 2, but must be odd."),
        (Trend, {"key": 5}, "key of Trend is 5, but must be a valid string."),
        (
            Trend,
            {"fast": 99},
            "the parameters of Trend do not fit together: fast (99) must not be 99.",
        ),
        (
            Trend,
            {"name": "T1", "fst": 5},
            "T1 does not know the key 'fst'; it knows name, symbols, fast, size, average, levels, "
            "odd, is_loud, key.",
        ),
        (Needy, {}, "threshold of Needy is missing; give it a value."),
        (Bare, {"name": ""}, "name is '', but must be a text that is not empty."),
        (Bare, {"name": 5}, "name is 5, but must be a text that is not empty."),
        (Bare, {"symbols": 5}, "symbols of Bare is 5, but must be a list of texts."),
        (Bare, {"symbols": [5]}, "symbols of Bare holds 5, but each must be a text."),
        (
            Bare,
            {"symbols": ["A", "A"]},
            "symbols of Bare are ['A', 'A'], but each may stand there once.",
        ),
        (
            Bare,
            "AAPL",
            "config of Bare is 'AAPL', but must be a mapping.",
        ),
    ],
)
def test_a_wrong_config_is_refused_in_one_sentence(kind, config, sentence):
    with pytest.raises(ConfigError) as refused:
        kind(config)

    assert str(refused.value) == sentence


def test_a_config_that_is_no_pydantic_model_is_refused():
    class Odd(Bare):
        Config = dict

    with pytest.raises(StrategyError, match=r"^Config of Odd is .* must be a pydantic model\.$"):
        Odd()


def test_a_strategy_needs_on_tick():
    class Empty(StrategyInterface):
        pass

    with pytest.raises(TypeError, match="on_tick"):
        Empty()


def test_a_strategy_may_say_for_itself_whether_it_runs():
    strategy = Bare()
    strategy.is_running = True

    assert strategy.is_running


# Outside a runner


class Careless(Bare):
    def __init__(self, config=None):
        self.mine = 1


@pytest.mark.parametrize("make", [Bare, Careless])
@pytest.mark.parametrize(
    ("use", "named"),
    [
        (lambda strategy: strategy.buy("AAPL", 1), "buy"),
        (lambda strategy: strategy.sell("AAPL", 1), "sell"),
        (lambda strategy: strategy.close("AAPL"), "close"),
        (lambda strategy: strategy.history("AAPL", 5), "history"),
        (lambda strategy: strategy.orders(), "orders"),
        (lambda strategy: strategy.cancel(None), "cancel"),
        (lambda strategy: strategy.replace(None, quantity=1), "replace"),
        (lambda strategy: strategy.portfolio, "portfolio"),
        (lambda strategy: strategy.indicator(SMA, 5, symbol="AAPL"), "indicator"),
    ],
)
def test_what_needs_a_runner_says_so(make, use, named):
    with pytest.raises(StrategyError) as refused:
        use(make())

    assert str(refused.value) == (
        f"{named} is available once the strategy is loaded into a runner (from on_start on), "
        "not in __init__."
    )


def test_the_callbacks_that_are_not_written_do_nothing():
    strategy = Bare()

    answers = [strategy.on_start(), strategy.on_fill(None), strategy.on_order(None)]

    assert [*answers, strategy.on_stop("end"), strategy.on_tick(MarketData())] == [None] * 5


def test_only_a_whole_strategy_passes_for_one():
    strategy = Bare()

    assert check_strategy(strategy) is strategy
    with pytest.raises(StrategyError, match=r"^Careless.__init__ must call super"):
        check_strategy(Careless())
    with pytest.raises(StrategyError, match="is not a strategy; it must be an instance of a class"):
        check_strategy(Bare)
