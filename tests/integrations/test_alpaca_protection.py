"""Exits that end with the day leave a position bare, unless they are put up again."""

import asyncio
from functools import partial

import pytest
from alpaca_builders import an_order, at_venue
from test_alpaca_reconcile import Life, a_memory
from test_alpaca_sending import codes

from ticklane.core.commands import Restrict
from ticklane.integrations.alpaca import protection
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
        moved = await moved_target(bench, entry)
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


async def a_held_up_return(bench, kind):
    """An entry whose exits have ended, and are asked for again by a POST that meets this fault."""
    entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
    bench.venue.fault("POST /v2/orders", kind)
    await the_day_ends(bench, *entry.legs[:1])
    await bench.struck(1)
    return entry


async def test_exits_that_are_cancelled_while_they_are_put_up_again_do_not_stay(venue):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await a_held_up_return(bench, "late")
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


async def test_what_an_exit_had_filled_before_it_was_put_up_again_counts_once(venue):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        moved = await moved_target(bench, entry)
        first = moved.broker_order_id
        await asyncio.to_thread(venue.fill, first, 1)
        await bench.settle()
        await the_day_ends(bench, moved)
        await bench.until(lambda: moved.broker_order_id != first)
        report = await bench.broker.reconcile()

        assert (report.differs, codes(bench, Restrict)) == ([], [])
        assert venue.ledger.orders[-2]["qty"] == "1"
        stop = entry.legs[1]
        await bench.until(lambda: bench.broker.tracks.by_id[stop.id].newest is not None)
        memory = a_memory(bench, entry, *entry.legs, moved)
    await asyncio.to_thread(venue.cancel, stop.broker_order_id)

    async with Life(venue, **memory) as bench:
        assert [one.status for one in memory["orders"][2:]] == ["CANCELED", "CANCELED"]
        assert bench.report.differs == []


async def moved_target(bench, entry):
    """The order that has replaced the target of a bracket."""
    terms = {"type": "limit", "limit_price": 112, "parent_id": entry.id}
    return await bench.replace(entry.legs[0], an_order(2, side="sell", **terms))


@pytest.mark.parametrize("is_inferred", [False, True])
async def test_exits_are_put_up_again_only_when_their_executions_are_known(venue, is_inferred):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        first = [leg.broker_order_id for leg in entry.legs]
        venue.fault("SEND /stream", "lost", match="partial_fill")
        venue.fault("GET /v2/account/activities", "status", status=503, times=4)
        await asyncio.to_thread(venue.fill, first[0], 1)
        await asyncio.to_thread(venue.expire, first[0])
        target = bench.broker.tracks.by_id[entry.legs[0].id]
        if is_inferred:
            while not target.missing:  # noqa: ASYNC110
                await asyncio.sleep(0)
            bench.broker._teller.infer(target, target.newest)
        await bench.until(lambda: all(leg.broker_order_id not in first for leg in entry.legs))

        await asyncio.to_thread(venue.clear_faults)
        report = await bench.broker.reconcile()

        assert (report.is_complete, report.differs, bench.position) == (True, [], 1)


async def test_exits_are_taken_over_with_their_names_where_a_look_up_shows_none(venue):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await a_held_up_return(bench, "hang_after")
        target, stop = venue.ledger.orders[-2:]
        bare = {**target, "legs": None}
        venue.fault("GET /v2/orders:by_client*", "wrong_body", times=None, status=200, body=bare)
        await asyncio.to_thread(venue.release_faults)
        names = [target["id"], stop["id"]]
        await bench.until(lambda: [leg.broker_order_id for leg in entry.legs] == names)

        assert [leg.status for leg in entry.legs] == ["ACKED", "ACKED"]


@pytest.mark.parametrize("filled", [0, 1])
async def test_exits_of_an_entry_that_was_moved_protect_all_that_was_bought(venue, filled):
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY | {"limit_price": 99}), 110, 90))
        if filled:
            await asyncio.to_thread(venue.fill, entry.broker_order_id, filled)
            await bench.settle()
        await bench.replace(entry, an_order(2 - filled, **ENTRY))
        first = [leg.broker_order_id for leg in entry.legs]
        await the_day_ends(bench, *entry.legs[:1])
        await bench.until(lambda: all(leg.broker_order_id not in first for leg in entry.legs))

        assert [one["qty"] for one in venue.ledger.orders[-2:]] == ["2", "2"]


async def test_exits_of_a_position_that_somebody_has_closed_are_not_put_up_again(venue):
    async with at_venue(venue) as before:
        entry = await before.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        memory = a_memory(before, entry, *entry.legs)
    await asyncio.to_thread(venue.expire, entry.legs[0].broker_order_id)
    sale = {"symbol": "AAPL", "qty": "2", "side": "sell", "type": "market", "time_in_force": "day"}
    await asyncio.to_thread(venue.do, partial(venue.exchange.submit, sale))

    async with Life(venue, options={"rearm_protection": True}, **memory) as bench:
        legs = memory["orders"][1:]
        await bench.until(lambda: not any(leg.is_open for leg in legs))

        assert [leg.status for leg in legs] == ["EXPIRED", "CANCELED"]
        assert not [one for one in venue.ledger.requests if "-again" in one["body"]]


async def test_a_look_that_fails_does_not_count_as_an_exit_that_goes_on(venue, monkeypatch):
    monkeypatch.setattr(protection, "_LOOKS", 1)
    async with at_venue(venue, rearm_protection=True) as bench:
        entry = await bench.submit(a_bracket(an_order(2, **ENTRY), 110, 90))
        first = [leg.broker_order_id for leg in entry.legs]
        venue.fault("SEND /stream", "lost", match='"canceled"')
        venue.fault(f"GET /v2/orders/{first[1]}", "status", status=503, times=2)
        await asyncio.to_thread(venue.expire, first[0])
        await bench.until(lambda: all(leg.broker_order_id not in first for leg in entry.legs))

        assert [leg.status for leg in entry.legs] == ["ACKED", "ACKED"]
