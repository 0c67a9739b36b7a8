"""The contract of BrokerInterface as a test suite that anybody can run on a broker of theirs.

It needs pytest and pytest-asyncio (auto mode). Inherit from `BrokerContract` in a test file and
give it a fixture `bench`: a `ticklane.testing.bench.Bench`, connected, whose market has shown a
price of 100 and whose account is flat and has between 10,000 and 1,000,000 of cash.

    # tests/test_my_broker.py
    import pytest
    from ticklane.testing.bench import Bench
    from ticklane.testing.contract import BrokerContract

    class TestMyBroker(BrokerContract):
        @pytest.fixture
        async def bench(self):
            bench = Bench(MyBroker(cash=100_000))
            await bench.open()
            await bench.price(100)
            return bench

With `pytest.register_assert_rewrite("ticklane.testing.contract")` in your conftest.py a test that
fails shows its values. A broker that talks to a venue needs a bench with a `beat` of its own: see
Bench. What the rules of the instrument (`OrderRules`) do not allow is skipped. The tests move the
market in single prices at which anything trades; they say nothing of how a broker reads a bar.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ticklane.core.errors import BrokerError
from ticklane.core.instrument import Instrument
from ticklane.core.order import Order, OrderStatus
from ticklane.testing.bench import Bench
from ticklane.testing.builders import a_bracket, a_pair, an_order

AT_ONCE_TERMS = ("ioc", "fok")
WAITING: dict[str, dict[str, Any]] = {  # last price 100: none of these may fill there
    "limit": {"type": "limit", "limit_price": 95},
    "stop": {"type": "stop", "stop_price": 105},
    "stop_limit": {"type": "stop_limit", "stop_price": 105, "limit_price": 106},
    "trailing_stop": {"type": "trailing_stop", "trail_amount": 5},
}
REACHED = {"limit": 94, "stop": 106, "stop_limit": 105.5, "trailing_stop": 106}


def needs(bench: Bench, **terms: Any) -> None:
    """Skip the test unless the instrument takes orders with these terms."""
    rules = bench.broker.instrument(bench.symbol).rules
    taken: dict[str, Any] = {
        "type": rules.types,
        "time_in_force": rules.times_in_force,
        "order_class": rules.classes,
    }
    for name, value in terms.items():
        if value not in taken[name]:
            pytest.skip(f"{bench.broker.name} takes no {value} orders in {bench.symbol}")


@pytest.mark.asyncio
class BrokerContract:
    """Inherit from it and give it a `bench`; every test must pass or be skipped by the rules."""

    # --- the broker itself -----------------------------------------------------------------------

    async def test_it_has_a_name_and_a_starting_cash(self, bench: Bench) -> None:
        assert bench.broker.name
        assert isinstance(bench.broker.starting_cash, Decimal)
        assert bench.broker.starting_cash >= 10_000

    async def test_it_knows_the_instrument(self, bench: Bench) -> None:
        instrument = bench.broker.instrument(bench.symbol)

        assert isinstance(instrument, Instrument)
        assert instrument.symbol == bench.symbol

    async def test_it_tells_each_thing_once(self, bench: Bench) -> None:
        await bench.submit(self.order(bench))
        await bench.price(101)

        assert list(bench.broker.updates()) == []

    # --- fills -----------------------------------------------------------------------------------

    async def test_no_order_is_filled_by_being_submitted(self, bench: Bench) -> None:
        order = await bench.submit(self.order(bench))

        assert bench.fills == []
        assert order.status in (OrderStatus.SENDING, OrderStatus.ACKED)

    async def test_a_market_order_fills_at_the_first_price_after_it(self, bench: Bench) -> None:
        order = await bench.submit(self.order(bench, 2))

        await bench.price(101)

        [fill] = bench.fills_of(order)
        assert (fill.quantity, fill.price) == (Decimal(2), Decimal(101))
        assert bench.journey(order) == "ACKED FILLED"

    async def test_what_is_held_can_be_sold(self, bench: Bench) -> None:
        await self.hold(bench, 3)
        sale = await bench.submit(self.order(bench, 3, side="sell"))

        await bench.price(102)

        [fill] = bench.fills_of(sale)
        assert (fill.quantity, fill.price) == (Decimal(-3), Decimal(102))
        assert bench.position == 0

    async def test_an_acknowledged_order_has_the_id_of_the_venue(self, bench: Bench) -> None:
        order = await bench.submit(self.order(bench))
        await bench.price(101)

        assert order.broker_order_id

    async def test_a_fill_says_whose_it_is_and_why(self, bench: Bench) -> None:
        order = await bench.submit(self.order(bench, strategy="Trend"))
        await bench.price(101)

        for fill in bench.fills_of(order):
            assert (fill.strategy, fill.symbol) == ("Trend", bench.symbol)
            assert fill.execution_id
            assert fill.rule

    async def test_money_is_exact_and_instants_are_whole_nanoseconds(self, bench: Bench) -> None:
        await bench.submit(self.order(bench))
        await bench.price(101)

        [fill] = bench.fills
        assert {type(value) for value in (fill.quantity, fill.price, fill.fee)} == {Decimal}
        assert type(fill.filled_ns) is int
        assert fill.fee >= 0

    @pytest.mark.parametrize("kind", WAITING)
    async def test_an_order_waits_for_its_price(self, bench: Bench, kind: str) -> None:
        needs(bench, type=kind)
        order = await bench.submit(self.order(bench, 2, **WAITING[kind]))

        await bench.price(100, 101)
        waiting = bench.journey(order)
        await bench.price(REACHED[kind])

        assert waiting == "ACKED"
        assert bench.journey(order) == "ACKED FILLED"

    async def test_a_limit_order_fills_at_its_limit_or_better(self, bench: Bench) -> None:
        needs(bench, type="limit")
        order = await bench.submit(self.order(bench, 1, **WAITING["limit"]))

        await bench.price(94)

        assert all(fill.price <= 95 for fill in bench.fills_of(order))
        assert order.filled_quantity == 1

    async def test_an_amount_of_money_gets_its_quantity_from_the_fill(self, bench: Bench) -> None:
        order = await bench.submit(self.order(bench, 0, notional=1000))
        if order.status is OrderStatus.REJECTED:
            pytest.skip(f"{bench.broker.name} takes no orders of an amount of money")

        await bench.price(50)

        assert order.quantity == order.filled_quantity == 20

    # --- times in force --------------------------------------------------------------------------

    @pytest.mark.parametrize("term", AT_ONCE_TERMS)
    async def test_an_order_at_once_fills_now_or_never(self, bench: Bench, term: str) -> None:
        needs(bench, time_in_force=term, type="limit")
        now = self.order(bench, 1, type="limit", limit_price=102, time_in_force=term)
        never = self.order(bench, 1, type="limit", limit_price=95, time_in_force=term)
        await bench.submit(now, never)

        await bench.price(101, 94)

        assert bench.journey(now) == "ACKED FILLED"
        assert bench.journey(never) == "ACKED CANCELED"
        assert never.filled_quantity == 0

    # --- cancel and replace ----------------------------------------------------------------------

    async def test_a_cancelled_order_never_fills(self, bench: Bench) -> None:
        needs(bench, type="limit")
        order = await bench.submit(self.order(bench, 1, **WAITING["limit"]))

        await bench.cancel(order)
        await bench.price(90)

        assert (bench.journey(order), bench.fills) == ("ACKED CANCELED", [])

    async def test_cancelling_what_is_filled_changes_nothing(self, bench: Bench) -> None:
        order = await bench.submit(self.order(bench))
        await bench.price(101)

        await bench.cancel(order)
        await bench.price(101)

        assert bench.journey(order) == "ACKED FILLED"

    async def test_a_replacement_takes_the_place_of_the_old_order(self, bench: Bench) -> None:
        needs(bench, type="limit")
        old = await bench.submit(self.order(bench, 1, **WAITING["limit"]))

        new = await bench.replace(old, self.order(bench, 1, type="limit", limit_price=98))
        await bench.price(97, 90)

        assert (bench.journey(old), bench.journey(new)) == ("ACKED REPLACED", "ACKED FILLED")
        assert bench.position == 1

    async def test_what_is_filled_cannot_be_replaced(self, bench: Bench) -> None:
        old = await bench.submit(self.order(bench))
        await bench.price(101)

        new = await bench.replace(old, self.order(bench, 2))
        await bench.price(101)

        assert (bench.journey(new), bool(new.reason)) == ("REJECTED", True)
        assert bench.position == 1

    # --- refusals --------------------------------------------------------------------------------

    async def test_a_buy_beyond_the_cash_is_rejected(self, bench: Bench) -> None:
        quantity = int(bench.broker.starting_cash)  # at 100 each: a hundred times too much

        self.check_rejected(bench, await bench.submit(self.order(bench, quantity)))

    async def test_cash_is_not_promised_twice(self, bench: Bench) -> None:
        needs(bench, type="limit")
        most = int(bench.broker.starting_cash / 100)
        terms = {"type": "limit", "limit_price": 99}
        await bench.submit(self.order(bench, most * 3 // 4, **terms))

        self.check_rejected(bench, await bench.submit(self.order(bench, most * 3 // 4, **terms)))

    async def test_a_short_sale_is_rejected_where_none_is_allowed(self, bench: Bench) -> None:
        if bench.broker.allow_short:
            pytest.skip(f"{bench.broker.name} allows short sales")

        self.check_rejected(bench, await bench.submit(self.order(bench, side="sell")))

    async def test_more_than_is_held_cannot_be_sold(self, bench: Bench) -> None:
        if bench.broker.allow_short:
            pytest.skip(f"{bench.broker.name} allows short sales")
        await self.hold(bench, 3)

        self.check_rejected(bench, await bench.submit(self.order(bench, 4, side="sell")))

    async def test_a_symbol_that_does_not_trade_is_refused(self, bench: Bench) -> None:
        try:
            bench.broker.instrument("NO-SUCH-SYMBOL")
        except BrokerError:
            return

        order = await bench.submit(an_order(symbol="NO-SUCH-SYMBOL", at=bench.now_ns))

        self.check_rejected(bench, order)

    # --- orders that hang together ---------------------------------------------------------------

    async def test_exits_wait_for_their_entry(self, bench: Bench) -> None:
        needs(bench, order_class="bracket", type="limit")
        terms = {"type": "limit", "limit_price": 98}
        entry = await bench.submit(a_bracket(self.order(bench, 2, **terms), 110, 90))

        await bench.price(111)
        early = list(bench.fills)
        await bench.price(97, 89)

        assert early == []
        assert [fill.quantity for fill in bench.fills] == [2, -2]
        assert [bench.journey(leg) for leg in entry.legs] == ["ACKED CANCELED", "ACKED FILLED"]

    async def test_one_exit_of_a_bracket_ends_the_other(self, bench: Bench) -> None:
        needs(bench, order_class="bracket")
        entry = await bench.submit(a_bracket(self.order(bench, 2), 110, 90))

        await bench.price(100, 111, 80)

        assert [bench.journey(leg) for leg in entry.legs] == ["ACKED FILLED", "ACKED CANCELED"]
        assert bench.position == 0

    async def test_cancelling_an_entry_cancels_its_exits(self, bench: Bench) -> None:
        needs(bench, order_class="bracket", type="limit")
        order = self.order(bench, 2, **WAITING["limit"])
        entry = await bench.submit(a_bracket(order, 110, 90))

        await bench.cancel(entry)
        await bench.price(80, 120)

        assert bench.fills == []
        assert all(not one.is_open for one in (entry, *entry.legs))

    async def test_an_entry_may_have_one_exit(self, bench: Bench) -> None:
        needs(bench, order_class="oto")
        entry = await bench.submit(a_bracket(self.order(bench, 2), stop_loss=90))

        await bench.price(100, 89)

        assert [bench.journey(leg) for leg in entry.legs] == ["ACKED FILLED"]
        assert bench.position == 0

    @pytest.mark.parametrize("prices", [(111, 80), (89, 120)], ids=["target", "stop"])
    async def test_one_of_a_pair_ends_the_other(
        self, bench: Bench, prices: tuple[float, ...]
    ) -> None:
        needs(bench, order_class="oco")
        await self.hold(bench, 2)
        pair = a_pair(2, 110, 90, symbol=bench.symbol, at=bench.now_ns)
        await bench.submit(pair)

        await bench.price(*prices)

        assert sorted(map(bench.journey, (pair, *pair.legs))) == ["ACKED CANCELED", "ACKED FILLED"]
        assert bench.position == 0

    # --- small things ----------------------------------------------------------------------------

    def order(self, bench: Bench, quantity: Any = 1, **terms: Any) -> Order:
        """An order of now in the symbol of the bench."""
        return an_order(quantity, symbol=bench.symbol, at=bench.now_ns, **terms)

    async def hold(self, bench: Bench, quantity: int) -> None:
        """Buy so much."""
        await bench.submit(self.order(bench, quantity))
        await bench.price(100)
        assert bench.position == quantity

    def check_rejected(self, bench: Bench, order: Order) -> None:
        """A rejection is an answer with a code and a sentence, not an exception; nothing fills."""
        assert bench.journey(order) == "REJECTED"
        assert order.reason_code
        assert order.reason.endswith(".")
        assert bench.fills_of(order) == []
