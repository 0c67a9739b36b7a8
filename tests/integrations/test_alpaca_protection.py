"""Exits that end with the day leave a position bare, unless they are put up again."""

import asyncio

import pytest
from alpaca_builders import an_order, at_venue
from test_alpaca_reconcile import Life, a_memory

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


async def test_an_exit_that_was_moved_is_put_up_again_as_well(venue):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        terms = {"type": "limit", "limit_price": 112, "parent_id": entry.id}
        moved = await bench.replace(entry.legs[0], an_order(2, side="sell", **terms))
        first = moved.broker_order_id
        await the_day_ends(bench, moved)
        await bench.until(lambda: moved.broker_order_id != first)
        await bench.price(113)
        await bench.until(lambda: not any(one.is_open for one in (moved, *entry.legs)))

        assert bench.journey(moved) == "ACKED FILLED"
        assert [bench.journey(leg) for leg in entry.legs] == ["ACKED REPLACED", "ACKED CANCELED"]
        assert bench.position == 0


async def test_exits_are_put_up_again_of_an_entry_that_filled_while_we_were_away(venue):
    venue.price("AAPL", 102)
    async with at_venue(venue) as before:
        entry = await before.submit(a_bracket(an_order(2, **ENTRY | {"limit_price": 99}), 110, 90))
        first = [leg.broker_order_id for leg in entry.legs]
        memory = a_memory(before, entry, *entry.legs)
    await asyncio.to_thread(venue.fill, entry.broker_order_id)
    await asyncio.to_thread(venue.expire, entry.legs[0].broker_order_id)

    async with Life(venue, options={"rearm_protection": True}, **memory) as bench:
        legs = memory["orders"][1:]
        await bench.until(lambda: all(leg.broker_order_id not in first for leg in legs))

        assert [leg.status for leg in legs] == ["ACKED", "ACKED"]


async def test_exits_that_ended_are_told_when_they_are_cancelled_meanwhile(venue):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        await the_day_ends(bench, *entry.legs[:1])
        for leg in entry.legs:
            await bench.cancel(leg)
        await bench.until(lambda: not any(leg.is_open for leg in entry.legs))

        assert [bench.journey(leg) for leg in entry.legs] == ["ACKED EXPIRED", "ACKED CANCELED"]
        assert len(venue.ledger.orders) == 3


async def test_exits_that_are_cancelled_while_they_are_put_up_again_do_not_stay(venue):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        venue.fault("POST /v2/orders", "late")
        await the_day_ends(bench, *entry.legs[:1])
        await bench.struck(1)
        for leg in entry.legs:
            await bench.cancel(leg)
        await asyncio.to_thread(venue.release_faults)
        await bench.until(lambda: not any(leg.is_open for leg in entry.legs))

        ends = [one["status"] for one in venue.ledger.orders]
        assert ends == ["filled", "expired", "canceled", "canceled", "canceled"]


@pytest.mark.parametrize("kind", ["status", None])
async def test_exits_that_ended_unseen_are_put_up_together_whichever_is_heard_of_first(venue, kind):
    async with at_venue(venue) as before:
        entry = await before.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        first = [leg.broker_order_id for leg in entry.legs]
        memory = a_memory(before, entry, *entry.legs)
    await asyncio.to_thread(venue.expire, first[0])
    if kind:
        venue.fault("GET /v2/orders", kind, status=503, times=4)

    async with Life(venue, options={"rearm_protection": True}, **memory) as bench:
        legs = memory["orders"][1:]
        for track in (bench.broker.tracks.by_id[leg.id] for leg in reversed(legs)):
            await bench.broker._sender.refresh(track)
        await bench.until(lambda: all(leg.broker_order_id not in first for leg in legs))

        assert [leg.status for leg in legs] == ["ACKED", "ACKED"]


async def test_the_second_half_of_a_flip_is_no_exit(venue):
    async with at_venue(venue, rearm_protection=True) as bench:
        close = await bench.submit(an_order(2))
        terms = {"parent_id": close.id, "type": "limit", "limit_price": 90}
        half = await bench.submit(an_order(2, **terms))
        await the_day_ends(bench, half)

        assert bench.journey(half) == "ACKED EXPIRED"
