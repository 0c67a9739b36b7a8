"""A daemon with orders and positions at the venue is killed: it is back soon, and whole."""

import pytest
from alpaca_strain import measured


def is_whole(found):
    return found["differs"] == [] and found["said"] == []


def test_a_daemon_that_was_killed_trades_again_soon_and_its_books_are_those_of_the_venue():
    found = measured("restart", orders=300, symbols=10)

    assert (found["orders"], found["open"], found["positions"]) == (300, 20, 10)
    assert is_whole(found), found
    assert found["trading_after"] <= 10.0, found
    assert found["stop_seconds"] <= 5.0, found


@pytest.mark.slow
def test_ten_thousand_orders_and_fifty_positions_are_taken_back_in_ten_seconds():
    found = measured("restart", orders=10_000, symbols=50)

    assert (found["orders"], found["open"], found["positions"]) == (10_000, 100, 50)
    assert is_whole(found), found
    assert found["trading_after"] <= 10.0, found
    assert found["stop_seconds"] <= 5.0, found
