"""Teller: the one place that tells the lane of orders, in legal steps and each execution once.

Stream and REST speak of the same things at different times and in any order. What they say comes
here as pictures of orders and as executions; what is old, known or doubled ends here.

An execution is known by the venue's order id and the order's total after it. Stream and
activities both have these two, while their ids need not agree; the total of an order cannot be
reached twice, so the same execution has the same key whoever tells it first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from ticklane.core.correction import INFERRED, Correction, Told
from ticklane.core.crash import crash_point
from ticklane.core.money import ZERO, plain, to_cash
from ticklane.core.order import (
    LEGAL_STEPS,
    TERMINAL,
    Fill,
    OrderStatus,
    OrderUpdate,
    Refusal,
    Side,
)
from ticklane.integrations.alpaca.coin_fees import CoinFees
from ticklane.integrations.alpaca.convert import Execution, VenueOrder
from ticklane.integrations.alpaca.inferred import inferred_key
from ticklane.integrations.alpaca.ledger import Ledger
from ticklane.integrations.alpaca.tracks import NOT_THERE, Track, Tracks

_S = OrderStatus
_log = logging.getLogger("ticklane.alpaca")
_STRANGERS: Final = 500  # so many executions of orders not known (yet) are kept


class Teller:
    """Turns what the venue says into OrderUpdates and Corrections; `put` takes them.

    `on_gap(track)` is called when the venue has filled more than the executions we know,
    `on_late(track)` when an order appears that was given up, `on_excess(track)` when an order
    has filled more than it was for.
    """

    def __init__(
        self,
        tracks: Tracks,
        ledger: Ledger,
        put: Callable[[Told], None],
        now_ns: Callable[[], int],
        fees: CoinFees,
    ) -> None:
        self._tracks, self._ledger, self._put, self._now_ns = tracks, ledger, put, now_ns
        self._fees = fees
        self.on_gap: Callable[[Track], None] = _nothing
        self.on_late: Callable[[Track], None] = _nothing
        self.on_excess: Callable[[Track], None] = _nothing
        self.on_expiry: Callable[[Track], bool] = _no
        self._strangers: dict[str, list[Execution]] = {}

    # --- our own verdicts --------------------------------------------------------------------

    def tell(self, track: Track, status: OrderStatus, reason: Refusal | None = None) -> bool:
        """Tell a step of an order and its legs, where it is a legal one."""
        if status not in LEGAL_STEPS[track.told]:
            return False
        self._say(track, status, reason)
        for leg in track.legs:
            if track.told is status and leg.broker_id is None:
                self.tell(leg, status, reason)
        return True

    def never_sent(self, track: Track, reason: Refusal) -> None:
        """It did not leave the house, for sure: through all the steps to NOT_SENT."""
        for status in (_S.UNKNOWN, _S.QUARANTINED, _S.NOT_SENT):
            self.tell(track, status, reason)

    def tell_end(self, track: Track) -> None:
        """Tell how it ended at the venue, whoever hoped to put it up again."""
        newest = track.newest
        if newest is not None and newest.end is not None and newest.end in LEGAL_STEPS[track.told]:
            self._say(track, newest.end, _reason(track, newest))

    def tell_broker_id(self, track: Track) -> None:
        """The venue knows an open order by this id from now on."""
        self._put(OrderUpdate(track.order.id, None, self._now_ns(), None, None, track.broker_id))

    def _say(
        self,
        track: Track,
        status: OrderStatus,
        reason: Refusal | None = None,
        quantity: Decimal | None = None,
    ) -> None:
        if track.is_over:
            self._tracks.reopen(track)
        track.told = status
        broker_id = track.broker_id if track.order.broker_order_id != track.broker_id else None
        update = OrderUpdate(
            track.order.id, status, self._now_ns(), None, reason, broker_id, quantity
        )
        self._put(update)
        track.note_change()

    # --- pictures ----------------------------------------------------------------------------

    def take_order(self, seen: VenueOrder) -> Track | None:
        """An order as the venue shows it; None for one that is not ours, or not known yet."""
        track = self._tracks.find(seen)
        if track is None:
            return None
        if track.is_past(seen):
            return track
        if track.broker_id is None or seen.client_id == track.order.client_order_id:
            self._tracks.bind(track, seen.id)
        if track.replaces is not None and seen.replaces is not None:
            self._name(track.replaces, seen.replaces)
        track.note(seen)
        self._accept(track, seen)
        for leg in seen.legs:
            found = self._tracks.leg_for(track, leg)
            if found is not None and not found.is_past(leg):
                self._tracks.bind(found, leg.id)
                self.take_order(leg)
        self.take_kept(seen.id)
        self._settle(track)
        return track

    def _name(self, leg: Track, broker_id: str) -> None:
        """A leg whose id was lost in a crash is not shown any more: what has replaced it tells."""
        is_lost = leg.is_nameless and leg.told in NOT_THERE
        if is_lost and broker_id not in self._tracks.by_broker_id:
            self._tracks.bind(leg, broker_id)
            self.tell_broker_id(leg)

    def _accept(self, track: Track, seen: VenueOrder) -> None:
        if track.told is _S.REJECTED and seen.end is None and not track.is_cancel_wanted:
            _log.error("order %s was refused, but has appeared at Alpaca", track.order.id)
            self.on_late(track)
        if track.told not in NOT_THERE:
            return
        if seen.end is _S.REJECTED and not seen.filled:
            self._say(track, _S.REJECTED, Refusal("rejected", "rejected by Alpaca."))
            return
        was_given_up = track.told in (_S.QUARANTINED, _S.NOT_SENT)
        self._say(track, _S.ACKED)
        if was_given_up:
            _log.error("order %s appeared at Alpaca after it was given up", track.order.id)
            if track.order.parent_id is None:  # an exit protects what its entry has bought
                self.on_late(track)

    def _settle(self, track: Track) -> None:
        """Tell how it ended, as soon as all its executions are told."""
        if track.missing:
            self.on_gap(track)
            return
        newest = track.newest
        if newest is None or newest.end is None or newest.end is track.told:
            return
        if newest.end is _S.FILLED:
            if track.told is not _S.FILLED and track.booked:
                self._say(track, _S.FILLED, None, track.booked)
                track.size = track.booked
        elif newest.end in (_S.EXPIRED, _S.CANCELED) and self.on_expiry(track):
            return  # it is put up again: to the lane it stays open
        elif newest.end in LEGAL_STEPS[track.told]:
            self._say(track, newest.end, _reason(track, newest))

    # --- executions --------------------------------------------------------------------------

    def take_execution(self, execution: Execution, source: str = "execution") -> bool:
        """Tell one execution, unless it was told; False when it is not of an order we know."""
        track = self._tracks.by_broker_id.get(execution.broker_order_id)
        if track is None:
            self._keep(execution)
            return False
        key = key_of(execution)
        total = execution.total
        if key in track.keys:
            return True
        if execution.broker_order_id in track.past:
            self._take_past(track, execution, key, f"{source} {execution.id}")
            return True
        known = ZERO  # so much of it was inferred
        if track.inferred is not None:
            known = track.inferred.overlap(execution, track.missing)
            if known < execution.quantity and total is not None and total <= track.inferred.covered:
                return True
        if total is not None:
            track.filled = max(track.filled, track.earlier + total)
        if total is not None and track.booked - known + execution.quantity > track.filled:
            _log.error("execution %s of order %s is told already", execution.id, track.order.id)
            track.keys.add(key)
            return True
        if known:
            self._replace(track, execution, key, f"{source} {execution.id}", known)
        else:
            self._book(track, execution, key, f"{source} {execution.id}")
        return True

    def _take_past(self, track: Track, execution: Execution, key: str, detail: str) -> None:
        """One of an order of the venue that another has taken over from; what was inferred of it
        stays as it is."""
        known = min(track.past[execution.broker_order_id], execution.quantity)
        track.past[execution.broker_order_id] -= known
        late = execution.quantity - known
        track.keys.add(key)
        if late:
            track.earlier += late
            track.filled += late
            self._book(track, execution._replace(quantity=late), key, detail)

    def take_kept(self, broker_id: str) -> None:
        """Tell the executions that came before it was known which order of ours this is."""
        for execution in self._strangers.pop(broker_id, ()):
            self.take_execution(execution)

    def infer(self, track: Track, seen: VenueOrder) -> None:
        """Book what the venue has filled and no execution explains, at the price that is left."""
        quantity = track.missing
        if not quantity:
            return
        price = _price_of_rest(track, seen, quantity)
        if not price:
            return  # it stays missing, and is asked for again
        inferred = Execution(
            INFERRED,
            seen.id,
            seen.symbol,
            seen.side,
            quantity,
            price,
            track.filled - track.earlier,
            seen.updated_ns,
        )
        _log.error("order %s has filled without executions; one is inferred", track.order.id)
        self._book(track, inferred, inferred_key(seen.id, inferred.total or ZERO), INFERRED)

    def _replace(
        self, track: Track, execution: Execution, key: str, detail: str, known: Decimal
    ) -> None:
        """Book an execution in the place of what was inferred of it."""
        assert track.inferred is not None
        taken_back = track.inferred.take_back(execution, known, self._now_ns())
        for one in taken_back:
            track.value -= abs(one.quantity) * one.price
            self._ledger.book(one)
        track.booked -= known
        if known < execution.quantity:
            self._book(track, execution, key, detail, taken_back)
            return
        fill = self._fill(track, execution._replace(held=None), key, detail)
        if fill.fee_asset is not None:  # what is held of a coin is not to change
            fill = fill._replace(fee=-sum((one.fee for one in taken_back), ZERO))
        self._ledger.book(fill)
        update = OrderUpdate(track.order.id, None, self._now_ns(), fill)
        self._put(Correction(update, taken_back))
        crash_point("fill.replaced")

    def _fill(self, track: Track, execution: Execution, key: str, detail: str) -> Fill:
        """The fill of an execution, which is told from now on."""
        order = track.order
        track.keys.add(key)
        track.booked += execution.quantity
        track.value += execution.quantity * execution.price
        signed = execution.quantity if order.side is Side.BUY else -execution.quantity
        fee, fee_asset = self._fees.of(execution)
        return Fill(
            order.id,
            key,
            order.strategy,
            order.symbol,
            signed,
            execution.price,
            fee,
            execution.at_ns or self._now_ns(),
            INFERRED if execution.id == INFERRED else "venue",
            self._now_ns(),
            None,
            fee_asset,
            detail,
        )

    def _book(
        self,
        track: Track,
        execution: Execution,
        key: str,
        detail: str,
        taken_back: tuple[Fill, ...] = (),
    ) -> None:
        order = track.order
        if track.told in NOT_THERE:
            self._say(track, _S.ACKED)
        was_over = track.told in TERMINAL
        fill = self._fill(track, execution, key, detail)
        if fill.rule == INFERRED:
            track.infer(fill)
        status, quantity = self._size(track, execution)
        track.told = status or (_S.FILLED if track.booked >= track.size else _S.PARTIAL)
        if was_over:
            self._tracks.reopen(track)
        self._ledger.book(fill)
        update = OrderUpdate(order.id, status, self._now_ns(), fill, None, None, quantity)
        is_plain = fill.rule != INFERRED and not taken_back
        self._put(update if is_plain else Correction(update, taken_back))
        track.note_change()
        crash_point("fill.told")
        if was_over:
            _log.error("order %s was over, but has filled again", order.id)
        if track.size and track.booked > track.size:
            self.on_excess(track)
        self._settle_later(track)

    def _settle_later(self, track: Track) -> None:
        if not track.missing:
            self._settle(track)

    def _size(
        self, track: Track, execution: Execution
    ) -> tuple[OrderStatus | None, Decimal | None]:
        """The size of an amount of money is known when it is done; before, it is estimated."""
        order = track.order
        if order.notional is None:
            return None, None
        end = None if track.newest is None else track.newest.end
        if end is _S.FILLED and not track.missing:
            track.size = track.booked
            return None, track.size
        guess = (order.notional / execution.price).quantize(Decimal("0.000000001"))
        track.size = max(guess, track.booked)
        return _S.PARTIAL, track.size

    def _keep(self, execution: Execution) -> None:
        if len(self._strangers) >= _STRANGERS:
            self._strangers.pop(next(iter(self._strangers)))
        self._strangers.setdefault(execution.broker_order_id, []).append(execution)


def key_of(execution: Execution) -> str:
    """What an execution is booked under, whoever tells it."""
    if execution.total is None:
        return execution.id
    return f"{execution.broker_order_id}:{plain(execution.total)}"


def _price_of_rest(track: Track, seen: VenueOrder, quantity: Decimal) -> Decimal:
    """What the rest cost, when the average price of all is known."""
    if seen.average_price is None:
        return ZERO
    rest = (seen.average_price * track.filled - track.value) / quantity
    return to_cash(rest) if rest > ZERO and not track.earlier else seen.average_price


def _reason(track: Track, seen: VenueOrder) -> Refusal | None:
    if seen.end is _S.CANCELED:
        words = "cancelled on request." if track.is_cancel_wanted else "cancelled at the venue."
        return Refusal("canceled", words)
    if seen.end is _S.EXPIRED:
        return Refusal("expired", f"expired at the venue ({track.order.time_in_force}).")
    if seen.end is _S.REJECTED:
        return Refusal("rejected", "rejected by Alpaca after it was taken.")
    if seen.end is _S.REPLACED:
        return Refusal("replaced", "replaced by another order.")
    return None


def _no(_: Track) -> bool:
    """Nobody wants to put it up again."""
    return False


def _nothing(*_: Any) -> None:
    """Nobody wants to know."""
