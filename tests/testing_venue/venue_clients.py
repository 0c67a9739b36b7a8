"""alpaca-py's own clients against a local venue, and small makers of requests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)
from alpaca.trading.stream import TradingStream

from ticklane.core.market import Bar, to_ns
from ticklane.testing.venue import LocalVenue

KEYS = ("key", "secret")
HEADERS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
_PATIENCE = 10.0

_KINDS = {
    "market": MarketOrderRequest,
    "limit": LimitOrderRequest,
    "stop": StopOrderRequest,
    "stop_limit": StopLimitOrderRequest,
    "trailing_stop": TrailingStopOrderRequest,
}


def a_client(venue: LocalVenue, **more: Any) -> TradingClient:
    """alpaca-py's client, which gives up at once instead of sleeping and trying again."""
    client = TradingClient(*KEYS, url_override=venue.url, **more)
    client._retry = 0
    client._session.request = partial(client._session.request, timeout=_PATIENCE)
    return client


def wish(kind: str = "market", side: str = "buy", qty: Any = 10, **terms: Any) -> Any:
    """A request as alpaca-py makes it; for the day unless it is said otherwise."""
    target, stop = terms.pop("target", None), terms.pop("stop", None)
    if target is not None:
        terms["take_profit"] = TakeProfitRequest(limit_price=target)
    if stop is not None:
        given = stop if isinstance(stop, tuple) else (stop, None)
        terms["stop_loss"] = StopLossRequest(stop_price=given[0], limit_price=given[1])
    if "notional" not in terms:
        terms["qty"] = qty
    given = {"symbol": "AAPL", "side": side, "time_in_force": "day", **terms}
    return _KINDS[kind](**given)


def order(client: TradingClient, *how: Any, **terms: Any) -> Order:
    """Submit one and see how it stands afterwards."""
    return again(client, client.submit_order(wish(*how, **terms)))


def again(client: TradingClient, before: Order) -> Order:
    """The same order as the venue shows it now."""
    return client.get_order_by_id(before.id)


def raw(venue: LocalVenue, method: str, path: str, **more: Any) -> requests.Response:
    """A request by hand."""
    headers = more.pop("headers", HEADERS)
    return requests.request(method, venue.url + path, headers=headers, timeout=_PATIENCE, **more)


def refused(venue: LocalVenue, **body: Any) -> tuple[int, int, str]:
    """Status, code and message of an order that is not taken."""
    given = {"symbol": "AAPL", "side": "buy", "type": "market", "time_in_force": "day", **body}
    kept = {name: value for name, value in given.items() if value is not None}
    answer = raw(venue, "POST", "/v2/orders", json=kept)
    assert answer.status_code >= 400, answer.text
    told = answer.json()
    return answer.status_code, told["code"], told["message"]


def message_of(error: APIError) -> str:
    """The venue's words in alpaca-py's error."""
    return str(error.message)


def a_bar_of(symbol: str, opens: str, closes: str, *prices: float) -> Bar:
    """A bar between two instants in ISO form: open, high, low, close."""
    from datetime import datetime

    first, last = (to_ns(datetime.fromisoformat(text)) for text in (opens, closes))
    return Bar(symbol, first, last, *prices, 1_000.0)


class Updates:
    """What a TradingStream hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._more = asyncio.Event()

    async def take(self, update: Any) -> None:
        self.heard.append(update)
        self._more.set()

    async def until(self, event: str, times: int = 1) -> list[Any]:
        """Wait until an event was heard so often; all updates so far."""
        async with asyncio.timeout(_PATIENCE):
            while self.events.count(event) < times:
                self._more.clear()
                await self._more.wait()
        return self.heard

    @property
    def events(self) -> list[str]:
        """The names of the events, oldest first."""
        return [str(getattr(one.event, "value", one.event)) for one in self.heard]


@asynccontextmanager
async def listening(venue: LocalVenue) -> Any:
    """alpaca-py's TradingStream, unmodified, connected and listening."""
    stream, updates = TradingStream(*KEYS, url_override=venue.stream_url), Updates()
    stream._reconnect_min_backoff = 0.01
    stream.subscribe_trade_updates(updates.take)
    running = asyncio.create_task(stream._run_forever())
    try:
        await heard_by(venue, 1)
        yield updates
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await stream.close()


async def heard_by(venue: LocalVenue, count: int) -> None:
    """Wait until so many connections listen."""
    await asyncio.to_thread(venue.wait_for, lambda: venue.trade_streams.listeners >= count)
