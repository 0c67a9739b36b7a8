"""Prices of crypto at Alpaca."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ticklane.core.errors import DataError
from ticklane.core.symbols import is_crypto, normal_symbol
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.market_stream import Address, MarketStream
from ticklane.integrations.alpaca.stocks import AlpacaStockData


class AlpacaCryptoData(AlpacaStockData):
    """History, newest prices and streams of crypto pairs such as `BTC/USD`; open at all times."""

    _kind = "crypto"
    _folder = "/crypto/us"

    def __init__(self, account: AlpacaAccount, **options: Any) -> None:
        super().__init__(account, **options)

    @property
    def name(self) -> str:
        """What stands beside these prices."""
        return "ALPACA CRYPTO"

    @property
    def history_delay_ns(self) -> int:
        """Nothing of coins is delayed."""
        return 0

    def stream(self, symbols: Sequence[str], **callbacks: Any) -> MarketStream:
        """A subscription; of coins nobody tells halts, nor what becomes of a trade later."""
        callbacks.pop("on_status", None)
        return super().stream(symbols, **callbacks)

    def _own(self, symbol: str) -> str:
        name = normal_symbol(symbol)
        if not is_crypto(name):
            raise DataError(f"symbol is {symbol!r}, which is no crypto pair; ask AlpacaStockData.")
        return name

    def _terms(self) -> dict[str, Any]:
        return {}

    def _latest_terms(self) -> dict[str, Any]:
        return {}

    def _address(self) -> Address:
        account = self._account
        return Address(account.crypto_stream_url, account.key, account.secret)

    def _latest_path(self, what: str) -> str:
        return f"{self._folder}/latest/{what}"
