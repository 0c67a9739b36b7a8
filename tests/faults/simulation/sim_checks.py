"""What must hold: after each event, and between database and venue when all is quiet again."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from sim_disk import INSTALLATION
from sim_venue import CASH, STRANGERS

from ticklane.core.correction import TAKEN_BACK, book_again, revised_trades
from ticklane.core.order import LEGAL_STEPS, OrderStatus
from ticklane.core.portfolio import Book
from ticklane.core.trading_state import TradingState
from ticklane.storage.rows import fill_of, trade_row

PREFIX = f"tl-{INSTALLATION}-"
_S = OrderStatus
_UNSENT = {_S.NOT_SENT, _S.REJECTED, _S.DENIED}
_UNSURE = {_S.SENDING, _S.UNKNOWN, _S.QUARANTINED}
_ENDS = {
    "filled": _S.FILLED,
    "canceled": _S.CANCELED,
    "expired": _S.EXPIRED,
    "rejected": _S.REJECTED,
    "replaced": _S.REPLACED,
}


class Violation(Exception):
    """Something that must never be, and which it was."""


class Checks:
    """Invariants of one simulated run; the first one that is broken ends it."""

    def __init__(self, world):
        self.world = world
        self.broken = None  # the first violation
        self._bodies = {}  # client order id -> the first body that was sent
        self._booked = defaultdict(Decimal)  # venue's order id -> what is durably booked
        self._executions = set()

    def fail(self, code, words):
        """An invariant is broken."""
        if self.broken is None:
            self.broken = Violation(f"{code}: {words}")
            self.world.note("VIOLATION", code, words)
            self.world.wake()

    # --- requests leave -------------------------------------------------------------------------

    def sent(self, life, verb, path, data):
        """A request of the daemon is about to leave."""
        if verb == "DELETE":
            self._check_is_ours(path)
        elif verb in ("POST", "PATCH"):
            self._check_intent(verb, data)
            self._check_state(life, verb, data["client_order_id"])

    def _check_is_ours(self, path):
        listed = self.world.venue.exchange.orders.get(path.rpartition("/")[2])
        if listed is not None and listed.symbol == STRANGERS:
            self.fail("foreign", "an order that is not ours is cancelled.")

    def _check_intent(self, verb, data):
        client_id = data["client_order_id"]
        if client_id not in self.world.disk.known:
            self.fail("intent", f"{verb} of {client_id}, whose intent is not durable.")
        first = self._bodies.setdefault(client_id, data)
        if verb == "POST" and first != data:
            self.fail("body", f"{client_id} is sent again with another body: {first} != {data}.")

    def _check_state(self, life, verb, client_id):
        track = life.broker.tracks.by_client_id.get(client_id)
        if track is None or life.runner.desk.orders.get(track.order.id) is not track.order:
            self.fail("unknown", f"{verb} of {client_id}, which the desk does not know.")
            return
        order, trading = track.order, life.runner.trading
        if trading.is_killed and not trading.is_let_through(order.id):
            self.fail("killed", f"{verb} of {order} while the kill switch is set.")
        is_entry = order.valid_until_ns is not None and order.parent_id is None
        if is_entry and self.world.clock.now_ns() > order.valid_until_ns:
            self.fail("stale", f"{verb} of {order}, whose signal is not valid any more.")
        if is_entry and trading.state(order.symbol) is not TradingState.ACTIVE:
            why = [one.code for one in trading.restrictions.values()]
            self.fail("restricted", f"{verb} of the entry {order} while there is {why}.")
        for track in life.broker.tracks.open() if is_entry else ():
            other = track.order
            if other.symbol == order.symbol and track.told is _S.QUARANTINED:
                self.fail("quarantine", f"{verb} of {order} while {other.id} is in quarantine.")

    # --- the venue has answered -----------------------------------------------------------------

    def answered(self, verb, path, data, answer):
        """The venue has done what a request asked."""
        if verb in ("POST", "PATCH") and answer.status == 200:
            client_id = data["client_order_id"]
            if client_id not in self.world.disk.known:
                self.fail("intent", f"the venue took {client_id}, which is in no database.")

    def booked(self, row):
        """A fill is durable."""
        broker_id = row["execution_id"].partition(":")[0]
        listed = self.world.venue.exchange.orders.get(broker_id)
        if listed is None:
            self.fail("fill", f"{row['execution_id']} is booked, but the venue has no such order.")
            return
        if row["execution_id"] in self._executions:
            self.fail("fill", f"{row['execution_id']} is booked twice.")
        self._executions.add(row["execution_id"])
        self._booked[broker_id] += _size(row)
        if self._booked[broker_id] > listed.filled_qty:
            self.fail(
                "fill",
                f"{self._booked[broker_id]} of {row['order_id']} is booked, but the venue has "
                f"filled {listed.filled_qty}.",
            )

    # --- everything is quiet --------------------------------------------------------------------

    def differences(self, life):
        """Everything in which database, books and venue differ; empty when all is well."""
        disk, exchange = self.world.disk, self.world.venue.exchange
        orders = {row["id"]: row for row in disk.rows("SELECT * FROM orders")}
        fills = disk.rows("SELECT * FROM fills ORDER BY number")
        return [
            *_orders_differ(orders, exchange),
            *_strangers(orders, exchange),
            *_fills_differ(orders, fills, exchange),
            *_money_differs(disk, fills, exchange),
            *_books_differ(life, disk, fills),
            *_trips_differ(life, disk),
            *_steps_differ(orders, disk.rows("SELECT * FROM order_events ORDER BY seq")),
            *(f"still restricted: {one.sentence}" for one in _restrictions(life)),
        ]


def _size(row):
    """What a fill adds to its order: one that takes back what was inferred, takes from it."""
    size = abs(Decimal(row["quantity"]))
    return -size if row["rule"] == TAKEN_BACK else size


def _restrictions(life):
    return [one for one in life.runner.trading.restrictions.values() if not one.is_latched]


def _listed(row, exchange):
    """The venue's order of a row."""
    by_id = exchange.orders.get(row["broker_order_id"] or "")
    return by_id or exchange.by_client_id.get(row["client_order_id"])


