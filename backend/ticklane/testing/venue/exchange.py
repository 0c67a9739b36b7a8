"""Alpaca's account semantics on top of our own simulated venue, which does all the matching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from ticklane.core.instrument import Instrument
from ticklane.core.market import DAY, Quote, Tick, put_prices
from ticklane.core.money import ZERO
from ticklane.core.order import Order, OrderClass, OrderStatus, Refusal, TimeInForce
from ticklane.testing.venue import guards
from ticklane.testing.venue.activities import Activities
from ticklane.testing.venue.assets import Asset, asset_named, normal_symbol, usual_assets
from ticklane.testing.venue.changes import Changes
from ticklane.testing.venue.fees import CoinFees
from ticklane.testing.venue.flags import Flags
from ticklane.testing.venue.holdings import Holding, MarginAccount, ScriptedVenue
from ticklane.testing.venue.hours import Hours
from ticklane.testing.venue.ledger import Ledger
from ticklane.testing.venue.listed import ListedOrder
from ticklane.testing.venue.market import Market
from ticklane.testing.venue.past import Past
from ticklane.testing.venue.refused import invalid, malformed, not_found
from ticklane.testing.venue.teller import Teller
from ticklane.testing.venue.terms import LONGEST_CLIENT_ID, read_order

_GTC_LIFE = 90 * DAY


class Exchange:
    """One account: its orders by id and client id, what became of them, and what it owns.

    It must be called in one thread. `teller.listen` hears every trade update as Alpaca sends it.
    """

    def __init__(
        self,
        market: Market,
        cash: Decimal = Decimal(100_000),
        *,
        calendar: str | None = None,
        multiplier: int = 1,
        allow_short: bool = False,
        assets: Iterable[Asset] = (),
        coin_fees: CoinFees | None = None,
        account_number: str = "PA0TICKLANE",
        seed: int | None = None,
    ) -> None:
        self.market = market
        self.hours = Hours(calendar)
        self.assets = usual_assets() | {asset.symbol: asset for asset in assets}
        self._random = Random(seed)
        calendars = {} if self.hours.calendar is None else {calendar or "": self.hours.calendar}
        self.venue = ScriptedVenue(
            cash, self.instrument, allow_short=allow_short, calendars=calendars
        )
        self.account = MarginAccount.of(self.venue, multiplier)
        self.flags = Flags(self.new_id(), account_number, market.now_ns())
        self.coin_fees = coin_fees or CoinFees()
        self.starting_cash = cash
        self.orders: dict[str, ListedOrder] = {}
        self.by_client_id: dict[str, ListedOrder] = {}
        self.holdings: dict[str, Holding] = {}
        self.activities = Activities(self.flags.id, self.new_id)
        self.ledger = Ledger(self.orders)
        self.past = Past(self)
        self.teller = Teller(self)
        self.is_matching = True  # False: nothing trades but by hand
        self.is_accepting = True  # False: orders stay pending_new until they are released
        self.changes = Changes(self)
        self.waiting: dict[str, ListedOrder] = {}  # taken, not yet at the venue
        self._sleeping: dict[str, ListedOrder] = {}  # accepted while the market was closed
        market.listen(self.observe)

    # --- names -------------------------------------------------------------------------------

    def new_id(self) -> str:
        """A fresh id, the same ones for the same seed."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def now_ns(self) -> int:
        """The venue's time."""
        return self.market.now_ns()

    def normal(self, name: str) -> str:
        """A symbol as the venue writes it: BTCUSD is BTC/USD."""
        return normal_symbol(name, self.assets)

    def find_asset(self, name: Any) -> Asset | None:
        """An asset by symbol or id: a usual one, or whatever has a price."""
        text = str(name or "")
        symbol = normal_symbol(text, self.assets)
        if symbol not in self.assets and symbol in self.market.symbols:
            self.assets[symbol] = asset_named(symbol)
        found = self.assets.get(symbol)
        return found or next((a for a in self.assets.values() if a.id == text), None)

    def instrument(self, symbol: str) -> Instrument:
        """The instrument our own venue trades under a symbol."""
        return (self.find_asset(symbol) or asset_named(symbol)).instrument(self.hours.name)

    def order(self, order_id: str) -> ListedOrder:
        """An order by its id; Refused where there is none."""
        try:
            return self.orders[order_id]
        except KeyError:
            raise not_found(f"order not found for {order_id}") from None

    # --- orders come in ----------------------------------------------------------------------

    def submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take an order as `POST /v2/orders` has it; answers as it stood when it was taken."""
        client_id = self.client_id(body)
        asset = self.find_asset(body.get("symbol"))
        if body.get("symbol") in (None, ""):
            raise malformed("symbol is required")
        if asset is None:
            raise invalid(f'asset "{body["symbol"]}" not found')
        order = read_order(body, asset, self.new_id, self.now_ns())
        guards.check(self, order)
        listed = self._list(order, asset, client_id, bool(body.get("extended_hours")))
        if not self.is_accepting:
            self.waiting[listed.id] = listed
        elif (refusal := self._hand_over(order)) is not None:
            raise guards.as_alpaca(self, order, refusal)
        self.enlist(listed)
        answer = listed.public()
        if self.is_accepting:
            self.begin(listed)
        else:
            self.teller.announce(listed, "pending_new")
        return answer

    def client_id(self, body: Mapping[str, Any]) -> str:
        """The client id of a request, or one of our own; Refused where it was used before."""
        client_id = body.get("client_order_id") or self.new_id()
        if not isinstance(client_id, str) or len(client_id) > LONGEST_CLIENT_ID:
            raise malformed(f"client_order_id must be no more than {LONGEST_CLIENT_ID} characters")
        if client_id in self.by_client_id:
            raise malformed("client_order_id must be unique")
        return client_id

    def _list(self, order: Order, asset: Asset, client_id: str, is_extended: bool) -> ListedOrder:
        """Write an order down with its legs; nothing is told yet."""
        listed = ListedOrder(order, asset, client_id, len(self.orders))
        listed.is_extended = is_extended
        listed.intent = self._intent(order)
        now = order.created_ns
        listed.expires_ns = now + _GTC_LIFE
        if order.time_in_force is not TimeInForce.GTC:
            listed.expires_ns = self.hours.session_end(now, is_extended)
        listed.status = "pending_new" if self._is_open_for(listed) else "accepted"
        listed.legs = [self._list_leg(leg, listed) for leg in order.legs]
        return listed

    def _list_leg(self, leg: Order, parent: ListedOrder) -> ListedOrder:
        listed = ListedOrder(leg, parent.asset, self.new_id(), parent.number)
        listed.parent, listed.status = parent, "held"
        listed.expires_ns = parent.expires_ns
        listed.intent = self._intent(leg)
        if parent.intent is not None and parent.order.order_class is not OrderClass.OCO:
            listed.intent = "sell_to_close" if parent.is_buy else "buy_to_close"
        return listed

    def _intent(self, order: Order) -> str:
        held, side = self.held(order.symbol), order.side
        is_closing = bool(held) and (held > 0) is (side == "sell")
        return f"{side}_to_{'close' if is_closing else 'open'}"

    def _is_open_for(self, listed: ListedOrder) -> bool:
        if listed.asset.is_crypto:
            return True
        return self.hours.is_open(self.now_ns(), listed.is_extended)

    def enlist(self, listed: ListedOrder) -> None:
        """Keep an order, with its legs, for good."""
        for one in (listed, *listed.legs):
            self.orders[one.id] = self.by_client_id[one.client_order_id] = one

    def _hand_over(self, order: Order) -> Refusal | None:
        """Give an order to our own venue; says why it was not taken."""
        if order.symbol not in self.venue.last:  # known from the feed's history only
            price = self.price(order.symbol) or 0.0
            self.venue.last[order.symbol] = Quote(order.symbol, self.now_ns(), price, price)
        self.venue.submit(order)
        said = self.venue.updates()
        return next((u.reason for u in said if u.status is OrderStatus.REJECTED), None)

    def begin(self, listed: ListedOrder) -> None:
        """The order works from now on: say so, and let it trade if it can."""
        working = self.venue.by_id.get(listed.id)
        if working is not None and listed.is_extended and self.hours.extended is not None:
            working.calendar, working.is_plain = self.hours.extended, False
            working.expires_ns = listed.expires_ns
        elif working is not None and listed.order.time_in_force is TimeInForce.GTC:
            working.expires_ns, working.is_plain = listed.expires_ns, False
        if listed.status == "pending_new":
            self.teller.announce(listed, "pending_new")
            self.teller.start(listed)
        else:
            self._sleeping[listed.id] = listed
            self.teller.announce(listed, "accepted")
        self.settle(listed.symbol)

    def release(self, order_id: str) -> None:
        """Let an order go on that was kept waiting, or its cancel, or its replacement."""
        listed = self.order(order_id)
        if self.waiting.pop(order_id, None) is not None:
            refusal = self._hand_over(listed.order)
            if refusal is not None:
                self.teller.end(listed, OrderStatus.REJECTED, refusal)
            else:
                self.begin(listed)
        else:
            self.changes.release(listed)

    # --- the market moves --------------------------------------------------------------------

    def observe(self, tick: Tick) -> None:
        """Prices became known: let our own venue match, and tell what came of it."""
        self.past.close_day(tick.time_ns)
        if self.is_matching:
            self.teller.take(self.venue.observe(tick))
        else:
            put_prices(self.venue.last, zip(tick.symbols, tick.observed, strict=True))
        self.teller.note_marks(tick.symbols)
        self.past.note(tick.time_ns)

    def settle(self, symbol: str) -> None:
        """Show the present price of a symbol once more: what came after it may trade at it."""
        quote = self._present_quote(symbol)
        if quote is not None and symbol in self.venue.working:
            self.observe(Tick(quote.time_ns, (symbol,), (quote,)))

    def _present_quote(self, symbol: str) -> Quote | None:
        seen, now = self.venue.last.get(symbol), max(self.now_ns(), self.venue.now_ns)
        if seen is None:
            return None
        if isinstance(seen, Quote):
            return seen._replace(time_ns=now)
        return Quote(symbol, now, seen.close, seen.close)

    def beat(self) -> None:
        """Time has passed: sessions begin and end, and with them orders."""
        now = self.now_ns()
        for listed in list(self._sleeping.values()):
            if listed.status != "accepted":
                del self._sleeping[listed.id]
            elif self._is_open_for(listed):
                del self._sleeping[listed.id]
                self.teller.start(listed)
        for symbol in list(self.venue.working):
            ends = [w.expires_ns for w in self.venue.working.get(symbol, ())]
            if any(end is not None and end <= now for end in ends):
                self.settle(symbol)
        self.teller.post_fees(now)

    def hear(self) -> None:
        """Take what our own venue has said."""
        self.teller.take(self.venue.updates())

    # --- what there is -----------------------------------------------------------------------

    def open_orders(self, symbol: str) -> list[ListedOrder]:
        """The open orders of a symbol, exits that wait for their entry left out."""
        found = (self.orders[w.order.id] for w in self.venue.working.get(symbol, ()) if w.can_trade)
        waiting = (one for one in self.waiting.values() if one.symbol == symbol)
        return [*found, *waiting]

    def held(self, symbol: str) -> Decimal:
        """The signed quantity of a position."""
        return self.account.positions.get(symbol, ZERO)

    def price(self, symbol: str) -> float | None:
        """The newest price."""
        return self.market.price_of(symbol)
