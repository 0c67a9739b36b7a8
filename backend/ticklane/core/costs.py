"""What trading costs: fees, and slippage as a worse price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Protocol

from ticklane.core.errors import ConfigError
from ticklane.core.market import Bar, Observation, Quote
from ticklane.core.money import LARGEST, ZERO, exact, round_to, to_cash, to_decimal


class Costs(Protocol):
    """How a fee comes about."""

    def fee(self, quantity: Decimal, price: Decimal, is_maker: bool, is_first: bool) -> Decimal:
        """The fee of one fill, to 1e-8; `quantity` is unsigned, `is_first` the order's first."""
        ...


@dataclass(frozen=True, slots=True)
class NoCosts:
    """Trading is free."""

    def fee(self, quantity: Decimal, price: Decimal, is_maker: bool, is_first: bool) -> Decimal:
        """Zero."""
        return ZERO


@dataclass(frozen=True, slots=True)
class PerShareCosts:
    """So much for each share or coin."""

    amount: Decimal

    def __post_init__(self) -> None:
        _read(self, "amount", "per_share of costs")

    def fee(self, quantity: Decimal, price: Decimal, is_maker: bool, is_first: bool) -> Decimal:
        """quantity x amount."""
        return to_cash(quantity * self.amount)


@dataclass(frozen=True, slots=True)
class PerOrderCosts:
    """A flat fee an order, charged with its first fill, or a rate with that as its minimum.

    `amount` is the minimum of an order; `rate` a fraction of the traded value.
    """

    amount: Decimal
    rate: Decimal = ZERO

    def __post_init__(self) -> None:
        _read(self, "amount", "per_order of costs")
        _read(self, "rate", "rate of costs", below=1)

    def fee(self, quantity: Decimal, price: Decimal, is_maker: bool, is_first: bool) -> Decimal:
        """The larger of amount and rate x value on the first fill, then rate x value."""
        share = to_cash(quantity * price * self.rate)
        return max(self.amount, share) if is_first else share


@dataclass(frozen=True, slots=True)
class PercentCosts:
    """Percent of the traded value, for orders that rest (maker) and orders that take (taker)."""

    maker: Decimal
    taker: Decimal

    def __post_init__(self) -> None:
        _read(self, "maker", "maker of costs", below=100)
        _read(self, "taker", "taker of costs", below=100)

    def fee(self, quantity: Decimal, price: Decimal, is_maker: bool, is_first: bool) -> Decimal:
        """value x percent / 100."""
        return to_cash(quantity * price * (self.maker if is_maker else self.taker) / 100)


class Slippage(Protocol):
    """How much worse than the rule's price a taking order fills, and how much can fill."""

    def shift(self, quantity: Decimal, price: Decimal, source: Observation) -> Decimal:
        """How much to add to a buy's price (and take from a sale's); `quantity` is unsigned."""
        ...

    def room(self, source: Observation) -> Decimal | None:
        """The most that can fill against this bar or quote, None for no limit."""
        ...


@dataclass(frozen=True, slots=True)
class NoSlippage:
    """Fills at the rule's price, in any size."""

    def shift(self, quantity: Decimal, price: Decimal, source: Observation) -> Decimal:
        """Zero."""
        return ZERO

    def room(self, source: Observation) -> Decimal | None:
        """No limit."""
        return None


@dataclass(frozen=True, slots=True)
class FixedSlippage:
    """The same amount of money a unit, always."""

    amount: Decimal

    def __post_init__(self) -> None:
        _read(self, "amount", "fixed of slippage")

    def shift(self, quantity: Decimal, price: Decimal, source: Observation) -> Decimal:
        """The amount."""
        return self.amount

    def room(self, source: Observation) -> Decimal | None:
        """No limit."""
        return None


@dataclass(frozen=True, slots=True)
class PercentSlippage:
    """Percent of the price."""

    percent: Decimal

    def __post_init__(self) -> None:
        _read(self, "percent", "percent of slippage", below=100)

    def shift(self, quantity: Decimal, price: Decimal, source: Observation) -> Decimal:
        """price x percent / 100."""
        return price * self.percent / 100

    def room(self, source: Observation) -> Decimal | None:
        """No limit."""
        return None


@dataclass(frozen=True, slots=True)
class HalfSpreadSlippage:
    """Half of an assumed spread on bars; nothing on quotes, where the side is already paid.

    `spread_percent` is the whole spread in percent of the price.
    """

    spread_percent: Decimal

    def __post_init__(self) -> None:
        _read(self, "spread_percent", "spread_percent of slippage", below=100)

    def shift(self, quantity: Decimal, price: Decimal, source: Observation) -> Decimal:
        """price x spread / 200 on a bar."""
        return ZERO if isinstance(source, Quote) else price * self.spread_percent / 200

    def room(self, source: Observation) -> Decimal | None:
        """No limit."""
        return None


@dataclass(frozen=True, slots=True)
class VolumeShareSlippage:
    """At most `cap` of a bar's volume fills; the price moves with the square of our share.

    shift = price x impact x (quantity / volume)^2, the model of zipline's VolumeShareSlippage
    (there with a cap of 0.025 and an impact of 0.1). Larger orders fill over several bars.
    """

    cap: Decimal = Decimal("0.025")
    impact: Decimal = Decimal("0.1")

    def __post_init__(self) -> None:
        _read(self, "cap", "cap of slippage")
        _read(self, "impact", "impact of slippage")
        if not 0 < self.cap <= 1:
            raise ConfigError(f"cap of slippage is {self.cap}, but must be above 0 and at most 1.")
        if self.impact * self.cap * self.cap >= 1:
            raise ConfigError(
                f"impact of slippage is {self.impact} with a cap of {self.cap}, but impact x cap x "
                "cap must be below 1, else the largest sales fill at no price."
            )

    def shift(self, quantity: Decimal, price: Decimal, source: Observation) -> Decimal:
        """price x impact x share squared; zero on quotes."""
        if not isinstance(source, Bar) or source.volume <= 0:
            return ZERO
        share = quantity / exact(source.volume)
        return price * self.impact * share * share

    def room(self, source: Observation) -> Decimal | None:
        """cap x volume on bars, no limit on quotes."""
        if not isinstance(source, Bar):
            return None
        return exact(source.volume) * self.cap if source.volume > 0 else ZERO


NO_COSTS = NoCosts()
NO_SLIPPAGE = NoSlippage()


def slipped(price: Decimal, shift: Decimal, is_buy: bool, tick: Decimal | None) -> Decimal:
    """The price after slippage, rounded to the tick against us (to 1e-8 without a tick)."""
    worse = price + shift if is_buy else max(price - shift, ZERO)
    step = tick or Decimal("1e-8")
    return round_to(worse, step, ROUND_CEILING if is_buy else ROUND_FLOOR)


def _read(model: object, field: str, name: str, below: int | None = None) -> None:
    """Make a field an exact number, not negative, and below a bound or else at most 1e15.

    `name` is what a config file and the command line call it.
    """
    number = to_decimal(getattr(model, field), name)
    if number < 0:
        raise ConfigError(f"{name} is {number}, but must not be negative.")
    if below is not None and number >= below:
        raise ConfigError(f"{name} is {number}, but must be below {below}.")
    if number > LARGEST:
        raise ConfigError(f"{name} is {number}, but must be at most {LARGEST}.")
    object.__setattr__(model, field, number)
