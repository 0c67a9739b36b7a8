"""The venue of a simulated run: the local venue's exchange and endpoints, in virtual time."""

from __future__ import annotations

from decimal import Decimal
from itertools import cycle
from random import Random

import sim_wires

from ticklane.core.errors import ConfigError
from ticklane.core.money import ZERO
from ticklane.testing.venue.control import Control
from ticklane.testing.venue.data_access import keys_of
from ticklane.testing.venue.exchange import Exchange
from ticklane.testing.venue.fees import CoinFees
from ticklane.testing.venue.market import Market
from ticklane.testing.venue.rate import RateLimit
from ticklane.testing.venue.refused import Refused
from ticklane.testing.venue.trade_stream import TradeStreams
from ticklane.testing.venue.trading_api import Answer, TradingApi

CASH = Decimal(100_000)
FIRST_PRICES = {"AAPL": 100.0, "MSFT": 50.0, "BTC/USD": 20_000.0}
STRANGERS = "TSLA"  # what somebody else trades in the same account
BEAT_SECONDS = 2.0


class SimMarket(Market):
    """A market whose time is virtual."""

    def __init__(self, now_ns):
        self._virtual_ns = now_ns
        super().__init__(clock="events", spread=0.02)

    def now_ns(self):
        return self._virtual_ns()


