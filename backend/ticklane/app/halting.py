"""The kill switch from outside: on a running daemon, and by file and row where none runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ticklane.app.control_socket import NoDaemon, ask
from ticklane.clock import SystemClock
from ticklane.core.errors import ConfigError, DatabaseInUse, TicklaneError
from ticklane.core.events import RestrictionChanged
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.storage.halt_file import HaltFile
from ticklane.storage.reader import Reader

if TYPE_CHECKING:
    from ticklane.app.settings import Settings


def halt(settings: Settings, reason: str) -> str:
    """Set the halt file before anything else, then tell the daemon, or the database."""
    reason, at_ns = _checked(reason), SystemClock().now_ns()
    HaltFile(settings.database_path).set(reason, at_ns)
    try:
        return str(ask(settings.database_path, "halt", reason=reason))
    except NoDaemon:
        pass
    except TicklaneError as error:
        raise TicklaneError(f"the halt file is set and counts, but {error}") from None
    restriction = Restriction("operator_halt", TradingState.HALTED, reason, at_ns, is_latched=True)
    try:
        if _has_database(settings):
            asyncio.run(_latch(settings, restriction))
    except DatabaseInUse:  # by a daemon that starts or ends: no socket yet, or no more
        return "halted by the halt file; the daemon is starting or ending, and reads it"
    return "halted; no daemon is running, and the next one starts halted"


def release(settings: Settings, reason: str) -> str:
    """Have the daemon lift what is latched; where none runs, take away file and rows."""
    reason, at_ns = _checked(reason), SystemClock().now_ns()
    try:
        return str(ask(settings.database_path, "release", reason=reason))
    except NoDaemon:
        pass
    codes = []
    try:
        if _has_database(settings):
            codes = asyncio.run(_unlatch(settings, f"operator: {reason}", at_ns))
    except DatabaseInUse:
        raise ConfigError("the daemon is starting or ending; try again in a moment.") from None
    file = HaltFile(settings.database_path)
    if file.is_set():
        file.clear()
        codes.append("the halt file")
    names = ", ".join(codes) or "nothing was latched"
    return f"released: {names}; no daemon is running, and the next one may trade"


def _checked(reason: str) -> str:
    if not reason.strip():
        raise ConfigError("reason is empty; say in a few words why.")
    return reason.strip()


def _has_database(settings: Settings) -> bool:
    store = settings.store
    return not isinstance(store, Path) or store.is_file()


async def _latch(settings: Settings, restriction: Restriction) -> None:
    from ticklane.storage.service import StorageService

    async with StorageService(settings.store) as storage:
        event = RestrictionChanged(restriction, True, restriction.since_ns, "operator")
        await storage.record("", [event])


async def _unlatch(settings: Settings, by: str, at_ns: int) -> list[str]:
    """Take every latched restriction out of the database; the codes of those there were."""
    from ticklane.storage.service import StorageService

    async with StorageService(settings.store) as storage:
        with Reader(settings.store) as reader:
            latched = [one for one in reader.restrictions() if one.is_latched]
        await storage.record("", [RestrictionChanged(one, False, at_ns, by) for one in latched])
    return [one.code for one in latched]
