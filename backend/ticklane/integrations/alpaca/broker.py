"""AlpacaBroker: a real or paper account at Alpaca behind BrokerInterface."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from ticklane.clock import SystemClock
from ticklane.core.account_event import AccountEvent
from ticklane.core.crash import crash_point
from ticklane.core.errors import BrokerError
from ticklane.core.events import Reconciled
from ticklane.core.instrument import Instrument
from ticklane.core.money import to_positive
from ticklane.core.order import Order, OrderUpdate
from ticklane.core.symbols import normal_symbol
from ticklane.core.trading_state import TradingState
from ticklane.integrations.alpaca import account_state
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.api import Api, Unread
from ticklane.integrations.alpaca.assets import Assets
from ticklane.integrations.alpaca.budget import RateBudget
from ticklane.integrations.alpaca.claim import Claim
from ticklane.integrations.alpaca.client import LateRequests, PooledRequests, Requests
from ticklane.integrations.alpaca.coin_fees import CoinFees
from ticklane.integrations.alpaca.convert import read_number
from ticklane.integrations.alpaca.hearing import Hearing
from ticklane.integrations.alpaca.ledger import KEPT_NS, Ledger
from ticklane.integrations.alpaca.protection import Protection
from ticklane.integrations.alpaca.reconcile import Reconciler
from ticklane.integrations.alpaca.report import Reconciliation
from ticklane.integrations.alpaca.restrictions import Restrictions
from ticklane.integrations.alpaca.sending import Sender
from ticklane.integrations.alpaca.strangers import Strangers
from ticklane.integrations.alpaca.stream import TradeStream
from ticklane.integrations.alpaca.tasks import note_end, within
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import UNSURE, Tracks, counts
from ticklane.integrations.alpaca.watch import Watch
from ticklane.interfaces import BrokerInterface, Clock, Recovered

_log = logging.getLogger("ticklane.alpaca")
_READY_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 5.0  # before a comparison that could not be done is tried again
_MARKS: Final = "alpaca"


class AlpacaBroker(BrokerInterface):
    """Trades an account at Alpaca: every order at most once, every execution told once.

    `symbols` are looked up in `open`; the runner adds those of its feed. `cash` is what the run
    may use (None: all that the account has when the run begins). `extended_hours` sends day limit
    orders for the extended sessions too; `rearm_protection` puts exits up again that ended with
    the day of their entry. `claim` keeps other daemons of this machine from the account. The rest
    is for tests and simulations; everything waits by the event loop's time only.
    """

    name: ClassVar[str] = "alpaca"
    is_remote: ClassVar[bool] = True
    watches = False  # it never looks at the feed's ticks

    def __init__(
        self,
        account: AlpacaAccount,
        *,
        symbols: Iterable[str] = (),
        clock: Clock | None = None,
        allow_short: bool = False,
        cash: Any = None,
        extended_hours: bool = False,
        rearm_protection: bool = False,
        requests: Requests | None = None,
        stream: TradeStream | None = None,
        jitter: Callable[[], float] = random.random,
        claim: Claim | None = None,
    ) -> None:
        self.account, self.allow_short, self._claim = account, allow_short, claim
        self._symbols = [normal_symbol(symbol) for symbol in symbols]
        self._clock = clock or SystemClock()
        self._wanted_cash = None if cash is None else to_positive(cash, "cash")
        self._extended_hours, self._rearms = extended_hours, rearm_protection
        self._cash: Decimal | None = None
        self._instruments: dict[str, Instrument] = {}
        self._number = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._is_up = asyncio.Event()
        self._marks_version = -1
        self._given_requests = requests
        self._make(jitter, stream)

    def _make(self, jitter: Callable[[], float], stream: TradeStream | None) -> None:
        clock, account = self._clock, self.account
        self._api = Api(LateRequests(self._requests), RateBudget(clock), jitter)
        self._made_requests: Requests | None = None
        self.tracks, self._ledger = Tracks(), Ledger()
        self._restrictions = Restrictions(self._put, clock)
        self._fees = CoinFees()
        self._teller = Teller(self.tracks, self._ledger, self._put, clock.now_ns, self._fees)
        self._sender = Sender(
            self._api,
            self.tracks,
            self._teller,
            clock,
            extended_hours=self._extended_hours,
            on_quarantine=lambda track: self._hearing.note_unknown(track),
            on_cleared=lambda track: self._hearing.note_known(track),
            bars=self._restrictions.bars,
        )
        if self._rearms:
            Protection(self._api, self.tracks, self._teller, self._sender)
        self._strangers = Strangers(self._api, self.tracks, self._teller, self._sender.spawn)
        self._hearing = Hearing(self.tracks, self._teller, self._restrictions, self._strangers)
        room = (self._api, self.tracks, self._teller, self._ledger)
        self._reconciler = Reconciler(
            *room, self._sender, self._restrictions, self._strangers, clock, self._put
        )
        self._reconciler.on_positions = self._fees.note
        self._stream = stream or TradeStream(
            account.stream_url, account.key, account.secret, jitter=jitter
        )
        self._watch = Watch(
            self._api,
            self.tracks,
            self._sender,
            self._reconciler,
            self._restrictions,
            self._stream,
            clock,
        )

    def _requests(self) -> Requests:
        """Made late: the client of alpaca-py takes a second to import."""
        if self._made_requests is None:
            self._made_requests = self._given_requests or PooledRequests(self.account)
        return self._made_requests

    # --- before a run ------------------------------------------------------------------------

    def attach(self, put: Callable[..., None], symbols: Iterable[str] = ()) -> None:
        """Hear where messages go, and which symbols the feed has."""
        self.put = put
        named = (normal_symbol(symbol) for symbol in symbols)
        self._symbols += [symbol for symbol in named if symbol not in self._symbols]

    async def open(self) -> None:
        """Look at the account, the clock and the symbols; raises BrokerError in one sentence."""
        try:
            found = await self._api.read("/account", needs="account_number")
        except Unread as error:
            raise BrokerError(account_state.why_unreachable(error.reply, self.account)) from None
        if not isinstance(found, Mapping):
            raise BrokerError(f"Alpaca at {self.account.host} did not answer with an account.")
        account_state.check(found, self.account)
        self._number = str(found.get("account_number"))
        if self._claim is not None:
            self._claim.take(self.account.host, self._number)
        self._cash = read_number(found.get("cash") or 0)
        if self.allow_short and found.get("shorting_enabled") is False:
            _log.warning("account %s may not sell short, so shorts are off", self._number)
            self.allow_short = False
        await self._look_up_all()
        try:
            await self._watch.compare_clocks()
        except Unread as error:
            _log.warning("the clock of Alpaca could not be read: %s", error)

    async def _look_up_all(self) -> None:
        """One request a symbol, or, for many, one for all that there are."""
        assets = Assets(self._api)
        try:
            await assets.prepare(len(self._symbols))
            found = await asyncio.gather(*map(assets.find, self._symbols))
        except Unread as error:
            raise BrokerError(account_state.why_unreachable(error.reply, self.account)) from None
        self._instruments = dict(zip(self._symbols, found, strict=True))

    def conditions(self) -> dict[str, Any]:
        """The account and how it may be used."""
        return {
            "account": self._number,
            "mode": self.account.mode,
            "cash": None if self._wanted_cash is None else str(self._wanted_cash),
            "allow_short": self.allow_short,
            "extended_hours": self._extended_hours,
        }

    @property
    def starting_cash(self) -> Decimal:
        """The cash the run began with."""
        if self._cash is None:
            raise BrokerError("the account has not been read yet; open the broker first.")
        return self._cash

    def instrument(self, symbol: str) -> Instrument:
        """The instrument of a symbol that was looked up in `open`."""
        try:
            return self._instruments[symbol]
        except KeyError:
            words = (
                f"symbol {symbol} was not looked up at Alpaca; add it to the symbols of the run."
            )
            raise BrokerError(words) from None

    # --- a run begins or goes on -------------------------------------------------------------

    async def connect(self, recovered: Recovered, last: dict[str, Any]) -> None:
        """Take back what the database knows, and open the trade stream; raises BrokerError."""
        if not recovered.installation:  # a later run's order ids would be those of this one
            raise BrokerError(
                "trading an account needs a database, which tells this run's orders from others'; "
                "give the runner a storage."
            )
        if recovered.starting_cash is not None:
            self._cash = recovered.starting_cash
        elif self._wanted_cash is not None:
            self._cash = self._wanted_cash
        elif self._cash is None:
            found = await self._api.read("/account", needs="cash")
            self._cash = read_number(found["cash"])
        self._reconciler.begin(recovered, frozenset(self._instruments))
        self._strangers.ask = self.recall
        self._take_back(recovered)
        self._start(self._stream.run(self._hearing.take, self._note_up, self._note_down), "stream")

    def _take_back(self, recovered: Recovered) -> None:
        self.tracks.remember((*recovered.closed, *recovered.orders))
        if marks := recovered.venue_marks.get(_MARKS):
            self._ledger.restore(marks)
        cursor_ns = recovered.cursor_ns or recovered.started_ns or self._clock.now_ns()
        since_ns = self._reconciler.since_ns = max(cursor_ns, self._ledger.read_until_ns)
        for fill in recovered.fills:
            self._ledger.book(fill)
            self.tracks.take_back(fill)
            if fill.filled_ns > since_ns - KEPT_NS:  # older ones are not read again
                self._reconciler.known_keys.add(fill.execution_id)

    async def recover(self) -> Reconciliation:
        """Compare with the venue; what was perhaps sent is resolved before strategies start."""
        crash_point("start.before_recover")
        loop = asyncio.get_running_loop()
        until = loop.time() + _READY_SECONDS
        await within(self._is_up.wait(), until - loop.time())
        for track in self.tracks.unsure():
            if track.order.parent_id is None or track.order.replaces_id is not None:
                self._sender.resolve(track)
        await within(self._sender.idle(), until - loop.time())
        naming = map(self._sender.legs.find, self.tracks.unnamed())
        await within(asyncio.gather(*naming), until - loop.time())
        report = await self._reconciler.run("start")
        self._api.budget.is_starting = False
        crash_point("start.after_recover")
        if not self._is_up.is_set():
            self._note_down(self._stream.trouble or "it did not open")
        elif self._stream.reconnects:
            self._sender.spawn(self._catch_up())  # it was down for a moment meanwhile
        if not report.is_complete:
            self._restrictions.impose("not_reconciled", report.trouble, TradingState.HALTED)
            self._start(self._go_on_reconciling(), "reconcile")
        self._start(self._watch.run(), "watch")
        return report

    async def reconcile(self) -> Reconciliation:
        """Compare with the venue now; who asks keeps the report."""
        return await self._reconciler.run("asked")

    async def accept(self, what: str, reason: str) -> AccountEvent:
        """The entry that makes Alpaca's number of a symbol, or of `cash`, ours; not yet booked."""
        return await self._reconciler.accept(what, reason)

    def adjust(self, event: AccountEvent) -> None:
        """Count an accepted entry; what is different then is not of our orders."""
        self._ledger.accept(event)

    async def _reconcile(self, why: str) -> Reconciliation:
        report = await self._reconciler.run(why)
        self.put(Reconciled(report.to_dict(), self._clock.now_ns()))
        return report

    async def _go_on_reconciling(self) -> None:
        """Until it is wholly done once, nothing is traded."""
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            report = await self._reconcile("start")
            if report.is_complete:
                self._restrictions.lift("not_reconciled")
                if self._stream.is_up:
                    self._restrictions.lift("stream_down")
                return

    def forget(self, family: Sequence[Order]) -> bool:
        """Let go of orders that are long over, while nothing is under way."""
        since_ns = self._reconciler.since_ns
        return not self._sender.waiting and self._strangers.forget(family, since_ns)

    def cancel_orphans(self) -> None:
        """Cancel open orders of ours, by their ids, that this run does not know."""
        for broker_id in self._reconciler.orphans:
            self._sender.cancel_orphan(broker_id)

    def cancel_all_now(self) -> int | None:
        """Cancel our open orders from another thread; not where requests are simulated."""
        if self._given_requests is not None:
            return None
        from ticklane.integrations.alpaca.emergency import cancel_ours

        return cancel_ours(self.account, self.tracks)

    async def disconnect(self) -> None:
        """Let go of stream, tasks and connections; open orders stay where they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._sender.close()
        if self._made_requests is not None:
            self._made_requests.close()
        if self._claim is not None:
            self._claim.drop()

    def _start(self, work: Any, name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"alpaca-{name}")
        task.add_done_callback(note_end)
        self._tasks.append(task)

    # --- orders ------------------------------------------------------------------------------

    async def submit(self, order: Order) -> None:
        """Queue an order; what becomes of it comes as messages."""
        self._sender.submit(order)

    async def cancel(self, order: Order) -> None:
        """Queue a cancel."""
        self._sender.cancel(order)

    async def replace(self, order: Order, by: Order) -> None:
        """Queue a replacement."""
        self._sender.replace(order, by)

    def updates(self) -> list[OrderUpdate]:
        """Nothing: whatever the venue says comes by itself."""
        return []

    def marks(self) -> dict[str, Any] | None:
        """What of the account is not in the database: the base, and booked activities."""
        if not self._ledger.has_base or self._ledger.version == self._marks_version:
            return None
        self._marks_version = self._ledger.version
        return {_MARKS: self._ledger.marks(self._clock.now_ns())}

    # --- what the venue says -----------------------------------------------------------------

    def _put(self, message: Any) -> None:
        self.put(message)  # wherever that is by now

    def _note_up(self) -> None:
        self._is_up.set()
        if self._stream.reconnects and any(t.get_name() == "alpaca-watch" for t in self._tasks):
            self._sender.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        """What happened while the stream was down is read before entries are taken again."""
        report = await self._reconcile("reconnect")
        if not self._stream.is_up:
            return
        if report.is_complete:
            self._restrictions.lift("stream_down")
        else:
            await asyncio.sleep(_AGAIN_SECONDS)
            self._sender.spawn(self._catch_up())

    def _note_down(self, why: str) -> None:
        self._is_up.clear()
        self._restrictions.impose("stream_down", f"the trade stream is down: {why}.")

    # --- for people --------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Connection, stream, rate budget, orders in flight, last comparison."""
        last = self._reconciler.last
        return {
            "account": self._number,
            "mode": self.account.mode,
            "host": self.account.host,
            "stream": self._stream.status(),
            "rate": self._api.budget.to_dict(),
            "requests": dict(self._api.counts),
            "clock_skew_seconds": round(self._watch.skew_seconds, 3),
            "in_flight": sum(1 for t in self.tracks.open() if t.told in UNSURE),
            "waiting": self._sender.waiting,
            "orders": counts(self.tracks.open()),
            "restrictions": self._restrictions.to_list(),
            "reconciliation": None if last is None else last.to_dict(),
        }
