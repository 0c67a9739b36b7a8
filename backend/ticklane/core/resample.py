"""Short bars joined into longer ones."""

from __future__ import annotations

import numpy as np

from ticklane.core.market import Bars, Timeframe


def joined(bars: Bars, timeframe: Timeframe) -> Bars:
    """Join bars into those of a longer timeframe, aligned to 1970.

    A bar that results opens at its aligned instant; it closes one timeframe later, or with the last
    of its parts where that closes later.
    """
    if not len(bars):
        return bars
    groups = bars.open_ns // timeframe.ns
    firsts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    lasts = np.r_[firsts[1:], len(bars)] - 1
    opens = groups[firsts] * timeframe.ns
    return Bars(
        bars.symbol,
        opens,
        np.maximum(opens + timeframe.ns, bars.close_ns[lasts]),
        bars.open[firsts],
        np.maximum.reduceat(bars.high, firsts),
        np.minimum.reduceat(bars.low, firsts),
        bars.close[lasts],
        np.add.reduceat(bars.volume, firsts),
    )
