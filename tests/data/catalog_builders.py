"""A vendor with bars in memory, and a catalog to put them into."""

import numpy as np

from ticklane.core.errors import BrokerError
from ticklane.core.market import MINUTE, Bars, Timeframe

ONE_MINUTE = Timeframe(MINUTE)


def bars_at(symbol, opens, price=100.0, step=MINUTE):
    """One bar for each opening; prices rise by 0.01."""
    opens = np.array(opens, np.int64)
    close = price + np.arange(len(opens)) / 100
    return Bars(symbol, opens, opens + step, close, close + 1, close - 1, close, close * 10)


class Shelf:
    """A vendor that has these bars; it notes what is asked of it and can break down."""

    name = "SHELF"

    def __init__(self, *series):
        self.series = {one.symbol: one for one in series}
        self.asked = []
        self.fails_after = None

    async def bars(self, symbol, timeframe, start_ns, end_ns):
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise BrokerError("the shelf cannot be reached; check the network.")
        self.asked.append((symbol, start_ns, end_ns))
        found = self.series.get(symbol)
        if found is None:
            return bars_at(symbol, [])
        first = int(found.open_ns.searchsorted(start_ns))
        last = int(found.close_ns.searchsorted(end_ns, side="right"))
        return found.between(first, max(first, last))

    async def close(self):
        pass
