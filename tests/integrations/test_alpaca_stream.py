"""The trade stream may lose, double and reorder what it tells; it is only speed, REST is true."""

import asyncio

import pytest
from alpaca_builders import an_order
from test_alpaca_sending import codes

from ticklane.core.commands import Lift, Restrict

LIMIT = {"type": "limit", "limit_price": 95}


async def test_a_fill_may_come_before_the_answer_to_the_order(bench):
    order = an_order(1)
    bench.venue.fault("POST /v2/orders", "late")
    await bench.send(order)
    await bench.until(lambda: bench.fills)
    bench.venue.release_faults()
    await bench.settle()

    assert bench.journey(order) == "ACKED FILLED"
    assert order.broker_order_id


@pytest.mark.parametrize("kind", ["duplicate", "reorder", "lost", "half_frame", "wrong_frame"])
@pytest.mark.parametrize("event", ["partial_fill", '"fill"', '"new"'])
async def test_each_execution_is_told_once(bench, kind, event):
    order = await bench.submit(an_order(3, **LIMIT))
    bench.venue.fault("SEND /stream", kind, match=event)
    for quantity in (1, 1, 1):
        await asyncio.to_thread(bench.venue.fill, order.client_order_id, quantity)
    await bench.until(lambda: bench.journey(order).endswith("FILLED"))

    assert bench.position == 3
    assert bench.journey(order) == "ACKED PARTIAL PARTIAL FILLED"


async def test_a_lost_end_is_found_by_asking(bench):
    order = await bench.submit(an_order(3, **LIMIT))
    await asyncio.to_thread(bench.venue.fill, order.client_order_id, 1)
    bench.venue.fault("SEND /stream", "lost", match='"canceled"')

    await bench.broker.cancel(order)
    await bench.until(lambda: bench.journey(order).endswith("CANCELED"))

    assert bench.journey(order) == "ACKED PARTIAL CANCELED"


async def test_what_happens_while_the_stream_is_down_is_caught_up_on(bench):
    order = await bench.submit(an_order(2, **LIMIT))
    bench.venue.fault("CONNECT /stream", "refuse", status=503)
    await asyncio.to_thread(bench.venue.drop_sockets)
    await bench.until(lambda: codes(bench, Restrict) == ["stream_down"])
    await asyncio.to_thread(bench.venue.fill, order.client_order_id)
    await bench.until(lambda: codes(bench, Lift) == ["stream_down"])

    assert bench.journey(order) == "ACKED FILLED"


async def test_a_second_stream_of_the_same_key_waits_for_the_first_to_be_let_go(bench):
    stream = bench.broker._stream
    bench.venue.fault("CONNECT /stream", "refuse", status=406)
    await asyncio.to_thread(bench.venue.drop_sockets)
    await bench.until(lambda: codes(bench, Restrict) == ["stream_down"])

    assert not stream.is_up


async def test_a_socket_that_is_open_but_mute_is_replaced(bench):
    bench.venue.fault("SEND /stream", "mute")
    order = an_order(1)
    await bench.send(order)
    await bench.until(lambda: bench.journey(order) == "ACKED FILLED")
    await bench.until(lambda: codes(bench, Lift) == ["stream_down"])

    assert bench.broker._stream.is_up
    assert codes(bench, Restrict) == ["stream_down"]
