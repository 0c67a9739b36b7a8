"""BuyAndHoldStrategy: buys once, also over a restart, and sells only when an operator stops it."""

import pytest

from lane_builders import Gate, a_feed, a_runner, minutes_of, replayed, run_for, some_bars, tape_of
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.order import OrderStatus
from ticklane.storage.service import StorageService
from ticklane.strategies.buy_and_hold import BuyAndHoldStrategy


def holder(**config):
    return BuyAndHoldStrategy({"symbols": "AAPL", **config})


async def test_each_symbol_is_bought_once_at_its_first_tick():
    feed = a_feed(some_bars(5), some_bars(3, "IBM", minutes=[2, 3, 5], first=50.0))

    runner = await replayed(holder(symbols=["AAPL", "IBM"], position_size="2.5"), feed=feed)

    asked = [(order.symbol, *minutes_of([order.created_ns])) for order in tape_of(runner).orders]
    assert asked == [("AAPL", 1), ("IBM", 2)]
    assert [(fill.symbol, fill.quantity, fill.price) for fill in tape_of(runner).fills] == [
        ("AAPL", 2.5, 10),
        ("IBM", 2.5, 50),
    ]


async def test_without_a_size_a_hundred_are_bought():
    runner = await replayed(holder())

    assert [(fill.quantity, fill.price) for fill in tape_of(runner).fills] == [(100, 10)]
    assert runner.desk.tape.orders[0].tag == "first tick"


async def test_a_refused_purchase_is_not_tried_again():
    runner = await replayed(holder(), broker=ReplayBroker(50))

    [order] = tape_of(runner).orders
    assert (order.status, order.reason_code) == (OrderStatus.REJECTED, "insufficient_cash")


async def test_a_restart_does_not_buy_again(tmp_path):
    fills = []
    for ticks in (2, 4):
        storage = StorageService(tmp_path / "runs.db")
        runner = await run_for(ticks, holder(), series=[some_bars(6)], storage=storage)
        fills += tape_of(runner).fills
        assert runner.portfolio.net("AAPL") == 100

    assert [fill.price for fill in fills] == [10]


@pytest.mark.parametrize(
    ("is_asked", "reason", "sides"),
    [
        (False, "operator", ["buy"]),
        (True, "shutdown", ["buy"]),
        (True, "operator", ["buy", "sell"]),
    ],
)
async def test_it_sells_at_the_end_only_if_told_to_and_stopped_by_an_operator(
    is_asked, reason, sides
):
    gate = Gate()
    feed = a_feed(some_bars(6), sleep=gate)
    async with a_runner(holder(sell_on_stop=is_asked), feed=feed) as runner:
        await gate.open(3)
        await runner.stop(reason)

    assert [order.side for order in tape_of(runner).orders] == sides
