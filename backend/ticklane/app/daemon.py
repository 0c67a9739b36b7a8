"""The daemon: start, signals, control socket, stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ticklane.app.build import StrategyRunner, build_runner, read_duration
from ticklane.app.control_thread import ControlThread
from ticklane.app.doors import doors_of, first_of, instead_of
from ticklane.app.environment import environment
from ticklane.app.event_log import EventLog
from ticklane.app.settings import Settings
from ticklane.app.systemd import notify, notify_status, watchdog_interval
from ticklane.app.waiting import open_patiently
from ticklane.clock import SystemClock
from ticklane.core.errors import StorageError, TicklaneError
from ticklane.core.market import to_datetime
from ticklane.engine.collector import quick_collector
from ticklane.storage.halt_file import HaltFile
from ticklane.storage.reader import Reader
from ticklane.storage.retention import EquityKeep, SignalsKeep
from ticklane.storage.service import StorageService

_log = logging.getLogger("ticklane.daemon")
STOP_SECONDS = 4.7  # a stop that takes longer is cut off: the promise is 5 s
_CHORES_SECONDS = 3600.0
Watch = Callable[[StrategyRunner], Any]


def make_storage(settings: Settings) -> StorageService:
    """The database of the settings; the data folder is made when it is used."""
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
        settings.store,
        equity_keep=EquityKeep(equity) if equity else None,
        signals_keep=SignalsKeep(days=signals) if signals else None,
    )


async def serve(settings: Settings, watch: Watch | None = None) -> StrategyRunner:
    """Run until the feed ends, the duration is over, or somebody asks to stop.

    `watch(runner)` is called once the lane runs and may return an async context to live in while
    it does (the terminal table). Returns the runner; raises what ended the lane, if an error.
    """
    seconds = read_duration(settings.duration)  # wrong words are refused before anything begins
    storage = make_storage(settings)
    runner = build_runner(settings, storage)
    runner.bus.subscribe(EventLog(runner))
    async with AsyncExitStack() as stack:
        sign = HaltFile(settings.database_path)
        runner.halt_sign = sign
        stack.enter_context(_Signals(runner, sign))
        stack.push_async_callback(storage.close)
        await open_patiently(storage, environment())
        door = ControlThread(
            settings.database_path, doors_of(runner), first_of(sign), instead_of(runner, sign)
        )
        await stack.enter_async_context(door)
        await runner.start()
        stack.push_async_callback(runner.stop)
        stack.enter_context(quick_collector())
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
    restricted = [one for one in runner.trading.restrictions.values() if one.is_latched]
    if restricted:
        state = f"trading is {runner.trading.state()}: {restricted[0].sentence.rstrip('.')}; "
        return state + "`ticklane release --reason ...` lets it go on; " + _place(runner, settings)
    return _place(runner, settings)


def _place(runner: StrategyRunner, settings: Settings) -> str:
    label = f" [{runner.feed.label}]" if runner.feed and runner.feed.label else ""
    what = f"run {runner.run_id} is up"
    if runner.is_resumed:
        what = f"run {runner.run_id} goes on from {to_datetime(runner.now_ns):%Y-%m-%d %H:%M:%S}"
    money = f", REAL MONEY of account {settings.account}" if settings.mode == "live" else ""
    place = f"database {settings.store}{_left_behind(runner, settings)}"
    return f"{what}{label}{money}, {place}"


def _left_behind(runner: StrategyRunner, settings: Settings) -> str:
    """A run with another configuration that is not finished: say so, or its book seems lost."""
    if runner.is_resumed:
        return ""
    with Reader(settings.store) as reader:
        older = [run["id"] for run in reader.runs() if not run["ended_at"]]
    others = [run_id for run_id in older if run_id != runner.run_id]
    if not others:
        return ""
    return f" (the configuration is new: {others[-1]} stays unfinished and goes on with its own)"


class _Signals:
    """SIGTERM and SIGINT end the run in order, and by force when that takes too long.

    SIGUSR1 sets the kill switch. Its handler runs between two steps of whatever Python code is
    being run, so also of a strategy that does not return.
    """

    def __init__(self, runner: StrategyRunner, sign: HaltFile) -> None:
        self._runner, self._sign = runner, sign
        self._before: dict[int, Any] = {}
        self._deadline: threading.Timer | None = None

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._stop)
            self._before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._halt)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._deadline is not None:
            self._deadline.cancel()

    def _halt(self, _number: int, _frame: object) -> None:
        try:
            self._sign.set("signal SIGUSR1", SystemClock().now_ns())
        except TicklaneError as error:
            _log.error("%s", error)
        self._loop.call_soon_threadsafe(self._runner.request_halt, "signal SIGUSR1")

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
    jobs = [_chores(storage), _end_when_lost(runner, storage)]
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


async def _end_when_lost(runner: StrategyRunner, storage: StorageService) -> None:
    """Without its database the daemon ends: the lock is gone too, and another may take over."""
    runner.error = str(await storage.wait_lost())
    _log.error("%s", runner.error)
    runner.request_stop("shutdown")


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
