"""What the tape tells besides prices: halts, corrected trades and cancelled ones."""

from __future__ import annotations

from typing import NamedTuple

from ticklane.testing.venue.data_rows import Row, Stamp, stamp, trade_row
from ticklane.testing.venue.market import Trade

STATUSES = {  # of both tapes; their codes do not overlap
    "2": "Trading Halt",
    "3": "Resume",
    "5": "Price Indication",
    "6": "Trading Range Indication",
    "E": "Short Sale Restriction",
    "F": "Limit Up-Limit Down",
    "H": "Trading Halt",
    "P": "Volatility Trading Pause",
    "Q": "Quotation Resumption",
    "T": "Trading Resumption",
}
REASONS = {
    "M": "Limit Up-Limit Down (LULD) Trading Pause",
    "T1": "Halt News Pending",
    "T12": "Trading Halted; For information requested by NASDAQ",
    "LUDP": "Volatility Trading Pause",
    "MWC1": "Market Wide Circuit Breaker Halt - Level 1",
}


class Status(NamedTuple):
    """Whether a symbol trades, as its exchange says."""

    symbol: str
    time_ns: int
    code: str
    reason: str = ""


class Correction(NamedTuple):
    """A trade that was told and was not so."""

    symbol: str
    time_ns: int
    before: Trade
    after: Trade


class Cancellation(NamedTuple):
    """A trade that was told and does not count."""

    symbol: str
    time_ns: int
    trade: Trade


def status_row(told: Status, time: Stamp = stamp) -> Row:
    """A trading status; the words of codes that are not known here are left empty."""
    words = {"sm": STATUSES.get(told.code, ""), "rm": REASONS.get(told.reason, "")}
    return {"sc": told.code, "rc": told.reason, **words, "t": time(told.time_ns), "z": "C"}


def correction_row(told: Correction, time: Stamp = stamp) -> Row:
    """A correction, with the trade as it was and as it is."""
    before, after = trade_row(told.before, time), trade_row(told.after, time)
    row: Row = {"t": time(told.time_ns), "x": before["x"], "z": before["z"]}
    row |= {f"o{key}": before[key] for key in "ipsc"}
    return row | {f"c{key}": after[key] for key in "ipsc"}


def cancellation_row(told: Cancellation, time: Stamp = stamp) -> Row:
    """A cancel; its action C says that it was no error of the tape."""
    row = {key: value for key, value in trade_row(told.trade, time).items() if key in "ixpsz"}
    return {**row, "a": "C", "t": time(told.time_ns)}
