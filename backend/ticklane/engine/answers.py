"""What a strategy answered, put in order with what it asked for by its helpers meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ticklane.core.errors import StrategyError
from ticklane.core.signal import Intent


class InOrder:
    """Takes what a generator yields into a queue of wishes that its helper calls fill, too.

    A wish counts where it was asked for first: by the helper, or else at its yield.
    """

    def __init__(self, queue: list[Any]) -> None:
        self._queue = queue
        self._matched: set[int] = set()  # places of what was yielded
        self._first = 0  # all before it are matched

    def take(self, wish: Any) -> None:
        """Take one wish that was yielded; None is no wish."""
        if wish is None:
            return
        queue, matched = self._queue, self._matched
        place = self.find(wish)
        if place is None:
            place = len(queue)
            queue.append(wish)
        matched.add(place)
        while self._first in matched:
            self._first += 1

    def find(self, wish: Any) -> int | None:
        """Where in the queue a helper has put this very wish, if it was not yielded yet."""
        rest = range(self._first, len(self._queue))
        return next((n for n in rest if self._queue[n] is wish and n not in self._matched), None)


def take_in(answer: Any, queue: list[Any]) -> None:
    """Put the wishes in an answer among those that helpers have queued, each of them once.

    What is returned at once keeps its own order; what was only queued stands before what was asked
    for later. Raises StrategyError for what can be no answer, and what a generator raises.
    """
    if isinstance(answer, Iterator):
        in_order = InOrder(queue)
        for wish in answer:
            in_order.take(wish)
        return
    returned = _listed(answer)
    if queue:
        returned = _merged(returned, queue)
    queue[:] = returned


def _merged(returned: list[Any], queue: list[Any]) -> list[Any]:
    places, in_order = [], InOrder(queue[:])
    for wish in returned:
        place = in_order.find(wish)
        places.append(len(queue) if place is None else place)  # at the return: later than all
        in_order.take(wish)
    merged, rest = [], sorted(set(range(len(queue))).difference(places), reverse=True)
    for wish, place in zip(returned, places, strict=True):
        while rest and rest[-1] < place:
            merged.append(queue[rest.pop()])
        merged.append(wish)
    return merged + [queue[place] for place in reversed(rest)]


def _listed(answer: Any) -> list[Any]:
    """The wishes in an answer: one of them, or any iterable of them."""
    if isinstance(answer, Intent | Mapping):
        return [answer] if answer else []
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        if not answer:  # `return is_cheap and self.buy(...)`
            return []
        raise StrategyError(
            f"on_tick returned {answer!r}, but must return nothing, an intent or several."
        )
    return [wish for wish in answer if wish is not None]
