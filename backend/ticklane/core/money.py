"""Exact money: how numbers enter as Decimal and how amounts are rounded."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from numbers import Integral, Real
from typing import Any

from ticklane.core.errors import ConfigError

ZERO = Decimal(0)
ONE = Decimal(1)
CASH_STEP = Decimal("0.00000001")  # fees and cash amounts are kept to 1e-8, half-even
LARGEST = Decimal("1e15")  # a price times a quantity stays well inside 28 digits
_WHOLE = {number: Decimal(number) for number in range(1, 1001)}  # the usual sizes of orders
_WIDE = Context(prec=60)  # an order that nobody could pay for is refused, not an arithmetic error


def exact(value: float) -> Decimal:
    """Turn an observed price into the Decimal a reader would write down for it."""
    return Decimal(repr(value))


def to_decimal(value: Any, field: str) -> Decimal:
    """Turn a user's number (int, float, Decimal or numeric text) into a finite Decimal.

    Raises ConfigError, naming `field`, for anything else: bool, NaN, infinity, other text.
    """
    kind = value.__class__
    if kind is int:
        return _WHOLE.get(value) or Decimal(value)
    if kind is float:
        number = Decimal(repr(value))
    elif kind is Decimal:
        number = value
    else:
        number = _slow(value, field)
    if not number.is_finite():
        raise ConfigError(f"{field} is {value!r}, but must be a finite number.")
    return number


def _slow(value: Any, field: str) -> Decimal:
    if isinstance(value, bool):
        raise ConfigError(f"{field} is {value!r}, but must be a number, not true or false.")
    try:
        if isinstance(value, str | Decimal):
            return Decimal(value)
        if isinstance(value, Integral):
            return Decimal(int(value))
        if isinstance(value, Real):  # numpy's floats among them, its bool not
            return Decimal(repr(float(value)))
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise ConfigError(f"{field} is {value!r}, but must be a number.")


def to_positive(value: Any, field: str) -> Decimal:
    """Turn a user's number into a Decimal above zero and at most 1e15; raises ConfigError."""
    number = to_decimal(value, field)
    if not ZERO < number <= LARGEST:
        bound = "above zero" if number <= 0 else f"at most {LARGEST}"
        raise ConfigError(f"{field} is {number}, but must be {bound}.")
    return number


def to_cash(amount: Decimal) -> Decimal:
    """Round an amount of money to 1e-8, half-even."""
    return amount.quantize(CASH_STEP, ROUND_HALF_EVEN, _WIDE)


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """Round towards zero to a multiple of `step` (a lot)."""
    return value // step * step


def round_to(value: Decimal, step: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Round to a multiple of `step` (a tick)."""
    return (value / step).quantize(ONE, rounding) * step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Tell whether `value` lies on the grid of `step`."""
    return value % step == 0


def plain(value: Decimal) -> str:
    """Write a Decimal for people: no exponent, no needless zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
