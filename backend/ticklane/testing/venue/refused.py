"""What Alpaca answers when it does not do something: status, code and message."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ticklane.core.money import plain

FORBIDDEN = 40310000
DAY_TRADES = 40310100
NOT_FOUND = 40410000
INVALID = 42210000
MALFORMED = 40010001


class Refused(Exception):
    """A refusal with the HTTP status and the body that the client gets."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message, **more}


def forbidden(message: str, **more: Any) -> Refused:
    """403: understood and not allowed."""
    return Refused(403, FORBIDDEN, message, **more)


def invalid(message: str, **more: Any) -> Refused:
    """422: an order that cannot be."""
    return Refused(422, INVALID, message, **more)


def malformed(message: str) -> Refused:
    """422: a request whose fields cannot be read."""
    return Refused(422, MALFORMED, message)


def not_found(message: str) -> Refused:
    """404: nothing of that name."""
    return Refused(404, NOT_FOUND, message)


def no_buying_power(buying_power: Decimal, cost: Decimal) -> Refused:
    """403: the money is not enough."""
    return forbidden(
        "insufficient buying power",
        buying_power=plain(round(buying_power, 2)),
        cost_basis=plain(round(cost, 2)),
    )


def no_quantity(symbol: str, asked: Decimal, held: Decimal, available: Decimal) -> Refused:
    """403: what is held, less what other orders hold, is not enough."""
    return forbidden(
        f"insufficient qty available for order (requested: {plain(asked)}, "
        f"available: {plain(available)})",
        available=plain(available),
        existing_qty=plain(held),
        held_for_orders=plain(held - available),
        symbol=symbol,
    )


def no_coins(symbol: str, asked: Decimal, available: Decimal) -> Refused:
    """403: the same for coins."""
    coin = symbol.partition("/")[0]
    return forbidden(
        f"insufficient balance for {coin} (requested: {plain(asked)}, "
        f"available: {plain(available)})",
        available=plain(available),
        balance=plain(available),
        symbol=coin,
    )
