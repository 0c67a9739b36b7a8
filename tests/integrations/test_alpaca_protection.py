"""Exits that end with the day leave a position bare, unless they are put up again."""

import asyncio

import pytest
from alpaca_builders import an_order, at_venue

from ticklane.testing.builders import a_bracket

ENTRY = {"type": "limit", "limit_price": 101, "time_in_force": "day"}


async def the_day_ends(bench, *legs):
    for leg in legs:
        await asyncio.to_thread(bench.venue.expire, leg.broker_order_id)
    await bench.settle()


async def test_exits_that_expire_are_told_as_expired(bench):
    entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))

    await the_day_ends(bench, *entry.legs[:1])
    await bench.until(lambda: not any(leg.is_open for leg in entry.legs))

    assert bench.position == 2


@pytest.mark.parametrize("kind", [None, "drop_before", "drop_after"])
async def test_exits_are_put_up_again_once_when_it_is_asked_for(venue, kind):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        first = [leg.broker_order_id for leg in entry.legs]
        if kind:
            venue.fault("POST /v2/orders", kind)
        await the_day_ends(bench, *entry.legs[:1])
        await bench.until(lambda: all(leg.broker_order_id not in first for leg in entry.legs))
        await bench.price(89)
        await bench.until(lambda: bench.position == 0)
        await bench.until(lambda: not any(leg.is_open for leg in entry.legs))

        assert [bench.journey(leg) for leg in entry.legs] == ["ACKED CANCELED", "ACKED FILLED"]
        assert len([one for one in venue.ledger.orders if one["symbol"] == "AAPL"]) == 5
