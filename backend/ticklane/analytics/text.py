"""Numbers, money and instants as people read them. What is undefined shows as an en dash."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from ticklane.core.market import DAY, HOUR, MINUTE, SECOND, to_datetime
from ticklane.core.money import plain

NOTHING = "–"
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
Number = float | Decimal


def money(value: Number, currency: str, *, is_signed: bool = False) -> str:
    """`$1,234.50`, `-$3.00`, `12.00 USDT`; `is_signed` writes the plus of a profit too."""
    if math.isnan(value):
        return NOTHING
    digits = f"{abs(value):,.2f}"
    is_zero = not digits.strip("0.,")
    sign = "" if is_zero else "-" if value < 0 else "+" if is_signed else ""
    return f"{sign}{with_currency(digits, currency)}"


def with_currency(digits: str, currency: str) -> str:
    """Put the sign of a well-known currency before a number, the name of another behind it."""
    sign = _SIGNS.get(currency)
    return f"{sign}{digits}" if sign else f"{digits} {currency}".rstrip()


def shortened(value: str, length: int) -> str:
    """The text, cut with an ellipsis when it is longer than `length`."""
    return value if len(value) <= length else f"{value[: length - 1].rstrip()}…"


def percent(fraction: float, *, is_signed: bool = False) -> str:
    """`12.3%` of 0.123; two decimals below one percent."""
    if math.isnan(fraction):
        return NOTHING
    if math.isinf(fraction) or abs(fraction) >= 1e4:
        return "over 1,000,000%"
    decimals = 1 if abs(fraction) >= 0.1 else 2
    text = f"{fraction * 100:{'+' if is_signed else ''},.{decimals}f}%"
    return text.lstrip("+-") if not text.strip("+-0.%") else text


def ratio(value: float) -> str:
    """`1.23`."""
    return f"{value:,.2f}" if math.isfinite(value) else NOTHING


def count(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"


def price(value: Number) -> str:
    """At least two decimals, and as many (up to eight) as give six significant digits."""
    number = Decimal(repr(value)) if isinstance(value, float) else value
    decimals = min(8, max(2, 5 - number.adjusted())) if number else 2
    shown = number.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    whole, _, rest = f"{shown:,f}".partition(".")
    return f"{whole}.{rest.rstrip('0'):0<2}"


def quantity(value: Decimal) -> str:
    """Thousands separators, no needless zeros."""
    whole, _, rest = plain(value).partition(".")
    return f"{int(whole):,}" + (f".{rest}" if rest else "")


def instant(time_ns: int) -> str:
    """`2024-03-01`, `2024-03-01 14:30` or with seconds: no more than the instant needs. UTC."""
    return stamp(to_datetime(time_ns))


def stamp(moment: datetime) -> str:
    """The same for an aware UTC datetime."""
    if moment.microsecond:
        return f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3]
    if moment.second:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{moment:%Y-%m-%d %H:%M}" if moment.hour or moment.minute else f"{moment:%Y-%m-%d}"


def closing(moment: datetime) -> str:
    """The instant of a close: midnight shows as the day that ends there."""
    is_midnight = not (moment.hour or moment.minute or moment.second or moment.microsecond)
    return stamp(moment - timedelta(days=1) if is_midnight else moment)


def duration(days: float) -> str:
    """`3.5 days`, `2 h 5 min`, `40 s`; whole days from a hundred on."""
    if math.isnan(days):
        return NOTHING
    length = round(days * DAY)
    if length >= 2 * DAY:
        return f"{days:,.0f} days" if days >= 100 else f"{days:.1f}".removesuffix(".0") + " days"
    if length >= HOUR:
        hours, minutes = divmod(round(length / MINUTE), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if length >= MINUTE:
        return f"{length / MINUTE:.1f}".removesuffix(".0") + " min"
    return f"{length / SECOND:.0f} s"
