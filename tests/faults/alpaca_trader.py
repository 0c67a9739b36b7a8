"""The strategy of the kill test: a simulated run's Trader that waits to be let loose."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "simulation"))

from sim_strategy import Trader

WISHES = 14  # a life; what is left of it is for their answers


class PatientTrader(Trader):
    """Acts after the comparison only, and so often that a life ends with all of it answered."""

    is_loose = False
    left = WISHES

    def on_tick(self, market_data):
        if not self.is_loose or self.left <= 0:
            return None
        wishes = super().on_tick(market_data)
        self.left -= len(wishes or ())
        return wishes

    def on_fill(self, fill):
        return super().on_fill(fill) if self.is_loose else None

    def on_order(self, order):
        return super().on_order(order) if self.is_loose else None
