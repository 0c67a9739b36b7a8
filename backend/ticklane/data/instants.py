"""Bars gathered into ticks: one an instant, when all symbols are there or the grace is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ticklane.core.market import SECOND, Bar, Tick

_SHORT_NS = SECOND // 4
Expects = Callable[[str, int], bool]


class Instants:
    """Gives ticks in the order of time, every bar at most once, of a symbol in their order.

    `expects(symbol, close_ns)` says whether a symbol should have a bar then; for such the tick
    waits until `grace_ns` after the instant, for others (a market that is closed may still have
    bars) a quarter of a second. A bar that comes later stands in a tick of its own
    just before the next one, which the lane merges into it; one that a newer bar of its symbol has
    overtaken is history only.
    """

    def __init__(self, symbols: Sequence[str], grace_ns: int, expects: Expects) -> None:
        self._symbols = tuple(symbols)
        self._grace_ns, self._expects = grace_ns, expects
        self._waiting: dict[int, dict[str, Bar]] = {}
        self._late: list[Bar] = []
        self._told: dict[str, int] = {}  # symbol -> close of the last bar that was told
        self.last_ns = 0  # instant of the last tick
        self._bars_ns = 0  # the close of the newest bars that were told
        self.overtaken = 0
        self._seen: dict[int, int] = {}  # when the first bar of a waiting instant was there
        self._due_ns: int | None = None

    def begin(self, after_ns: int) -> None:
        """What closed at or before this instant is history; of what is here the newest is told."""
        self.last_ns = max(self.last_ns, after_ns)
        self._bars_ns = self.last_ns
        self._told = dict.fromkeys(self._symbols, self.last_ns)
        self._late.clear()
        fresh = sorted(at for at in self._waiting if at > self.last_ns)
        self._waiting = {at: self._waiting[at] for at in fresh[-1:]}

    def add(self, bar: Bar) -> bool:
        """Take a bar in; False when a newer one of its symbol has been told already."""
        if bar.close_ns <= self._told.get(bar.symbol, 0):
            self.overtaken += 1
            return False
        if bar.close_ns > self._bars_ns:
            self._waiting.setdefault(bar.close_ns, {})[bar.symbol] = bar
        else:
            self._late.append(bar)
        return True

    def replace(self, bar: Bar) -> bool:
        """Put a corrected bar in the place of one that waits; False when none waits."""
        waiting = self._waiting.get(bar.close_ns, {})
        if bar.symbol not in waiting:
            return False
        waiting[bar.symbol] = bar
        return True

    def due(self, now_ns: int) -> list[Tick]:
        """The ticks whose time has come."""
        found: list[Tick] = []
        self._due_ns = None
        for at in sorted(self._waiting):
            due_ns = self._due_of(at, now_ns)
            if now_ns < due_ns:
                self._due_ns = due_ns
                break
            found += self._overdue()
            found.append(self._tick(max(at, self.last_ns + 1), self._waiting.pop(at)))
            self._seen.pop(at, None)
            self._bars_ns = at
        return found

    @property
    def due_ns(self) -> int | None:
        """When `due` has the next tick even if nothing more comes; None when nothing waits."""
        return self._due_ns

    def claim(self, now_ns: int) -> int:
        """An instant for a tick of other prices, later than all before."""
        self.last_ns = max(now_ns, self.last_ns + 1)
        return self.last_ns

    def _due_of(self, at: int, now_ns: int) -> int:
        bars = self._waiting[at]
        if len(bars) == len(self._symbols):
            return now_ns
        seen_ns = self._seen.setdefault(at, now_ns)
        if all(symbol in bars or not self._expects(symbol, at) for symbol in self._symbols):
            return min(seen_ns + _SHORT_NS, at + self._grace_ns)
        return at + self._grace_ns

    def _overdue(self) -> list[Tick]:
        late, self._late = sorted(self._late, key=lambda bar: bar.close_ns), []
        found = []
        for bar in late:
            if bar.close_ns > self._told.get(bar.symbol, 0):
                found.append(self._tick(self.last_ns + 1, {bar.symbol: bar}))
        return found

    def _tick(self, at: int, bars: dict[str, Bar]) -> Tick:
        chosen = [bars[symbol] for symbol in self._symbols if symbol in bars]
        for bar in chosen:
            self._told[bar.symbol] = bar.close_ns
        self.last_ns = at
        return Tick(at, tuple(bar.symbol for bar in chosen), tuple(chosen))
