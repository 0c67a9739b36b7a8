"""What strangers subclass (StrategyInterface, BrokerInterface) and our own ports, in one file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from ticklane.core.account_event import AccountEvent
from ticklane.core.errors import ConfigError, StrategyError
from ticklane.core.events import Event
from ticklane.core.instrument import Instrument
from ticklane.core.market import Bars, MarketData, Tick, Timeframe
from ticklane.core.order import Fill, Order, OrderEvent, OrderUpdate
from ticklane.core.portfolio import BookView
from ticklane.core.recalled import Recall, Recalled, Sought, nothing_known
from ticklane.core.signal import Signal, Wish, read_intent
from ticklane.core.trading_state import Restriction
from ticklane.strategy_config import read_strategy_config

IndicatorT = TypeVar("IndicatorT", bound="Indicator")


class Clock(Protocol):
    """What time it is: the machine's, or a simulated one's."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        ...


class Indicator(Protocol):
    """Something that is fed one bar after the other and knows its newest value."""

    value: float
    warmup: int

    @property
    def update(self) -> Any:
        """Take a number or a Bar, return the new value (NaN while there are too few)."""
        ...


class Session(NamedTuple):
    """One trading session of a market."""

    open_ns: int
    close_ns: int


class Calendar(Protocol):
    """When a market is open; `timezone` is the zone of its wall clock, for crontabs."""

    name: str
    timezone: str

    def session(self, at_ns: int) -> Session:
        """The session that is open at this instant, else the next one."""
        ...


class Feed(Protocol):
    """Where ticks come from, oldest first, each instant once.

    `label` is shown wherever a price is shown ("SIMULATED", "REPLAY", or "").
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe
    label: str
    start_ns: int | None  # what closed at or before it is history, not a tick; None: not yet set

    def history(self, symbol: str, count: int | None, until_ns: int) -> Bars:
        """Copies of the last `count` (all: None) bars completed at or before `until_ns`."""
        ...

    def stream(self, after_ns: int | None) -> AsyncIterator[Tick]:
        """Ticks later than `after_ns`, at the pace of the feed."""
        ...


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a storage knows of the run to go on with; empty for a new run."""

    run_id: str
    is_resumed: bool = False
    started_ns: int | None = None
    cursor_ns: int | None = None  # the last tick wholly done
    order_count: int = 0
    has_begun: bool = False  # a strategy has been asked: the account's curve has begun
    orders: tuple[Order, ...] = ()  # those still open, oldest first, and those they are to replace
    steps: tuple[OrderEvent, ...] = ()  # the journal of those orders, oldest first
    fills: tuple[Fill, ...] = ()  # all of the run, in booking order
    states: Mapping[str, str] = field(default_factory=dict)  # strategy -> JSON text
    # strategy -> its status (running, paused, parked) and its faults in a row
    standings: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    venue_marks: Mapping[str, Any] = field(default_factory=dict)
    installation: str = ""  # tells our client order ids from another installation's
    starting_cash: Decimal | None = None  # of the account when the run began, where it is known
    closed: tuple[Order, ...] = ()  # ended lately, so that a venue may still speak of them
    account_events: tuple[AccountEvent, ...] = ()  # all that are booked in this run, oldest first
    restrictions: tuple[Restriction, ...] = ()  # latched ones of this database, of any run
    # the account at some instants, oldest first: before the cursor's day in any zone, and since
    equity_marks: tuple[tuple[int, Decimal], ...] = ()


class Storage(Protocol):
    """Where a run is recorded and found again."""

    async def begin_run(
        self, fingerprint: str, config: Mapping[str, Any], at_ns: int, fresh: bool
    ) -> Recovered:
        """Open the unfinished run with this fingerprint, or a new one."""
        ...

    async def record(self, run_id: str, events: Iterable[Event]) -> None:
        """Write the events in one transaction; durable when this returns."""
        ...

    async def recall(self, run_id: str, sought: Sought) -> Recalled | None:
        """An order of the run with its entry or exits and their fills; None where there is none."""
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...


def _nowhere(*_messages: Any) -> None:
    """Nobody listens yet."""


class Reconciliation(Protocol):
    """What a comparison with the venue has shown, in plain words."""

    found: list[str]  # at the venue: account, positions, orders, ours or not
    adopted: list[str]  # what we did not know and know now
    differs: list[str]  # what does not add up

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        ...


