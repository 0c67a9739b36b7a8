"""When the garbage collector works: not in a replay, and never long in a daemon."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting_collector() -> Iterator[None]:
    """Switch the collector off and, where it was on, on again; may be nested.

    What was made meanwhile is declared old, or the next collection, meant for young objects,
    would walk through all of it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.unfreeze()
            gc.enable()


@contextmanager
def quick_collector() -> Iterator[None]:
    """Set aside all that a start has made, which stays to the end anyway.

    A full collection walks through every library that was imported, which holds up a daemon's
    event loop for a tenth of a second; without those it takes a few milliseconds.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
