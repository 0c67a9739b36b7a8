"""Strangers: what the venue speaks of and we do not follow. Ours and long over, or somebody else's?

Orders that are over leave the memory after some days, the database keeps them. So before anything
is taken for somebody else's, the database is asked. What it knows is followed again, with its
fills, and whatever is told of it is booked once, as if it had never been away.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from ticklane.core.errors import TicklaneError
from ticklane.core.market import DAY
from ticklane.core.order import Order
from ticklane.core.recalled import Recall, Recalled, Sought, nothing_known
from ticklane.integrations.alpaca.api import Api, Unread
from ticklane.integrations.alpaca.client import Reply
from ticklane.integrations.alpaca.convert import VenueOrder, read_order
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import Track, Tracks

_MOST: Final = 5_000  # so many of each kind are remembered, the newest ones
_READ_BACK_NS: Final = 2 * DAY  # more than is read again before the instant up to which all is read


class Strangers:
    """Knows which of the venue's orders are surely none of those we follow; `ask` finds ours."""

    def __init__(
        self,
        api: Api,
        tracks: Tracks,
        teller: Teller,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._api, self._tracks, self._teller, self._spawn = api, tracks, teller, spawn
        self.ask: Recall = nothing_known
        self._unknown: dict[str, bool] = {}  # broker ids the database does not know either
        self._listed: dict[str, str] = {}  # broker ids that were listed -> their client order ids
        self._sought: set[str] = set()

    # --- what we do not follow ---------------------------------------------------------------

    def note(self, seen: VenueOrder) -> None:
        """It was listed: should it have filled, its client order id need not be asked for."""
        for one in (seen, *seen.legs):
            _keep(self._listed, one.id, self.name_of(one))

    def name_of(self, seen: VenueOrder) -> str:
        """Its client order id; none where we follow another order by this name."""
        return "" if seen.client_id in self._tracks.by_client_id else seen.client_id

    async def is_foreign(self, broker_id: str) -> bool:
        """Whether an order is surely none of those we follow; else its fill is looked at later."""
        if any(map(_may_be_here, self._tracks.unsure())):
            return False  # it may be a leg of an order that we do not know the legs of yet
        if broker_id in self._unknown:
            return True
        client_id = self._listed.get(broker_id)
        if client_id is None:
            body = await self._api.read(f"/orders/{broker_id}", {"nested": "true"}, needs="id")
            seen = read_order(body)
            if seen is None or self._teller.take_order(seen) is not None:
                return False
            client_id = self.name_of(seen)
        return await self.find(broker_id, client_id) is None

    # --- what we have forgotten --------------------------------------------------------------

    async def find(self, broker_id: str, client_id: str) -> Track | None:
        """Follow an order again that the database knows; raises Unread when it cannot say."""
        if broker_id in self._unknown:
            return None
        is_named = bool(self._tracks.prefix) and client_id.startswith(self._tracks.prefix)
        try:  # by both: exits that were put up again have a client order id that is in no row
            found = await self.ask(Sought("", client_id if is_named else "", broker_id))
        except TicklaneError as error:
            raise Unread("the database", Reply(None, error=str(error))) from None
        if found is None:
            _keep(self._unknown, broker_id, True)
            return None
        return self._follow(found, broker_id)

    def _follow(self, found: Recalled, broker_id: str) -> Track:
        fresh = [one for one in found.family if one.id not in self._tracks.by_id]
        self._tracks.remember(found.family)
        for fill in found.fills:
            if any(fill.order_id == one.id for one in fresh):
                self._tracks.take_back(fill)
        track = self._tracks.add(found.order)
        if track.broker_id is None:
            self._tracks.bind(track, broker_id)
        self._teller.take_kept(broker_id)
        return track

    def look_for(self, seen: VenueOrder) -> None:
        """The stream has told of an order that we do not follow: perhaps we once did."""
        if seen.id not in self._sought and seen.id not in self._unknown:
            self._sought.add(seen.id)
            self._spawn(self._look_for(seen))

    async def _look_for(self, seen: VenueOrder) -> None:
        try:
            if await self.find(seen.id, self.name_of(seen)) is not None:
                self._teller.take_order(seen)
        except Unread:
            return  # the next look at the venue finds it
        finally:
            self._sought.discard(seen.id)

    def forget(self, family: Sequence[Order], since_ns: int) -> bool:
        """Let go of an entry and its exits, if they were over long before this instant, up to
        which all that has happened in the account is known."""
        if not self._tracks.forget(family, since_ns - _READ_BACK_NS):
            return False
        for one in family:
            self._unknown.pop(one.broker_order_id or "", None)  # from now on the database does
        return True


def _may_be_here(track: Track) -> bool:
    """True for an entry or exit of which we do not know what the venue calls it."""
    is_pair = bool(track.legs) or track.order.parent_id is not None
    return is_pair and track.broker_id is None


def _keep(known: dict[str, Any], key: str, value: Any) -> None:
    if key not in known and len(known) >= _MOST:
        del known[next(iter(known))]
    known[key] = value
