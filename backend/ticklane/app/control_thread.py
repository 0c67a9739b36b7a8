"""The control socket in a thread of its own: it answers while a strategy holds up the lane."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

from ticklane.app.control_socket import Command, ControlSocket

_PATIENCE_SECONDS = 1.0  # so long the lane may take before somebody else answers
_LAST_WORDS_SECONDS = 0.5  # so long a stop waits for answers that are on their way


class ControlThread:
    """Commands run in the lane's event loop; some have an answer for when that is stuck.

    `first` is done at once, whatever the lane does; `instead` answers for a lane that does not
    within a second. Both are done in this thread. What was asked of the lane it does when it is
    free again.
    """

    def __init__(
        self,
        database: Path | str,
        commands: Mapping[str, Command],
        first: Mapping[str, Callable[..., None]],
        instead: Mapping[str, Command],
    ) -> None:
        self._first, self._instead = first, instead
        made = {name: self._through(name, command) for name, command in commands.items()}
        self._socket = ControlSocket(database, made)
        self._busy = 0

    async def __aenter__(self) -> ControlThread:
        """Begin to answer; raises ConfigError where that cannot be."""
        self._lane = asyncio.get_running_loop()
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="ticklane-control", daemon=True
        )
        self._thread.start()
        await asyncio.wrap_future(ready)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        await asyncio.to_thread(self._thread.join)

    async def _serve(self, ready: Future[None]) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        try:
            await self._socket.start()
        except BaseException as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        await self._end.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._idle.wait()
        await self._socket.close()

    def _through(self, name: str, command: Command) -> Command:
        """The command as this thread runs it."""

        @wraps(command)
        async def run(**arguments: Any) -> Any:
            self._busy += 1
            self._idle.clear()
            try:
                if name in self._first:
                    self._first[name](**arguments)
                return await self._ask_lane(name, command(**arguments), arguments)
            finally:
                self._busy -= 1
                if not self._busy:
                    self._idle.set()

        return run

    async def _ask_lane(self, name: str, call: Awaitable[Any], arguments: dict[str, Any]) -> Any:
        future = asyncio.run_coroutine_threadsafe(_awaited(call), self._lane)
        answer = asyncio.wrap_future(future)
        if name not in self._instead:
            return await answer
        done, _ = await asyncio.wait([answer], timeout=_PATIENCE_SECONDS)
        if done:
            return answer.result()
        answer.add_done_callback(_forget)
        return await self._instead[name](**arguments)


async def _awaited(call: Awaitable[Any]) -> Any:
    return await call


def _forget(answer: asyncio.Future[Any]) -> None:
    """Somebody else has answered: what became of it is in the log and in the status."""
    if not answer.cancelled():
        answer.exception()
