"""Which bars of a vendor may be believed; others are left out and counted."""

from __future__ import annotations

import math

import numpy as np

from ticklane.core.market import Bar, Bars

# A price that is so many times the one before it is a mistake; no split or crash goes so far.
SPIKE = 50.0


def is_sound(bar: Bar, before: float | None = None) -> bool:
    """True for finite prices above zero in their order, and no leap from the price `before`."""
    low, high = bar.low, bar.high
    return (
        bar.close_ns > bar.open_ns
        and 0.0 < low <= bar.open <= high < math.inf
        and low <= bar.close <= high
        and 0.0 <= bar.volume < math.inf
        and (before is None or before / SPIKE < bar.close < before * SPIKE)
    )


def sound_part(bars: Bars) -> tuple[Bars, int]:
    """The sound bars, each opening once and in order, and how many were left out."""
    with np.errstate(invalid="ignore"):
        is_good = (
            (bars.low > 0)
            & (bars.low <= np.minimum(bars.open, bars.close))
            & (bars.high >= np.maximum(bars.open, bars.close))
            & np.isfinite(bars.high)
            & (bars.volume >= 0)
            & np.isfinite(bars.volume)
        )
    if len(bars):
        newest = np.maximum.accumulate(bars.open_ns)
        is_good[1:] &= bars.open_ns[1:] > newest[:-1]
    if is_good.all():
        return bars, 0
    kept = Bars(bars.symbol, *(column[is_good] for column in bars.columns()))
    return kept, int(len(bars) - len(kept))
