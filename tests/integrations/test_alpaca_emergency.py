"""Our orders are cancelled at the venue while the event loop is blocked, and nobody else's."""

import requests
from alpaca_builders import an_order

LIMIT = {"type": "limit", "limit_price": 50, "time_in_force": "gtc"}


def states(venue):
    return {one["client_order_id"]: one["status"] for one in venue.ledger.orders}


def order_by_hand(venue):
    """An order of somebody else on the same account."""
    terms = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "51"}
    body = {**terms, "time_in_force": "gtc", "client_order_id": "by hand"}
    keys = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
    answer = requests.post(f"{venue.url}/v2/orders", json=body, headers=keys, timeout=20)
    answer.raise_for_status()


async def test_only_our_orders_are_cancelled_without_the_event_loop(bench):
    ours = await bench.submit(an_order(1, **LIMIT))
    order_by_hand(bench.venue)

    count = bench.broker.cancel_all_now()  # in this thread: the loop stands still meanwhile

    assert count == 1
    assert states(bench.venue) == {ours.client_order_id: "canceled", "by hand": "new"}
    await bench.until(lambda: bench.journey(ours) == "ACKED CANCELED")


async def test_where_nothing_is_open_nothing_is_cancelled(bench):
    assert bench.broker.cancel_all_now() == 0
