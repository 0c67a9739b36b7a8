"""What can be traded at the local venue, as Alpaca lists it, and the rules our own venue obeys."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.money import plain
from ticklane.core.order import OrderClass, OrderType, TimeInForce

_STOCKS = {
    "AAPL": ("Apple Inc. Common Stock", "NASDAQ"),
    "AMZN": ("Amazon.com, Inc. Common Stock", "NASDAQ"),
    "GOOGL": ("Alphabet Inc. Class A Common Stock", "NASDAQ"),
    "IBM": ("International Business Machines Corporation", "NYSE"),
    "META": ("Meta Platforms, Inc. Class A Common Stock", "NASDAQ"),
    "MSFT": ("Microsoft Corporation Common Stock", "NASDAQ"),
    "NVDA": ("NVIDIA Corporation Common Stock", "NASDAQ"),
    "QQQ": ("Invesco QQQ Trust, Series 1", "NASDAQ"),
    "SPY": ("SPDR S&P 500 ETF Trust", "ARCA"),
    "TSLA": ("Tesla, Inc. Common Stock", "NASDAQ"),
}
_COINS = {
    "BTC/USD": ("Bitcoin / US Dollar", "0.000000001", "0.01"),
    "ETH/USD": ("Ethereum / US Dollar", "0.000000001", "0.01"),
    "SOL/USD": ("Solana / US Dollar", "0.000000001", "0.0001"),
    "DOGE/USD": ("Dogecoin / US Dollar", "0.000000001", "0.00000001"),
}
_LOT = Decimal("0.000000001")
_CRYPTO_RULES = OrderRules(
    lot=_LOT,
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
    types=frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT}),
    classes=frozenset({OrderClass.SIMPLE}),
    can_flip=False,
)


def normal_symbol(text: str, known: dict[str, Asset]) -> str:
    """`BTCUSD` and `btc/usd` are `BTC/USD`; everything else is itself in capitals."""
    name = text.strip().upper()
    if name in known or "/" in name:
        return name
    return next((s for s in known if "/" in s and s.replace("/", "") == name), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One thing that can be traded, and what Alpaca says about it."""

    symbol: str
    name: str = ""
    exchange: str = "NASDAQ"
    is_tradable: bool = True
    is_fractionable: bool = True
    is_shortable: bool = True
    price_increment: Decimal | None = None

    @property
    def is_crypto(self) -> bool:
        """Coins are named with a slash."""
        return "/" in self.symbol

    @property
    def id(self) -> str:
        """The same id for the same symbol, always."""
        return str(uuid5(NAMESPACE_DNS, f"{self.symbol}.venue.ticklane"))

    @property
    def asset_class(self) -> str:
        """`us_equity` or `crypto`."""
        return "crypto" if self.is_crypto else "us_equity"

    @property
    def position_symbol(self) -> str:
        """How positions name it: coins without the slash."""
        return self.symbol.replace("/", "")

    def instrument(self, calendar: str | None) -> Instrument:
        """The instrument that our own venue trades."""
        if self.is_crypto:
            return Instrument(symbol=self.symbol, calendar="24/7", rules=_CRYPTO_RULES)
        rules = OrderRules(
            lot=_LOT if self.is_fractionable else Decimal(1),
            can_flip=False,
            opg_cutoff_ns=120_000_000_000,
            cls_cutoff_ns=600_000_000_000,
        )
        return Instrument(symbol=self.symbol, calendar=calendar, rules=rules)

    def public(self) -> dict[str, Any]:
        """As `GET /v2/assets` shows it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "class": self.asset_class,
            "exchange": self.exchange,
            "symbol": self.symbol,
            "name": self.name or self.symbol,
            "status": "active",
            "tradable": self.is_tradable,
            "marginable": not self.is_crypto,
            "maintenance_margin_requirement": 100 if self.is_crypto else 30,
            "margin_requirement_long": "100" if self.is_crypto else "30",
            "margin_requirement_short": "100" if self.is_crypto else "30",
            "shortable": self.is_shortable and not self.is_crypto,
            "easy_to_borrow": self.is_shortable and not self.is_crypto,
            "fractionable": self.is_fractionable,
            "attributes": [] if self.is_crypto else ["fractional_eh_enabled"],
        }
        if self.is_crypto:
            shown["min_order_size"] = plain(_LOT)
            shown["min_trade_increment"] = plain(_LOT)
            shown["price_increment"] = plain(self.price_increment or _LOT)
        return shown


def asset_named(symbol: str) -> Asset:
    """An asset for a symbol that nobody has described."""
    if "/" in symbol:
        return Asset(symbol=symbol, exchange="CRYPTO", is_shortable=False, price_increment=_LOT)
    return Asset(symbol=symbol)


def usual_assets() -> dict[str, Asset]:
    """Some stocks and coins that everybody knows."""
    stocks = [Asset(symbol=s, name=n, exchange=e) for s, (n, e) in _STOCKS.items()]
    coins = [
        Asset(
            symbol=symbol,
            name=name,
            exchange="CRYPTO",
            is_shortable=False,
            price_increment=Decimal(tick),
        )
        for symbol, (name, _, tick) in _COINS.items()
    ]
    return {asset.symbol: asset for asset in (*stocks, *coins)}
