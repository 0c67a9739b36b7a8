"""The account, its positions and its past as Alpaca's JSON shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ticklane.core.market import to_datetime
from ticklane.core.money import ZERO, exact, plain
from ticklane.core.order import Side
from ticklane.testing.venue.guards import held_for_orders
from ticklane.testing.venue.listed import stamp

if TYPE_CHECKING:
    from ticklane.testing.venue.exchange import Exchange

_RATE = Decimal("1e-10")


def account(exchange: Exchange) -> dict[str, Any]:
    """The answer of `GET /v2/account`."""
    own, flags = exchange.account, exchange.flags
    worth = [own.value_of(symbol) for symbol in own.positions]
    long_value, short_value = (
        sum((value for value in worth if (value > 0) is is_long), ZERO) for is_long in (True, False)
    )
    power, equity = max(own.free_cash(), ZERO), own.equity
    initial = (long_value - short_value) / own.multiplier
    return {
        "id": flags.id,
        "account_number": flags.account_number,
        "status": flags.status,
        "crypto_status": flags.crypto_status,
        "currency": "USD",
        "buying_power": plain(power),
        "regt_buying_power": plain(power),
        "daytrading_buying_power": plain(power),
        "effective_buying_power": plain(power),
        "non_marginable_buying_power": plain(max(min(own.cash - own.reserved, power), ZERO)),
        "options_buying_power": "0",
        "bod_dtbp": "0",
        "cash": plain(own.cash),
        "accrued_fees": "0",
        "portfolio_value": plain(equity),
        "pattern_day_trader": flags.pattern_day_trader,
        "trading_blocked": flags.trading_blocked,
        "transfers_blocked": flags.transfers_blocked,
        "account_blocked": flags.account_blocked,
        "created_at": stamp(flags.created_ns),
        "trade_suspended_by_user": flags.is_suspended,
        "multiplier": str(own.multiplier),
        "shorting_enabled": own.allow_short and not flags.configurations["no_shorting"],
        "equity": plain(equity),
        "last_equity": plain(exchange.past.last_equity),
        "long_market_value": plain(long_value),
        "short_market_value": plain(short_value),
        "position_market_value": plain(long_value - short_value),
        "initial_margin": plain(initial),
        "maintenance_margin": plain((long_value - short_value) * 3 / 10),
        "last_maintenance_margin": "0",
        "sma": "0",
        "daytrade_count": flags.daytrade_count,
        "balance_asof": to_datetime(exchange.now_ns()).date().isoformat(),
        "crypto_tier": 1,
        "options_approved_level": 0,
        "options_trading_level": 0,
        "intraday_adjustments": "0",
        "pending_reg_taf_fees": "0",
    }


def positions(exchange: Exchange) -> list[dict[str, Any]]:
    """The answer of `GET /v2/positions`."""
    held = [symbol for symbol, quantity in exchange.account.positions.items() if quantity]
    return [position(exchange, symbol) for symbol in sorted(held)]


def position(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """One position; coins are named without the slash."""
    asset, quantity = exchange.find_asset(symbol), exchange.held(symbol)
    assert asset is not None
    holding = exchange.holdings[symbol]
    price = exact(exchange.price(symbol) or 0.0)
    before = exchange.past.closing_price(symbol) or price
    worth, cost = quantity * price, holding.cost
    closing = Side.SELL if quantity > 0 else Side.BUY
    available = abs(quantity) - held_for_orders(exchange, symbol, closing)
    is_from_today = exchange.hours.is_same_day(holding.opened_ns, exchange.now_ns())
    base = cost if is_from_today else quantity * before
    return {
        "asset_id": asset.id,
        "symbol": asset.position_symbol,
        "exchange": asset.exchange,
        "asset_class": asset.asset_class,
        "asset_marginable": not asset.is_crypto,
        "qty": plain(quantity),
        "qty_available": plain(available if quantity > 0 else -available),
        "avg_entry_price": plain(round(holding.average_price, 9)),
        "side": "long" if quantity > 0 else "short",
        "market_value": plain(worth),
        "cost_basis": plain(cost),
        "unrealized_pl": plain(worth - cost),
        "unrealized_plpc": _rate(worth - cost, cost),
        "unrealized_intraday_pl": plain(worth - base),
        "unrealized_intraday_plpc": _rate(worth - base, base),
        "current_price": plain(price),
        "lastday_price": plain(before),
        "change_today": _rate(price - before, before),
    }


def _rate(change: Decimal, base: Decimal) -> str:
    return plain((change / abs(base)).quantize(_RATE)) if base else "0"
