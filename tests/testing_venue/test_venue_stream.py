"""Trade updates as alpaca-py's own TradingStream hears them."""

import asyncio
import json

import pytest
import websockets
from alpaca.trading.requests import ReplaceOrderRequest
from venue_clients import a_client, heard_by, listening, order

from ticklane.testing.venue import LocalVenue


async def in_thread(work, *arguments, **named):
    return await asyncio.to_thread(work, *arguments, **named)


async def test_an_order_is_told_from_its_acceptance_to_its_fill(client, venue):
    async with listening(venue) as updates:
        done = await in_thread(order, client, qty=10)
        heard = await updates.until("fill")

    assert updates.events == ["pending_new", "new", "fill"]
    assert (heard[-1].qty, heard[-1].price, heard[-1].position_qty) == (10, 100, 10)
    assert heard[-1].order.id == done.id
    assert heard[-1].order.status == "filled"
    assert str(heard[-1].execution_id) == venue.ledger.executions[0]["execution_id"]


async def test_parts_are_told_with_their_own_price_and_quantity(client, venue):
    async with listening(venue) as updates:
        waiting = await in_thread(order, client, "limit", qty=10, limit_price=90)
        venue.fill(waiting.id, 4, 89)
        venue.fill(waiting.id, price=90)
        heard = await updates.until("fill")

    parts = [(one.qty, one.price, one.position_qty) for one in heard[2:]]
    assert updates.events[2:] == ["partial_fill", "fill"]
    assert parts == [(4, 89, 4), (6, 90, 10)]
    assert heard[2].execution_id != heard[3].execution_id


async def test_cancels_and_replacements_are_told(client, venue):
    async with listening(venue) as updates:
        old = await in_thread(order, client, "limit", limit_price=90)
        new = await in_thread(
            client.replace_order_by_id, old.id, ReplaceOrderRequest(limit_price=91)
        )
        await in_thread(client.cancel_order_by_id, new.id)
        heard = await updates.until("canceled")

    assert updates.events[2:] == [
        *("pending_replace", "replaced", "pending_new", "new", "pending_cancel", "canceled")
    ]
    replaced = heard[3].order
    assert (replaced.id, replaced.replaced_by) == (old.id, new.id)


@pytest.mark.parametrize(
    ("do", "event"),
    [("reject", "rejected"), ("expire", "expired"), ("done_for_day", "done_for_day")],
)
async def test_what_the_venue_does_is_told(do, event, client, venue):
    async with listening(venue) as updates:
        waiting = await in_thread(order, client, "limit", limit_price=90)
        getattr(venue, do)(waiting.id)

        await updates.until(event)


async def test_both_ends_of_a_bracket_are_told(client, venue):
    async with listening(venue) as updates:
        await in_thread(order, client, qty=10, order_class="bracket", target=110, stop=95)
        venue.price("AAPL", 111)
        heard = await updates.until("canceled")

    told = [(name, one.order.type.value) for name, one in zip(updates.events, heard, strict=True)]
    assert told[2:] == [
        ("fill", "market"),
        ("new", "limit"),
        ("fill", "limit"),
        ("canceled", "stop"),
    ]


async def test_frames_are_binary_and_hold_json(venue):
    async with websockets.connect(venue.stream_url) as socket:
        await socket.send(json.dumps({"action": "auth", "key": "anyone", "secret": "anything"}))
        authorized = await socket.recv()
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        listened = await socket.recv()

    assert isinstance(authorized, bytes)
    assert json.loads(authorized) == {
        "stream": "authorization",
        "data": {"status": "authorized", "action": "auth"},
    }
    assert json.loads(listened)["data"] == {"streams": ["trade_updates"]}


async def test_wrong_keys_are_unauthorized_and_hear_nothing():
    with LocalVenue(keys=("right", "one")) as venue:
        async with websockets.connect(venue.stream_url) as socket:
            asking = {"action": "authenticate", "data": {"key_id": "a", "secret_key": "b"}}
            await socket.send(json.dumps(asking))
            answer = json.loads(await socket.recv())
            await socket.send(
                json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}})
            )
            refusal = json.loads(await socket.recv())

    assert answer["data"]["status"] == refusal["data"]["status"] == "unauthorized"
    assert venue.trade_streams.listeners == 0


async def test_several_clients_hear_the_same(venue):
    async with listening(venue) as first, listening(venue) as second:
        await heard_by(venue, 2)
        await in_thread(order, a_client(venue), qty=1)
        await first.until("fill")
        await second.until("fill")

    assert first.events == second.events
