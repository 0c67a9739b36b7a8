"""Named crash points: a process can be told to die at exactly this place, to prove that it may."""

from __future__ import annotations

import os
import signal

_armed: dict[str, int] = {}


def arm(text: str) -> None:
    """Die at a named point: `submit.before_post`, or at its third passing: `fill.taken:3`."""
    name, _, count = text.partition(":")
    _armed[name.strip()] = int(count or 1)


def crash_point(name: str) -> None:
    """Kill this process here if it was armed so; else nothing happens."""
    if name in _armed:
        _armed[name] -= 1
        if _armed[name] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
