"""Fill rules: whether, at which price and why an order trades against one bar or quote.

Pure functions over floats (observations); the venue turns the price into money. The rules are
those of semantics.md, "Orders and sessions".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, NamedTuple

from ticklane.core.market import Bar, Quote
from ticklane.core.order import OrderType

AT_OPEN = 0  # phases of a bar, in the order in which they are taken
STOP_INSIDE = 1
LIMIT_INSIDE = 2
AT_CLOSE = 3


class Match(NamedTuple):
    """A possible fill: its price, the rule that made it, and when inside the bar."""

    price: float
    rule: str
    phase: int
    is_maker: bool = False


_make_match: Callable[[tuple[Any, ...]], Match] = partial(tuple.__new__, Match)


class Terms:
    """The prices of a working order as floats, and what the market has done to them so far.

    `mark` is a trailing stop's best price since acceptance; `is_triggered` says that a
    stop-limit's stop has been reached.
    """

    limit: float = 0.0
    stop: float = 0.0
    trail: float | None = None
    trail_share: float | None = None  # fraction of the mark
    mark: float | None = None
    is_triggered = False

    def __init__(self, type: OrderType, is_buy: bool) -> None:
        self.type = type
        self.is_buy = is_buy

    def trailing_stop(self) -> float:
        """The stop level that the mark gives, to 1e-8 as money is (floats leave dust)."""
        mark = self.mark or 0.0
        distance = self.trail if self.trail is not None else mark * (self.trail_share or 0.0)
        return round(mark + distance if self.is_buy else mark - distance, 8)


def match_bar(terms: Terms, bar: Bar) -> Match | None:
    """Test an order that was working before this bar opened."""
    kind = terms.type
    if kind is OrderType.MARKET:
        return _make_match((bar.open, "market_at_open", AT_OPEN, False))
    if kind is OrderType.LIMIT:
        return _limit(terms, bar)
    if kind is OrderType.STOP:
        return _stop(terms.stop, terms.is_buy, bar, "stop")
    if kind is OrderType.STOP_LIMIT:
        return _stop_limit(terms, bar)
    return _trailing(terms, bar)


def match_open(terms: Terms, bar: Bar) -> Match | None:
    """Test an order against the bar's open only (ioc, fok, opg)."""
    found = match_bar(terms, bar)
    return found if found is not None and found.phase == AT_OPEN else None


def match_close(terms: Terms, bar: Bar) -> Match | None:
    """Test an order against the bar's close only (cls)."""
    if terms.type is OrderType.MARKET:
        return Match(bar.close, "market_at_close", AT_CLOSE)
    if terms.type is OrderType.LIMIT and _reaches(bar.close, terms.limit, terms.is_buy):
        return Match(bar.close, "limit_at_close", AT_CLOSE)
    return None


def match_leg(terms: Terms, bar: Bar, entry: Match) -> Match | None:
    """Test a protective leg in the bar in which its entry filled, by what is left of that bar."""
    if entry.phase == AT_OPEN:
        return match_bar(terms, bar)
    return None if entry.phase == AT_CLOSE else match_rest(terms, bar, entry.price)


def match_rest(terms: Terms, bar: Bar, entry: float) -> Match | None:
    """Test a protective leg whose entry filled inside this bar at the price `entry`.

    Stops may fill, targets not; a stop that lay beyond the entry fills at the entry's price.
    """
    if terms.type is OrderType.LIMIT:
        return None
    if terms.type is OrderType.TRAILING_STOP:
        stop, rule = terms.trailing_stop(), "trailing_stop"
    else:
        stop, rule = terms.stop, "stop"
    touched = bar.high >= stop if terms.is_buy else bar.low <= stop
    price = max(stop, entry) if terms.is_buy else min(stop, entry)
    return Match(price, f"{rule}_after_entry", STOP_INSIDE) if touched else None


def match_quote(terms: Terms, quote: Quote) -> Match | None:
    """Test an order against a quote: buys trade at the ask, sales at the bid, if there is one."""
    price = quote.ask if terms.is_buy else quote.bid
    if not 0 < price < inf:
        return None
    side = "ask" if terms.is_buy else "bid"
    kind = terms.type
    if kind is OrderType.MARKET:
        return Match(price, f"market_at_{side}", AT_OPEN)
    if kind is OrderType.LIMIT:
        hit = _reaches(price, terms.limit, terms.is_buy)
        return Match(price, f"limit_at_{side}", AT_OPEN) if hit else None
    if kind is OrderType.STOP:
        hit = _reaches(terms.stop, price, terms.is_buy)
        return Match(price, f"stop_at_{side}", AT_OPEN) if hit else None
    if kind is OrderType.STOP_LIMIT:
        terms.is_triggered = terms.is_triggered or _reaches(terms.stop, price, terms.is_buy)
        hit = terms.is_triggered and _reaches(price, terms.limit, terms.is_buy)
        return Match(price, f"stop_limit_at_{side}", AT_OPEN) if hit else None
    if _reaches(terms.trailing_stop(), price, terms.is_buy):
        return Match(price, f"trailing_stop_at_{side}", AT_OPEN)
    move_mark(terms, price, price)
    return None


def move_mark(terms: Terms, low: float, high: float) -> None:
    """Let a new extreme pull a trailing stop's mark along."""
    if terms.mark is None:
        terms.mark = low if terms.is_buy else high
    else:
        terms.mark = min(terms.mark, low) if terms.is_buy else max(terms.mark, high)


def _reaches(price: float, level: float, is_buy: bool) -> bool:
    """A buyer is content at or below a level, a seller at or above it."""
    return price <= level if is_buy else price >= level


def _limit(terms: Terms, bar: Bar) -> Match | None:
    limit, is_buy = terms.limit, terms.is_buy
    if _reaches(bar.open, limit, is_buy):
        return Match(bar.open, "limit_at_open", AT_OPEN)
    if _reaches(bar.low if is_buy else bar.high, limit, is_buy):
        return Match(limit, "limit_reached", LIMIT_INSIDE, is_maker=True)
    return None


def _stop(stop: float, is_buy: bool, bar: Bar, rule: str) -> Match | None:
    if _reaches(stop, bar.open, is_buy):
        return Match(bar.open, f"{rule}_gap_at_open", AT_OPEN)
    if _reaches(stop, bar.high if is_buy else bar.low, is_buy):
        return Match(stop, f"{rule}_reached", STOP_INSIDE)
    return None


def _stop_limit(terms: Terms, bar: Bar) -> Match | None:
    if terms.is_triggered:
        return _limit(terms, bar)
    trigger = _stop(terms.stop, terms.is_buy, bar, "stop")
    if trigger is None:
        return None
    terms.is_triggered = True  # later bars test the limit alone
    if _reaches(trigger.price, terms.limit, terms.is_buy):
        return Match(trigger.price, "stop_limit_at_trigger", trigger.phase)
    if _reaches(bar.close, terms.limit, terms.is_buy):  # it rested at its limit meanwhile
        return Match(terms.limit, "stop_limit_by_close", LIMIT_INSIDE, is_maker=True)
    return None


def _trailing(terms: Terms, bar: Bar) -> Match | None:
    found = _stop(terms.trailing_stop(), terms.is_buy, bar, "trailing_stop")
    if found is not None:
        return found
    move_mark(terms, bar.low, bar.high)
    stop = terms.trailing_stop()
    if _reaches(stop, bar.close, terms.is_buy):
        return Match(stop, "trailing_stop_by_close", AT_CLOSE)
    return None
