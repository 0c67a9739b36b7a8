"""Naming legs: the venue gives the exits of an entry ids of its own, which have to be learned.

A leg that was replaced before its id was kept is not shown any more: `Teller.take_order` learns its
id from what has replaced it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ticklane.core.order import OrderStatus, Refusal
from ticklane.integrations.alpaca.answers import back_off
from ticklane.integrations.alpaca.teller import Teller
from ticklane.integrations.alpaca.tracks import Track

_S = OrderStatus


class LegNames:
    """Learns the venue's ids of legs: they are in the answer, or in a nested look-up.

    `refresh(track)` asks for an order with its legs and says whether that could be read;
    `cancel(track)` asks again for what was asked while the leg had no name.
    """

    def __init__(
        self,
        teller: Teller,
        refresh: Callable[[Track], Awaitable[bool]],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        cancel: Callable[[Track], None],
    ) -> None:
        self._teller, self._refresh, self._spawn, self._cancel = teller, refresh, spawn, cancel

    async def find(self, track: Track) -> None:
        """Look once, and go on looking beside the lanes while the venue cannot be asked."""
        if not await self._has_named(track):
            self._spawn(self._go_on(track))

    async def _has_named(self, track: Track) -> bool:
        """False while the venue could not be asked for them."""
        unnamed = [leg for leg in track.legs if leg.is_nameless]
        if track.broker_id is None or not unnamed:
            return True
        if not await self._refresh(track):
            return False
        for leg in unnamed:
            if leg.broker_id is None and track.is_over:  # the venue has never made it
                end = _S.CANCELED if track.told is _S.FILLED else track.told
                self._teller.tell(leg, end, Refusal("entry_gone", "its entry has ended."))
            elif leg.is_cancel_wanted and leg.is_there:
                self._cancel(leg)
        return True

    async def _go_on(self, track: Track) -> None:
        attempt = 0
        while not await self._has_named(track):
            await asyncio.sleep(back_off(attempt))
            attempt += 1
