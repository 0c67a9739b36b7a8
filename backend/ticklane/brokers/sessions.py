"""Times in force at the simulated venue: what can be taken now, what may trade, what expires."""

from __future__ import annotations

from ticklane.brokers.working import Working
from ticklane.core.instrument import Instrument
from ticklane.core.market import DAY, Bar, Observation
from ticklane.core.matching import Match, match_bar, match_close, match_open, match_quote
from ticklane.core.order import Order, Refusal, TimeInForce
from ticklane.interfaces import Calendar

_GTC, _DAY = TimeInForce.GTC, TimeInForce.DAY
_IOC, _FOK = TimeInForce.IOC, TimeInForce.FOK
_OPG, _CLS = TimeInForce.OPG, TimeInForce.CLS
AT_ONCE = (_IOC, _FOK)


def time_refusal(
    order: Order,
    instrument: Instrument,
    calendar: Calendar | None,
    last: Observation,
    now_ns: int,
) -> Refusal | None:
    """Say why an order's time in force is impossible at this instant, or None."""
    term = order.time_in_force
    if term is _GTC or term is _DAY:
        return None
    if calendar is None:
        if term in AT_ONCE or _is_daily(last):
            return None
        return Refusal(
            "time_in_force",
            f"{order.symbol} has no sessions, so {term} orders cannot trade; "
            "give it a calendar or use day, gtc, ioc or fok.",
        )
    session = calendar.session(now_ns)
    is_open = session.open_ns <= now_ns
    if term in AT_ONCE and not is_open:
        return Refusal(
            "market_closed", f"{term} orders need an open market; {calendar.name} is not."
        )
    rules = instrument.rules
    if term is _OPG and not is_open and now_ns > session.open_ns - rules.opg_cutoff_ns:
        return Refusal("past_cutoff", f"it is too late for an opg order in {order.symbol}.")
    if term is _CLS and is_open and now_ns > session.close_ns - rules.cls_cutoff_ns:
        return Refusal("past_cutoff", f"it is too late for a cls order in {order.symbol}.")
    return None


def _is_daily(seen: Observation) -> bool:
    """Without a calendar, a bar that spans most of a session is taken for one."""
    return isinstance(seen, Bar) and seen.close_ns - seen.open_ns > DAY // 4


def first_expiry(working: Working) -> int | None:
    """The end of the session a day order can first trade in, where a calendar tells it ahead."""
    if working.order.time_in_force is not _DAY or working.calendar is None:
        return None
    return working.calendar.session(working.active_ns).close_ns


def is_over(working: Working, seen: Observation) -> bool:
    """True when the order's time has run out before this bar or quote."""
    opens_ns = seen.open_ns if isinstance(seen, Bar) else seen.time_ns
    return working.expires_ns is not None and opens_ns >= working.expires_ns


def may_trade(working: Working, seen: Observation) -> bool:
    """True when this bar or quote belongs to the order's life and to an open session."""
    opens_ns = seen.open_ns if isinstance(seen, Bar) else seen.time_ns
    if opens_ns < working.active_ns or not working.can_trade:
        return False
    calendar = working.calendar
    if calendar is not None and calendar.session(opens_ns).open_ns > opens_ns:
        return False
    if working.order.time_in_force is _DAY and working.expires_ns is None:
        working.expires_ns = (opens_ns // DAY + 1) * DAY  # 24/7: UTC midnight
    return True


def find_match(working: Working, seen: Observation) -> Match | None:
    """Test an order that may trade, in the way its time in force allows."""
    term, terms = working.order.time_in_force, working.terms
    if not isinstance(seen, Bar):
        return match_quote(terms, seen) if term is not _CLS else None
    if term is _CLS:
        return match_close(terms, seen) if _closes_session(working, seen) else None
    if term is _OPG:
        return match_open(terms, seen) if _opens_session(working, seen) else None
    return match_open(terms, seen) if term in AT_ONCE else match_bar(terms, seen)


def _opens_session(working: Working, bar: Bar) -> bool:
    calendar = working.calendar
    return calendar is None or calendar.session(bar.open_ns).open_ns == bar.open_ns


def _closes_session(working: Working, bar: Bar) -> bool:
    calendar = working.calendar
    return calendar is None or calendar.session(bar.open_ns).close_ns == bar.close_ns


def leftover(working: Working, seen: Observation) -> Refusal | None:
    """Say why what is left of the order ends with this bar or quote, or None if it lives on."""
    term = working.order.time_in_force
    if term in AT_ONCE:
        return Refusal(str(term), f"what could not trade at once was cancelled ({term}).")
    if isinstance(seen, Bar) and (
        (term is _OPG and _opens_session(working, seen))
        or (term is _CLS and _closes_session(working, seen))
    ):
        return Refusal("expired", f"the auction of this {term} order is over.")
    if working.expires_ns is not None and seen.close_ns >= working.expires_ns:
        return Refusal("expired", "the session of this day order is over.")
    return None
