"""The files of a saved result are whole, or not there."""

import pytest

from no_room import no_room
from ticklane.app.backtest import backtest
from ticklane.core.errors import ConfigError
from ticklane.strategies.buy_and_hold import BuyAndHoldStrategy

SMALL = {"result.json", "orders.csv", "fills.csv", "trades.csv"}  # the curve does not fit


@pytest.mark.parametrize(("size", "left"), [(0, set()), (10_000, SMALL)])
def test_of_a_result_that_does_not_fit_only_whole_files_are_left(tmp_path, size, left):
    result = backtest(BuyAndHoldStrategy({"symbols": ["AAPL"]}), "sample:AAPL", end="2005-12-31")

    with no_room(size), pytest.raises(ConfigError, match="the result cannot be saved in"):
        result.save(tmp_path / "saved")

    assert {file.name for file in (tmp_path / "saved").iterdir()} == left
