"""The daemon: start, signals, control socket, stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ticklane.app.build import StrategyRunner, build_runner, read_duration
from ticklane.app.control_socket import ControlSocket
from ticklane.app.event_log import EventLog
from ticklane.app.settings import Settings, environment
from ticklane.app.systemd import notify, notify_status, watchdog_interval
from ticklane.core.errors import StorageError, TicklaneError
from ticklane.core.market import to_datetime
from ticklane.storage.reader import Reader
from ticklane.storage.retention import EquityKeep, SignalsKeep
from ticklane.storage.service import StorageService

_log = logging.getLogger("ticklane.daemon")
STOP_SECONDS = 4.7  # a stop that takes longer is cut off: the promise is 5 s
_CHORES_SECONDS = 3600.0
Watch = Callable[[StrategyRunner], Any]


def make_storage(settings: Settings) -> StorageService:
    """The database of the settings; its folder is made when it is the default one."""
    path = settings.database_path
    if settings.database is None:
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"the data folder {settings.data_dir} cannot be made ({error.strerror}); "
                "set data_dir to a folder you can write to."
            ) from None
    equity, signals = settings.keep_equity_days, settings.keep_signals_days
    return StorageService(
        path,
        equity_keep=EquityKeep(equity) if equity else None,
        signals_keep=SignalsKeep(days=signals) if signals else None,
    )


async def serve(settings: Settings, watch: Watch | None = None) -> StrategyRunner:
    """Run until the feed ends, the duration is over, or somebody asks to stop.

    `watch(runner)` is called once the lane runs and may return an async context to live in while
    it does (the terminal table). Returns the runner; raises what ended the lane, if an error.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each of its plugins
    seconds = read_duration(settings.duration)  # wrong words are refused before anything begins
    storage = make_storage(settings)
    runner = build_runner(settings, storage)
    runner.bus.subscribe(EventLog(runner))
    async with AsyncExitStack() as stack:
        stack.enter_context(_Signals(runner))
        stack.push_async_callback(storage.close)
        await storage.open()
        await stack.enter_async_context(ControlSocket(settings.database_path, _doors(runner)))
        await runner.start()
        stack.push_async_callback(runner.stop)
        if watch is not None:
            await stack.enter_async_context(watch(runner))
        await stack.enter_async_context(_attended(runner, storage, seconds))
        notify("READY=1", environment())
        _log.info("%s", _greeting(runner, settings))
        await runner.wait()
        notify("STOPPING=1", environment())
    if runner.error is not None:
        raise TicklaneError(runner.error)
    return runner


def _greeting(runner: StrategyRunner, settings: Settings) -> str:
    label = f" [{runner.feed.label}]" if runner.feed and runner.feed.label else ""
    what = f"run {runner.run_id} is up"
    if runner.is_resumed:
        what = f"run {runner.run_id} goes on from {to_datetime(runner.now_ns):%Y-%m-%d %H:%M:%S}"
    return f"{what}{label}, database {settings.database_path}{_left_behind(runner, settings)}"


def _left_behind(runner: StrategyRunner, settings: Settings) -> str:
    """A run with another configuration that is not finished: say so, or its book seems lost."""
    if runner.is_resumed:
        return ""
    with Reader(settings.database_path) as reader:
        older = [run["id"] for run in reader.runs() if not run["ended_at"]]
    others = [run_id for run_id in older if run_id != runner.run_id]
    if not others:
        return ""
    return f" (the configuration is new: {others[-1]} stays unfinished and goes on with its own)"


def _doors(runner: StrategyRunner) -> dict[str, Callable[..., Awaitable[Any]]]:
    """What the control socket may ask for."""

    async def status() -> dict[str, Any]:
        return {**runner.get_status().to_dict(), "pid": os.getpid()}

    async def pause(strategy: str | None = None) -> str:
        await runner.pause(strategy)
        return f"{strategy or 'all strategies'}: paused"

    async def resume(strategy: str | None = None) -> str:
        await runner.resume(strategy)
        return f"{strategy or 'all strategies'}: running"

    async def cancel(order: str) -> str:
        await runner.cancel(order)
        return f"{order}: cancel sent"

    async def close(symbol: str, strategy: str | None = None) -> str:
        await runner.close_position(symbol, strategy)
        return f"{symbol}: closing"

    async def stop() -> str:
        runner.request_stop("operator")
        return "stopping"

    doors = (status, pause, resume, cancel, close, stop)
    return {door.__name__: door for door in doors}


class _Signals:
    """SIGTERM and SIGINT end the run in order, and by force when that takes too long."""

    def __init__(self, runner: StrategyRunner) -> None:
        self._runner = runner
        self._before: dict[int, Any] = {}
        self._deadline: threading.Timer | None = None

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._stop)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._deadline is not None:
            self._deadline.cancel()

    def _stop(self, _number: int, _frame: object) -> None:
        if self._deadline is None:
            self._deadline = threading.Timer(STOP_SECONDS, _cut_off)
            self._deadline.daemon = True
            self._deadline.start()
        self._loop.call_soon_threadsafe(self._runner.request_stop, "shutdown")


def _cut_off() -> None:
    """What is durable stays; what was under way is found again at the next start."""
    _log.error("the stop took longer than %s s and is cut off", STOP_SECONDS)
    os._exit(1)


@asynccontextmanager
async def _attended(
    runner: StrategyRunner, storage: StorageService, seconds: float | None
) -> AsyncIterator[None]:
    """Whatever goes on beside the lane: the end of the duration, systemd, chores."""
    jobs = [_chores(storage)]
    if seconds is not None:
        jobs.append(_end_after(runner, seconds))
    interval = watchdog_interval(environment())
    if interval is not None:
        jobs.append(_ping(runner, interval))
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _end_after(runner: StrategyRunner, seconds: float) -> None:
    await asyncio.sleep(seconds)
    runner.request_stop("end")


async def _ping(runner: StrategyRunner, interval: float) -> None:
    """Tell systemd that the lane lives; a lane that hangs is not reported alive."""
    while True:
        watchdog = runner.watchdog
        if watchdog is not None and watchdog.seconds_since_beat() < 4 * interval:
            notify("WATCHDOG=1", environment())
            status = runner.get_status()
            notify_status(f"{status.state}, equity {status.equity}", environment())
        await asyncio.sleep(interval)


async def _chores(storage: StorageService) -> None:
    """Now and then: thin what may be thinned, and warn when the disk gets full."""
    while True:
        warning = storage.free_space_warning()
        if warning is not None:
            _log.warning("%s", warning)
        try:
            await storage.prune()
        except TicklaneError as error:
            _log.warning("%s", error)
        await asyncio.sleep(_CHORES_SECONDS)
