"""Inbox: messages in the order of their arrival, and nobody left waiting."""

import asyncio

from ticklane.core.commands import Pause, Resume, Stop
from ticklane.engine.inbox import Inbox


async def test_messages_are_taken_once_in_the_order_of_their_arrival():
    inbox = Inbox()
    inbox.put(Pause(), Resume())
    inbox.put(Stop())

    assert inbox.take() == [Pause(), Resume(), Stop()]
    assert inbox.take() == []


async def test_an_arrival_is_told_at_once_and_nothing_is_told_in_time():
    inbox = Inbox()
    assert not await inbox.arrival(0.001)

    inbox.put(Stop())

    assert await inbox.arrival(0.001)
    assert await inbox.arrival(None)  # until it is taken
    inbox.take()
    assert not await inbox.arrival(0)


async def test_a_consumer_that_waits_is_woken():
    inbox = Inbox()
    consumer = asyncio.create_task(inbox.arrival(None))
    await asyncio.sleep(0)

    inbox.put(Stop())

    assert await consumer


async def test_a_producer_waits_until_its_message_has_been_dealt_with():
    inbox = Inbox()
    await inbox.drained()  # nothing is in it
    inbox.put(Pause())
    producer = asyncio.create_task(inbox.drained())

    inbox.take()
    await asyncio.sleep(0)
    assert not producer.done()
    inbox.done()

    await producer


async def test_done_does_not_speak_for_what_came_meanwhile():
    inbox = Inbox()
    inbox.put(Pause())
    inbox.take()
    inbox.put(Resume())
    producer = asyncio.create_task(inbox.drained())

    inbox.done()
    await asyncio.sleep(0)

    assert not producer.done()
    producer.cancel()


async def test_a_closed_inbox_takes_nothing_and_lets_nobody_wait():
    inbox = Inbox()
    inbox.put(Pause())

    inbox.close()
    inbox.put(Resume())

    await inbox.drained()
    assert inbox.take() == []
