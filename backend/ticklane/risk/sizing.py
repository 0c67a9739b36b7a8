"""How much to trade when a strategy does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from ticklane.core.errors import ConfigError
from ticklane.core.money import to_cash, to_positive


class Sizing(Protocol):
    """Gives a quantity, or an amount of money that is turned into one at the fill price."""

    def size(self, equity: Callable[[], Decimal]) -> tuple[Decimal | None, Decimal | None]:
        """Quantity or notional, the other None; `equity` gives that of the strategy's own book."""
        ...


@dataclass(frozen=True, slots=True)
class FixedQuantity:
    """Always the same number of shares or coins."""

    quantity: Decimal

    def __post_init__(self) -> None:
        _positive(self, "quantity")

    def size(self, equity: Callable[[], Decimal]) -> tuple[Decimal | None, Decimal | None]:
        """The quantity."""
        return self.quantity, None


@dataclass(frozen=True, slots=True)
class FixedNotional:
    """Always the same amount of money."""

    notional: Decimal

    def __post_init__(self) -> None:
        _positive(self, "notional")

    def size(self, equity: Callable[[], Decimal]) -> tuple[Decimal | None, Decimal | None]:
        """The notional."""
        return None, self.notional


@dataclass(frozen=True, slots=True)
class PercentOfEquity:
    """So many percent of the equity of the strategy's own book; leave room for fees."""

    percent: Decimal

    def __post_init__(self) -> None:
        _positive(self, "percent")
        if self.percent > 100:
            raise ConfigError(f"percent of sizing is {self.percent}, but must be at most 100.")

    def size(self, equity: Callable[[], Decimal]) -> tuple[Decimal | None, Decimal | None]:
        """equity x percent / 100."""
        return None, to_cash(equity() * self.percent / 100)


_KINDS: dict[str, Callable[[Any], Sizing]] = {
    "quantity": FixedQuantity,
    "notional": FixedNotional,
    "percent": PercentOfEquity,
}


def read_sizing(given: Sizing | Mapping[str, Any] | None) -> Sizing | None:
    """Read `{"quantity": 10}`, `{"notional": 5000}` or `{"percent": 20}`; a Sizing stays one."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        if not callable(getattr(given, "size", None)):
            raise ConfigError(_no_sizing(repr(given)))
        return given
    if len(given) != 1 or next(iter(given)) not in _KINDS:
        shown = ", ".join(f"{kind}={value}" for kind, value in given.items())
        raise ConfigError(_no_sizing(shown or "empty"))
    [(kind, value)] = given.items()
    return _KINDS[kind](value)


def _no_sizing(given: str) -> str:
    return (
        f"sizing is {given}, but must be one of quantity, notional or percent with its number, "
        'such as {"percent": 20}.'
    )


def _positive(model: object, field: str) -> None:
    object.__setattr__(model, field, to_positive(getattr(model, field), f"{field} of sizing"))
