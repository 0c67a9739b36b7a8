"""The garbage collector rests while a replay makes many objects and no cycles."""

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
