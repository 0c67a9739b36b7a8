"""A desk on the workbench: wishes go in, answers of a venue come in, and what it says is kept."""

import copy

from ticklane.core.instrument import Instrument
from ticklane.core.market import MINUTE
from ticklane.core.money import exact, plain, to_decimal
from ticklane.core.order import OrderStatus, OrderUpdate, Refusal
from ticklane.core.portfolio import Portfolio
from ticklane.engine.desk import Desk
from ticklane.engine.restoring import restore
from ticklane.engine.tape import Tape
from ticklane.engine.ticket import OrderMaker
from ticklane.interfaces import Recovered
from ticklane.risk.manager import RiskManager
from ticklane.risk.sizing import read_sizing
from ticklane.testing.builders import START, a_bar, a_fill

SYMBOLS = frozenset({"AAPL", "IBM"})


class DeskBench:
    """One desk with strategies that listen to everything; prices stand still until they are set."""

    def __init__(
        self,
        *strategies,
        cash=10_000,
        price=100,
        allow_short=False,
        sizing=None,
        rules=(),
        instruments=(),
    ):
        self.settings = {"cash": cash, "allow_short": allow_short, "instruments": instruments}
        self.now_ns = START
        self.last = {symbol: a_bar(price, symbol=symbol) for symbol in SYMBOLS}
        self.instruments = {one.symbol: one for one in instruments}
        self.portfolio = Portfolio(lambda symbol: self.last[symbol].close)
        self.names = strategies or ("Trend",)
        for name in self.names:
            self.portfolio.open_book(name, to_decimal(cash, "cash"))
        self.maker = OrderMaker("r1", "", self.instrument)
        risk = RiskManager(self.instrument, allow_short, rules)
        self.desk = Desk(
            self.portfolio,
            self.maker,
            risk,
            sizing=read_sizing(sizing),
            tape=Tape(),
            last=self.last,
        )
        self.desk.events = []
        self.desk.fill_listeners = self.desk.order_listeners = set(self.names)
        self.decisions = []
        self.desk.on_decision = lambda *decision: self.decisions.append(decision)

    def instrument(self, symbol):
        return self.instruments.get(symbol) or Instrument(symbol=symbol)

    # --- what comes in -------------------------------------------------------------------------

    def want(self, wish, strategy=None):
        """Let a strategy wish for something and give back the order that came of it, if any."""
        self.desk.decide(strategy or self.names[0], SYMBOLS, wish, self.now_ns)
        return self.decisions[-1][2] if self.decisions else None

    def buy(self, quantity=None, strategy=None, **terms):
        return self._wish("BUY", quantity, strategy, terms)

    def sell(self, quantity=None, strategy=None, **terms):
        return self._wish("SELL", quantity, strategy, terms)

    def close(self, strategy=None, **terms):
        return self._wish("CLOSE", None, strategy, terms)

    def _wish(self, signal, quantity, strategy, terms):
        size = {} if quantity is None else {"quantity": quantity}
        return self.want({"symbol": "AAPL", "signal": signal, **size, **terms}, strategy)

    def say(self, order, status=None, *, fill=None, reason=None, quantity=None):
        """Let the venue say something about an order."""
        self.now_ns += MINUTE
        self.desk.take(OrderUpdate(order.id, status, self.now_ns, fill, reason, quantity=quantity))

    def ack(self, *orders):
        for order in orders:
            self.say(order, OrderStatus.ACKED)
        return orders[-1]

    def end(self, order, status):
        self.say(order, OrderStatus(status), reason=Refusal("venue", "the venue said so."))

    def fill(self, order, quantity=None, price=100, **fields):
        """Let an order, or a part of it, be executed."""
        size = order.remaining if quantity is None else to_decimal(quantity, "quantity")
        if order.notional is not None and not order.quantity:
            size = order.notional / exact(price)
        size = size if order.side == "buy" else -size
        sized = abs(size) if not order.quantity else None
        fill = a_fill(size, price, order=order, at=self.now_ns, **fields)
        self.say(order, fill=fill, quantity=sized)
        return order

    def hold(self, quantity, strategy=None, price=100):
        """Have a strategy own so much (below zero: be short of it)."""
        trade = self.buy if quantity > 0 else self.sell
        order = trade(abs(quantity), strategy)
        self.fill(self.ack(order), price=price)
        self.desk.outgoing.clear()
        return order

    # --- what came out -------------------------------------------------------------------------

    @property
    def sent(self):
        """What has gone out since the start (or since it was cleared), in words."""
        words = []
        for verb, order, by in self.desk.outgoing:
            words.append(f"{verb} {describe(order)}" + (f" by {describe(by)}" if by else ""))
        return words

    def book(self, strategy=None):
        return self.portfolio.books[strategy or self.names[0]]

    def held(self, strategy=None):
        return plain(self.book(strategy).quantity("AAPL"))

    def steps(self, order):
        """The journal of an order: the states it went to."""
        events = [one.event for one in self.desk.events if hasattr(one, "event")]
        return " ".join(step.to_status for step in events if step.order_id == order.id)

    def heard(self, strategy=None):
        """What a strategy has been told, in words; empties the box."""
        name, words = strategy or self.names[0], []
        for to, what in self.desk.notices:
            if to == name:
                is_fill = hasattr(what, "execution_id")
                words.append(f"fill {plain(what.quantity)}" if is_fill else what.status.value)
        self.desk.notices.clear()
        return words

    def restarted(self):
        """A desk that a restart would build from what this one has journaled."""
        other = DeskBench(*self.names, **self.settings)
        other.now_ns, other.maker.number = self.now_ns, self.maker.number
        copies = {one.id: copy.copy(one) for one in self.desk.tape.orders}
        for one in copies.values():
            one.legs = ()
        for one in copies.values():  # a database knows only who names whom as its parent
            if one.parent_id in copies:
                parent = copies[one.parent_id]
                parent.legs = (*parent.legs, one)
        events = [one.event for one in self.desk.events if hasattr(one, "event")]
        still_open = [one for one in copies.values() if one.is_open]
        named = {one.id for one in still_open}
        steps = [step for step in events if step.order_id in named]
        fills = tuple(self.desk.tape.fills)
        restore(
            other.desk, Recovered("r1", orders=tuple(still_open), steps=tuple(steps), fills=fills)
        )
        return other


def describe(order):
    """An order in a few words."""
    size = plain(order.quantity) if order.quantity else f"{plain(order.notional)} worth"
    return f"{order.side} {size} {order.symbol} {order.type}"
