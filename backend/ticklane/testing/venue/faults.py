"""Faults of the venue, ordered beforehand: which request or frame, what happens, how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ticklane.core.errors import ConfigError

REQUEST_KINDS = {
    "status": "answered with `status`, `headers` and `body`; nothing is done",
    "status_after": "done, but answered with `status`, `headers` and `body`",
    "drop_before": "the connection breaks before anything is done",
    "drop_after": "done, then the connection breaks without an answer",
    "hang": "never done, not answered for `seconds` (0: until released), then the line breaks",
    "hang_after": "done, then as hang",
    "late": "done at once, answered `seconds` later (0: when released)",
    "late_request": "the connection breaks; done `seconds` later (0: when released)",
    "double": "done twice, answered with the second answer",
    "half_body": "done, and half of the answer is sent before the connection breaks",
    "wrong_body": "done, but answered with `body`, or with something that is no JSON",
    "empty_body": "done, but answered without a body",
}
SOCKET_KINDS = {
    "refuse": "the connection is refused with `status`",
    "lost": "this frame is not sent",
    "duplicate": "this frame is sent twice",
    "late": "this frame is sent `seconds` later (0: when released); later ones overtake it",
    "reorder": "this frame is sent after the next one",
    "mute": "from this frame on nothing is sent; the connection stays open and answers pings",
    "freeze": "as mute, and nothing is read any more either, pings included",
    "drop": "the connection breaks instead",
    "drop_after": "the connection breaks after this frame",
    "close": "the connection is closed properly instead, with `status` as its code",
    "half_frame": "half of this frame is sent as if it were all",
    "wrong_frame": "`body`, or something that is no JSON, is sent instead",
}


BEGINNING = frozenset({"refuse", "status", "mute", "drop", "drop_before", "late", "hang"})
FRAMES = frozenset(SOCKET_KINDS) - {"refuse"} | {"drop_before"}


@dataclass
class Fault:
    """One fault: where it strikes, what happens, and how often.

    `where` is a request such as `POST /v2/orders`, `CONNECT /stream` for a WebSocket's beginning
    or `SEND /stream` for a frame that is sent on one; `*` and `?` stand for anything. `match` is
    a text that the body or frame must hold. The first `skip` that fit are let pass, then it
    strikes `times` times (None: until it is removed). `kind` is one of REQUEST_KINDS or
    SOCKET_KINDS; requests, beginnings and frames are struck by their own kinds only, so that
    `Fault("*", "drop_before", times=None)` is a venue that is down. Raises ConfigError for an
    unknown kind.
    """

    where: str
    kind: str
    times: int | None = 1
    status: int = 500
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    match: str = ""
    skip: int = 0
    struck: int = 0  # how often it has

    def __post_init__(self) -> None:
        known = {**REQUEST_KINDS, **SOCKET_KINDS}
        if self.kind not in known:
            raise ConfigError(f"kind is {self.kind!r}, but must be one of {', '.join(known)}.")

    @property
    def is_over(self) -> bool:
        """True when it has struck as often as it shall."""
        return self.times is not None and self.struck >= self.times

    def fits(self, name: str, content: bytes) -> bool:
        """Whether this request or frame is meant; counts those that are let pass."""
        if self.is_over or not fnmatchcase(name, self.where):
            return False
        if self.match and self.match.encode() not in content:
            return False
        if self.skip:
            self.skip -= 1
            return False
        return True


class Faults:
    """The faults that are ordered, and whatever they keep waiting."""

    def __init__(self) -> None:
        self.ordered: list[Fault] = []
        self.history: list[dict[str, Any]] = []  # those that have struck, and where
        self.on_strike: Callable[[], object] = lambda: None
        self._gate = asyncio.Event()

    def add(self, *faults: Fault) -> Fault:
        """Order faults; gives the last one back."""
        self.ordered = [*self.ordered, *faults]
        return faults[-1]

    def clear(self, faults: Iterable[Fault] | None = None) -> None:
        """Take these orders back; or all, which also lets go what they keep waiting."""
        gone = self.ordered if faults is None else list(faults)
        self.ordered = [one for one in self.ordered if not any(one is other for other in gone)]
        if faults is None:
            self.release()

    def take(
        self, name: str, content: bytes = b"", kinds: Collection[str] = REQUEST_KINDS
    ) -> Fault | None:
        """The fault that strikes this request or frame, counted; None as a rule."""
        for fault in self.ordered:
            if fault.kind in kinds and fault.fits(name, content):
                fault.struck += 1
                self.history.append({"where": name, "kind": fault.kind})
                self.ordered = [one for one in self.ordered if not one.is_over]
                self.on_strike()
                return fault
        return None

    def release(self) -> None:
        """Let go everything that waits until it is released."""
        gate, self._gate = self._gate, asyncio.Event()
        gate.set()

    async def wait(self, fault: Fault) -> None:
        """Wait as long as a fault says."""
        if fault.seconds > 0:
            await asyncio.sleep(fault.seconds)
        else:
            await self._gate.wait()

    def public(self) -> dict[str, Any]:
        """What is ordered and what has struck, as JSON values."""
        return {"ordered": [asdict(one) for one in self.ordered], "history": list(self.history)}
