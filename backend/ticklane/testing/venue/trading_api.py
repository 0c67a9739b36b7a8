"""Alpaca's trading API: a request (method, path, query, body) and what it is answered with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ticklane.core.market import to_ns
from ticklane.core.money import plain
from ticklane.testing.venue import statements
from ticklane.testing.venue.exchange import Exchange
from ticklane.testing.venue.listed import ListedOrder
from ticklane.testing.venue.refused import Refused, malformed, not_found
from ticklane.testing.venue.terms import amount


@dataclass(frozen=True, slots=True)
class Call:
    """One request; names in `headers` are small letters."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`POST /v2/orders`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body of JSON values (None: no body)."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The body as bytes."""
        if self.body is None:
            return b""
        return json.dumps(self.body, separators=(",", ":")).encode()


_Doer = Callable[["TradingApi", Call, dict[str, str]], Answer]
_ROUTES: list[tuple[str, re.Pattern[str], _Doer]] = []


def _route(method: str, path: str) -> Callable[[_Doer], _Doer]:
    pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>.+)", path))

    def take(doer: _Doer) -> _Doer:
        _ROUTES.append((method, pattern, doer))
        return doer

    return take


class TradingApi:
    """The endpoints under `/v2` that belong to the account; not for several threads."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def answer(self, call: Call) -> Answer:
        """Do what a request asks and answer it; never raises for what a client sent."""
        try:
            return self._dispatch(call)
        except Refused as refused:
            return Answer(refused.status, refused.body)

    def _dispatch(self, call: Call) -> Answer:
        self.exchange.beat()
        is_known = False
        for method, pattern, doer in _ROUTES:
            found = pattern.fullmatch(call.path)
            if found is not None:
                is_known = True
                if method == call.method:
                    return doer(self, call, found.groupdict())
        if is_known:
            return Answer(405, {"code": 40510000, "message": "method not allowed"})
        return Answer(404, {"code": 40410000, "message": "endpoint not found"})

    # --- orders ------------------------------------------------------------------------------

    @_route("POST", "/v2/orders")
    def _submit(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, self.exchange.submit(_json(call)))

    @_route("GET", "/v2/orders")
    def _list(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, list_orders(self.exchange, call.query))

    @_route("DELETE", "/v2/orders")
    def _cancel_all(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(207, self._cancelled())

    @_route("GET", "/v2/orders:by_client_order_id")
    def _by_client_id(self, call: Call, _: dict[str, str]) -> Answer:
        client_id = call.query.get("client_order_id", "")
        found = self.exchange.by_client_id.get(client_id)
        if found is None:
            raise not_found(f"order not found for {client_id}")
        return Answer(200, found.public())

    @_route("GET", "/v2/orders/{id}")
    def _get(self, call: Call, names: dict[str, str]) -> Answer:
        return Answer(200, self.exchange.order(names["id"]).public())

    @_route("PATCH", "/v2/orders/{id}")
    def _replace(self, call: Call, names: dict[str, str]) -> Answer:
        return Answer(200, self.exchange.changes.replace(names["id"], _json(call)))

    @_route("DELETE", "/v2/orders/{id}")
    def _cancel(self, call: Call, names: dict[str, str]) -> Answer:
        self.exchange.changes.cancel(names["id"])
        return Answer(204)

    def _cancelled(self) -> list[dict[str, Any]]:
        """Every open order is cancelled; those that go with another one say the same."""
        wanted = [one for one in self.exchange.orders.values() if one.is_open]
        done = []
        for listed in wanted:
            status, body = 200, None
            if listed.is_open and listed.status != "pending_cancel":
                try:
                    self.exchange.changes.cancel(listed.id)
                except Refused as refused:
                    status, body = refused.status, refused.body
            done.append({"id": listed.id, "status": status, **({"body": body} if body else {})})
        return done

    # --- positions ---------------------------------------------------------------------------

    @_route("GET", "/v2/positions")
    def _positions(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, statements.positions(self.exchange))

    @_route("DELETE", "/v2/positions")
    def _close_all(self, call: Call, _: dict[str, str]) -> Answer:
        if call.query.get("cancel_orders", "").lower() == "true":
            self._cancelled()
        held = [one["symbol"] for one in statements.positions(self.exchange)]
        return Answer(207, [self._closing(symbol) for symbol in held])

    def _closing(self, name: str) -> dict[str, Any]:
        try:
            return {"symbol": name, "status": 200, "body": self._close_position(name, {})}
        except Refused as refused:
            return {"symbol": name, "status": refused.status, "body": refused.body}

    @_route("GET", "/v2/positions/{name}")
    def _position(self, call: Call, names: dict[str, str]) -> Answer:
        return Answer(200, statements.position(self.exchange, self._held(names["name"])))

    @_route("DELETE", "/v2/positions/{name}")
    def _close(self, call: Call, names: dict[str, str]) -> Answer:
        return Answer(200, self._close_position(names["name"], call.query))

    def _held(self, name: str) -> str:
        asset = self.exchange.find_asset(name)
        if asset is None or not self.exchange.held(asset.symbol):
            raise not_found("position does not exist")
        return asset.symbol

    def _close_position(self, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        symbol = self._held(name)
        held = self.exchange.held(symbol)
        quantity, percent = amount(query, "qty"), amount(query, "percentage")
        if quantity is not None and percent is not None:
            raise malformed("only one of qty or percentage is accepted")
        if percent is not None:
            if not 0 < percent <= 100:
                raise malformed("percentage must be between 0 and 100")
            quantity = (abs(held) * percent / 100).quantize(Decimal("1e-9"))
        body = {
            "symbol": symbol,
            "qty": plain(abs(held) if quantity is None else quantity),
            "side": "sell" if held > 0 else "buy",
            "type": "market",
            "time_in_force": "gtc" if "/" in symbol else "day",
        }
        return self.exchange.submit(body)

    # --- the account -------------------------------------------------------------------------

    @_route("GET", "/v2/account")
    def _account(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, statements.account(self.exchange))

    @_route("GET", "/v2/account/configurations")
    def _configurations(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, dict(self.exchange.flags.configurations))

    @_route("PATCH", "/v2/account/configurations")
    def _configure(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, self.exchange.flags.configure(_json(call)))

    @_route("GET", "/v2/account/portfolio/history")
    def _history(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, self.exchange.past.history(dict(call.query)))

    @_route("GET", "/v2/account/activities")
    def _activities(self, call: Call, _: dict[str, str]) -> Answer:
        kinds = [k for k in call.query.get("activity_types", "").split(",") if k]
        return Answer(200, self._activity_page(kinds, call.query))

    @_route("GET", "/v2/account/activities/{kind}")
    def _activities_of(self, call: Call, names: dict[str, str]) -> Answer:
        return Answer(200, self._activity_page([names["kind"]], call.query))

    def _activity_page(self, kinds: list[str], query: Mapping[str, str]) -> list[dict[str, Any]]:
        after, until = _instant(query, "after"), _instant(query, "until")
        if query.get("date"):
            after = _day_ns(query["date"]) - 1
            until = after + 86_400_000_000_001
        return self.exchange.activities.page(
            kinds,
            after_ns=after,
            until_ns=until,
            is_ascending=query.get("direction", "desc") == "asc",
            size=_count(query, "page_size", 100),
            token=query.get("page_token"),
        )

    # --- the market --------------------------------------------------------------------------

    @_route("GET", "/v2/assets")
    def _assets(self, call: Call, _: dict[str, str]) -> Answer:
        for symbol in self.exchange.market.symbols:
            self.exchange.find_asset(symbol)
        shown = [asset.public() for asset in self.exchange.assets.values()]
        for key, name in (("asset_class", "class"), ("exchange", "exchange"), ("status", "status")):
            wanted = call.query.get(key)
            shown = [one for one in shown if not wanted or one[name] == wanted]
        return Answer(200, shown)

    @_route("GET", "/v2/assets/{name}")
    def _asset(self, call: Call, names: dict[str, str]) -> Answer:
        asset = self.exchange.find_asset(names["name"])
        if asset is None:
            raise not_found(f"asset not found for {names['name']}")
        return Answer(200, asset.public())

    @_route("GET", "/v2/clock")
    def _clock(self, call: Call, _: dict[str, str]) -> Answer:
        return Answer(200, self.exchange.hours.clock(self.exchange.now_ns()))

    @_route("GET", "/v2/calendar")
    def _calendar(self, call: Call, _: dict[str, str]) -> Answer:
        first, last = (_date(call.query.get(name)) for name in ("start", "end"))
        return Answer(200, self.exchange.hours.days(first, last))


# --- lists of orders -------------------------------------------------------------------------


def list_orders(exchange: Exchange, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """The answer of `GET /v2/orders`: newest first, 50 of them, unless it is asked otherwise."""
    is_nested = query.get("nested", "").lower() == "true"
    after, until = _instant(query, "after"), _instant(query, "until")
    listed = [
        one
        for one in exchange.orders.values()
        if _is_wanted(one, exchange, query, is_nested)
        and (after is None or one.at_ns["submitted_at"] > after)
        and (until is None or one.at_ns["submitted_at"] < until)
    ]
    listed.sort(key=lambda one: (one.at_ns["submitted_at"], one.number))
    if query.get("direction", "desc") != "asc":
        listed.reverse()
    return [one.public(is_nested) for one in listed[: min(_count(query, "limit", 50), 500)]]


def _is_wanted(
    one: ListedOrder, exchange: Exchange, query: Mapping[str, str], is_nested: bool
) -> bool:
    if is_nested and one.parent is not None:
        return False
    status = query.get("status", "open")
    if status not in ("open", "closed", "all"):
        raise malformed("invalid status")
    is_open = one.is_open or (is_nested and any(leg.is_open for leg in one.legs))
    if status != "all" and is_open is not (status == "open"):
        return False
    if query.get("side") and one.order.side != query["side"]:
        return False
    names = [name for name in query.get("symbols", "").split(",") if name]
    return not names or one.symbol in {exchange.normal(name) for name in names}


# --- reading ---------------------------------------------------------------------------------


def _json(call: Call) -> dict[str, Any]:
    try:
        read = json.loads(call.body or b"{}")
    except ValueError:
        raise Refused(400, 40010000, "request body format is invalid") from None
    if not isinstance(read, dict):
        raise Refused(400, 40010000, "request body format is invalid")
    return read


def _count(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name) or str(usual)
    if not text.isdigit():
        raise malformed(f"invalid {name}")
    return int(text)


def _instant(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return to_ns(datetime.fromisoformat(text))
    except ValueError:
        raise malformed(f"invalid {name}") from None


def _day_ns(text: str) -> int:
    day = _date(text)
    assert day is not None
    return to_ns(datetime(day.year, day.month, day.day))  # noqa: DTZ001


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        raise malformed("invalid date") from None
