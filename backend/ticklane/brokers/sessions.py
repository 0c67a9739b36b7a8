"""Times in force at the simulated venue: what can be taken now, what may trade, what expires."""

from __future__ import annotations

from ticklane.brokers.working import Working
from ticklane.core.instrument import Instrument
from ticklane.core.market import DAY, Bar, Observation, Quote
from ticklane.core.matching import Match, match_bar, match_close, match_open, match_quote
from ticklane.core.order import Order, OrderType, Refusal, TimeInForce
from ticklane.interfaces import Calendar

_GTC, _DAY = TimeInForce.GTC, TimeInForce.DAY
_OPG, _CLS = TimeInForce.OPG, TimeInForce.CLS
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
_AUCTION_TYPES = (OrderType.MARKET, OrderType.LIMIT)


# --- at acceptance ---------------------------------------------------------------------------


def time_refusal(
    order: Order,
    instrument: Instrument,
    calendar: Calendar | None,
    last: Observation,
    now_ns: int,
) -> Refusal | None:
    """Say why an order's time in force is impossible for one that arrives now, or None."""
    term = order.time_in_force
    if term is _GTC or term is _DAY:
        return None
    if term in AT_ONCE:
        if calendar is None or calendar.session(now_ns).open_ns <= now_ns:
            return None
        return Refusal(
            "market_closed", f"{term} orders need an open market; {calendar.name} is not."
        )
    return _no_auction(order, calendar, last) or _past_cutoff(order, instrument, calendar, now_ns)


def _no_auction(order: Order, calendar: Calendar | None, last: Observation) -> Refusal | None:
    symbol, term = order.symbol, order.time_in_force
    sentence = None
    if order.type not in _AUCTION_TYPES:
        sentence = f"{term} orders are market or limit orders, not {order.type} orders."
    elif calendar is None and not _is_daily(last):
        sentence = (
            f"{symbol} has no sessions, so {term} orders cannot trade; "
            "give it a calendar or use day, gtc, ioc or fok."
        )
    elif term is _CLS and isinstance(last, Quote):
        sentence = f"cls orders need bars, but {symbol} has quotes; use day, gtc, ioc or fok."
    return None if sentence is None else Refusal("time_in_force", sentence)


def _is_daily(seen: Observation) -> bool:
    """Without a calendar, a bar that spans most of a session is taken for one."""
    return isinstance(seen, Bar) and seen.close_ns - seen.open_ns > DAY // 4


def _past_cutoff(
    order: Order, instrument: Instrument, calendar: Calendar | None, now_ns: int
) -> Refusal | None:
    if calendar is None:
        return None
    session, rules = calendar.session(now_ns), instrument.rules
    if order.time_in_force is _OPG:
        is_late = session.open_ns - rules.opg_cutoff_ns < now_ns <= session.open_ns
    else:
        is_late = session.open_ns <= now_ns and session.close_ns - rules.cls_cutoff_ns < now_ns
    if not is_late:
        return None
    return Refusal("past_cutoff", f"it is too late for this {order.time_in_force} order.")


# --- at a bar or quote -----------------------------------------------------------------------


def first_expiry(working: Working) -> int | None:
    """The end of the session in which an order must trade, where a calendar tells it ahead."""
    term = working.order.time_in_force
    if working.calendar is None or term is _GTC or term is _OPG:
        return None
    return working.calendar.session(working.active_ns).close_ns


def is_over(working: Working, seen: Observation) -> bool:
    """True when the order's time has run out before this bar or quote."""
    return working.expires_ns is not None and _opens_ns(seen) >= working.expires_ns


def may_trade(working: Working, seen: Observation) -> bool:
    """True when this bar or quote belongs to the order's life and to an open session."""
    opens_ns = _opens_ns(seen)
    if opens_ns < working.active_ns or not working.can_trade:
        return False
    calendar = working.calendar
    if calendar is not None:
        session = calendar.session(opens_ns)
        if session.open_ns > opens_ns and seen.close_ns - opens_ns < DAY:
            return False  # a longer bar holds a session somewhere
    if working.order.time_in_force is _DAY and working.expires_ns is None:
        working.expires_ns = (opens_ns // DAY + 1) * DAY  # 24/7: UTC midnight
    return True


def find_match(working: Working, seen: Observation) -> Match | None:
    """Test an order that may trade, in the way its time in force allows."""
    term, terms = working.order.time_in_force, working.terms
    if term is _OPG and not _opens_session(working, seen):
        return None
    if isinstance(seen, Quote):
        return None if term is _CLS else match_quote(terms, seen)
    if term is _CLS:
        return match_close(terms, seen) if _closes_session(working, seen) else None
    return match_open(terms, seen) if term is _OPG or term in AT_ONCE else match_bar(terms, seen)


def leftover(working: Working, seen: Observation) -> Refusal | None:
    """Say why what is left of the order ends with this bar or quote, or None if it lives on."""
    term = working.order.time_in_force
    if term in AT_ONCE:
        return Refusal(str(term), f"what could not trade at once was cancelled ({term}).")
    if (term is _OPG and _is_past_open(working, seen)) or (
        term is _CLS and _closes_session(working, seen)
    ):
        return Refusal("expired", f"the auction of this {term} order is over.")
    if working.expires_ns is not None and seen.close_ns >= working.expires_ns:
        return session_over(working)
    return None


def session_over(working: Working) -> Refusal:
    """The reason of an order whose session has ended."""
    term = working.order.time_in_force
    return Refusal("expired", f"the session of this {term} order is over.")


def _opens_ns(seen: Observation) -> int:
    return seen.time_ns if isinstance(seen, Quote) else seen.open_ns


def _is_past_open(working: Working, seen: Observation) -> bool:
    """True within a session whose opening auction the order was in time for."""
    calendar = working.calendar
    return calendar is None or calendar.session(_opens_ns(seen)).open_ns >= working.active_ns


def _opens_session(working: Working, seen: Observation) -> bool:
    """True for the bar of that auction, or the first quote after it."""
    if working.calendar is None or isinstance(seen, Quote):
        return _is_past_open(working, seen)
    return working.calendar.session(seen.open_ns).open_ns == seen.open_ns


def _closes_session(working: Working, seen: Observation) -> bool:
    """True for the bar with which a session ends."""
    if isinstance(seen, Quote):
        return False
    calendar = working.calendar
    return calendar is None or calendar.session(seen.open_ns).close_ns == seen.close_ns
