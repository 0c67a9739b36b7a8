"""The control side by HTTP, under `/control`; it is there only when it was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ticklane.core.errors import TicklaneError
from ticklane.core.market import Bar, to_ns
from ticklane.testing.venue.faults import Fault

if TYPE_CHECKING:
    from ticklane.testing.venue.server import LocalVenue

_Doer = Callable[["LocalVenue", dict[str, Any]], Any]


def routes(venue: LocalVenue) -> list[Route]:
    """`POST /control/NAME` with a JSON object of arguments, `GET /control/ledger` and others."""
    made = [Route(f"/control/{name}", _posted(venue, do), methods=["POST"]) for name, do in _DO]
    made += [Route(f"/control/{name}", _shown(venue, do), methods=["GET"]) for name, do in _SHOW]
    return made


def _posted(venue: LocalVenue, do: _Doer) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            arguments = json.loads(await request.body() or b"{}")
            done = do(venue, arguments)
        except (TicklaneError, TypeError, ValueError, KeyError) as error:
            return JSONResponse({"message": f"{type(error).__name__}: {error}"}, 422)
        return JSONResponse({} if done is None else done)

    return answer


def _shown(venue: LocalVenue, show: _Doer) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return JSONResponse(show(venue, dict(request.query_params)))

    return answer


def _bar(venue: LocalVenue, given: dict[str, Any]) -> None:
    symbol, volume = venue.exchange.normal(given["symbol"]), float(given.get("volume", 0))
    opens_ns, closes_ns = int(given["open_ns"]), int(given["close_ns"])
    first, high, low, last = (float(given[name]) for name in ("open", "high", "low", "close"))
    venue.control.bar(Bar(symbol, opens_ns, closes_ns, first, high, low, last, volume))


def _clock(venue: LocalVenue, given: dict[str, Any]) -> dict[str, Any]:
    if "time" in given:
        venue.control.set_time(to_ns(datetime.fromisoformat(given["time"])))
    if "time_ns" in given:
        venue.control.set_time(int(given["time_ns"]))
    if "advance" in given:
        venue.control.advance(float(given["advance"]))
    if "skew" in given:
        venue.control.set_skew(float(given["skew"]))
    return {"now_ns": venue.exchange.now_ns()}


def _fault(venue: LocalVenue, given: dict[str, Any]) -> dict[str, Any]:
    venue.faults.add(Fault(**given))
    return venue.faults.public()


def _clear(venue: LocalVenue, given: dict[str, Any]) -> dict[str, Any]:
    venue.faults.clear()
    return venue.faults.public()


def _keys(venue: LocalVenue, given: dict[str, Any]) -> None:
    venue.keys = (given["key"], given["secret"]) if given else None


def _rate(venue: LocalVenue, given: dict[str, Any]) -> None:
    venue.rate.limit = given.get("limit")


def _disconnect(venue: LocalVenue, given: dict[str, Any]) -> dict[str, Any]:
    return {"dropped": venue.drop_sockets(given.get("path"))}


def _ledger(venue: LocalVenue, query: dict[str, Any]) -> Any:
    return venue.ledger.public()


def _state(venue: LocalVenue, query: dict[str, Any]) -> Any:
    account, exchange = venue.exchange.account, venue.exchange
    return {
        "now_ns": exchange.now_ns(),
        "cash": str(account.cash),
        "positions": {s: str(q) for s, q in account.positions.items() if q},
        "open_orders": sum(one.is_open for one in exchange.orders.values()),
        "orders": len(exchange.orders),
        "executions": len(exchange.ledger.executions),
        "fees_due": exchange.teller.fees_due,
        "sockets": [socket.path for socket in venue.sockets],
    }


_DO: list[tuple[str, _Doer]] = [
    ("price", lambda venue, given: venue.control.price(**given)),
    ("quote", lambda venue, given: venue.control.quote(**given)),
    ("bar", _bar),
    ("status", lambda venue, given: venue.control.status(**given)),
    ("correct_trade", lambda venue, given: venue.control.correct_trade(**given)),
    ("cancel_trade", lambda venue, given: venue.control.cancel_trade(**given)),
    ("clock", _clock),
    ("fill", lambda venue, given: venue.control.fill(**given)),
    ("reject", lambda venue, given: venue.control.reject(**given)),
    ("refuse", lambda venue, given: venue.control.refuse(**given)),
    ("expire", lambda venue, given: venue.control.expire(**given)),
    ("cancel", lambda venue, given: venue.control.cancel(**given)),
    ("done_for_day", lambda venue, given: venue.control.done_for_day(**given)),
    ("release", lambda venue, given: venue.control.release(**given)),
    ("switch", lambda venue, given: venue.control.switch(**given)),
    ("account", lambda venue, given: venue.control.set_account(**given)),
    ("hold", lambda venue, given: venue.control.hold(**given)),
    ("activity", lambda venue, given: venue.control.activity(**given)),
    ("post_fees", lambda venue, given: venue.control.post_fees()),
    ("fault", _fault),
    ("faults/clear", _clear),
    ("faults/release", lambda venue, given: venue.faults.release()),
    ("keys", _keys),
    ("rate", _rate),
    ("disconnect", _disconnect),
    ("down", lambda venue, given: venue.go_down()),
    ("up", lambda venue, given: venue.come_back()),
]
_SHOW: list[tuple[str, _Doer]] = [
    ("ledger", _ledger),
    ("ledger/orders", lambda venue, query: venue.ledger.orders),
    ("ledger/executions", lambda venue, query: list(venue.ledger.executions)),
    ("ledger/requests", lambda venue, query: venue.ledger.requests),
    ("ledger/events", lambda venue, query: venue.ledger.events),
    ("faults", lambda venue, query: venue.faults.public()),
    ("state", _state),
]
