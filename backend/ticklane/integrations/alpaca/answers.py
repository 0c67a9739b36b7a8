"""Answers: what a reply of the venue says about an order, when it says anything for sure."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from ticklane.core.order import Order, Refusal
from ticklane.integrations.alpaca.client import Reply
from ticklane.integrations.alpaca.convert import VenueOrder, is_of, read_order

LONGEST_WAIT: Final = 30.0
_TAKEN: Final = Refusal(
    "id_taken",
    "an order that this database does not know has the same id at Alpaca; this one was not sent.",
)


class Kind(Enum):
    """What an answer to a request that may change something says."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    TAKEN = "taken"  # another order has this id: ours was never taken
    RATE_LIMITED = "rate_limited"
    ABSENT = "absent"
    UNCLEAR = "unclear"


class Answer(NamedTuple):
    """A clear answer, or the lack of one."""

    kind: Kind
    order: VenueOrder | None = None
    reason: Refusal | None = None


def judge(reply: Reply, order: Order) -> Answer:
    """What the reply to a POST, PATCH or look-up of an order of ours says about it."""
    if reply.is_ok:
        seen = read_order(reply.body)
        if seen is not None and seen.client_id == order.client_order_id:
            return Answer(Kind.ACCEPTED, seen)
        return Answer(Kind.UNCLEAR)
    if reply.status == 429:
        return Answer(Kind.RATE_LIMITED)
    if reply.code is None:  # not the venue's own words: a proxy's, or keys not known right now
        return Answer(Kind.UNCLEAR)
    if reply.status == 404:
        return Answer(Kind.ABSENT, reason=_words(reply))
    if reply.status in (400, 403, 422):
        if "client_order_id must be unique" in reply.message:
            return Answer(Kind.DUPLICATE)
        return Answer(Kind.REFUSED, reason=_words(reply))
    return Answer(Kind.UNCLEAR)


def recognise(reply: Reply, order: Order) -> Answer:
    """The same of a look-up, which may find what was sent under this id in a life forgotten."""
    answer = judge(reply, order)
    seen = answer.order
    if seen is None:
        return answer
    is_sized = order.notional is None and order.replaces_id is None and seen.quantity is not None
    is_other = not is_of(order, seen) or (is_sized and seen.quantity != order.quantity)
    return Answer(Kind.TAKEN, reason=_TAKEN) if is_other else answer


def _words(reply: Reply) -> Refusal:
    return Refusal("rejected", f"Alpaca refused it: {reply.message.rstrip('.')} ({reply.code}).")


def not_open(order_id: str) -> Reply:
    """The venue's answer to a change of an order that is over, as we know it already."""
    return Reply(422, {"code": 42210000, "message": f"order {order_id} is not open any more"})


def back_off(attempt: int) -> float:
    """1, 2, 4 ... 30 seconds."""
    return min(2.0**attempt, LONGEST_WAIT)
