"""What a strategy returns and what it asks its helpers for become one row of wishes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.signal import Intent
from ticklane.engine.answers import take_in

A, B, C = (Intent("AAPL", "BUY", quantity) for quantity in (1, 2, 3))
PLAIN = {"symbol": "AAPL", "signal": "SELL"}


@pytest.mark.parametrize(
    ("queued", "returned", "wishes"),
    [
        ([A], [], [A]),
        ([], [A, B], [A, B]),
        ([A], A, [A]),
        ([A, B], B, [A, B]),
        ([A, B], A, [A, B]),
        ([A], PLAIN, [A, PLAIN]),
        ([A, B], [PLAIN, B], [A, PLAIN, B]),
        ([B], [PLAIN, B], [PLAIN, B]),
        ([A, B, C], [C, A], [B, C, A]),
        ([A, A], A, [A, A]),
        ([A, B, A], A, [A, B, A]),
        ([], [A, A], [A, A]),
        ([A], [A, A], [A, A]),
        ([A], [None, B, None], [A, B]),
    ],
)
def test_each_wish_counts_once_and_in_the_order_of_asking(queued, returned, wishes):
    queue = list(queued)

    take_in(returned, queue)

    assert [id(wish) for wish in queue] == [id(wish) for wish in wishes]


def test_a_generator_asks_in_the_order_of_its_lines():
    queue = [A]

    def answer():
        yield PLAIN
        queue.append(B)
        yield B
        queue.append(C)
        yield None
        yield A
        yield A

    take_in(answer(), queue)

    assert queue == [A, PLAIN, B, C, A]


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abcd")))
def test_nothing_is_lost_and_nothing_doubled(queued, returned):
    things = {name: Intent(name, "BUY", 1) for name in "abcd"}
    queue = [things[name] for name in queued]

    take_in([things[name] for name in returned], queue)

    found = [intent.symbol for intent in queue]
    for name in "abcd":
        assert found.count(name) == max(queued.count(name), returned.count(name))
    rest = iter(found)
    assert all(name in rest for name in returned)  # in their own order
