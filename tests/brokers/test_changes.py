"""Cancelling and replacing at the venue, and the races with fills."""

from datetime import timedelta

import pytest
from brokers_builders import told

from ticklane.core.costs import VolumeShareSlippage
from ticklane.core.market import MINUTE, SECOND
from ticklane.testing.builders import a_bracket, a_pair, an_order

LIMIT = {"type": "limit", "limit_price": 95}
ALL_OF_IT = VolumeShareSlippage(cap=1, impact=0)


# --- cancel -------------------------------------------------------------------------------------


async def test_a_cancelled_order_never_fills(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order(**LIMIT))

    await bench.cancel(order)
    await bench.bar(90)

    assert (bench.fills, bench.journey(order)) == ([], "ACKED CANCELED")
    assert (order.reason_code, order.reason) == ("canceled", "cancelled on request.")


async def test_a_cancel_before_the_next_bar_wins(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order())

    await bench.cancel(order)
    await bench.bar(100)

    assert bench.journey(order) == "ACKED CANCELED"


async def test_a_cancel_after_the_fill_changes_nothing(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order())
    await bench.bar(100)

    await bench.cancel(order)

    assert bench.journey(order) == "ACKED FILLED"


async def test_a_second_cancel_says_nothing(a_venue):
    bench = await a_venue(100)
    order = await bench.submit(an_order(**LIMIT))

    await bench.cancel(order)
    await bench.cancel(order)

    assert bench.journey(order) == "ACKED CANCELED"


async def test_a_partly_filled_order_keeps_its_fills_when_cancelled(a_venue):
    bench = await a_venue(100, slippage=ALL_OF_IT)
    order = await bench.submit(an_order(10))
    await bench.bar(100, volume=4)

    await bench.cancel(order)

    assert (order.filled_quantity, bench.journey(order)) == (4, "ACKED PARTIAL CANCELED")


# --- replace ------------------------------------------------------------------------------------


async def test_a_replacement_takes_the_place_of_the_old_order(a_venue):
    bench = await a_venue(100)
    old = await bench.submit(an_order(**LIMIT))

    new = await bench.replace(old, an_order(type="limit", limit_price=98))
    bar = await bench.bar(99, 99, 94, 95)

    assert (bench.journey(old), bench.journey(new)) == ("ACKED REPLACED", "ACKED FILLED")
    assert told(bench, [bar]) == ["1 @ 98 limit_reached, close of 1"]
    assert old.reason == f"replaced by {new.id}."


async def test_what_the_old_order_has_filled_stays(a_venue):
    bench = await a_venue(100, slippage=ALL_OF_IT)
    old = await bench.submit(an_order(10, type="limit", limit_price=100))
    await bench.bar(100, volume=4)

    new = await bench.replace(old, an_order(6, type="limit", limit_price=101))
    await bench.bar(101, volume=100)

    assert (old.filled_quantity, new.filled_quantity, bench.position) == (4, 6, 10)
    assert (bench.journey(old), bench.journey(new)) == ("ACKED PARTIAL REPLACED", "ACKED FILLED")


async def test_a_replacement_keeps_the_id_at_the_venue(a_venue):
    bench = await a_venue(100)
    first = await bench.submit(an_order(**LIMIT))

    second = await bench.replace(first, an_order(**LIMIT))
    third = await bench.replace(second, an_order(**LIMIT))

    assert first.broker_order_id == second.broker_order_id == third.broker_order_id == first.id


async def test_an_order_not_open_any_more_cannot_be_replaced(a_venue):
    bench = await a_venue(100)
    old = await bench.submit(an_order())
    await bench.bar(100)

    new = await bench.replace(old, an_order(2))
    await bench.bar(100)

    assert (bench.journey(new), new.reason_code) == ("REJECTED", "not_open")
    assert new.reason == f"order {old.id} is not open any more."
    assert bench.position == 1


async def test_a_refused_replacement_leaves_the_old_order_as_it_was(a_venue):
    bench = await a_venue(100, cash=1000)
    old = await bench.submit(an_order(10, **LIMIT))

    new = await bench.replace(old, an_order(11, **LIMIT))
    other = await bench.submit(an_order(1))
    await bench.bar(95)

    assert (bench.journey(new), new.reason_code) == ("REJECTED", "insufficient_cash")
    assert bench.journey(other) == "REJECTED"  # the reservation is still there
    assert bench.journey(old) == "ACKED FILLED"


async def test_a_replacement_may_use_what_the_old_order_had_reserved(a_venue):
    bench = await a_venue(100, cash=1000)
    old = await bench.submit(an_order(10, type="limit", limit_price=99))

    new = await bench.replace(old, an_order(10, type="limit", limit_price=100))

    assert bench.journey(new) == "ACKED"


async def test_a_sale_may_be_replaced_by_one_of_the_same_size(a_venue):
    bench = await a_venue(100)
    await bench.submit(an_order(5))
    await bench.bar(100)
    old = await bench.submit(an_order(5, side="sell", type="limit", limit_price=110))

    new = await bench.replace(old, an_order(5, side="sell", type="limit", limit_price=105))
    more = await bench.replace(new, an_order(6, side="sell", type="limit", limit_price=104))

    assert (bench.journey(new), bench.journey(more)) == ("ACKED", "REJECTED")