def _orders_differ(orders, exchange):
    seen = {}
    for row in orders.values():
        status = _S(row["status"])
        if status is _S.DENIED:
            continue
        listed = _listed(row, exchange)
        if listed is None:
            if status not in _UNSENT and not _waits(row, orders):
                yield f"order {row['id']} is {status}, but the venue has never had it."
            continue
        if listed.id in seen:
            yield f"orders {row['id']} and {seen[listed.id]} are one order of the venue."
        seen[listed.id] = row["id"]
        expected = _ENDS.get(listed.status, _S.PARTIAL if listed.filled_qty else _S.ACKED)
        if status is not expected:
            yield f"order {row['id']} is {status}, but {listed.status} at the venue."
        if Decimal(row["filled_quantity"]) != listed.filled_qty:
            yield (
                f"order {row['id']} has filled {row['filled_quantity']}, at the venue "
                f"{listed.filled_qty}."
            )


def _waits(row, orders):
    """The second half of an order through zero is sent when the first has closed."""
    first = orders.get(row["parent_id"] or "")
    is_first_open = first is not None and _S(first["status"]) in (_S.ACKED, _S.PARTIAL)
    return is_first_open and first["order_class"] == "simple" and row["status"] == _S.SENDING


def _strangers(orders, exchange):
    """Orders at the venue that are ours by their id, but in no row."""
    known = {row["client_order_id"] for row in orders.values()}
    known_there = {row["broker_order_id"] for row in orders.values()}
    for listed in exchange.orders.values():
        top = listed
        while top.parent is not None:
            top = top.parent
        is_ours = top.client_order_id.startswith(PREFIX)
        if is_ours and listed.client_order_id not in known and listed.id not in known_there:
            yield f"the venue has {listed.client_order_id} ({listed.status}), which is in no row."


def _fills_differ(orders, fills, exchange):
    ours, theirs = defaultdict(list), defaultdict(list)
    for fill in _standing(fills):
        row = orders[fill["order_id"]]
        listed = _listed(row, exchange)
        key = row["id"] if listed is None else listed.id
        ours[key].append((fill["size"], Decimal(fill["price"])))
    for one in exchange.ledger.executions:
        if one["symbol"] != STRANGERS:
            theirs[one["order_id"]].append((Decimal(one["qty"]), Decimal(one["price"])))
    for key in {**ours, **theirs}:
        if sorted(ours[key]) != sorted(theirs[key]):
            yield f"fills of {key} are {ours[key]}, at the venue {theirs[key]}."


