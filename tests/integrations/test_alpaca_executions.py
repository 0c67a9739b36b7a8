"""Executions that come late, twice, out of order, or never: the books have each of them once."""

from collections import Counter
from decimal import Decimal

import pytest
from alpaca_builders import an_order

from ticklane.core.correction import TAKEN_BACK, Correction
from ticklane.core.order import OrderStatus, Side
from ticklane.integrations.alpaca.coin_fees import CoinFees
from ticklane.integrations.alpaca.convert import Execution, VenueOrder, read_event
from ticklane.integrations.alpaca.ledger import Ledger
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import Tracks


class Heard:
    """A teller with one order of five, and what it has told."""

    def __init__(self, order=None, fills=()):
        self.messages = []
        self.order = order or an_order(5)
        self.order.broker_order_id = "v1"
        self.tracks = Tracks("tl-abc123-")
        self.track = self.tracks.add(self.order)
        self.ledger = Ledger()
        self.teller = Teller(self.tracks, self.ledger, self.messages.append, lambda: 1, CoinFees())
        for fill in fills:
            self.tracks.take_back(fill)

    def see(self, filled, price="100", status="partially_filled", symbol="AAPL"):
        average = None if price is None else Decimal(price)
        seen = VenueOrder(
            "v1", self.order.client_order_id, symbol, Side.BUY, "market", status, Decimal(5),
            Decimal(filled), average, None, None, filled, 1, (),
        )  # fmt: skip
        self.teller.take_order(seen)
        return seen

    def execute(self, total, quantity=1, id=None, symbol="AAPL"):
        price = 100 + (total or 0)
        total = None if total is None else Decimal(total)
        name = id or f"e{total}"
        self.teller.take_execution(
            Execution(name, "v1", symbol, Side.BUY, Decimal(quantity), Decimal(price), total, 1)
        )

    @property
    def fills(self):
        found = []
        for one in self.messages:
            update, taken_back = one if isinstance(one, Correction) else (one, ())
            found += [*taken_back, *([update.fill] if update.fill is not None else [])]
        return found

    @property
    def lines(self):
        """What was booked, as quantity and price; what is taken back is negative."""
        return [f"{fill.quantity:+f} @ {fill.price:.0f}" for fill in self.fills]

    @property
    def standing(self):
        """What is left of it, by price."""
        found = Counter()
        for fill in self.fills:
            found[int(fill.price)] += int(fill.quantity)
        return {price: size for price, size in found.items() if size}


def test_nothing_is_inferred_without_a_price():
    heard = Heard()

    heard.teller.infer(heard.track, heard.see(2, price=None))

    assert (heard.fills, heard.track.missing) == ([], 2)


def test_real_executions_take_the_place_of_what_was_inferred():
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2))
    for total in (1, 2):
        heard.execute(total)

    assert heard.lines == ["+2 @ 100", "-1 @ 100", "+1 @ 101", "-1 @ 100", "+1 @ 102"]
    assert (heard.track.booked, heard.track.missing) == (2, 0)


@pytest.mark.parametrize("totals", [(1, 3, 2, 4), (4, 3, 2, 1), (2, 2, 1, 1, 4, 3)])
def test_in_whatever_order_they_come_each_is_booked_once(totals):
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2))
    heard.see(4)
    for total in totals:
        heard.execute(total)

    assert heard.standing == {101: 1, 102: 1, 103: 1, 104: 1}
    assert (heard.track.booked, heard.track.missing) == (4, 0)


def test_a_part_that_is_explained_leaves_the_rest_inferred():
    heard = Heard(an_order(10))
    heard.teller.infer(heard.track, heard.see(10))
    heard.execute(3, quantity=3)
    between = heard.standing
    heard.execute(10, quantity=7)

    assert between == {100: 7, 103: 3}
    assert heard.standing == {103: 3, 110: 7}


