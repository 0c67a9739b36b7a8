"""Random histories of a simulated venue: markets, orders, cancels and replacements."""

import copy
import json
from datetime import timedelta
from decimal import Decimal

from hypothesis import strategies as st

from ticklane.brokers.paper import PaperBroker
from ticklane.core.costs import FixedSlippage, PercentCosts, VolumeShareSlippage
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.market import HOUR
from ticklane.core.order import OrderClass, OrderType
from ticklane.interfaces import Recovered
from ticklane.testing.bench import Bench
from ticklane.testing.builders import (
    START,
    HandMadeCalendar,
    a_bar,
    a_bracket,
    a_pair,
    a_quote,
    a_tick,
    an_order,
)

SYMBOLS = ("AAPL", "IBM")
FLAT = ("tick", dict.fromkeys(SYMBOLS, (100, 100, 100, 100, 1000)))  # how each history begins

# --- what may happen ----------------------------------------------------------------------------

prices = st.integers(180, 220).map(lambda n: n / 2)
quantities = st.integers(1, 12)
sides = st.sampled_from(["buy", "buy", "sell"])


@st.composite
def bars(draw):
    seen = draw(st.lists(prices, min_size=4, max_size=4))
    return (seen[0], max(seen), min(seen), seen[1], draw(st.sampled_from([4, 10, 1000])))


@st.composite
def plain_terms(draw):
    kind = draw(st.sampled_from(list(OrderType)))
    terms = {"type": kind, "side": draw(sides)}
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        terms["limit_price"] = draw(prices)
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        terms["stop_price"] = draw(prices)
    if kind is OrderType.TRAILING_STOP:
        terms[draw(st.sampled_from(["trail_amount", "trail_percent"]))] = draw(st.integers(1, 6))
    terms["time_in_force"] = draw(st.sampled_from(["gtc", "gtc", "gtc", "day", "ioc", "fok"]))
    return terms


@st.composite
def orders(draw):
    """("simple" | "bracket" | "pair", size, terms or exit prices, symbol)"""
    kind = draw(st.sampled_from(["simple", "simple", "bracket", "pair"]))
    size = draw(quantities.map(lambda n: {"quantity": n}) | st.just({"notional": 500}))
    if kind == "pair":
        size = {"quantity": draw(quantities)}
    target, stop = draw(st.none() | prices), draw(prices)
    return kind, size, draw(plain_terms()), target, stop, draw(st.sampled_from(SYMBOLS))


steps = st.one_of(
    st.tuples(st.just("tick"), st.dictionaries(st.sampled_from(SYMBOLS), bars(), min_size=1)),
    st.tuples(st.just("quote"), st.sampled_from(SYMBOLS), prices, st.integers(0, 4)),
    st.tuples(st.just("order"), orders()),
    st.tuples(st.just("order"), orders()),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("replace"), st.integers(0, 20), prices, quantities),
)

venues = st.fixed_dictionaries(
    {},
    optional={
        "slippage": st.sampled_from(
            [VolumeShareSlippage(cap="0.5", impact="0.1"), FixedSlippage("0.3")]
        ),
        "costs": st.just(PercentCosts(maker="0.1", taker="0.2")),
        "allow_short": st.booleans(),
        "target_first": st.booleans(),
        "limit_to_quote_size": st.booleans(),
        "latency": st.just(timedelta(seconds=90)),
        "cash": st.just(3000),
        "instruments": st.sampled_from(
            [
                [
                    Instrument(
                        symbol="AAPL",
                        calendar="XTST",
                        rules=OrderRules(tick=Decimal("0.5"), lot=Decimal(1)),
                    )
                ],
                [Instrument(symbol="IBM", rules=OrderRules(tick=Decimal("0.25")))],
            ]
        ),
    },
)


# --- one run, and its twin ----------------------------------------------------------------------


class Run:
    """A bench, the marks of its last tick, and steps that any twin can take as well."""

    def __init__(self, venue):
        sessions = [(START + n * HOUR, START + n * HOUR + HOUR // 3) for n in range(100)]
        calendar = HandMadeCalendar(*sessions)
        self.venue = venue
        broker = PaperBroker(**{"cash": 100_000, "calendars": [calendar], **venue})
        self.bench = Bench(broker)
        self.marks, self.tick_ns, self.made = {}, None, 0
        self.sizes = {}  # of the pairs, when they were sent

    async def twin(self):
        """What a restart would build from the journal of this run."""
        other = Run(self.venue)
        other.made, bench = self.made, self.bench
        copies = {one.id: stored(one) for one in bench.orders.values()}
        other.bench.orders, other.bench.now_ns = copies, bench.now_ns
        recovered = Recovered(
            "r0",
            is_resumed=True,
            started_ns=START,
            cursor_ns=self.tick_ns,
            orders=tuple(one for one in copies.values() if one.is_open),
            fills=tuple(bench.fills),
            venue_marks=json.loads(json.dumps(self.marks)),
        )
        await other.bench.broker.connect(recovered, dict(bench.broker.venue.last))
        return other

    async def take(self, step):
        kind, *what = step
        await getattr(self, f"_{kind}")(*what)

    async def _tick(self, shown):
        at = self.bench.now_ns
        observed = [a_bar(*seen, symbol=symbol, at=at) for symbol, seen in shown.items()]
        await self._beat(a_tick(*observed))

    async def _quote(self, symbol, price, spread):
        at = self.bench.now_ns + 1_000_000_000
        await self._beat(a_tick(a_quote(price, price + spread / 2, 3, 5, symbol=symbol, at=at)))

    async def _beat(self, tick):
        await self.bench.beat(tick)
        self.tick_ns, self.marks = tick.time_ns, self.bench.broker.venue.marks()

    async def _order(self, what):
        kind, size, terms, target, stop, symbol = what
        self.made += 1
        usual = {"id": f"o{self.made}", "symbol": symbol, "at": self.bench.now_ns, **size}
        if kind == "pair":
            pair = a_pair(take_profit=target or 100, stop_loss=stop, **usual)
            self.sizes[pair.id] = pair.quantity
            await self.bench.submit(pair)
            return
        order = an_order(**usual, **terms)
        await self.bench.submit(a_bracket(order, target, stop) if kind == "bracket" else order)

    def _open(self, number):
        found = [one for one in self.bench.orders.values() if one.is_open]
        return found[number % len(found)] if found else None

    async def _cancel(self, number):
        order = self._open(number)
        if order is not None:
            await self.bench.cancel(order)

    async def _replace(self, number, price, quantity):
        old = self._open(number)
        if old is None:
            return
        self.made += 1
        kept = ("type", "time_in_force", "order_class", "parent_id", "stop_price", "limit_price")
        terms = {name: getattr(old, name) for name in (*kept, "trail_amount", "trail_percent")}
        if old.type is OrderType.LIMIT:
            terms["limit_price"] = price
        size = old.remaining if old.order_class is not OrderClass.SIMPLE else quantity
        usual = {"id": f"o{self.made}", "symbol": old.symbol, "side": old.side}
        await self.bench.replace(old, an_order(size, at=self.bench.now_ns, **usual, **terms))


def stored(order):
    """An order as it comes back from a database: the same fields, its legs linked elsewhere."""
    other = copy.copy(order)
    other.legs = ()
    return other
