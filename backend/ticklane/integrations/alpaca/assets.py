"""Assets: what Alpaca says about symbols, one by one or, for many, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ticklane.core.errors import BrokerError
from ticklane.core.instrument import Instrument
from ticklane.integrations.alpaca.api import Api, Unread
from ticklane.integrations.alpaca.convert import read_symbol
from ticklane.integrations.alpaca.rules import MANY, instrument_of

_KINDS: Final = ("us_equity", "crypto")


class Assets:
    """Finds the instruments of symbols."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._listed: dict[str, Mapping[str, Any]] = {}

    async def prepare(self, count: int) -> None:
        """So many will be asked for: many are read in one list; raises Unread."""
        for kind in _KINDS if count > MANY else ():
            rows = await self._api.read("/assets", {"asset_class": kind, "status": "active"})
            self._listed |= {read_symbol(row.get("symbol")): row for row in rows}

    async def find(self, symbol: str) -> Instrument:
        """The instrument of a symbol; raises BrokerError for what cannot be traded, and Unread."""
        asset = self._listed.get(symbol) or await self._ask(symbol)
        if asset is None:
            raise BrokerError(f"Alpaca does not know the symbol {symbol}; check how it is written.")
        found = instrument_of(asset)
        if not found.rules.is_tradable:
            raise BrokerError(f"{symbol} cannot be traded at Alpaca; choose another symbol.")
        return found

    async def _ask(self, symbol: str) -> Mapping[str, Any] | None:
        name = symbol.replace("/", "%2F")
        try:
            asset: Mapping[str, Any] = await self._api.read(f"/assets/{name}", needs="symbol")
        except Unread as error:
            if error.reply.status in (404, 422):
                return None
            raise
        return asset