async def test_a_replacement_fills_from_the_next_bar_on_only(a_venue):
    bench = await a_venue(100)
    old = await bench.submit(an_order(**LIMIT))
    late = an_order(at=bench.now_ns + SECOND)

    new = await bench.replace(old, late)
    await bench.bar(101)
    early = bench.journey(new)
    await bench.bar(102)

    assert early == "ACKED"
    assert [(fill.price, fill.filled_ns) for fill in bench.fills] == [(102, bench.now_ns - MINUTE)]


async def test_a_replaced_trailing_stop_begins_at_the_last_price(a_venue):
    bench = await a_venue(100, allow_short=True)
    old = await bench.submit(an_order(side="sell", type="trailing_stop", trail_amount=5))
    await bench.bar(110)

    new = an_order(side="sell", type="trailing_stop", trail_amount=2)
    await bench.replace(old, new)
    bar = await bench.bar(109, 109, 107, 108)

    assert told(bench, [bar]) == ["-1 @ 108 trailing_stop_reached, close of 1"]


# --- members of a family ------------------------------------------------------------------------


def in_place_of(leg, **terms):
    """The replacement of an exit, as a desk makes it."""
    kept = {"side": leg.side, "order_class": leg.order_class, "parent_id": leg.parent_id}
    return an_order(leg.remaining, type=leg.type, **kept, **terms)


async def test_an_exit_may_be_replaced_before_its_entry_has_filled(a_venue):
    bench = await a_venue(100)
    entry = await bench.submit(a_bracket(an_order(10), 110, 90))

    new = await bench.replace(entry.legs[1], in_place_of(entry.legs[1], stop_price=95))
    bars = [await bench.bar(100), await bench.bar(100, 100, 94, 95)]

    assert told(bench, bars)[1:] == ["-10 @ 95 stop_reached, close of 2"]
    assert (bench.journey(new), bench.journey(entry.legs[0])) == ("ACKED FILLED", "ACKED CANCELED")


async def test_an_exit_may_be_replaced_after_its_entry_and_ends_the_other(a_venue):
    bench = await a_venue(100)
    entry = await bench.submit(a_bracket(an_order(10), 110, 90))
    first = await bench.bar(100)

    new = await bench.replace(entry.legs[0], in_place_of(entry.legs[0], limit_price=105))
    second = await bench.bar(100, 106, 99, 100)

    assert told(bench, [first, second])[1:] == ["-10 @ 105 limit_reached, close of 2"]
    assert bench.journey(entry.legs[1]) == "ACKED CANCELED"
    assert bench.journey(new) == "ACKED FILLED"


async def test_a_replaced_exit_still_on_its_way_does_not_fill_with_its_entry(a_venue):
    bench = await a_venue(100, latency=timedelta(seconds=90))
    entry = await bench.submit(a_bracket(an_order(10), None, 90))
    await bench.bar(100)

    new = await bench.replace(entry.legs[0], in_place_of(entry.legs[0], stop_price=95))
    await bench.bar(100)
    await bench.bar(100, 100, 94, 96)  # the entry fills at its open, before the exit has arrived
    early = bench.journey(new)
    await bench.bar(96, 96, 94, 95)

    assert (bench.journey(entry), early) == ("ACKED FILLED", "ACKED")
    assert bench.journey(new) == "ACKED FILLED"


async def test_a_replaced_entry_keeps_its_exits(a_venue):
    bench = await a_venue(100)
    entry = await bench.submit(a_bracket(an_order(10, **LIMIT), 110, 90))

    new = an_order(10, type="limit", limit_price=98, order_class=entry.order_class)
    await bench.replace(entry, new)
    await bench.bar(99, 99, 97, 98)
    await bench.bar(89)

    assert [(fill.quantity, fill.price) for fill in bench.fills] == [(10, 98), (-10, 89)]
    assert [bench.journey(leg) for leg in entry.legs] == ["ACKED CANCELED", "ACKED FILLED"]


async def test_a_replaced_entry_of_another_size_gives_its_exits_that_size(a_venue):
    bench = await a_venue(100)
    entry = await bench.submit(a_bracket(an_order(10, **LIMIT), 110, 90))

    new = an_order(4, type="limit", limit_price=98, order_class=entry.order_class)
    await bench.replace(entry, new)
    await bench.bar(98)

    assert [leg.quantity for leg in entry.legs] == [4, 4]


@pytest.mark.parametrize("member", [0, 1], ids=["target", "stop"])
async def test_a_replaced_one_of_a_pair_still_ends_the_other(member, a_venue):
    bench = await a_venue(100)
    await bench.submit(an_order(10))
    await bench.bar(100)
    pair = await bench.submit(a_pair(10, 120, 80))
    old, other = (pair, *pair.legs)[member], (*pair.legs, pair)[member]

    price = {"limit_price": 105} if member == 0 else {"stop_price": 95}
    new = await bench.replace(old, in_place_of(old, **price))
    await bench.bar(100, 105, 99, 100) if member == 0 else await bench.bar(100, 101, 95, 96)

    assert (bench.journey(new), bench.journey(other)) == ("ACKED FILLED", "ACKED CANCELED")
    assert bench.position == 0