def _standing(fills):
    """Each fill with its size, less what was taken back of it; none without a size."""
    found = {fill["execution_id"]: {**fill, "size": _size(fill)} for fill in fills}
    for fill in fills:
        if fill["rule"] == TAKEN_BACK:
            del found[fill["execution_id"]]
            found[fill["execution_id"].rpartition(":")[0]]["size"] += _size(fill)
    return [fill for fill in found.values() if fill["size"]]


def _money_differs(disk, fills, exchange):
    cash, held = CASH, defaultdict(Decimal)
    for fill in fills:
        quantity = Decimal(fill["quantity"])
        held[fill["symbol"]] += quantity
        cash -= quantity * Decimal(fill["price"])
    for event in disk.rows("SELECT * FROM account_events"):
        cash += Decimal(event["amount"])
    for event in _position_events(disk):
        held[event["symbol"]] += Decimal(event["quantity"])
    for one in exchange.ledger.executions:
        if one["symbol"] == STRANGERS:
            sign = 1 if one["side"] == "buy" else -1
            cash -= sign * Decimal(one["qty"]) * Decimal(one["price"])
            held[STRANGERS] += sign * Decimal(one["qty"])
    there = exchange.account.positions
    for symbol in {**held, **there}:
        if held[symbol] != there.get(symbol, 0):
            yield f"the database makes {held[symbol]} {symbol}, the venue {there.get(symbol, 0)}."
    if abs(cash - exchange.account.cash) > Decimal("0.01") * (len(fills) + 1):
        yield f"the database makes {cash} of cash, the venue {exchange.account.cash}."


def _position_events(disk):
    """Fees in coins, splits: all that changes a position without being a fill."""
    query = "SELECT * FROM account_events WHERE quantity IS NOT NULL AND kind <> 'DIV'"
    return [row for row in disk.rows(query) if row["symbol"]]


def _books_differ(life, disk, fills):
    portfolio, held = life.runner.portfolio, defaultdict(Decimal)
    for fill in fills:
        held[fill["symbol"]] += Decimal(fill["quantity"])
    for event in _position_events(disk):
        held[event["symbol"]] += Decimal(event["quantity"])
    for symbol, quantity in held.items():
        if portfolio.net(symbol) != quantity:
            yield f"the books hold {portfolio.net(symbol)} {symbol}, the database {quantity}."


def _trips_differ(life, disk):
    """Books and trades are those of the fills that stand, booked where inferred ones stood."""
    fills = [fill_of(row) for row in disk.rows("SELECT * FROM fills ORDER BY number")]
    books, trades = {}, defaultdict(list)
    for fill in fills:
        book = books.setdefault(fill.strategy, Book(fill.strategy, Decimal(0)))
        trade = book_again(book, fill)
        if trade is not None:
            trades[fill.symbol].append(trade)
        for old, new in revised_trades(book, fill.symbol):
            trades[fill.symbol][trades[fill.symbol].index(old)] = new
    for name, book in books.items():
        for symbol, position in book.positions.items():
            live = life.runner.portfolio.books[name].positions[symbol]
            if (live.cost, live.quantity) != (position.cost, position.quantity):
                yield f"{symbol} cost {live.cost}, by the database {position.cost}."
    made = sorted(trade_row(one, "r1")["profit"] for found in trades.values() for one in found)
    kept = sorted(row["profit"] for row in disk.rows("SELECT * FROM trades"))
    if list(map(Decimal, made)) != list(map(Decimal, kept)):
        yield f"trades are {kept}, but by the fills {made}."


def _steps_differ(orders, steps):
    standing = {}
    for step in steps:
        order_id, before, after = step["order_id"], step["from_status"], step["to_status"]
        if before != standing.get(order_id):
            yield f"order {order_id} steps from {before}, but was {standing.get(order_id)}."
        if before is not None and before != after and _S(after) not in LEGAL_STEPS[_S(before)]:
            yield f"order {order_id} steps from {before} to {after}."
        standing[order_id] = after
    for order_id, row in orders.items():
        if standing.get(order_id) != row["status"]:
            yield f"order {order_id} is {row['status']}, its journal {standing.get(order_id)}."
