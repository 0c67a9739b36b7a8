"""Faults on order: what becomes of a request, of its answer and of the stream."""

import asyncio
import json
import socket

import pytest
import requests
import websockets
from alpaca.common.exceptions import APIError
from venue_clients import HEADERS, a_client, again, listening, order, raw, wish

from ticklane.core.errors import ConfigError
from ticklane.testing.venue import Fault, LocalVenue

POST = "POST /v2/orders"


def submit(venue, client_id="mine"):
    """An order by hand, so that nothing is tried twice."""
    return raw(venue, "POST", "/v2/orders", json=body(client_id))


def body(client_id="mine"):
    return {
        "symbol": "AAPL",
        "qty": "1",
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": client_id,
    }


def taken(venue):
    return [one["client_order_id"] for one in venue.ledger.orders]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_an_error_is_answered_and_nothing_is_done(status, venue):
    venue.fault(POST, "status", status=status, headers={"Retry-After": "3"}, body={"message": "x"})

    answer = submit(venue)

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "3")
    assert (answer.json(), taken(venue)) == ({"message": "x"}, [])


def test_an_error_can_hide_that_it_was_done(venue):
    venue.fault(POST, "status_after", status=504)

    answer = submit(venue)

    assert (answer.status_code, taken(venue)) == (504, ["mine"])


@pytest.mark.parametrize(("kind", "found"), [("drop_before", []), ("drop_after", ["mine"])])
def test_the_connection_breaks_before_or_after_the_order_is_taken(kind, found, venue):
    venue.fault(POST, kind)

    with pytest.raises(requests.ConnectionError):
        submit(venue)

    assert taken(venue) == found


@pytest.mark.parametrize(("kind", "found"), [("hang", []), ("hang_after", ["mine"])])
def test_a_request_is_never_answered(kind, found, venue):
    venue.fault(POST, kind)

    with pytest.raises(requests.ReadTimeout):
        requests.post(venue.url + "/v2/orders", json=body(), headers=_HEADERS, timeout=0.05)

    assert taken(venue) == found


_HEADERS = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s"}


def test_half_an_answer_comes(venue):
    venue.fault(POST, "half_body")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        submit(venue)

    assert taken(venue) == ["mine"]


@pytest.mark.parametrize(("kind", "text"), [("wrong_body", "<html>"), ("empty_body", "")])
def test_an_answer_can_be_no_answer(kind, text, venue):
    venue.fault(POST, kind)

    answer = submit(venue)

    assert (answer.status_code, answer.text[:6], taken(venue)) == (200, text, ["mine"])


def test_a_request_can_arrive_twice(venue):
    venue.fault(POST, "double")

    answer = submit(venue)

    assert (answer.status_code, taken(venue)) == (422, ["mine"])


@pytest.mark.parametrize("part", [b"", b"{}"])
def test_a_request_of_which_only_a_part_arrives_does_nothing(part, venue):
    client = a_client(venue)
    resting = order(client, "limit", limit_price=90)
    lines = {"Host": "venue", "Content-Length": "40", **HEADERS}
    head = f"PATCH /v2/orders/{resting.id} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"

    with socket.create_connection(("127.0.0.1", venue.port), timeout=10) as line:
        line.sendall(head.encode() + part)
        line.shutdown(socket.SHUT_WR)
        while line.recv(4096):
            pass

    assert again(client, resting).status == "new"


async def test_a_request_can_arrive_after_its_client_has_given_up(venue):
    venue.fault(POST, "late_request")
    with pytest.raises(requests.ConnectionError):
        await asyncio.to_thread(submit, venue)
    unknown = await asyncio.to_thread(by_client_id, venue)

    venue.release_faults()
    await asyncio.to_thread(venue.wait_for, lambda: taken(venue))

    assert (unknown, by_client_id(venue)) == (404, 200)


def by_client_id(venue):
    path = "/v2/orders:by_client_order_id?client_order_id=mine"
    return raw(venue, "GET", path).status_code


async def test_an_answer_can_come_after_the_fill(venue):
    venue.fault(POST, "late")

    async with listening(venue) as updates:
        asking = asyncio.create_task(asyncio.to_thread(submit, venue))
        await updates.until("fill")
        was_answered = asking.done()
        venue.release_faults()
        answer = await asking

    assert (was_answered, answer.json()["status"]) == (False, "pending_new")


def test_a_fault_strikes_as_often_as_it_was_ordered_and_where_it_fits(venue):
    venue.fault("* /v2/orders*", "status", times=2, skip=1, match="mine")

    codes = [submit(venue, name).status_code for name in ("a", "mine1", "mine2", "mine3", "mine4")]

    assert codes == [200, 200, 500, 500, 200]
    assert [one["kind"] for one in venue.faults.history] == ["status", "status"]


def test_faults_are_taken_back(venue):
    venue.fault("*", "status", times=None)
    broken = submit(venue).status_code

    venue.clear_faults()

    assert (broken, submit(venue).status_code) == (500, 200)


def test_an_unknown_fault_is_refused():
    with pytest.raises(ConfigError, match="kind is 'magic'"):
        Fault(POST, "magic")


def test_authorization_is_lost_and_comes_back(venue):
    client = a_client(venue)
    venue.keys = ("another", "key")

    with pytest.raises(APIError) as error:
        client.get_account()
    venue.keys = None

    assert error.value.status_code == 401
    assert client.get_account().status == "ACTIVE"


