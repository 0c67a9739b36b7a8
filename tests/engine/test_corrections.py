"""Corrections in the lane: all of one is booked at once, and an order stays where it was."""

from decimal import Decimal

from desk_builders import DeskBench

from ticklane.core.correction import INFERRED, TAKEN_BACK, Correction
from ticklane.core.events import FillBooked, OrderMoved, TradeRevised
from ticklane.core.order import OrderStatus, OrderUpdate
from ticklane.engine.corrections import hear
from ticklane.testing.builders import a_fill

NAME = "v1:2:inferred"


def correction(bench, order, quantity, price, id, undone=()):
    """A fill of an order at this price, in the place of these parts of the inferred one."""
    fill = a_fill(quantity, price, order=order, at=bench.now_ns)
    back = tuple(
        fill._replace(
            execution_id=f"{NAME}:{n}", quantity=-Decimal(n), price=Decimal(100), rule=rule
        )
        for n, rule in undone
    )
    rule = INFERRED if id == NAME else "venue"
    told = fill._replace(execution_id=id, rule=rule)
    return Correction(OrderUpdate(order.id, None, bench.now_ns, told), back)


def inferred_order(bench):
    order = bench.ack(bench.buy(2))
    hear(bench.desk, correction(bench, order, 2, 100, NAME))
    return order


def test_a_strategy_hears_of_the_quantity_once():
    bench = DeskBench()
    order = inferred_order(bench)
    bench.heard()
    hear(bench.desk, correction(bench, order, 2, 101, "v1:2", [(2, TAKEN_BACK)]))

    assert bench.heard() == []
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, 2)
    assert bench.book().positions["AAPL"].average_price == 101
    assert bench.book().cash == 10_000 - 202


def test_the_journal_gets_all_of_it_in_one_go():
    bench = DeskBench()
    order = inferred_order(bench)
    bench.desk.events.clear()
    hear(bench.desk, correction(bench, order, 2, 101, "v1:2", [(2, TAKEN_BACK)]))

    assert [type(one) for one in bench.desk.events] == [FillBooked, FillBooked, OrderMoved]
    assert bench.desk.events[-1].event.evidence == "v1:2 in place of inferred"


def test_the_same_correction_is_booked_once():
    bench = DeskBench()
    order = inferred_order(bench)
    for _ in range(2):
        hear(bench.desk, correction(bench, order, 2, 101, "v1:2", [(2, TAKEN_BACK)]))

    assert (order.filled_quantity, bench.held()) == (2, "2")


def test_an_order_that_is_over_is_not_opened_again():
    bench = DeskBench()
    order = bench.ack(bench.buy(5))
    hear(bench.desk, correction(bench, order, 2, 100, NAME))
    bench.end(order, "CANCELED")
    hear(bench.desk, correction(bench, order, 2, 101, "v1:2", [(2, TAKEN_BACK)]))

    assert order.status is OrderStatus.CANCELED
    assert not bench.desk.open["AAPL"]


def test_an_execution_that_is_more_than_was_inferred_goes_on_with_the_order():
    bench = DeskBench()
    order = bench.ack(bench.buy(5))
    hear(bench.desk, correction(bench, order, 2, 100, NAME))
    hear(bench.desk, correction(bench, order, 5, 101, "v1:5", [(2, TAKEN_BACK)]))

    assert (order.status, order.filled_quantity, bench.held()) == (OrderStatus.FILLED, 5, "5")


def test_a_trade_that_is_over_is_told_again():
    bench = DeskBench()
    order = inferred_order(bench)
    bench.fill(bench.ack(bench.close()), price=110)
    bench.desk.events.clear()
    hear(bench.desk, correction(bench, order, 2, 104, "v1:2", [(2, TAKEN_BACK)]))
    [revised] = [one for one in bench.desk.events if isinstance(one, TradeRevised)]

    assert (revised.told.profit, revised.trade.profit) == (20, 12)
    assert bench.book().cash == 10_000 + 12
