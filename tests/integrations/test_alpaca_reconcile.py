"""After a restart the venue and we know the same; what does not add up is shown and restricts."""

import asyncio
from decimal import Decimal

from alpaca_builders import VenueBench, a_broker, an_order, at_venue
from test_alpaca_sending import LIMIT, codes, orders_at

from ticklane.core.commands import Lift, Restrict
from ticklane.core.events import AccountBooked, Reconciled
from ticklane.core.market import DAY
from ticklane.core.order import Order, OrderStatus
from ticklane.integrations.alpaca.ledger import Ledger
from ticklane.interfaces import Recovered


def a_memory(bench, *orders, **terms):
    """What a database would know after these orders, their fills and the broker's marks."""
    fresh = tuple(copied(order) for order in orders)
    fills = tuple(fill for fill in bench.fills if fill.order_id in {one.id for one in orders})
    known = {"fills": fills, "venue_marks": bench.broker.marks() or bench.marks, **terms}
    return {"orders": fresh, "is_resumed": True, "starting_cash": Decimal(100_000), **known}


def copied(order):
    again = Order(
        order.id, order.strategy, order.symbol, order.side, order.quantity, order.created_ns
    )
    for name, value in vars(order).items():
        setattr(again, name, value)
    return again


class Life:
    """One life of a broker at the venue."""

    def __init__(self, venue, *, options=None, **known):
        self.bench, self.known = VenueBench(venue, a_broker(venue, **options or {})), known

    async def __aenter__(self):
        for order in self.known.get("orders", ()):
            self.bench.orders[order.id] = order
        self.report = await self.bench.open(**self.known)
        self.bench.report = self.report
        return self.bench

    async def __aexit__(self, *_):
        await self.bench.broker.disconnect()


async def test_what_was_filled_while_we_were_away_is_told(venue):
    async with at_venue(venue) as before:
        order = await before.submit(an_order(2, **LIMIT))
        memory = a_memory(before, order)
    await asyncio.to_thread(venue.fill, order.client_order_id)

    async with Life(venue, **memory) as bench:
        assert bench.journey(order) == "FILLED"
        assert bench.report.differs == []
        assert bench.report.adopted


async def test_an_order_of_which_we_do_not_know_whether_it_was_sent_is_found(venue):
    async with at_venue(venue) as before:
        order = await before.submit(an_order(2))
        unsure = copied(order)
        unsure.status, unsure.broker_order_id = OrderStatus.SENDING, None
        unsure.filled_quantity = Decimal(0)
        memory = a_memory(before, unsure, fills=())

    async with Life(venue, **memory) as bench:
        assert bench.journey(unsure) == "UNKNOWN ACKED FILLED"
        assert bench.report.differs == []
        assert len(orders_at(venue)) == 1


async def test_an_order_that_was_not_sent_is_sent_once(venue):
    venue.price("AAPL", 100)
    order = an_order(2)
    order.client_order_id = "tl-abc123-" + order.id

    async with Life(venue, orders=(order,), is_resumed=True) as bench:
        await bench.broker.submit(order)  # the desk asks again for what is SENDING
        await bench.settle()

        assert bench.journey(order) == "UNKNOWN SENDING ACKED FILLED"
        assert len(orders_at(venue)) == 1


async def test_what_is_not_ours_is_shown_and_never_touched(venue):
    venue.price("AAPL", 100)
    venue.hold("TSLA", 5, 200)
    async with at_venue(venue) as bench:
        await asyncio.to_thread(
            bench.venue.do,
            lambda: venue.exchange.submit(
                {
                    "symbol": "AAPL",
                    "qty": "1",
                    "side": "buy",
                    "type": "limit",
                    "limit_price": "90",
                    "time_in_force": "gtc",
                    "client_order_id": "by-hand",
                }
            ),
        )
        report = await bench.broker.reconcile()
        await asyncio.to_thread(venue.fill, "by-hand")
        later = await bench.broker.reconcile()

        assert "5 TSLA, of which 5 not ours." in report.found
        assert any("by-hand" in line for line in report.found)
        assert report.differs == later.differs == []
        assert "1 AAPL, of which 1 not ours." in later.found
        assert bench.fills == []


async def test_whoever_asks_for_a_comparison_keeps_its_report(venue):
    async with at_venue(venue) as bench:
        report = await bench.broker.reconcile()

        assert (report.why, bench.of(Reconciled)) == ("asked", [])


async def test_a_position_that_does_not_add_up_halts_its_symbol(venue):
    async with at_venue(venue) as bench:
        await bench.submit(an_order(2))
        venue.hold("AAPL", 1, 100)
        report = await bench.broker.reconcile()
        halted = bench.of(Restrict)
        venue.hold("AAPL", -1, 100)
        again = await bench.broker.reconcile()

        assert report.differs == ["Alpaca holds 3 AAPL, but our fills and events make 2."]
        assert [(r.restriction.code, r.restriction.symbol) for r in halted] == [
            ("quantity_differs", "AAPL")
        ]
        assert again.differs == []
        assert codes(bench, Lift) == ["quantity_differs"]


async def test_cash_that_does_not_add_up_restricts_the_account(venue):
    async with at_venue(venue) as bench:
        venue.set_account(cash=90_000)
        report = await bench.broker.reconcile()

        assert report.differs == [
            "Alpaca has 90,000.00 of cash, but our fills and events make 100,000.00."
        ]
        assert codes(bench, Restrict) == ["cash_differs"]


async def test_fees_and_dividends_are_booked_once(venue):
    async with at_venue(venue) as bench:
        venue.activity("FEE", "-1.25")
        venue.activity("DIV", "3.5", symbol="AAPL", qty=2)
        reports = [await bench.broker.reconcile() for _ in range(2)]
        memory = a_memory(bench)

        assert [m.account_event.kind for m in bench.of(AccountBooked)] == ["FEE", "DIV"]
        assert [report.differs for report in reports] == [[], []]

    async with Life(venue, **memory) as bench:
        assert bench.report.differs == []


async def test_a_restart_with_what_is_open_and_closed_differs_in_nothing(venue):
    async with at_venue(venue) as before:
        open_order = await before.submit(an_order(1, **LIMIT))
        done = await before.submit(an_order(2))
        memory = a_memory(before, open_order)
        memory["fills"] = tuple(before.fills)
        memory["closed"] = (copied(done),)

    async with Life(venue, **memory) as bench:
        assert bench.updates == []
        assert bench.report.differs == []


async def test_nothing_is_traded_while_the_venue_cannot_be_read(venue):
    bench = VenueBench(venue, a_broker(venue))
    await bench.broker.open()
    venue.fault("GET /v2/positions", "status", status=403, times=None)
    await bench.broker.connect(Recovered("r1", installation="abc123"), {})
    report = await bench.broker.recover()
    await bench.broker.disconnect()

    assert not report.is_complete
    assert codes(bench, Restrict) == ["not_reconciled"]


def test_marks_remember_activities_for_as_long_as_they_may_be_read_again():
    ledger = Ledger()
    ledger.begin(Decimal(100), {})
    ledger.read_until_ns = 10 * DAY
    ledger.skip("old", 8 * DAY)
    again = Ledger()

    again.restore(ledger.marks(now_ns=20 * DAY))

    assert (again.seen, again.read_until_ns) == ({"old": 8 * DAY}, 10 * DAY)
