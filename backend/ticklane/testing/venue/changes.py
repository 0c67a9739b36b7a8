"""Orders that are cancelled or replaced, at once or when an operator lets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ticklane.core.order import OrderStatus
from ticklane.testing.venue import guards
from ticklane.testing.venue.listed import ListedOrder
from ticklane.testing.venue.refused import Refused, invalid
from ticklane.testing.venue.terms import changed

if TYPE_CHECKING:
    from ticklane.testing.venue.exchange import Exchange


class Changes:
    """Cancels and replacements of one exchange.

    With `is_cancelling` or `is_replacing` switched off they stay pending until they are released
    or refused.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.is_cancelling = True
        self.is_replacing = True
        self._replacing: dict[str, tuple[ListedOrder, str]] = {}  # new id: new order, old state
        self._cancelling: dict[str, str] = {}  # id: the state before

    # --- cancel ------------------------------------------------------------------------------

    def cancel(self, order_id: str) -> None:
        """Take a cancel as `DELETE /v2/orders/ID` has it."""
        exchange = self._exchange
        listed = exchange.order(order_id)
        if not listed.is_open:
            raise invalid(f'order is already in "{listed.status}" state')
        if listed.id in self._cancelling:
            raise invalid("order pending cancel")
        self._cancelling[listed.id] = listed.status
        listed.step("pending_cancel", exchange.now_ns())
        exchange.teller.announce(listed, "pending_cancel")
        if self.is_cancelling:
            self._cancel_now(listed)

    def _cancel_now(self, listed: ListedOrder) -> None:
        exchange = self._exchange
        self._cancelling.pop(listed.id, None)
        if exchange.waiting.pop(listed.id, None) is not None:
            for one in (listed, *listed.legs):
                exchange.teller.end(one, OrderStatus.CANCELED, None)
            return
        exchange.venue.cancel(listed.id)
        exchange.hear()

    # --- replace -----------------------------------------------------------------------------

    def replace(self, order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take a replacement as `PATCH /v2/orders/ID` has it; answers with the new order."""
        exchange = self._exchange
        old = exchange.order(order_id)
        if not old.is_open or old.id not in exchange.venue.by_id:
            raise invalid(f'order is already in "{old.status}" state')
        if old.status in ("pending_cancel", "pending_replace"):
            raise invalid(f'unable to replace order, order is in "{old.status}" state')
        client_id = exchange.client_id(body)
        order = changed(old, body, exchange.new_id(), exchange.now_ns())
        guards.check_replacement(exchange, old, order)
        new = ListedOrder(order, old.asset, client_id, len(exchange.orders))
        new.is_extended, new.intent = old.is_extended, old.intent
        new.expires_ns, new.replaces = old.expires_ns, old.id
        if self.is_replacing:
            return self._replace_now(old, new, old.status)
        exchange.enlist(new)
        self._replacing[new.id] = new, old.status
        self._note_pending(old)
        return new.public()

    def _note_pending(self, old: ListedOrder) -> None:
        old.step("pending_replace", self._exchange.now_ns())
        self._exchange.teller.announce(old, "pending_replace")

    def _replace_now(self, old: ListedOrder, new: ListedOrder, before: str) -> dict[str, Any]:
        """Put the new order in the old one's place at our own venue, which may refuse."""
        exchange = self._exchange
        exchange.venue.replace(old.id, new.order)
        said = exchange.venue.updates()
        for update in said:
            if update.order_id == new.id and update.status is OrderStatus.REJECTED:
                assert update.reason is not None
                raise guards.as_alpaca(exchange, new.order, update.reason)
        new.status = before if before in ("held", "accepted") else "pending_new"
        exchange.enlist(new)
        self._take_place(old, new)
        answer = new.public()
        if old.status != "pending_replace":
            self._note_pending(old)
        old.replaced_by = new.id
        exchange.teller.end(old, OrderStatus.REPLACED, None)
        exchange.teller.take(u for u in said if u.order_id not in (old.id, new.id))
        if new.status != "held":
            exchange.begin(new)
        return answer

    def _take_place(self, old: ListedOrder, new: ListedOrder) -> None:
        """Legs and parents know the replacement instead of the old order."""
        new.legs, new.parent = old.legs, old.parent
        for leg in new.legs:
            leg.parent = new
        if new.parent is not None:
            new.parent.legs = [new if leg is old else leg for leg in new.parent.legs]

    # --- what was kept waiting ---------------------------------------------------------------

    def release(self, listed: ListedOrder) -> None:
        """Let a pending cancel or replacement (named by the new order) happen."""
        if listed.id in self._cancelling:
            self._cancel_now(listed)
        elif listed.id in self._replacing:
            old = self._exchange.orders[listed.replaces or ""]
            kept = self._replacing.pop(listed.id)
            try:
                self._replace_now(old, listed, kept[1])
            except Refused:
                self._replacing[listed.id] = kept
                self.refuse(listed)

    def refuse(self, listed: ListedOrder) -> bool:
        """Refuse a pending cancel or replacement; False where there is none."""
        exchange = self._exchange
        if listed.id in self._cancelling:
            listed.step(self._cancelling.pop(listed.id), exchange.now_ns())
            exchange.teller.announce(listed, "order_cancel_rejected")
            return True
        if listed.id not in self._replacing:
            return False
        _, before = self._replacing.pop(listed.id)
        old = exchange.orders[listed.replaces or ""]
        if old.status == "pending_replace":
            old.step(before, exchange.now_ns())
        listed.step("rejected", exchange.now_ns(), "failed_at")
        exchange.teller.announce(old, "order_replace_rejected")
        return True

    def forget(self, listed: ListedOrder) -> str | None:
        """The order is over: what was pending has come too late; says what that was."""
        if self._cancelling.pop(listed.id, None) is not None:
            return "order_cancel_rejected"
        for new, _ in list(self._replacing.values()):
            if new.replaces == listed.id:
                del self._replacing[new.id]
                new.step("rejected", self._exchange.now_ns(), "failed_at")
                return "order_replace_rejected"
        return None
