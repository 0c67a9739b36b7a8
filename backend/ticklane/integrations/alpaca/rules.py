"""What Alpaca takes in an asset, as OrderRules: so paper refuses what the account would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.order import OrderClass, OrderType, TimeInForce
from ticklane.integrations.alpaca.convert import read_number, read_symbol

_ONE: Final = Decimal(1)
_CENT: Final = Decimal("0.01")
_FRACTION_LOT: Final = Decimal("0.000000001")
_SECOND: Final = 1_000_000_000
_DAY_OR_GTC: Final = frozenset({TimeInForce.DAY, TimeInForce.GTC})
STOCK_CALENDAR: Final = "XNYS"
MANY: Final = 60  # symbols: more requests than that would eat up the minute's budget


def instrument_of(asset: Mapping[str, Any]) -> Instrument:
    """The instrument of an asset as `GET /v2/assets/SYMBOL` describes it."""
    is_tradable = bool(asset.get("tradable")) and asset.get("status", "active") == "active"
    symbol = read_symbol(asset["symbol"])
    if asset.get("class", asset.get("asset_class")) == "crypto":
        return Instrument(symbol=symbol, calendar="24/7", rules=_coin_rules(asset, is_tradable))
    return Instrument(
        symbol=symbol, calendar=STOCK_CALENDAR, rules=_stock_rules(asset, is_tradable)
    )


def _stock_rules(asset: Mapping[str, Any], is_tradable: bool) -> OrderRules:
    is_fractionable = bool(asset.get("fractionable"))
    return OrderRules(
        is_tradable=is_tradable,
        can_short=bool(asset.get("shortable")) and bool(asset.get("easy_to_borrow", True)),
        can_flip=False,
        tick=_CENT,
        fine_tick=Decimal("0.0001"),
        fine_below=_ONE,
        lot=_FRACTION_LOT if is_fractionable else _ONE,
        whole=_ONE,
        minimum_notional=_ONE,
        fraction_times_in_force=frozenset({TimeInForce.DAY}),
        fraction_types=frozenset(OrderType) - {OrderType.TRAILING_STOP},
        fraction_classes=frozenset({OrderClass.SIMPLE}),
        class_times_in_force=_DAY_OR_GTC,
        needs_both_exits=True,
        opg_cutoff_ns=2 * 60 * _SECOND,
        cls_cutoff_ns=10 * 60 * _SECOND,
    )


def _coin_rules(asset: Mapping[str, Any], is_tradable: bool) -> OrderRules:
    return OrderRules(
        is_tradable=is_tradable,
        can_short=False,
        can_flip=False,
        tick=_maybe(asset.get("price_increment")),
        lot=_maybe(asset.get("min_trade_increment")) or _FRACTION_LOT,
        minimum_quantity=_maybe(asset.get("min_order_size")),
        minimum_notional=_ONE,
        times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT}),
        classes=frozenset({OrderClass.SIMPLE}),
    )


def _maybe(value: Any) -> Decimal | None:
    return None if value in (None, "") else read_number(value)
