"""Hearing: trade updates go to the teller, and what is wrong with them restricts trading."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from ticklane.core.money import plain
from ticklane.core.trading_state import TradingState
from ticklane.integrations.alpaca.convert import read_event, read_order
from ticklane.integrations.alpaca.restrictions import Restrictions
from ticklane.integrations.alpaca.strangers import Strangers
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import Track, Tracks

_log = logging.getLogger("ticklane.alpaca")
_EXECUTED: Final = ("fill", "partial_fill")
_CORRECTIONS: Final = ("trade_bust", "trade_correct", "trade_cancel")


class Hearing:
    """Takes the events of the trade stream, and what goes wrong with orders."""

    def __init__(
        self, tracks: Tracks, teller: Teller, restrictions: Restrictions, strangers: Strangers
    ) -> None:
        self._tracks, self._teller, self._restrictions = tracks, teller, restrictions
        self._strangers = strangers
        teller.on_excess = self.note_excess

    def take(self, data: Mapping[str, Any]) -> None:
        """One trade update."""
        seen, kind = read_order(data.get("order")), data.get("event")
        if seen is None:
            _log.error("a trade update has no order that can be read")
            return
        if kind in _CORRECTIONS:
            self._note_correction(seen.symbol, str(kind))
        execution = read_event(data, seen) if kind in _EXECUTED else None
        known = self._tracks.find(seen)
        if known is not None and execution is not None:
            if known.broker_id is None:
                self._tracks.bind(known, seen.id)
            known.note(seen)
        if execution is not None:
            self._teller.take_execution(execution)
        if self._teller.take_order(seen) is None:
            self._strangers.look_for(seen)

    def _note_correction(self, symbol: str, kind: str) -> None:
        sentence = (
            f"Alpaca has sent a {kind} for {symbol}: a fill is not what it was; it waits until "
            "positions and cash have been compared."
        )
        self._restrictions.impose("trade_corrected", sentence, TradingState.HALTED, symbol)

    def note_unknown(self, track: Track) -> None:
        """An order may or may not appear: no entries in its symbol."""
        self._restrictions.impose(
            "order_unknown",
            f"it is not known whether order {track.order.id} has reached Alpaca.",
            TradingState.REDUCE_ONLY,
            track.order.symbol,
        )

    def note_known(self, track: Track) -> None:
        """It is known what became of it."""
        symbol = track.order.symbol
        if not self._tracks.is_quarantined(symbol):
            self._restrictions.lift("order_unknown", symbol)

    def note_excess(self, track: Track) -> None:
        """More was filled than was asked for: nothing goes on before an operator has looked."""
        self._restrictions.impose(
            "fill_beyond_quantity",
            f"order {track.order.id} was for {plain(track.size)} {track.order.symbol}, but "
            f"{plain(track.booked)} was filled.",
            TradingState.HALTED,
            is_latched=True,
        )
