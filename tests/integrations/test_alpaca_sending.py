"""Whatever happens to a request or its answer: one order at the venue, each execution told once."""

import asyncio

import pytest
from alpaca_builders import an_order

from ticklane.core.commands import Lift, Restrict

LIMIT = {"type": "limit", "limit_price": 95}
NOT_DONE = [
    ("drop_before", {}),
    ("status", {"status": 504}),
    ("status", {"status": 500}),
    ("status", {"status": 502, "body": "<html>Bad Gateway</html>"}),
    ("status", {"status": 401, "body": {"message": "unauthorized."}}),
]
DONE = [
    ("drop_after", {}),
    ("status_after", {"status": 504}),
    ("half_body", {}),
    ("wrong_body", {}),
    ("empty_body", {}),
    ("double", {}),
]


def orders_at(venue):
    """Client ids and states of the orders at the venue."""
    return [(one["client_order_id"], one["status"]) for one in venue.ledger.orders]


def codes(bench, kind):
    return [m.restriction.code if kind is Restrict else m.code for m in bench.of(kind)]


async def test_a_market_order_is_sent_taken_and_filled(bench):
    order = await bench.submit(an_order(2))

    assert bench.journey(order) == "ACKED FILLED"
    assert orders_at(bench.venue) == [(order.client_order_id, "filled")]


@pytest.mark.parametrize(("kind", "terms"), NOT_DONE)
async def test_an_order_that_never_arrived_is_sent_again_with_the_same_id(bench, kind, terms):
    bench.venue.fault("POST /v2/orders", kind, **terms)

    order = await bench.submit(an_order(1))

    assert bench.journey(order) == "UNKNOWN SENDING ACKED FILLED"
    assert orders_at(bench.venue) == [(order.client_order_id, "filled")]


@pytest.mark.parametrize(("kind", "terms"), DONE)
async def test_an_order_whose_answer_was_lost_is_found_again(bench, kind, terms):
    bench.venue.fault("POST /v2/orders", kind, **terms)

    order = await bench.submit(an_order(1))

    assert bench.journey(order) in ("UNKNOWN ACKED FILLED", "ACKED FILLED")
    assert orders_at(bench.venue) == [(order.client_order_id, "filled")]
    assert len(bench.fills) == 1


async def test_a_request_that_comes_late_does_not_make_a_second_order(bench):
    bench.venue.fault("POST /v2/orders", "late_request")

    order = await bench.submit(an_order(1))
    bench.venue.release_faults()
    await bench.submit(an_order(1))

    assert bench.journey(order) == "UNKNOWN SENDING ACKED FILLED"
    assert [status for _, status in orders_at(bench.venue)] == ["filled", "filled"]


async def test_too_many_requests_are_waited_for_and_sent_with_the_same_id(bench):
    bench.venue.fault("POST /v2/orders", "status", status=429, headers={"Retry-After": "0.1"})

    order = await bench.submit(an_order(1))

    assert bench.journey(order) == "ACKED FILLED"


async def test_a_refusal_is_told_in_the_words_of_the_venue(bench):
    order = await bench.submit(an_order(1_000_000))

    assert bench.journey(order) == "REJECTED"
    assert order.reason == "Alpaca refused it: insufficient buying power (40310000)."


async def test_an_order_of_an_old_signal_is_not_sent_again(bench):
    order = an_order(1)
    bench.venue.fault("POST /v2/orders", "drop_before")
    bench.venue.fault("GET /v2/orders:by_client_order_id", "late")
    await bench.send(order)
    await bench.struck(2)
    order.valid_until_ns = 1  # the time is up while the venue is asked
    bench.venue.release_faults()
    await bench.settle()

    assert bench.journey(order) == "UNKNOWN QUARANTINED"
    assert codes(bench, Restrict) == ["order_unknown"]
    assert orders_at(bench.venue) == []


async def test_an_order_too_old_to_be_sent_never_leaves_the_house(bench):
    order = await bench.submit(an_order(1, valid_until_ns=1))

    assert bench.journey(order) == "UNKNOWN QUARANTINED NOT_SENT"
    assert orders_at(bench.venue) == []


async def test_a_quarantined_order_that_appears_is_cancelled(bench):
    order = an_order(1, **LIMIT)
    bench.venue.fault("POST /v2/orders", "late_request", seconds=0.5)
    bench.venue.fault("GET /v2/orders:by_client_order_id", "late")
    await bench.send(order)
    await bench.struck(2)
    order.valid_until_ns = 1
    bench.venue.release_faults()
    await bench.until(lambda: bench.journey(order).endswith("CANCELED"))
    await bench.until(lambda: codes(bench, Lift) == ["order_unknown"])

    assert bench.journey(order) == "UNKNOWN QUARANTINED ACKED CANCELED"


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "half_body", "wrong_body"])
async def test_a_cancel_reaches_the_venue_whatever_becomes_of_its_answer(bench, kind):
    order = await bench.submit(an_order(1, **LIMIT))
    bench.venue.fault("DELETE /v2/orders/*", kind)

    await bench.cancel(order)

    assert bench.journey(order) == "ACKED CANCELED"


async def test_a_fill_may_win_against_a_cancel(bench):
    order = await bench.submit(an_order(2, **LIMIT))
    bench.venue.switch(is_cancelling=False)
    await bench.broker.cancel(order)
    await asyncio.to_thread(bench.venue.fill, order.client_order_id)
    await bench.settle()

    assert bench.journey(order) == "ACKED FILLED"


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "half_body", "double"])
async def test_a_replacement_happens_once_whatever_becomes_of_its_answer(bench, kind):
    old = await bench.submit(an_order(2, **LIMIT))
    bench.venue.fault("PATCH /v2/orders/*", kind)

    new = await bench.replace(old, an_order(2, type="limit", limit_price=96))
    await bench.price(95.5)

    assert bench.journey(old) == "ACKED REPLACED"
    assert bench.journey(new).endswith("ACKED FILLED")
    assert [fill.quantity for fill in bench.fills] == [2]


async def test_a_chain_of_replacements_ends_in_one_fill(bench):
    order = await bench.submit(an_order(2, **LIMIT))
    for price in (94, 93, 92):
        order = await bench.replace(order, an_order(2, type="limit", limit_price=price))
    await bench.price(91)

    assert bench.position == 2
    assert [s for _, s in orders_at(bench.venue)] == ["replaced"] * 3 + ["filled"]


async def test_orders_of_one_symbol_keep_their_order(bench):
    bench.venue.fault("POST /v2/orders", "drop_before")
    first, second = an_order(2), an_order(1, side="sell")
    await bench.send(first, second)
    await bench.settle()

    assert [fill.quantity for fill in bench.fills] == [2, -1]
    assert bench.journey(first).endswith("FILLED")
    assert bench.journey(second).endswith("FILLED")
