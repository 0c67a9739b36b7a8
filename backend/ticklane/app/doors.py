"""What the control socket may ask a running daemon for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from ticklane.app.build import StrategyRunner
from ticklane.clock import SystemClock
from ticklane.core.errors import ConfigError
from ticklane.core.events import Reconciled
from ticklane.core.trading_state import TradingState
from ticklane.engine.guard import HaltSign

Door = Callable[..., Awaitable[Any]]


def doors_of(runner: StrategyRunner) -> dict[str, Door]:
    """The commands, each run in the event loop of the lane."""

    async def status() -> dict[str, Any]:
        return status_of(runner)

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
        books = [book for name, book in runner.portfolio.books.items() if strategy in (None, name)]
        is_held = any(book.quantity(symbol) for book in books)
        await runner.close_position(symbol, strategy)
        return f"{symbol}: {'closing' if is_held else 'nothing is held; open orders are cancelled'}"

    async def stop() -> str:
        runner.request_stop("operator")
        return "stopping"

    halt, *others = _safety_doors(runner)
    steering: tuple[Door, ...] = (pause, resume, cancel, close, *others)
    doors: tuple[Door, ...] = (status, stop, halt, *(_once_up(runner, one) for one in steering))
    return {door.__name__: door for door in doors}


def _once_up(runner: StrategyRunner, door: Door) -> Door:
    """The command for a runner that is up; while it starts, a sentence that says so."""

    @wraps(door)
    async def run(**arguments: Any) -> Any:
        if not runner.is_running:
            raise ConfigError("the daemon is starting or ending; try again in a moment.")
        return await door(**arguments)

    return run


def _safety_doors(runner: StrategyRunner) -> tuple[Door, ...]:
    async def halt(reason: str) -> str:
        if not runner.is_running and reason.strip():  # the halt file is set, and a start reads it
            return "halted; the daemon is starting or ending, and sends no order until a release"
        await runner.halt(reason)
        return f"halted; our open orders: {runner.get_status().open_orders}"

    async def release(reason: str) -> str:
        latched = [one.code for one in runner.trading.restrictions.values() if one.is_latched]
        await runner.release(reason)
        state = runner.trading.state()
        return f"released: {', '.join(latched) or 'nothing was latched'}; trading is {state}"

    async def flatten(reason: str) -> str:
        await runner.flatten(reason)
        return f"closing everything; our open orders: {runner.get_status().open_orders}"

    async def reconcile(accept: str | None = None, reason: str = "") -> dict[str, Any] | None:
        event = await runner.accept(accept, reason) if accept is not None else None
        report = await runner.broker.reconcile()
        if report is None:
            return None
        if event is not None:
            report.adopted.insert(0, event.detail)
        await runner.note(Reconciled(report.to_dict(), SystemClock().now_ns()))
        return report.to_dict()

    return halt, release, flatten, reconcile


def status_of(runner: StrategyRunner) -> dict[str, Any]:
    """What `ticklane status` shows."""
    told = {**runner.get_status().to_dict(), "pid": os.getpid()}
    if runner.halt_sign is not None and runner.halt_sign.is_set():  # the lane may not know it yet
        told["trading_state"] = str(TradingState.HALTED)
    return told


def first_of(sign: HaltSign) -> dict[str, Callable[..., None]]:
    """What is done before the lane is asked: a halt counts from the moment it is heard."""

    def halt(reason: str) -> None:
        if reason.strip():
            sign.set(reason.strip(), SystemClock().now_ns())

    return {"halt": halt}


def instead_of(runner: StrategyRunner, sign: HaltSign) -> dict[str, Door]:
    """Answers in place of a lane that is held up by a strategy, given in another thread."""

    async def status() -> dict[str, Any]:
        told = status_of(runner)
        told["error"] = f"{_stuck(runner)}; all else is as it was before"
        return told

    async def halt(reason: str) -> str:
        orders = "our open orders are cancelled as soon as it lets go"
        if await asyncio.to_thread(runner.clear_while_stuck) is not None:
            orders = "our open orders are cancelled at the broker"
        return f"halted: no order leaves any more; {_stuck(runner)}; {orders}"

    async def flatten(reason: str) -> str:
        return f"{_stuck(runner)}; everything is closed as soon as it lets go"

    async def release(reason: str) -> str:
        return f"{_stuck(runner)}; trading is released as soon as it lets go"

    return {"status": status, "halt": halt, "flatten": flatten, "release": release}


def _stuck(runner: StrategyRunner) -> str:
    watchdog = runner.watchdog
    seconds = watchdog.seconds_since_beat() if watchdog is not None else 0.0
    return f"{runner.asked or 'something'} has held up the lane for {seconds:.0f} s"