class SimVenue:
    """One account at the venue. Nothing of it dies when the daemon does."""

    def __init__(self, world):
        self.world, plan = world, world.plan
        self._rng = Random(f"venue {plan.seed}")
        self._unheard = Random(f"unheard {plan.seed}")
        self.market = SimMarket(world.clock.true_ns)
        self.exchange = Exchange(
            self.market,
            CASH,
            seed=plan.seed,
            allow_short=plan.allow_short,
            coin_fees=CoinFees(is_posted_at_once=self._rng.random() < 0.5),
        )
        self.api, self.control = TradingApi(self.exchange), Control(self.exchange)
        self._rate = RateLimit(200, clock=lambda: world.clock.true_ns() / 1e9)
        self._streams = TradeStreams(self.exchange, self._knows)
        self.stream_app = self._streams.routes()[0].app
        self._swift = {}
        self.prices, self._turns = dict(FIRST_PRICES), cycle(FIRST_PRICES)
        for symbol, price in self.prices.items():
            self.market.price(symbol, price)
        self.market.price(STRANGERS, 10.0)

    def _knows(self, key, secret):
        return bool(key and secret) and not self.world.plan.is_on("auth", self.world.loop.time())

    def handle(self, verb, path, data):
        """A request has arrived: its status, headers and body."""
        call = sim_wires.call_of(verb, path, data)
        answer = self._answer(call)
        self.world.checks.answered(verb, path, data, answer)
        return answer.status, answer.headers, answer.encoded()

    def _answer(self, call):
        if not self._knows(*keys_of(call.headers)):
            return Answer(401, {"code": 40110000, "message": "unauthorized."})
        may_pass, headers = self._rate.take()
        if not may_pass:
            return Answer(429, {"code": 42910000, "message": "too many requests."}, headers)
        answer = self.api.answer(call)
        return Answer(answer.status, answer.body, {**headers, **answer.headers})

    # --- what happens without us ----------------------------------------------------------------

    def beat(self, is_quiet):
        """Prices move, and now and then the venue does something by itself."""
        self._move_prices()
        self._switch(is_quiet)
        self.exchange.beat()
        if is_quiet:
            self.exchange.teller.post_fees(1 << 62)
            return
        act = self.world.plan.act()
        if act is not None:
            try:
                getattr(self, f"_{act}")()
            except (ConfigError, Refused) as error:
                self.world.note("act failed", act, str(error))

    def _switch(self, is_quiet):
        """Keep orders, cancels or replacements waiting for a while, and then decide."""
        now = self.world.loop.time()
        for one in self.world.plan.slow_venue:
            is_swift = is_quiet or not one.holds(now)
            if one.kind == "is_reporting" and not self._is_counted():
                continue  # what is told late would be counted twice
            if self._swift.get(one.kind, True) is not is_swift:
                self._swift[one.kind] = is_swift
                self.world.note("venue", one.kind, is_swift)
                self.control.switch(**{one.kind: is_swift})
                if one.kind == "is_reporting":
                    self.control.switch(is_matching=is_swift)
                elif is_swift:
                    self._decide()
        if not self._swift.get("is_reporting", True):
            self._fill_unheard()

    def _fill_unheard(self):
        """While no execution is told, some order trades in two of them, at two prices."""
        rng = self._unheard
        found = self._open_orders()
        listed = rng.choice(found) if found and rng.random() < 0.7 else None
        left = ZERO if listed is None else listed.size - listed.filled_qty
        part = (left * rng.choice((1, 2, 3)) / 4).quantize(Decimal("0.01"))
        if listed is None or not part:
            return
        self._note("fill unheard", listed)
        price = Decimal(str(self.prices[listed.symbol]))
        self.control.fill(listed.id, part, price)
        if listed.is_open and rng.random() < 0.8:
            self.control.fill(listed.id, None, price + Decimal("0.37"))

    def _decide(self):
        """What was kept waiting happens, or is refused."""
        for listed in list(self.exchange.orders.values()):
            is_refused = self._rng.random() < 0.3 and self.exchange.changes.refuse(listed)
            if not is_refused:
                self.exchange.release(listed.id)

    def _move_prices(self):
        """One symbol after the other."""
        symbol = next(self._turns)
        moved = round(self.prices[symbol] * (1 + self._rng.gauss(0.0, 0.002)), 2)
        self.prices[symbol] = moved
        self.market.price(symbol, moved)

    def _some_order(self):
        found = self._open_orders()
        return self._rng.choice(found) if found else None

    def _open_orders(self):
        return [
            one
            for one in self.exchange.orders.values()
            if one.is_open and one.id in self.exchange.venue.by_id  # not kept waiting
            if one.status != "held" and one.symbol != STRANGERS
        ]

    def _note(self, act, listed):
        self.world.note("act", act, listed.client_order_id, listed.status)

    def _fill_part(self):
        listed = self._some_order()
        if listed is not None and listed.size - listed.filled_qty > 1:
            self._note("fill_part", listed)
            part = (listed.size - listed.filled_qty) / self._rng.choice((2, 3))
            self.control.fill(listed.id, part.quantize(Decimal("0.01")))

    def _fill(self):
        listed = self._some_order()
        if listed is not None:
            self._note("fill", listed)
            self.control.fill(listed.id)

    def _cancel(self):
        self._end("cancel")

    def _expire(self):
        self._end("expire")

    def _reject(self):
        self._end("reject")

    def _end(self, how):
        listed = self._some_order()
        if listed is not None:
            self._note(how, listed)
            getattr(self.control, how)(listed.id)

    def _late_fill(self):
        """An order that was cancelled has traded after all."""
        found = [one for one in self.exchange.orders.values() if self._may_fill_late(one)]
        if found:
            listed = self._rng.choice(found)
            self._note("late_fill", listed)
            self.control.fill(listed.id, listed.size - listed.filled_qty)

    def _may_fill_late(self, listed):
        left = listed.size - listed.filled_qty
        is_covered = listed.is_buy or self.exchange.held(listed.symbol) >= left
        is_alone = listed.parent is None and not listed.legs and listed.symbol != STRANGERS
        is_sized = left > 0 and listed.order.notional is None
        return listed.status == "canceled" and is_alone and is_sized and is_covered

    def _done_for_day(self):
        listed = self._some_order()
        if listed is not None and listed.status in ("new", "partially_filled"):
            self._note("done_for_day", listed)
            self.control.done_for_day(listed.id)

    def _is_counted(self):
        """Whether the daemon has durably counted what was there before it began."""
        return any(row["venue_marks"] for row in self.world.disk.rows("SELECT * FROM runs"))

    def _fee(self):
        if not self._is_counted():
            return
        self.control.activity("FEE", "-0.07", description="TAF fee")

    def _dividend(self):
        if not self._is_counted():
            return
        self.control.activity("DIV", "1.25", symbol="AAPL", per_share_amount="0.25", qty="5")

    def _foreign_order(self):
        """Somebody trades in the same account by hand."""
        side = "sell" if self.exchange.held(STRANGERS) > 0 and self._rng.random() < 0.5 else "buy"
        body = {
            "symbol": STRANGERS,
            "qty": "1",
            "side": side,
            "type": self._rng.choice(("market", "limit")),
            "time_in_force": "day",
            "client_order_id": f"by-hand-{self._rng.randrange(10**9)}",
        }
        if body["type"] == "limit":
            body["limit_price"] = "9.5" if side == "buy" else "10.5"
        self.exchange.submit(body)
