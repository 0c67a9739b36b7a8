"""PaperBroker: the simulated venue behind BrokerInterface, at live or recorded prices."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from ticklane.brokers.venue import Venue
from ticklane.core.costs import NO_COSTS, NO_SLIPPAGE, Costs, Slippage
from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument
from ticklane.core.market import Tick
from ticklane.core.money import to_positive
from ticklane.core.order import Order, OrderStatus, OrderUpdate
from ticklane.core.words import in_words
from ticklane.interfaces import BrokerInterface, Calendar, Recovered

_AT_VENUE = (OrderStatus.ACKED, OrderStatus.PARTIAL)


class PaperBroker(BrokerInterface):
    """Trades a simulated account at the prices of the feed; no order ever leaves the process.

    `cash` (also `starting_balance`) is what the account begins with. `instruments` declares
    ticks, lots, rules and calendars; a symbol not declared has none and trades around the clock.
    `latency` is how long an order is on its way. `limit_to_quote_size` fills at most the size a
    quote shows. `target_first` turns the rule for a bar that reaches stop and target around.
    """

    name: ClassVar[str] = "paper"

    def __init__(
        self,
        cash: Any = 100_000,
        *,
        starting_balance: Any = None,
        costs: Costs | None = None,
        slippage: Slippage | None = None,
        latency: timedelta = timedelta(0),
        allow_short: bool = False,
        limit_to_quote_size: bool = False,
        target_first: bool = False,
        instruments: Iterable[Instrument] = (),
        calendars: Iterable[Calendar] = (),
        currency: str = "USD",
    ) -> None:
        amount = to_positive(cash if starting_balance is None else starting_balance, "cash")
        for name, model, method in (("costs", costs, "fee"), ("slippage", slippage, "shift")):
            if model is not None and not hasattr(model, method):
                raise ConfigError(
                    f"{name} is {model!r}, but must be a model, such as ticklane's PercentCosts "
                    "or PercentSlippage."
                )
        if not isinstance(latency, timedelta):
            raise ConfigError(f"latency is {latency!r}, but must be a timedelta.")
        if latency < timedelta(0):
            raise ConfigError(f"latency is {latency}, but must not be negative.")
        if not isinstance(allow_short, bool):
            raise ConfigError(f"allow_short is {allow_short!r}, but must be true or false.")
        self.allow_short = allow_short
        self.currency = currency
        self._instruments = {i.symbol: self._checked(i) for i in instruments}
        self._cash = amount
        self.venue = Venue(
            amount,
            self.instrument,
            costs=costs or NO_COSTS,
            slippage=slippage or NO_SLIPPAGE,
            latency_ns=latency // timedelta(microseconds=1) * 1000,
            allow_short=allow_short,
            limit_to_quote_size=limit_to_quote_size,
            target_first=target_first,
            calendars={calendar.name: calendar for calendar in calendars},
        )
        self._marks: dict[str, Any] = {}
        self.watches = self.venue.working  # a dict: truthy while there are open orders

    def _checked(self, instrument: Instrument) -> Instrument:
        if instrument.currency != self.currency:
            raise ConfigError(
                f"currency of {instrument.symbol} is {instrument.currency}, "
                f"but the account is in {self.currency}."
            )
        return instrument

    @property
    def starting_cash(self) -> Decimal:
        """The cash of the account when the run began."""
        return self._cash

    @property
    def cash(self) -> Decimal:
        """The cash the venue shows now."""
        return self.venue.account.cash

    @property
    def positions(self) -> dict[str, Decimal]:
        """The signed net quantities the venue shows now, flat ones left out."""
        return {symbol: q for symbol, q in self.venue.account.positions.items() if q}

    def instrument(self, symbol: str) -> Instrument:
        """The declared instrument, or one without rules for a symbol not declared."""
        try:
            return self._instruments[symbol]
        except KeyError:
            made = self._instruments[symbol] = Instrument(symbol=symbol, currency=self.currency)
            return made

    def conditions(self) -> dict[str, Any]:
        """Costs, slippage and the rules of this account."""
        venue = self.venue
        return {
            "cash": str(self._cash),
            "costs": in_words(venue.costs),
            "slippage": in_words(venue.slippage),
            "latency_ns": venue.latency_ns,
            "allow_short": self.allow_short,
            "limit_to_quote_size": venue.limit_to_quote_size,
            "target_first": venue.target_first,
            "calendars": sorted(venue.calendars),
        }

    async def connect(self, recovered: Recovered, last: dict[str, Any]) -> None:
        """Take the lane's prices, and rebuild the paper account of an interrupted run."""
        self.venue.last = last
        if recovered.is_resumed:
            orders = [order for order in recovered.orders if order.status in _AT_VENUE]
            since_ns = recovered.cursor_ns or recovered.started_ns or 0
            self.venue.restore(recovered.fills, orders, recovered.venue_marks, since_ns)

    async def submit(self, order: Order) -> None:
        """Hand an order to the venue."""
        self.venue.submit(order)

    async def cancel(self, order: Order) -> None:
        """Ask the venue to cancel."""
        self.venue.cancel(order.id)

    async def replace(self, order: Order, by: Order) -> None:
        """Ask the venue to replace."""
        self.venue.replace(order.id, by)

    def observe(self, tick: Tick) -> list[OrderUpdate]:
        """Let the venue match its open orders against what became known."""
        return self.venue.observe(tick)

    def updates(self) -> list[OrderUpdate]:
        """Take what the venue has said since the last call, oldest first."""
        return self.venue.updates()

    def marks(self) -> dict[str, Any] | None:
        """The venue's marks, when they changed since the last call."""
        marks = self.venue.marks()
        if marks == self._marks:
            return None
        self._marks = marks
        return marks
