"""Spans of time as sorted, disjoint pairs (start, end), the end not included."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same instants in as few spans as possible; empty spans vanish."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def missing(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """What of `start` to `end` the spans do not cover."""
    found, reached = [], start
    for first, last in merged(spans):
        if first >= end:
            break
        if first > reached:
            found.append((reached, first))
        reached = max(reached, last)
    if reached < end:
        found.append((reached, end))
    return found
