"""Runs one seed, with the product's few ties to real time and to the process taken off."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager

import virtual_time
from sim_world import World

from ticklane.engine import runner
from ticklane.engine.watchdog import Watchdog
from ticklane.integrations.alpaca import broker, sending, teller

_CRASHING = (broker, sending, teller)  # the modules with named crash points


class _Unwatched(Watchdog):
    """Hangs are a matter of real time: the thread that looks for them is not started."""

    def start(self):
        pass


class _Log(logging.Handler):
    def __init__(self, world):
        super().__init__(logging.WARNING)
        self._world = world

    def handle(self, record):
        self._world.take_log(record)


@contextmanager
def _replaced(owner, **values):
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextmanager
def _logged(world):
    """Warnings of the daemon go into the trace and nowhere else."""
    logger, log = logging.getLogger("ticklane"), _Log(world)
    logger.addHandler(log)
    try:
        with _replaced(logger, propagate=False):
            yield
    finally:
        logger.removeHandler(log)


def simulate(seed, bugs=None):
    """Run one seed; gives the world back, with `checks.broken` and the trace in it."""
    world = World(seed, bugs)
    with ExitStack() as stack:
        stack.callback(world.disk.end)
        stack.enter_context(_logged(world))
        stack.enter_context(_replaced(runner, Watchdog=_Unwatched))
        stack.enter_context(_replaced(sending, _GIVE_UP_SECONDS=world.plan.give_up_seconds))
        for module in _CRASHING:
            stack.enter_context(_replaced(module, crash_point=world.pass_named))
        try:
            virtual_time.run(world.run())
        except (virtual_time.Deadlock, virtual_time.Livelock) as error:
            world.checks.fail(type(error).__name__.lower(), str(error))
    return world


def story(world, last=150):
    """The trace of a run, one line an event, the newest `last` of them."""
    lines = [f"seed {world.seed}: {world.checks.broken}"]
    shown = world.trace[-last:]
    if len(shown) < len(world.trace):
        lines.append(f"... {len(world.trace) - len(shown)} earlier events")
    for at, *what in shown:
        lines.append(f"{at:10.4f}  " + "  ".join(_words(one) for one in what))
    return "\n".join(lines)


def _words(what):
    text = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
    return text if len(text) < 400 else text[:400] + "..."
