"""Whatever is ordered: cash, positions, fills and what is told of them agree."""

from __future__ import annotations

from decimal import Decimal

import pytest
from alpaca.trading.models import Order, Position, TradeAccount, TradeUpdate
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklane.core.money import ZERO
from ticklane.testing.venue.exchange import Exchange
from ticklane.testing.venue.market import Market
from ticklane.testing.venue.trading_api import Call, TradingApi

CASH = Decimal(100_000)
PRICES = st.integers(90, 110)
BODY = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["AAPL", "MSFT", "BTC/USD"]),
        "side": st.sampled_from(["buy", "sell"]),
        "type": st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"]),
        "time_in_force": st.sampled_from(["day", "gtc", "ioc"]),
        "order_class": st.sampled_from(["", "", "bracket", "oco", "oto"]),
        "qty": st.sampled_from(["1", "3", "0.5", "200"]),
    },
    optional={
        "limit_price": PRICES,
        "stop_price": PRICES,
        "trail_percent": st.just(3),
        "take_profit": st.fixed_dictionaries({"limit_price": PRICES}),
        "stop_loss": st.fixed_dictionaries({"stop_price": PRICES}),
    },
)
STEP = st.one_of(
    st.tuples(st.just("submit"), BODY),
    st.tuples(st.just("price"), st.tuples(st.sampled_from(["AAPL", "MSFT", "BTC/USD"]), PRICES)),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("replace"), st.tuples(st.integers(0, 5), PRICES)),
    st.tuples(st.just("close"), st.sampled_from(["AAPL", "MSFT", "BTCUSD"])),
)


class House:
    """A venue without a network, at an instant that stands still."""

    def __init__(self, **terms):
        self.market = Market(clock="events", spread=0.0)
        self.market.set_time(1_700_000_000_000_000_000)
        self.exchange = Exchange(self.market, CASH, seed=1, **terms)
        self.api = TradingApi(self.exchange)
        self.updates = []
        self.exchange.teller.listen(self.updates.append)
        for symbol in ("AAPL", "MSFT", "BTC/USD"):
            self.market.price(symbol, 100)

    def ask(self, method, path, body=None, **query):
        import json

        sent = b"" if body is None else json.dumps(body).encode()
        return self.api.answer(Call(method, path, query, sent))

    def do(self, kind, what):
        """One step; the answers must be of Alpaca's kind."""
        if kind == "price":
            self.market.advance(1)
            self.market.price(what[0], float(what[1]))
        elif kind == "submit":
            self._check(self.ask("POST", "/v2/orders", what))
        elif kind == "close":
            self._check(self.ask("DELETE", f"/v2/positions/{what}"))
        else:
            self._change(kind, what)

    def _change(self, kind, what):
        place = what if kind == "cancel" else what[0]
        found = [one for one in self.exchange.orders.values() if one.is_open]
        if not found:
            return
        path = f"/v2/orders/{found[place % len(found)].id}"
        if kind == "cancel":
            self._check(self.ask("DELETE", path))
        else:
            self._check(self.ask("PATCH", path, {"limit_price": what[1]}))

    def _check(self, answer):
        assert answer.status in (200, 204, 403, 404, 422), answer
        if answer.status == 200:
            Order(**answer.body)

    def check(self):
        """Everything the venue tells adds up."""
        executions = self.exchange.ledger.executions
        cash, held = CASH, {}
        for one in executions:
            sign = 1 if one["side"] == "buy" else -1
            quantity = sign * Decimal(one["qty"])
            cash -= quantity * Decimal(one["price"])
            held[one["symbol"]] = held.get(one["symbol"], ZERO) + quantity
        for activity in self.exchange.activities.page(["CFEE"], size=10_000):
            cash += Decimal(activity["net_amount"])
            held["BTC/USD"] += Decimal(activity["qty"])
        account = TradeAccount(**self.ask("GET", "/v2/account").body)
        shown = [Position(**one) for one in self.ask("GET", "/v2/positions").body]
        assert Decimal(account.cash) == cash
        assert {one.symbol: Decimal(one.qty) for one in shown} == {
            symbol.replace("/", ""): quantity for symbol, quantity in held.items() if quantity
        }
        self._check_orders(executions)

    def _check_orders(self, executions):
        filled = {}
        for one in executions:
            filled[one["order_id"]] = filled.get(one["order_id"], ZERO) + Decimal(one["qty"])
        for listed in self.exchange.orders.values():
            assert listed.filled_qty == filled.get(listed.id, ZERO)
            at_market = listed.id in self.exchange.venue.by_id
            assert listed.is_open == at_market, (listed.status, at_market, listed.public())
        told = [u["execution_id"] for u in self.updates if u["qty"] is not None]
        assert told == [one["execution_id"] for one in executions]


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=25), st.booleans())
def test_money_orders_and_updates_agree_after_every_step(steps, may_short):
    from ticklane.testing.venue.fees import CoinFees

    house = House(allow_short=may_short, coin_fees=CoinFees(is_posted_at_once=True))

    for step in steps:
        house.do(*step)
        house.check()

    for update in house.updates:
        TradeUpdate(**update)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_makes_the_same_ids(seed):
    made = [Exchange(Market(clock="events"), seed=seed).new_id() for _ in range(2)]

    assert made[0] == made[1]