def test_every_request_is_in_the_ledger(venue):
    venue.fault(POST, "drop_after")
    with pytest.raises(requests.ConnectionError):
        submit(venue)
    raw(venue, "GET", "/v2/account")

    told = [(r["method"], r["path"], r["status"], r["fault"]) for r in venue.ledger.requests]

    assert told == [("POST", "/v2/orders", 200, "drop_after"), ("GET", "/v2/account", 200, None)]
    assert "mine" in venue.ledger.requests[0]["body"]


# --- the stream -------------------------------------------------------------------------------

FRAMES = "SEND /stream"
FILL = '"event":"fill"'


async def told(venue, *faults, until="fill", times=1):
    """The events that a stream with these faults hears of one market order."""
    async with listening(venue) as updates:
        for kind, terms in faults:
            venue.fault(FRAMES, kind, **terms)
        await asyncio.to_thread(order, a_client(venue), qty=1)
        await updates.until(until, times)
    return updates.events


async def test_an_event_is_lost(venue):
    events = await told(venue, ("lost", {"match": '"event":"new"'}))

    assert events == ["pending_new", "fill"]


async def test_an_event_comes_twice(venue):
    events = await told(venue, ("duplicate", {"match": FILL}), times=2)

    assert events == ["pending_new", "new", "fill", "fill"]


async def test_two_events_change_places(venue):
    events = await told(venue, ("reorder", {"match": '"event":"new"'}), until="new")

    assert events == ["pending_new", "fill", "new"]


async def test_an_event_comes_late(venue):
    async with listening(venue) as updates:
        venue.fault(FRAMES, "late", match='"event":"new"')
        await asyncio.to_thread(order, a_client(venue), qty=1)
        await updates.until("fill")
        before = updates.events
        venue.release_faults()
        await updates.until("new")

    assert (before, updates.events[-1]) == (["pending_new", "fill"], "new")


async def test_a_broken_connection_is_made_again_by_the_client(venue):
    async with listening(venue) as updates:
        venue.drop_sockets("/stream")
        await asyncio.to_thread(venue.wait_for, lambda: has_come_again(venue))
        await asyncio.to_thread(order, a_client(venue), qty=1)
        await updates.until("fill")


def has_come_again(venue):
    comings = [one for one in venue.ledger.requests if one["path"] == "/stream"]
    return len(comings) > 1 and venue.trade_streams.listeners


async def test_a_venue_goes_down_and_comes_back(venue):
    async with listening(venue) as updates:
        venue.go_down()
        with pytest.raises(requests.ConnectionError):
            await asyncio.to_thread(submit, venue)
        await asyncio.to_thread(venue.wait_for, lambda: len(venue.faults.history) > 3)
        venue.come_back()
        await asyncio.to_thread(venue.wait_for, lambda: venue.trade_streams.listeners)
        await asyncio.to_thread(submit, venue)
        await updates.until("fill")

    assert taken(venue) == ["mine"]


async def test_a_mute_stream_stays_open(venue):
    async with listening(venue) as updates:
        venue.fault(FRAMES, "mute")
        await asyncio.to_thread(order, a_client(venue), qty=1)

        assert (updates.events, venue.trade_streams.listeners) == ([], 1)


async def test_a_stream_can_be_refused_at_first(venue):
    venue.fault("CONNECT /stream", "refuse", status=429)

    async with listening(venue):
        pass

    assert [one["kind"] for one in venue.faults.history] == ["refuse"]


async def test_a_maimed_frame_does_not_end_the_clients_stream(venue):
    async with listening(venue) as updates:
        venue.fault(FRAMES, "half_frame", match='"event":"new"')
        await asyncio.to_thread(order, a_client(venue), qty=1)
        await updates.until("fill")

    assert updates.events == ["pending_new", "fill"]


async def test_a_frozen_stream_answers_no_ping(venue):
    async with websockets.connect(venue.stream_url, ping_interval=None) as socket:
        await (await socket.ping())
        venue.fault(FRAMES, "freeze")
        await socket.send(json.dumps({"action": "authenticate", "data": {}}))
        await asyncio.to_thread(venue.wait_for, lambda: venue.faults.history)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await socket.ping(), 0.1)
        venue.drop_sockets()


async def test_a_data_stream_is_struck_as_well(venue):
    venue.fault("SEND /v2/iex", "close", match="success", status=1012)

    with pytest.raises(websockets.ConnectionClosed) as error:
        async with websockets.connect(venue.data_stream_url("iex")) as socket:
            await socket.recv()

    assert error.value.rcvd.code == 1012


def test_the_venue_ends_while_a_request_hangs():
    with LocalVenue() as venue:
        venue.price("AAPL", 100)
        venue.fault(POST, "hang")
        with pytest.raises(requests.ReadTimeout):
            requests.post(venue.url + "/v2/orders", json=body(), headers=_HEADERS, timeout=0.05)

    assert not venue.is_serving


def test_a_wish_of_alpaca_py_survives_a_504_by_its_own_retry(venue):
    client = a_client(venue)
    client._retry, client._retry_wait = 1, 0
    venue.fault(POST, "status_after", status=504)

    with pytest.raises(APIError, match="client_order_id must be unique"):
        client.submit_order(wish(qty=1, client_order_id="mine"))
