"""The remembering lane: what is long over leaves the memory, and comes back when it is needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator

from ticklane.core.correction import Told, update_in
from ticklane.core.market import DAY, HOUR, MINUTE
from ticklane.core.money import plain
from ticklane.core.order import Order, OrderUpdate
from ticklane.core.recalled import Recalled, Sought, root_of
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.engine.adoption import open_orphan_book
from ticklane.engine.corrections import hear
from ticklane.engine.desk import Desk
from ticklane.engine.watch import WatchedLane
from ticklane.interfaces import BrokerInterface, Clock, Feed, Storage

_log = logging.getLogger("ticklane.lane")
_KEPT_NS = 2 * DAY  # so long an order that is over stays in memory
_MOST = 10_000  # and so many orders at most, if enough of them are over
_LOOK_NS, _BUSY_LOOK_NS = HOUR, MINUTE
Families = dict[str, list[Order]]


class RememberingLane(WatchedLane):
    """A lane whose memory does not grow with the orders it has ever had.

    The database has them all. An entry and its exits are forgotten together, two days after the
    last of them was over, and only with a database to bring them back. What is told of an order
    that not even the database knows halts trading: the books are not the account's any more.
    """

    def __init__(
        self,
        broker: BrokerInterface,
        storage: Storage | None,
        feed: Feed | None,
        clock: Clock | None,
    ) -> None:
        super().__init__(broker, storage, feed, clock)
        self._strays: list[Told] = []  # told of orders that the desk does not know
        self._over_since: dict[str, int] = {}  # root of a family -> when it was seen to be over
        self._next_look_ns = 0
        self._recalling = asyncio.Lock()

    def _remember(self, desk: Desk) -> None:
        """Hear of orders that this desk does not know, and find them for the broker."""
        desk.on_stray = self._note_stray
        desk.keeps_all = self.storage is not None  # who forgets is this lane
        self.broker.recall = self._recall

    # --- bringing back -------------------------------------------------------------------------

    async def _recall(self, sought: Sought) -> Recalled | None:
        """Find an order that was forgotten; the desk knows it and its family from then on."""
        if self.storage is None or self.run_id is None or self.desk is None:
            return None
        async with self._recalling:
            found = await self.storage.recall(self.run_id, sought)
            return None if found is None else self._bring_back(self.desk, found)

    def _bring_back(self, desk: Desk, found: Recalled) -> Recalled:
        """An order has one object only: what the desk has is newer than what was found."""
        open_orphan_book(desk.portfolio, found.family)
        family = tuple(desk.orders.setdefault(one.id, one) for one in found.family)
        for one in family:
            lane = desk.open.setdefault(one.symbol, {})  # a late fill opens it again
            if one.is_open:
                lane[one.id] = one
            if one.legs:
                one.legs = tuple(desk.orders.get(leg.id, leg) for leg in one.legs)
        self._over_since.pop(root_of(found.order), None)
        return Recalled(desk.orders[found.order.id], family, found.fills)

    def _note_stray(self, told: Told) -> None:
        if self.storage is None:
            self._halt_for(update_in(told))
        else:
            self._strays.append(told)

    async def _take_strays(self) -> None:
        """Book what was told of forgotten orders, in the order in which it was told."""
        desk, strays, self._strays = self.desk, self._strays, []
        assert desk is not None
        if strays:
            await self._flush()  # the database is to know everything that is booked
        for told in strays:
            update = update_in(told)
            if await self._recall(Sought(update.order_id)) is None:
                self._halt_for(update)
                continue
            _log.warning("order %s was over and forgotten, but is spoken of", update.order_id)
            hear(desk, told)
            await self._notify()

    def _halt_for(self, update: OrderUpdate) -> None:
        """Nobody knows whose this is: nothing goes on before an operator has looked."""
        fill, order_id = update.fill, update.order_id
        what = "an end" if update.status is None else f"state {update.status}"
        if fill is not None:
            what = f"a fill of {plain(fill.quantity)} {fill.symbol} at {plain(fill.price)}"
        sentence = (
            f"{what} was told for order {order_id}, which neither memory nor the database knows, "
            "so it is not booked; compare the account with `ticklane positions`, then release."
        )
        since_ns, state = self._present_ns(), TradingState.HALTED
        self.trading.restrict(
            Restriction("order_not_known", state, sentence, since_ns, is_latched=True), "orders"
        )

    # --- forgetting ----------------------------------------------------------------------------

    async def _forget_old(self) -> None:
        """Now and then: let go of what is long over, or of the oldest when there is too much."""
        desk, now_ns = self.desk, self._present_ns()
        if desk is None or self.storage is None:
            return
        is_busy = len(desk.orders) > _MOST
        if now_ns < self._next_look_ns - (_LOOK_NS - _BUSY_LOOK_NS if is_busy else 0):
            return
        self._next_look_ns = now_ns + _LOOK_NS
        await self._flush()  # what is forgotten is to be found whole
        for family in self._dispensable(desk.orders.values(), now_ns):
            if self.broker.forget(family):
                for one in family:
                    del desk.orders[one.id]
                    self.trading.forget(one.id)

    def _dispensable(self, orders: Iterable[Order], now_ns: int) -> Iterator[list[Order]]:
        """Families that are over since long enough; of too many the oldest."""
        over, count = _families_over(orders)
        known, self._over_since = self._over_since, dict.fromkeys(over, now_ns)
        self._over_since |= {root: at for root, at in known.items() if root in over}
        for root, family in over.items():
            age_ns = now_ns - self._over_since[root]
            if age_ns >= _KEPT_NS or (count > _MOST and age_ns > 0):
                count -= len(family)
                yield family


def _families_over(orders: Iterable[Order]) -> tuple[Families, int]:
    """Those none of which is open, oldest first, and how many orders there are in all."""
    families: Families = {}
    for order in orders:
        families.setdefault(root_of(order), []).append(order)
    count = sum(map(len, families.values()))
    over = {
        root: family
        for root, family in families.items()
        if not any(order.is_open for order in family)
    }
    return over, count
