"""The control socket in a thread of its own: answers from the lane, and in place of it."""

import asyncio
import threading

import pytest

from ticklane.app.control_socket import ask
from ticklane.app.control_thread import ControlThread
from ticklane.core.errors import ConfigError, TicklaneError


@pytest.fixture
def database(tmp_path):
    return tmp_path / "runs.db"


def a_thread(database, first=None, instead=None, **commands):
    return ControlThread(database, commands, first or {}, instead or {})


async def asked(database, command, **arguments):
    """Ask from a thread, so that this loop is free to answer."""
    return await asyncio.to_thread(ask, database, command, **arguments)


async def test_a_command_runs_in_the_loop_of_the_lane(database):
    async def where(word):
        return [word, threading.current_thread() is threading.main_thread()]

    async with a_thread(database, where=where):
        assert await asked(database, "where", word="here") == ["here", True]


async def test_a_refusal_is_its_sentence_and_the_next_question_is_answered(database):
    async def refuse():
        raise ConfigError("no, and that is why.")

    async with a_thread(database, refuse=refuse):
        for _ in range(2):
            with pytest.raises(TicklaneError, match="no, and that is why"):
                await asked(database, "refuse")
        with pytest.raises(TicklaneError, match="command refuse cannot be used so"):
            await asked(database, "refuse", often=True)


async def test_what_comes_first_is_done_before_the_lane_is_asked(database):
    order = []

    async def halt(reason):
        order.append(f"lane: {reason}")

    first = {"halt": lambda reason: order.append(f"first: {reason}")}
    async with a_thread(database, first, halt=halt):
        await asked(database, "halt", reason="why")

    assert order == ["first: why", "lane: why"]


async def test_somebody_else_answers_for_a_lane_that_does_not(database):
    free, done = asyncio.Event(), asyncio.Event()

    async def status():
        await free.wait()
        done.set()
        return "the lane's own"

    async def in_its_place():
        return "in its place"

    async with a_thread(database, instead={"status": in_its_place}, status=status):
        assert await asked(database, "status") == "in its place"
        free.set()
        async with asyncio.timeout(5):
            await done.wait()  # the lane does it all the same


async def test_an_answer_on_its_way_is_given_before_the_end(database):
    free, heard = asyncio.Event(), asyncio.Event()

    async def stop():
        heard.set()
        await free.wait()
        return "stopping"

    async with a_thread(database, stop=stop):
        answer = asyncio.create_task(asked(database, "stop"))
        async with asyncio.timeout(5):
            await heard.wait()
        free.set()

    assert await answer == "stopping"


async def test_a_socket_that_cannot_be_made_is_told_at_the_start(tmp_path):
    with pytest.raises(ConfigError, match="cannot be made"):
        async with a_thread(tmp_path / "nowhere" / "runs.db"):
            pass