class BrokerInterface(ABC):
    """A venue as the lane sees it; every broker passes `ticklane.testing.contract`.

    `submit`, `cancel` and `replace` ask and return nothing: whatever the venue says comes back as
    OrderUpdates from `updates()`. An order is never taken for filled because it was submitted.
    """

    name: ClassVar[str] = "broker"

    allow_short: bool = False
    watches: Any = True  # truthy while `observe` has something to look for
    is_remote: ClassVar[bool] = False  # its venue is another program: orders can be late or lost
    put: Callable[..., None] = staticmethod(_nowhere)  # what comes by itself goes there
    recall: Recall = staticmethod(nothing_known)  # finds an order that was forgotten

    def attach(self, put: Callable[..., None], symbols: Iterable[str] = ()) -> None:
        """Hear where messages go that come by themselves, and what is traded; before `open`."""
        self.put = put

    async def open(self) -> None:
        """Look at the account before a run is begun or resumed; raises BrokerError."""

    def conditions(self) -> dict[str, Any]:
        """What decides how orders fill, in words or numbers: a run goes on only under the same."""
        return {}

    async def connect(self, recovered: Recovered, last: dict[str, Any]) -> None:
        """Get ready before the first tick; `last` is the lane's own view of the newest prices."""

    async def recover(self) -> Reconciliation | None:
        """Compare with the venue before strategies start; `updates` has then what was missed."""

    async def reconcile(self) -> Reconciliation | None:
        """Compare with the venue now, for an operator; None where there is nothing to compare."""

    async def accept(self, what: str, reason: str) -> AccountEvent | None:
        """The entry that makes the venue's number of a symbol, or of `cash`, ours; not booked."""

    def adjust(self, event: AccountEvent) -> None:
        """Count an entry of `accept`: it is recorded together with the marks after it."""

    def cancel_orphans(self) -> None:
        """Ask for open orders of ours to be cancelled that this run does not know."""

    def cancel_all_now(self) -> int | None:
        """Cancel every open order of ours at the venue, at once and from another thread: for a
        kill switch while a strategy holds up the lane. Returns how many; None: it cannot."""
        return None

    def forget(self, family: Sequence[Order]) -> bool:
        """Let go of an entry and its exits, long over; False while some of it is needed still."""
        return True

    def status(self) -> dict[str, Any]:
        """How the way to the venue is, as JSON values; empty where there is none."""
        return {}

    async def disconnect(self) -> None:
        """Let go of everything; open orders stay where they are."""

    @property
    @abstractmethod
    def starting_cash(self) -> Decimal:
        """The cash of the account when the run began."""

    @abstractmethod
    def instrument(self, symbol: str) -> Instrument:
        """The instrument of a symbol; raises BrokerError for one the venue does not know."""

    @abstractmethod
    async def submit(self, order: Order) -> None:
        """Send an order whose intent is durable; its legs go with it."""

    @abstractmethod
    async def cancel(self, order: Order) -> None:
        """Ask for an order to be cancelled; fills may still come first."""

    @abstractmethod
    async def replace(self, order: Order, by: Order) -> None:
        """Ask for an open order to be replaced by another of the same symbol and side."""

    def observe(self, tick: Tick) -> Sequence[OrderUpdate]:
        """See a tick before the lane does and say what it led to (simulated venues only)."""
        return ()

    @abstractmethod
    def updates(self) -> list[OrderUpdate]:
        """Take what the venue has said since the last call, oldest first."""

    def marks(self) -> dict[str, Any] | None:
        """What a simulated venue must find again after a crash; None when nothing changed."""
        return None


class StrategyServices(Protocol):
    """What the host of a strategy does for it."""

    portfolio: BookView

    def history(self, symbol: str, count: int) -> Bars:
        """See StrategyInterface.history."""
        ...

    def declare(self, indicator: Indicator, symbol: str) -> None:
        """Feed this indicator each completed bar of a symbol."""
        ...

    def ask(self, wish: Any) -> None:
        """Queue an Intent, a Cancelling or a Replacing."""
        ...

    def orders(self, symbol: str | None) -> list[Order]:
        """The strategy's own open orders."""
        ...


class Cancelling(NamedTuple):
    """A strategy's wish to cancel one of its orders."""

    order: Order


class Replacing(NamedTuple):
    """A strategy's wish to change one of its open orders."""

    order: Order
    changes: Mapping[str, Any]


