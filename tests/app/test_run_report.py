"""The report of a run, made from its journal."""

from decimal import Decimal

from ticklane.app.run_report import closed_trades
from ticklane.core.correction import INFERRED, TAKEN_BACK
from ticklane.core.order import Fill
from ticklane.core.portfolio import Book


def a_line(order, execution, quantity, price, at_ns, rule="venue"):
    terms = (Decimal(quantity), Decimal(price), Decimal(0), at_ns, rule, at_ns)
    return Fill(order, execution, "one", "AAPL", *terms)


def test_a_trade_whose_entry_was_inferred_shows_the_real_one():
    journal = [
        a_line("r1-1", "B:10:inferred", 10, 100, 1, INFERRED),
        a_line("r1-2", "C:10", -10, 110, 5),
        a_line("r1-1", "B:10:inferred:10", -10, 100, 9, TAKEN_BACK),
        a_line("r1-1", "B:10", 10, 101, 1),
    ]

    [trade] = closed_trades({"one": Book("one", Decimal(10_000))}, journal)

    assert (trade.side, trade.quantity, trade.profit) == ("buy", 10, 90)
    assert (trade.entry_price, trade.exit_price) == (101, 110)
    assert (trade.opened_ns, trade.closed_ns) == (1, 5)
