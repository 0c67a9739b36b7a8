"""The data API over HTTP: history with pages, the newest of everything, and snapshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ticklane.core.market import DAY, Bar
from ticklane.testing.venue.data_access import DataAccess
from ticklane.testing.venue.data_pages import Kind, page_of
from ticklane.testing.venue.data_query import (
    NO_SIP,
    Query,
    Refusal,
    read_feed,
    read_query,
    read_symbols,
)
from ticklane.testing.venue.data_rows import (
    Row,
    bar_row,
    book_row,
    quote_row,
    trade_row,
)
from ticklane.testing.venue.market import Market

Answer = Callable[[Request], Awaitable[Response]]
_DAYS_BACK = (2, 7, 366)  # how far back a snapshot looks for the two newest days, step by step
_ONE = {"bars": "bar", "quotes": "quote", "trades": "trade"}


def routes(market: Market, access: DataAccess | None = None) -> list[Route]:
    """The routes of stocks and crypto; more specific ones come first."""
    access = access or DataAccess()
    api = _DataApi(market, access)
    answers = (*_stock_answers(api), *_crypto_answers(api))
    return [Route(path, _refusing(one, access), methods=["GET"]) for path, one in answers]


def _stock_answers(api: _DataApi) -> Iterator[tuple[str, Answer]]:
    yield "/v2/stocks/snapshots", api.snapshots
    for kind in _ONE:
        yield f"/v2/stocks/{kind}/latest", api.latest(kind, False)
        yield f"/v2/stocks/{kind}", api.history(kind, False)
    yield "/v2/stocks/{symbol}/snapshot", api.snapshots
    for kind in _ONE:
        yield f"/v2/stocks/{{symbol}}/{kind}/latest", api.latest(kind, False)
        yield f"/v2/stocks/{{symbol}}/{kind}", api.history(kind, False)


def _crypto_answers(api: _DataApi) -> Iterator[tuple[str, Answer]]:
    top = "/v1beta3/crypto/us"
    yield f"{top}/snapshots", api.crypto_snapshots
    for kind in (*_ONE, "orderbooks"):
        yield f"{top}/latest/{kind}", api.latest(kind, True)
    for kind in _ONE:
        yield f"{top}/{kind}", api.history(kind, True)


def _refusing(answer: Answer, access: DataAccess) -> Answer:
    """Count the request, and turn a Refusal into the body that Alpaca sends."""

    async def handle(request: Request) -> Response:
        try:
            access.count()
            response = await answer(request)
        except Refusal as refusal:
            response = JSONResponse({"message": refusal.message}, refusal.status)
        response.headers.update(access.headers())
        return response

    return handle


class _DataApi:
    """The answers; each is a coroutine function that takes a request."""

    def __init__(self, market: Market, access: DataAccess) -> None:
        self._market = market
        self._access = access

    def history(self, kind: Any, crypto: bool) -> Answer:
        """Bars, quotes or trades from start to end, page by page."""

        async def handle(request: Request) -> Response:
            self._access.check(request.headers, is_public=crypto)
            query = self._query(request, kind, crypto)
            rows, token = await page_of(self._market, kind, query)
            symbol = request.path_params.get("symbol")
            shown: Any = rows if symbol is None else rows.get(symbol)
            named = {} if symbol is None else {"symbol": symbol}
            return JSONResponse({kind: shown, **named, "next_page_token": token})

        return handle

    def _query(self, request: Request, kind: Kind, crypto: bool) -> Query:
        given = request.query_params
        if kind == "bars" and not given.get("timeframe"):
            raise Refusal(400, "timeframe is required")
        symbols = request.path_params.get("symbol", given.get("symbols"))
        now = self._market.now_ns()
        return read_query(given, symbols, now, crypto, self._access.has_sip)

    def latest(self, kind: str, crypto: bool) -> Answer:
        """The newest of each symbol; symbols that nobody knows are left out."""
        ask = getattr(self, f"_latest_{kind}")

        async def handle(request: Request) -> Response:
            symbols = self._symbols(request, crypto)
            rows = {s: row for s in symbols if (row := ask(s)) is not None}
            symbol = request.path_params.get("symbol")
            if symbol is None:
                return JSONResponse({kind: rows})
            if symbol not in rows:
                raise Refusal(404, f"no {_ONE[kind]} found for {symbol}")
            return JSONResponse({"symbol": symbol, _ONE[kind]: rows[symbol]})

        return handle

    async def snapshots(self, request: Request) -> Response:
        """Snapshots of stocks, at the top of the answer."""
        rows = {s: self._snapshot(s) for s in self._symbols(request, crypto=False)}
        known = {s: row for s, row in rows.items() if row is not None}
        symbol = request.path_params.get("symbol")
        if symbol is None:
            return JSONResponse(known)
        if symbol not in known:
            raise Refusal(404, f"no snapshot found for {symbol}")
        return JSONResponse({"symbol": symbol, **known[symbol]})

    async def crypto_snapshots(self, request: Request) -> Response:
        """Snapshots of coins."""
        rows = {s: self._snapshot(s) for s in self._symbols(request, crypto=True)}
        return JSONResponse({"snapshots": {s: row for s, row in rows.items() if row is not None}})

    def _symbols(self, request: Request, crypto: bool) -> tuple[str, ...]:
        """The symbols of a request for the newest, after all its checks."""
        self._access.check(request.headers, is_public=crypto)
        given = request.query_params
        if not crypto and read_feed(given, "iex") == "sip" and not self._access.has_sip:
            raise Refusal(403, NO_SIP)
        return read_symbols(request.path_params.get("symbol", given.get("symbols")), crypto)

    def _latest_bars(self, symbol: str) -> Row | None:
        bar = self._market.last_bar(symbol)
        return None if bar is None else bar_row(bar)

    def _latest_quotes(self, symbol: str) -> Row | None:
        quote = self._market.last_quote(symbol)
        return None if quote is None else quote_row(quote)

    def _latest_trades(self, symbol: str) -> Row | None:
        trade = self._market.last_trade(symbol)
        return None if trade is None else trade_row(trade)

    def _latest_orderbooks(self, symbol: str) -> Row | None:
        quote = self._market.last_quote(symbol)
        return None if quote is None else book_row(quote)

    def _snapshot(self, symbol: str) -> Row | None:
        trade, quote = self._latest_trades(symbol), self._latest_quotes(symbol)
        if trade is None and quote is None:
            return None
        days = self._newest_days(symbol)
        shown = [None if day is None else bar_row(day) for day in days]
        return {
            "latestTrade": trade,
            "latestQuote": quote,
            "minuteBar": self._latest_bars(symbol),
            "dailyBar": shown[0],
            "prevDailyBar": shown[1],
        }

    def _newest_days(self, symbol: str) -> tuple[Bar | None, Bar | None]:
        """The day that runs, or was the last, and the day before it."""
        now = self._market.now_ns()
        days: list[Bar] = []
        for back in _DAYS_BACK:
            days = list(self._market.bars(symbol, "1Day", now - back * DAY, now).rows())
            if len(days) > 1:
                return days[-1], days[-2]
        return (days[-1], None) if days else (None, None)