def test_what_was_inferred_before_a_restart_is_replaced_after_it():
    before = Heard()
    before.teller.infer(before.track, before.see(2))
    before.execute(1)
    before.order.filled_quantity, before.order.status = Decimal(2), OrderStatus.PARTIAL
    heard = Heard(before.order, before.fills)
    heard.see(4)
    for total in (1, 3, 2, 4):
        heard.execute(total)

    assert heard.lines == ["+1 @ 103", "-1 @ 100", "+1 @ 102", "+1 @ 104"]


def test_inferred_fills_one_after_the_other_are_each_replaced_by_their_own():
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2))
    heard.teller.infer(heard.track, heard.see(5, price="130"))
    first = heard.standing
    for total in (5, 1, 4, 3, 2):
        heard.execute(total)

    assert first == {100: 2, 150: 3}
    assert heard.standing == {101: 1, 102: 1, 103: 1, 104: 1, 105: 1}


def test_an_execution_of_which_only_a_part_was_inferred_counts_once():
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2))
    heard.execute(4, quantity=4)

    assert heard.lines == ["+2 @ 100", "-2 @ 100", "+4 @ 104"]
    assert (heard.track.booked, heard.track.told) == (4, OrderStatus.PARTIAL)


def test_an_execution_without_a_total_replaces_what_was_inferred():
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2))
    heard.execute(None, quantity=2, id="abc")
    heard.execute(None, quantity=2, id="abc")

    assert heard.lines == ["+2 @ 100", "-2 @ 100", "+2 @ 100"]


def test_an_order_that_is_over_stays_so_when_its_fill_is_replaced():
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2, status="canceled"))
    told, count = heard.track.told, len(heard.messages)
    heard.execute(2, quantity=2)
    replaced = heard.messages[count:]

    assert (told, heard.track.told) == (OrderStatus.CANCELED, OrderStatus.CANCELED)
    assert [(one.update.status, len(one.taken_back)) for one in replaced] == [(None, 1)]
    assert [fill.rule for fill in heard.fills] == ["inferred", TAKEN_BACK, "venue"]


def test_coins_that_were_inferred_keep_their_fee_when_they_are_replaced():
    heard = Heard(an_order(3, symbol="BTC/USD"))
    inferred = heard.see(3, symbol="BTC/USD")
    heard.teller.infer(heard.track, inferred)
    for total in (1, 2, 3):
        heard.execute(total, symbol="BTC/USD")

    assert sum(fill.fee for fill in heard.fills) == Decimal("0.0075")
    assert heard.standing == {101: 1, 102: 1, 103: 1}


def test_the_ledger_counts_what_replaced_and_not_what_was_inferred():
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2))
    for total in (2, 1):
        heard.execute(total)

    assert heard.ledger.own.cash == -203
    assert heard.ledger.positions == {"AAPL": 2}


def test_an_execution_known_only_by_its_id_is_no_reason_to_infer_one_after_a_restart():
    before = Heard()
    before.execute(None, id="abc")
    before.order.filled_quantity, before.order.status = Decimal(1), OrderStatus.PARTIAL

    heard = Heard(before.order, before.fills)
    heard.see(1)

    assert heard.track.missing == 0


@pytest.mark.parametrize("told", [0, None])
def test_an_event_without_a_total_is_known_by_its_id(told):
    seen = Heard().see(0)
    data = {"execution_id": "abc", "qty": "1", "price": "100", "timestamp": None}

    assert read_event(data, seen._replace(filled=Decimal(told or 0))).total is None


@pytest.mark.parametrize(("held", "fee"), [("0.998", "0.002"), ("1", "0.0025"), (None, "0.0025")])
def test_a_fee_in_coins_is_what_is_missing_or_else_the_highest_there_is(held, fee):
    held = None if held is None else Decimal(held)
    bought = Execution("e", "v1", "BTC/USD", Side.BUY, Decimal(1), Decimal(100), None, 1, held)

    assert CoinFees().of(bought) == (Decimal(fee), "BTC")
