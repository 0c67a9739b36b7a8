"""What strangers subclass (StrategyInterface, BrokerInterface) and our own ports, in one file."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from ticklane.core.errors import ConfigError, StrategyError
from ticklane.core.events import Event
from ticklane.core.instrument import Instrument
from ticklane.core.market import Bars, MarketData, Tick, Timeframe
from ticklane.core.order import Fill, Order, OrderEvent, OrderUpdate
from ticklane.core.portfolio import BookView
from ticklane.core.signal import Signal, Wish, read_intent

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

    async def close(self) -> None:
        """Let go of the database."""
        ...


class BrokerInterface(ABC):
    """A venue as the lane sees it; every broker passes `ticklane.testing.contract`.

    `submit`, `cancel` and `replace` ask and return nothing: whatever the venue says comes back as
    OrderUpdates from `updates()`. An order is never taken for filled because it was submitted.
    """

    name: ClassVar[str] = "broker"

    allow_short: bool = False
    watches: Any = True  # truthy while `observe` has something to look for

    def conditions(self) -> dict[str, Any]:
        """What decides how orders fill, in words or numbers: a run goes on only under the same."""
        return {}

    async def connect(self, recovered: Recovered, last: dict[str, Any]) -> None:
        """Get ready before the first tick; `last` is the lane's own view of the newest prices."""

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


def in_words(value: Any) -> str:
    """A value as text that is the same in every process."""
    by_address: Any = object.__repr__
    kind = type(value)
    return kind.__qualname__ if kind.__repr__ is by_address else repr(value)


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
        given = _given(config, type(self).__name__)
        self.name: str = _name(given.pop("name", None), type(self).__name__)
        self.symbols: tuple[str, ...] = _symbols(given.pop("symbols", ()), self.name)
        own = _validated(self.Config, given, self.name)
        self.config: Mapping[str, Any] = MappingProxyType(
            {**own, "name": self.name, "symbols": self.symbols}
        )
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
        wish: Wish = {"symbol": symbol, "signal": signal, **size, **terms}
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


def _given(config: Any, name: str) -> dict[str, Any]:
    if config is not None and not isinstance(config, Mapping):
        raise ConfigError(f"config of {name} is {config!r}, but must be a mapping.")
    return dict(config or {})


def _name(name: Any, default: str) -> str:
    if name is None:
        return default
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"name is {name!r}, but must be a text that is not empty.")
    return name


def _symbols(symbols: Any, name: str) -> tuple[str, ...]:
    if isinstance(symbols, str):
        symbols = (symbols,)
    if not isinstance(symbols, Iterable):
        raise ConfigError(f"symbols of {name} is {symbols!r}, but must be a list of texts.")
    is_set = isinstance(symbols, Set)  # which has no order of its own, so that of the alphabet
    listed = tuple(sorted(symbols, key=str) if is_set else symbols)
    for symbol in listed:
        if not isinstance(symbol, str) or not symbol:
            raise ConfigError(f"symbols of {name} holds {symbol!r}, but each must be a text.")
    if len(set(listed)) != len(listed):
        raise ConfigError(f"symbols of {name} are {list(listed)}, but each may stand there once.")
    return listed


def _validated(model: Any, given: dict[str, Any], name: str) -> dict[str, Any]:
    """The strategy's own parameters as its `Config` model reads them."""
    if model is None:
        return given
    if not hasattr(model, "model_fields"):
        raise StrategyError(f"Config of {name} is {model!r}, but must be a pydantic model.")
    from pydantic import ValidationError

    unknown = [key for key in given if key not in model.model_fields]
    if unknown:
        known = ", ".join(["name", "symbols", *model.model_fields])
        raise ConfigError(f"{name} does not know the key {unknown[0]!r}; it knows {known}.")
    try:
        return dict(model(**given))
    except ValidationError as error:
        raise ConfigError(_first_complaint(error.errors()[0], name)) from None


def _first_complaint(found: Any, name: str) -> str:
    """One of pydantic's errors as a sentence with the parameter, its value and the bound."""
    field = ".".join(str(part) for part in found["loc"])
    if found["type"] == "missing":
        return f"{field} of {name} is missing; give it a value."
    message = re.sub(r"^(?:\w+ )?[Ii]nput should ", "must ", found["msg"])
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    if not field:
        return f"the parameters of {name} do not fit together: {message}."
    return f"{field} of {name} is {found['input']!r}, but {message[:1].lower()}{message[1:]}."
