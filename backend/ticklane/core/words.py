"""Values in words."""

from __future__ import annotations

from typing import Any


def in_words(value: Any) -> str:
    """A value as text that is the same in every process."""
    by_address: Any = object.__repr__
    kind = type(value)
    return kind.__qualname__ if kind.__repr__ is by_address else repr(value)
