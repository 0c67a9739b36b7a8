"""Orders, their states and legal steps (the table of orders.md), and fills."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from ticklane.core.errors import IllegalStep
from ticklane.core.market import Observation, to_datetime
from ticklane.core.money import ZERO, plain
from ticklane.core.plain_tuple import maker_of


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """When and at which price an order may trade."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """How long an order lives."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"
    CLS = "cls"


class OrderClass(StrEnum):
    """How orders hang together."""

    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"


class OrderStatus(StrEnum):
    """Where an order stands; venue states come from venue evidence only."""

    DENIED = "DENIED"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    QUARANTINED = "QUARANTINED"
    NOT_SENT = "NOT_SENT"
    ACKED = "ACKED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    REPLACED = "REPLACED"


_S = OrderStatus
_VENUE = frozenset(
    {_S.ACKED, _S.PARTIAL, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.REPLACED}
)
_LATE = frozenset({_S.PARTIAL, _S.FILLED})
LEGAL_STEPS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.SENDING: (_VENUE - {_S.REPLACED}) | {_S.UNKNOWN},
    _S.UNKNOWN: _VENUE | {_S.SENDING, _S.QUARANTINED},
    _S.QUARANTINED: _VENUE | {_S.NOT_SENT},
    _S.NOT_SENT: _VENUE,
    _S.ACKED: _VENUE - {_S.ACKED},
    _S.PARTIAL: _VENUE - {_S.ACKED},
    _S.FILLED: _LATE,
    _S.CANCELED: _LATE,
    _S.EXPIRED: _LATE,
    _S.REJECTED: _LATE,
    _S.REPLACED: _LATE,
    _S.DENIED: frozenset(),
}
TERMINAL = frozenset(
    {_S.DENIED, _S.NOT_SENT, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.REPLACED}
)


class Refusal(NamedTuple):
    """Why something is not done: a stable code for programs and a sentence for people."""

    code: str
    sentence: str


class Order:
    """One order and its present summary; its history is the journal of its OrderEvents.

    Strategies and listeners read it; only the desk moves it, by `advance`. `quantity` is zero
    while an order sized by `notional` has not filled. Quantities and prices are Decimals.
    """

    # What most orders never change stands here once, so that making an order stays cheap.
    broker_order_id: str | None = None
    type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.GTC
    status: OrderStatus = OrderStatus.SENDING
    filled_quantity: Decimal = ZERO  # unsigned
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    order_class: OrderClass = OrderClass.SIMPLE
    parent_id: str | None = None
    replaces_id: str | None = None
    legs: tuple[Order, ...] = ()  # sent together with this order
    tag: str = ""  # the strategy's own words for why
    reason: str = ""  # why it was denied, rejected, cancelled or expired
    reason_code: str = ""
    is_cancel_pending: bool = False
    valid_until_ns: int | None = None  # not to be sent later; None: as long as nobody cancels it
    executions: tuple[str, ...] = ()  # the ids of those booked, so that none counts twice

    def __init__(
        self, id: str, strategy: str, symbol: str, side: Side, quantity: Decimal, created_ns: int
    ) -> None:
        self.id = self.client_order_id = id
        self.strategy = strategy
        self.symbol = symbol
        self.side = side
        self.quantity = quantity
        self.created_ns = created_ns

    @property
    def created_at(self) -> datetime:
        """The instant of the decision, aware UTC."""
        return to_datetime(self.created_ns)

    @property
    def remaining(self) -> Decimal:
        """What is still to be filled."""
        return self.quantity - self.filled_quantity

    @property
    def is_open(self) -> bool:
        """True while the order may still trade, as far as we know."""
        return self.status not in TERMINAL

    def advance(self, status: OrderStatus, reason: Refusal | None = None) -> None:
        """Take one legal step; raises IllegalStep for any other."""
        if status not in LEGAL_STEPS[self.status]:
            raise IllegalStep(f"order {self.id} cannot step from {self.status} to {status}.")
        self.status = status
        if reason is not None:
            self.reason_code, self.reason = reason

    def __repr__(self) -> str:
        size = f"notional {self.notional}" if self.notional and not self.quantity else self.quantity
        return f"<Order {self.id} {self.side} {size} {self.symbol} {self.type} {self.status}>"


class Fill(NamedTuple):
    """One execution of an order, or of a part of it, and why it has this price.

    `quantity` is signed: bought is positive. `rule` names the fill rule of semantics.md and
    `source` is the bar or quote that produced the price; `detail` holds the rule's numbers.
    """

    order_id: str
    execution_id: str  # the venue's own; a fill is booked once per execution id
    strategy: str
    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    filled_ns: int  # opening of the bar for a fill at the open, else its close
    rule: str
    seen_ns: int  # the instant of the tick at which the fill became known
    source: Observation | None = None
    fee_asset: str | None = None  # None: the account currency
    detail: str = ""

    @property
    def filled_at(self) -> datetime:
        """The instant of the execution, aware UTC."""
        return to_datetime(self.filled_ns)


class OrderUpdate(NamedTuple):
    """What a venue says about an order: a state it reached, or an execution."""

    order_id: str
    status: OrderStatus | None  # None: the fill decides between PARTIAL and FILLED
    at_ns: int
    fill: Fill | None = None
    reason: Refusal | None = None
    broker_order_id: str | None = None
    quantity: Decimal | None = None  # the size, where the venue decided it (notional orders)


make_fill, make_update = maker_of(Fill), maker_of(OrderUpdate)


class OrderEvent(NamedTuple):
    """One line of the append-only journal: an order's step and the evidence for it."""

    order_id: str
    from_status: OrderStatus | None
    to_status: OrderStatus
    at_ns: int
    evidence: str


def public(order: Order) -> dict[str, Any]:
    """The fields of an order as plain JSON values, for `--json` and exports."""
    names = (
        "id client_order_id broker_order_id strategy symbol side type quantity notional "
        "filled_quantity limit_price stop_price trail_amount trail_percent time_in_force "
        "order_class parent_id status reason_code reason tag"
    ).split()
    values = {name: getattr(order, name) for name in names}
    return {
        **{name: _public_value(value) for name, value in values.items()},
        "created_at": order.created_at.isoformat(),
    }


def _public_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    return str(value) if isinstance(value, StrEnum) else value
