"""Executions that come late, twice, out of order, or never: the books have each of them once."""

from decimal import Decimal

import pytest
from alpaca_builders import an_order

from ticklane.core.order import OrderStatus, Side
from ticklane.integrations.alpaca.coin_fees import CoinFees
from ticklane.integrations.alpaca.convert import Execution, VenueOrder, read_event
from ticklane.integrations.alpaca.ledger import Ledger
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import Tracks


class Heard:
    """A teller with one order of five, and what it has told."""

    def __init__(self, order=None, fills=()):
        self.updates = []
        self.order = order or an_order(5)
        self.order.broker_order_id = "v1"
        self.tracks = Tracks("tl-abc123-")
        self.track = self.tracks.add(self.order)
        self.teller = Teller(self.tracks, Ledger(), self.updates.append, lambda: 1, CoinFees())
        for fill in fills:
            self.tracks.take_back(fill)

    def see(self, filled, price="100", status="partially_filled"):
        average = None if price is None else Decimal(price)
        seen = VenueOrder(
            "v1", self.order.client_order_id, "AAPL", Side.BUY, "market", status, Decimal(5),
            Decimal(filled), average, None, None, filled, 1, (),
        )  # fmt: skip
        self.teller.take_order(seen)
        return seen

    def execute(self, total, quantity=1, id=None):
        price = 100 + (total or 0)
        total = None if total is None else Decimal(total)
        name = id or f"e{total}"
        self.teller.take_execution(
            Execution(name, "v1", "AAPL", Side.BUY, Decimal(quantity), Decimal(price), total, 1)
        )

    @property
    def prices(self):
        return [int(update.fill.price) for update in self.updates if update.fill is not None]

    @property
    def fills(self):
        return [update.fill for update in self.updates if update.fill is not None]


def test_nothing_is_inferred_without_a_price():
    heard = Heard()

    heard.teller.infer(heard.track, heard.see(2, price=None))

    assert (heard.prices, heard.track.missing) == ([], 2)


def test_what_was_inferred_is_not_booked_again_when_the_real_executions_come():
    heard = Heard()
    heard.teller.infer(heard.track, heard.see(2))
    heard.see(4)
    for total in (1, 3, 2, 4):
        heard.execute(total)

    assert heard.prices == [100, 103, 104]
    assert heard.track.missing == 0


def test_what_was_inferred_before_a_restart_is_known_after_it():
    before = Heard()
    before.teller.infer(before.track, before.see(2))
    before.order.filled_quantity, before.order.status = Decimal(2), OrderStatus.PARTIAL
    heard = Heard(before.order, before.fills)
    heard.see(4)
    for total in (1, 3, 2, 4):
        heard.execute(total)

    assert heard.prices == [103, 104]


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
