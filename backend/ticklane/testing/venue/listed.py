"""An order as Alpaca knows and shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ticklane.core.money import ZERO, plain
from ticklane.core.order import Order, OrderType, Side
from ticklane.testing.venue.assets import Asset

OPEN_STATES = frozenset(
    {
        "new",
        "accepted",
        "pending_new",
        "partially_filled",
        "held",
        "pending_cancel",
        "pending_replace",
        "done_for_day",
        "accepted_for_bidding",
        "stopped",
        "suspended",
        "calculated",
    }
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PRICE_STEP = Decimal("1e-9")


def stamp(at_ns: int | None) -> str | None:
    """An instant as Alpaca writes it, to the nanosecond."""
    if at_ns is None:
        return None
    seconds, rest = divmod(at_ns, 1_000_000_000)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{rest:09d}".rstrip("0")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"


def number(value: Decimal | None) -> str | None:
    """A quantity or price as text, null where there is none."""
    return None if value is None else plain(value)


class ListedOrder:
    """One order of the account: what was asked, and what has come of it."""

    def __init__(self, order: Order, asset: Asset, client_order_id: str, number: int) -> None:
        self.order = order
        self.asset = asset
        self.client_order_id = client_order_id
        self.number = number  # in the order in which they came
        self.qty: Decimal | None = order.quantity if order.notional is None else None
        self.size = order.quantity  # to be filled; an amount of money has none before its fill
        self.filled_qty = ZERO
        self.filled_amount = ZERO
        self.status = "pending_new"
        self.is_extended = False
        self.intent: str | None = None
        self.legs: list[ListedOrder] = []
        self.parent: ListedOrder | None = None
        self.replaces: str | None = None
        self.replaced_by: str | None = None
        self.hwm: float | None = None
        self.expires_ns: int | None = None
        self.at_ns: dict[str, int] = dict.fromkeys(_BORN, order.created_ns)
        self.reason = ""

    @property
    def id(self) -> str:
        """The venue's id of it."""
        return self.order.id

    @property
    def symbol(self) -> str:
        """What it trades."""
        return self.order.symbol

    @property
    def is_buy(self) -> bool:
        """Which way it trades."""
        return self.order.side is Side.BUY

    @property
    def is_open(self) -> bool:
        """True while it may still trade."""
        return self.status in OPEN_STATES

    @property
    def average_price(self) -> Decimal | None:
        """What its fills cost on average."""
        if not self.filled_qty:
            return None
        return (self.filled_amount / self.filled_qty).quantize(_PRICE_STEP).normalize()

    def step(self, status: str, at_ns: int, stamped: str | None = None) -> None:
        """Reach a state; `stamped` names the time field that goes with it."""
        self.status = status
        self.at_ns["updated_at"] = at_ns
        if stamped is not None:
            self.at_ns[stamped] = at_ns

    def public(self, is_nested: bool = True) -> dict[str, Any]:
        """As `/v2/orders` shows it, its legs with it where that is asked."""
        order, asset = self.order, self.asset
        stop = order.stop_price
        if order.type is OrderType.TRAILING_STOP and self.hwm is not None:
            stop = self._trailing_stop()
        legs = [leg.public() for leg in self.legs] if is_nested and self.legs else None
        return {
            "id": self.id,
            "client_order_id": self.client_order_id,
            **{name: stamp(self.at_ns.get(name)) for name in _TIMES},
            "expires_at": stamp(self.expires_ns),
            "replaced_by": self.replaced_by,
            "replaces": self.replaces,
            "asset_id": asset.id,
            "symbol": asset.symbol,
            "asset_class": asset.asset_class,
            "notional": number(order.notional),
            "qty": number(self.qty),
            "filled_qty": plain(self.filled_qty),
            "filled_avg_price": number(self.average_price),
            "order_class": "" if order.order_class == "simple" else str(order.order_class),
            "order_type": str(order.type),
            "type": str(order.type),
            "side": str(order.side),
            "position_intent": self.intent,
            "time_in_force": str(order.time_in_force),
            "limit_price": number(order.limit_price),
            "stop_price": number(stop),
            "status": self.status,
            "extended_hours": self.is_extended,
            "legs": legs,
            "trail_percent": number(order.trail_percent),
            "trail_price": number(order.trail_amount),
            "hwm": None if self.hwm is None else repr(self.hwm),
            "subtag": None,
            "source": None,
        }

    def _trailing_stop(self) -> Decimal:
        mark, order = Decimal(repr(self.hwm)), self.order
        distance = order.trail_amount
        if distance is None:
            distance = mark * (order.trail_percent or ZERO) / 100
        stop = mark + distance if self.is_buy else mark - distance
        return stop.quantize(Decimal("0.01"))


_BORN = ("created_at", "updated_at", "submitted_at")
_TIMES = (
    *_BORN,
    "filled_at",
    "expired_at",
    "canceled_at",
    "failed_at",
    "replaced_at",
)
