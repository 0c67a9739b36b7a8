"""A venue that tells of executions late: they take the place of what was inferred, once."""

import asyncio
from decimal import Decimal

from alpaca_builders import an_order, at_venue
from test_alpaca_reconcile import Life, a_memory
from test_alpaca_sending import LIMIT, codes

from ticklane.core.commands import Lift, Restrict
from ticklane.core.correction import TAKEN_BACK, standing


async def filled_unheard(bench, venue, *prices):
    """An order for as many as there are prices, which the venue has filled without a word."""
    order = await bench.submit(an_order(len(prices), **LIMIT))
    venue.switch(is_reporting=False)
    for price in prices:
        await asyncio.to_thread(venue.fill, order.client_order_id, 1, price)
    await bench.broker.reconcile()
    return order


def prices_of(fills):
    return sorted((fill.price, fill.quantity) for fill in standing(fills))


async def test_executions_that_come_late_take_the_place_of_the_inferred_one(venue):
    async with at_venue(venue) as bench:
        order = await filled_unheard(bench, venue, 90, 88)
        inferred = prices_of(bench.fills)
        venue.switch(is_reporting=True)
        report = await bench.broker.reconcile()
        again = await bench.broker.reconcile()

        assert inferred == [(89, 2)]
        assert prices_of(bench.fills) == [(88, 1), (90, 1)]
        assert [fill.rule for fill in bench.fills].count(TAKEN_BACK) == 2
        assert (bench.journey(order), order.filled_quantity) == ("ACKED FILLED", 2)
        assert report.differs == again.differs == []
        assert bench.broker._ledger.cash == Decimal(venue.exchange.account.cash)


async def test_they_are_found_after_a_restart_too(venue):
    async with at_venue(venue) as before:
        order = await filled_unheard(before, venue, 90, 88)
        memory = a_memory(before, fills=tuple(before.fills), closed=(order,))
    venue.switch(is_reporting=True)

    life = Life(venue, **memory)
    life.bench.orders[order.id] = order
    async with life as bench:
        known = [*before.fills, *bench.fills]

        assert bench.report.differs == []
        assert prices_of(known) == [(88, 1), (90, 1)]

    async with Life(venue, **{**memory, "fills": tuple(known)}) as bench:
        assert (bench.fills, bench.report.differs) == ([], [])


async def test_a_price_that_was_wrongly_inferred_restricts_until_the_real_one_is_known(venue):
    async with at_venue(venue) as bench:
        order = await bench.submit(an_order(1, **LIMIT))
        venue.switch(is_reporting=False)
        await asyncio.to_thread(venue.fill, order.client_order_id, 1, 88)
        listed = venue.exchange.by_client_id[order.client_order_id]
        listed.filled_amount = Decimal(90)  # what it says it cost is not what it cost
        await bench.broker.reconcile()
        restricted = codes(bench, Restrict)
        venue.switch(is_reporting=True)
        await bench.broker.reconcile()

        assert (restricted, codes(bench, Lift)) == (["cash_differs"], ["cash_differs"])
        assert prices_of(bench.fills) == [(88, 1)]
