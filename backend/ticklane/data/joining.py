"""Bars made of shorter bars, of trades or of quotes, as these come."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ticklane.core.market import MINUTE, SECOND, Bar, Timeframe
from ticklane.core.prints import Amendment

_PATIENCE_NS = 3 * SECOND // 2  # so long the last part of a bar may be on its way
_PRINT_PATIENCE_NS = SECOND // 4
_REMEMBERED_NS = 10 * MINUTE  # a trade that is corrected later leaves its bar as it is
_MOST_REMEMBERED = 20_000  # trades of a symbol


Doubt = Callable[[str, int, int], bool]


@dataclass(slots=True)
class _Open:
    """The parts of one symbol that are not over, and those of the bar before."""

    parts: dict[int, Bar] = field(default_factory=dict)  # by opening
    made_ns: int = 0  # the close of the last bar that was made


class BarJoiner:
    """Joins bars into longer ones, aligned to 1970.

    A bar is made when its last part, or one after it, is there, or one and a half seconds after its
    close. A part that comes later, or is corrected, makes the bar once more.
    """

    def __init__(self, timeframe: Timeframe) -> None:
        self._step = timeframe.ns
        self._open: dict[str, _Open] = {}

    def add(self, part: Bar) -> list[Bar]:
        """Take a part in; returns the bars it completes or changes."""
        one = self._open.setdefault(part.symbol, _Open())
        one.parts[part.open_ns] = part
        begin = self._begin(part.open_ns)
        if begin + self._step <= one.made_ns:
            changed = self._make(one, begin)
            return [changed] if changed is not None else []
        is_last = part.close_ns >= begin + self._step
        return self._make_until(one, begin + self._step if is_last else begin)

    def due(self, now_ns: int, is_doubtful: Doubt = lambda *_: False) -> list[Bar]:
        """The bars whose last part has not come and will not come.

        `is_doubtful(symbol, close of the last part, end of the bar)` may ask to wait for it.
        """
        until = self._begin(now_ns - _PATIENCE_NS)
        found = []
        for symbol, one in self._open.items():
            last = max((part.close_ns for at, part in one.parts.items() if at < until), default=0)
            if last > one.made_ns and not is_doubtful(symbol, last, until):
                found += self._make_until(one, until)
        return found

    def due_ns(self, _now_ns: int) -> int | None:
        """When `due` has something next; None while nothing is open."""
        opens = [at for one in self._open.values() for at in one.parts if at >= one.made_ns]
        return self._begin(min(opens)) + self._step + _PATIENCE_NS if opens else None

    def _begin(self, at_ns: int) -> int:
        return at_ns // self._step * self._step

    def _make_until(self, one: _Open, until_ns: int) -> list[Bar]:
        begins = sorted({self._begin(at) for at in one.parts})
        found = []
        for begin in begins:
            if one.made_ns <= begin < until_ns:
                bar = self._make(one, begin)
                if bar is not None:
                    found.append(bar)
                one.made_ns = begin + self._step
        oldest = one.made_ns - 2 * self._step
        if found:
            one.parts = {at: part for at, part in one.parts.items() if at >= oldest}
        return found

    def _make(self, one: _Open, begin: int) -> Bar | None:
        parts = sorted(
            (part for at, part in one.parts.items() if begin <= at < begin + self._step),
            key=lambda part: part.open_ns,
        )
        if not parts:
            return None
        return Bar(
            parts[0].symbol,
            begin,
            begin + self._step,
            parts[0].open,
            max(part.high for part in parts),
            min(part.low for part in parts),
            parts[-1].close,
            math.fsum(part.volume for part in parts),
        )


Kept = tuple[int, float, float, str]  # instant, price, size and id of a print


class PrintJoiner:
    """Makes bars of single prices, trades or the mids of quotes, aligned to 1970.

    A bar is made a quarter of a second after its close, or with the first price after that; what
    comes later still is counted and left out. Prints with an id are remembered for a while, so that
    a correction makes their bar once more.
    """

    def __init__(self, timeframe: Timeframe) -> None:
        self._step = timeframe.ns
        self._open: dict[str, list[float]] = {}  # open, high, low, close, volume
        self._begins: dict[str, int] = {}
        self._kept: dict[str, deque[Kept]] = {}
        self._forgotten: dict[str, int] = {}  # the instant of the newest that is not remembered
        self.late = 0

    def add(
        self, symbol: str, time_ns: int, price: float, size: float, print_id: str = ""
    ) -> list[Bar]:
        """Take a price in; returns the bar before, if this one ends it."""
        begin = time_ns // self._step * self._step
        before = self._begins.get(symbol)
        if before is not None and begin < before:
            self.late += 1
            return []
        found = []
        if before is not None and begin > before and symbol in self._open:
            found.append(self._made(symbol))
        self._begins[symbol] = begin
        if print_id:
            self._keep(symbol, (time_ns, price, size, print_id))
        now = self._open.get(symbol)
        if now is None:
            self._open[symbol] = [price, price, price, price, size]
        else:
            now[1], now[2] = max(now[1], price), min(now[2], price)
            now[3] = price
            now[4] += size
        return found

    def amend(self, symbol: str, amendment: Amendment) -> tuple[Bar | None, bool]:
        """Correct or take back a print; returns the finished bar that is different now, and
        whether the print was remembered."""
        kept, before, after = self._kept.get(symbol, deque()), amendment.before, amendment.after
        rows = (n for n in range(len(kept) - 1, -1, -1) if kept[n][1:] == before[2:])
        row = next(rows, None)
        if row is None:
            return None, False
        time_ns = kept[row][0]
        if after is None:
            del kept[row]
        else:
            kept[row] = (time_ns, after.price, after.size, after.id)
        return self._made_again(symbol, kept, time_ns)

    def _made_again(
        self, symbol: str, kept: Iterable[Kept], time_ns: int
    ) -> tuple[Bar | None, bool]:
        begin = time_ns // self._step * self._step
        if begin <= self._forgotten.get(symbol, -1):
            return None, False
        values = self._values_of(kept, begin)
        if begin == self._begins[symbol] and symbol in self._open:
            self._reopen(symbol, values)
            return None, True
        if values is None:  # nothing was traded: the bar stands as it was told
            return None, False
        return Bar(symbol, begin, begin + self._step, *values), True

    def _reopen(self, symbol: str, values: list[float] | None) -> None:
        if values is None:
            del self._open[symbol]
        else:
            self._open[symbol] = values

    def _values_of(self, kept: Iterable[Kept], begin: int) -> list[float] | None:
        """What the bar that begins then is made of; None for nothing."""
        own = [one for one in kept if begin <= one[0] < begin + self._step]
        if not own:
            return None
        prices = [one[1] for one in own]
        volume = sum(one[2] for one in own)
        return [prices[0], max(prices), min(prices), prices[-1], volume]

    def _keep(self, symbol: str, one: Kept) -> None:
        kept = self._kept.get(symbol)
        if kept is None:
            kept = self._kept[symbol] = deque()
        kept.append(one)
        while kept[0][0] < one[0] - _REMEMBERED_NS or len(kept) > _MOST_REMEMBERED:
            self._forgotten[symbol] = kept.popleft()[0]

    def due(self, now_ns: int) -> list[Bar]:
        """The bars that are over."""
        until = now_ns - _PRINT_PATIENCE_NS - self._step
        over = [symbol for symbol in self._open if self._begins[symbol] <= until]
        return [self._made(symbol) for symbol in over]

    def due_ns(self, now_ns: int) -> int:
        """When `due` may have something next."""
        passed = (now_ns - _PRINT_PATIENCE_NS) // self._step
        return (passed + 1) * self._step + _PRINT_PATIENCE_NS

    def _made(self, symbol: str) -> Bar:
        first, high, low, last, volume = self._open.pop(symbol)
        begin = self._begins[symbol]
        self._begins[symbol] = begin + self._step  # what comes for it now is late
        return Bar(symbol, begin, begin + self._step, first, high, low, last, volume)