class StrategyInterface(ABC):
    """A trading strategy: subclass it, write `on_tick`, and it runs on history, paper and live.

    `config` is a mapping with `name` (default: the class name), `symbols`, and the strategy's own
    keys. An inner pydantic model `Config` gives those keys types, bounds and defaults; unknown
    keys are then refused. Every callback may be `async def`.
    """

    Config: ClassVar[Any] = None  # an optional pydantic model of the strategy's own keys
    warmup: int = 0  # bars of each symbol that come before the first tick

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        name, symbols, own = read_strategy_config(config, self.Config, type(self).__name__)
        self.name: str = name
        self.symbols: tuple[str, ...] = symbols
        self.config: Mapping[str, Any] = MappingProxyType({**own, "name": name, "symbols": symbols})
        self.state: dict[str, Any] = {}  # JSON values only; survives restarts and kill -9
        self.is_running = False
        self._services: StrategyServices | None = None

    @property
    def portfolio(self) -> BookView:
        """The strategy's own book, read-only; `.account` is the net of all strategies."""
        return self._host("portfolio").portfolio

    def on_start(self) -> Any:
        """Called before the first tick, and again after a restart with `state` restored."""

    @abstractmethod
    def on_tick(self, market_data: MarketData) -> Any:
        """Decide: return nothing, one Intent (or plain mapping), or any iterable of them."""

    def on_fill(self, fill: Fill) -> Any:
        """Called after one of the strategy's orders, or a part of it, was executed."""

    def on_order(self, order: Order) -> Any:
        """Called after each step of one of the strategy's orders, refusals included."""

    def on_stop(self, reason: str) -> Any:
        """Called at the end; `reason` is "shutdown", "operator" or "end"."""

    def history(self, symbol: str, n: int) -> Bars:
        """The last `n` completed bars, the present one included, as read-only columns.

        Fewer when there are fewer; never padded, and never anything later than this tick.
        """
        return self._host("history").history(symbol, n)

    def indicator(
        self, kind: type[IndicatorT], *parameters: Any, symbol: str | None = None, **named: Any
    ) -> IndicatorT:
        """Declare an indicator that the host feeds with each bar of `symbol`, warm-up included.

        Call it in `on_start`. `symbol` may be left out by a strategy with one symbol.
        """
        chosen = symbol or self._only_symbol()
        made = kind(*parameters, **named)
        self._host("indicator").declare(made, chosen)
        return made

    def buy(self, symbol: str, quantity: Any = None, **terms: Any) -> Wish:
        """Ask to buy; terms are the intent keys. Returning the result as well does no harm."""
        return self._ask(Signal.BUY, symbol, quantity, terms)

    def sell(self, symbol: str, quantity: Any = None, **terms: Any) -> Wish:
        """Ask to sell; terms are the intent keys."""
        return self._ask(Signal.SELL, symbol, quantity, terms)

    def close(self, symbol: str, **terms: Any) -> Wish:
        """Ask to close what this strategy holds of a symbol (`fraction` for a part of it)."""
        return self._ask(Signal.CLOSE, symbol, None, terms)

    def orders(self, symbol: str | None = None) -> list[Order]:
        """This strategy's open orders, oldest first, optionally of one symbol."""
        return self._host("orders").orders(symbol)

    def cancel(self, order: Order) -> None:
        """Ask to cancel one of this strategy's open orders."""
        self._host("cancel").ask(Cancelling(order))

    def replace(self, order: Order, **changes: Any) -> None:
        """Ask to change quantity, limit_price, stop_price, trail or time_in_force of an order."""
        self._host("replace").ask(Replacing(order, changes))

    def _ask(self, signal: Signal, symbol: str, quantity: Any, terms: dict[str, Any]) -> Wish:
        size = {} if quantity is None else {"quantity": quantity}
        wish: Wish = {**terms, "symbol": symbol, "signal": signal, **size}
        host = self._host(signal.lower())
        # A malformed wish goes as it is: the desk refuses it and on_order hears of it.
        with suppress(ConfigError):
            wish = read_intent(wish)
        host.ask(wish)
        return wish

    def _only_symbol(self) -> str:
        if len(self.symbols) != 1:
            raise StrategyError(
                f"{self.name} has {len(self.symbols)} symbols, so indicator() needs symbol=."
            )
        return self.symbols[0]

    def _host(self, what: str) -> StrategyServices:
        if getattr(self, "_services", None) is None:
            raise StrategyError(
                f"{what} is available once the strategy is loaded into a runner "
                "(from on_start on), not in __init__."
            )
        return self._services  # type: ignore[return-value]


def check_strategy(strategy: Any) -> StrategyInterface:
    """Take an object for a strategy, or say in one sentence why it is none."""
    if not isinstance(strategy, StrategyInterface):
        raise StrategyError(
            f"{strategy!r} is not a strategy; it must be an instance of a class that "
            "inherits from StrategyInterface."
        )
    if not hasattr(strategy, "_services"):
        name = type(strategy).__name__
        raise StrategyError(f"{name}.__init__ must call super().__init__(config).")
    return strategy
