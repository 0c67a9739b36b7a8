"""How symbols are written: `BTC/USD`, `BTCUSD` and `btc-usd` are one instrument."""

from __future__ import annotations

import re

from ticklane.core.errors import ConfigError

# What crypto is quoted in; a symbol without a slash that ends in one of these is crypto only when
# what stands before it is a known coin, since a stock may end in the same letters.
QUOTED_IN = ("USDT", "USDC", "USDG", "USD", "BTC")
COINS = frozenset(
    "AAVE ADA ARB AVAX BAT BCH BONK BTC CRV DOGE DOT ETH FIL GRT HYPE LDO LINK LTC MATIC MKR ONDO "
    "PAXG PEPE POL RENDER SHIB SKY SOL SUSHI TRUMP UNI USDC USDG USDT WIF XRP XTZ YFI".split()
)
_PAIR = re.compile(r"([A-Z0-9]{2,12})[/\-_]([A-Z]{3,5})")
_STOCK = re.compile(r"[A-Z][A-Z0-9]{0,9}(?:[.\-/][A-Z]{1,4})?")


def normal_symbol(text: str) -> str:
    """The one way to write a symbol: upper case, crypto as `BTC/USD`.

    Raises ConfigError for a text that cannot be a symbol.
    """
    symbol = str(text).strip().upper()
    pair = _PAIR.fullmatch(symbol)
    if pair is not None and pair[2] in QUOTED_IN:
        return f"{pair[1]}/{pair[2]}"
    joined = _split(symbol)
    if joined is not None:
        return joined
    if not _STOCK.fullmatch(symbol):
        raise ConfigError(
            f"symbol is {text!r}, but must be letters and digits such as AAPL, BRK.B or BTC/USD."
        )
    return symbol


def is_crypto(symbol: str) -> bool:
    """True for a pair such as `BTC/USD`, however it is written."""
    _, slash, quoted = normal_symbol(symbol).partition("/")
    return bool(slash) and quoted in QUOTED_IN


def _split(symbol: str) -> str | None:
    """`BTCUSD` as `BTC/USD`; None for what is no pair of a known coin."""
    for quoted in QUOTED_IN:
        coin = symbol.removesuffix(quoted)
        if coin != symbol and coin in COINS and coin != quoted:
            return f"{coin}/{quoted}"
    return None
