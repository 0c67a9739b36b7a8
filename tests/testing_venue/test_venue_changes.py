"""Cancelling and replacing through alpaca-py's own client, and what an operator does to orders."""

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.requests import ReplaceOrderRequest
from venue_clients import again, order, wish

from ticklane.core.errors import ConfigError


def changes(**terms):
    return ReplaceOrderRequest(**terms)


# --- cancel -----------------------------------------------------------------------------------


def test_a_cancelled_order_is_over(client):
    waiting = order(client, "limit", limit_price=90)

    client.cancel_order_by_id(waiting.id)

    assert again(client, waiting).status == "canceled"
    assert again(client, waiting).canceled_at is not None


def test_what_is_filled_cannot_be_cancelled(client):
    done = order(client, qty=1)

    with pytest.raises(APIError) as error:
        client.cancel_order_by_id(done.id)

    assert (error.value.status_code, error.value.code) == (422, 42210000)
    assert error.value.message == 'order is already in "filled" state'


def test_an_unknown_order_is_not_found(client):
    with pytest.raises(APIError, match="order not found") as error:
        client.cancel_order_by_id("61e69015-8549-4bfd-b9c3-01e75843f47d")

    assert (error.value.status_code, error.value.code) == (404, 40410000)


def test_all_orders_are_cancelled_at_once(client):
    kept = order(client, qty=1)
    waiting = [order(client, "limit", limit_price=price) for price in (90, 91)]
    waiting.append(order(client, "limit", limit_price=80, order_class="oto", stop=70))

    told = client.cancel_orders()

    assert {one.status for one in told} == {200}
    assert {str(one.id) for one in told} > {str(one.id) for one in waiting}
    assert [again(client, one).status for one in waiting] == ["canceled"] * 3
    assert again(client, kept).status == "filled"


def test_a_cancel_can_be_kept_pending_and_a_fill_overtake_it(client, venue):
    venue.switch(is_cancelling=False)
    waiting = order(client, "limit", limit_price=90)

    client.cancel_order_by_id(waiting.id)
    pending = again(client, waiting).status
    venue.price("AAPL", 89)

    assert (pending, again(client, waiting).status) == ("pending_cancel", "filled")
    assert [e["event"] for e in venue.ledger.events][-2:] == ["fill", "order_cancel_rejected"]


def test_a_pending_cancel_is_released_or_refused(client, venue):
    venue.switch(is_cancelling=False)
    first, second = (order(client, "limit", limit_price=90) for _ in range(2))
    for one in (first, second):
        client.cancel_order_by_id(one.id)

    venue.release(first.id)
    venue.refuse(second.id)

    assert again(client, first).status == "canceled"
    assert again(client, second).status == "new"


# --- replace ----------------------------------------------------------------------------------


def test_a_replacement_is_a_new_order_that_knows_the_old_one(client):
    old = order(client, "limit", qty=10, limit_price=90)

    new = client.replace_order_by_id(old.id, changes(qty=5, limit_price=91, client_order_id="b"))
    before, after = again(client, old), again(client, new)

    assert (before.status, before.replaced_by, before.qty) == ("replaced", new.id, "10")
    assert (after.status, after.replaces, after.qty) == ("new", old.id, "5")
    assert (after.limit_price, after.client_order_id) == ("91", "b")


def test_replacements_form_a_chain(client):
    first = order(client, "limit", limit_price=90)

    second = client.replace_order_by_id(first.id, changes(limit_price=91))
    third = client.replace_order_by_id(second.id, changes(limit_price=92))

    assert again(client, second).replaces == first.id
    assert again(client, second).replaced_by == third.id


def test_a_replacement_at_the_market_trades(client):
    old = order(client, "limit", limit_price=90)

    new = client.replace_order_by_id(old.id, changes(limit_price=100))

    assert again(client, new).status == "filled"


def test_a_part_filled_order_is_replaced_by_its_whole_quantity(client, venue):
    old = order(client, "limit", qty=10, limit_price=90)
    venue.fill(old.id, 4)

    new = client.replace_order_by_id(old.id, changes(limit_price=91))

    assert (again(client, old).filled_qty, new.qty, new.filled_qty) == ("4", "10", "0")


def test_a_leg_of_a_bracket_is_replaced_and_still_ends_the_other(client, venue):
    entry = order(client, qty=10, order_class="bracket", target=110, stop=95)
    target, stop = entry.legs

    new = client.replace_order_by_id(stop.id, changes(stop_price=98))
    venue.price("AAPL", 97)

    assert again(client, new).status == "filled"
    assert again(client, target).status == "canceled"
    assert {leg.id for leg in again(client, entry).legs} == {target.id, new.id}


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"limit_price": 90.123}, "sub-penny"),
        ({"stop_price": 90}, "invalid stop_price for a limit order"),
        ({"trail": 3}, "invalid trail"),
        ({"qty": 100_000}, "insufficient buying power"),
    ],
)
def test_a_replacement_that_cannot_be_leaves_the_order_as_it_was(terms, words, client):
    old = order(client, "limit", limit_price=90)

    with pytest.raises(APIError, match=words):
        client.replace_order_by_id(old.id, changes(**terms))

    assert (again(client, old).status, len(client.get_orders())) == ("new", 1)


def test_what_is_over_cannot_be_replaced(client):
    done = order(client, qty=1)

    with pytest.raises(APIError, match="order is already in"):
        client.replace_order_by_id(done.id, changes(limit_price=5))


def test_a_pending_replacement_is_released_or_refused(client, venue):
    venue.switch(is_replacing=False)
    first, second = (order(client, "limit", limit_price=90) for _ in range(2))
    news = [client.replace_order_by_id(o.id, changes(limit_price=91)) for o in (first, second)]
    pending = again(client, first).status

    venue.release(news[0].id)
    venue.refuse(news[1].id)

    assert pending == "pending_replace"
    assert [again(client, one).status for one in (first, *news)] == ["replaced", "new", "rejected"]
    assert again(client, second).status == "new"
    assert venue.ledger.events[-1]["event"] == "order_replace_rejected"


def test_a_fill_can_overtake_a_pending_replacement(client, venue):
    venue.switch(is_replacing=False)
    old = order(client, "limit", limit_price=90)
    new = client.replace_order_by_id(old.id, changes(limit_price=91))

    venue.price("AAPL", 89)

    assert [again(client, one).status for one in (old, new)] == ["filled", "rejected"]


# --- the operator -----------------------------------------------------------------------------


def test_an_operator_fills_a_part_and_then_the_rest(client, venue):
    waiting = order(client, "limit", qty=10, limit_price=90, client_order_id="mine")

    venue.fill("mine", 4, 89.5)
    part = again(client, waiting)
    venue.fill("mine")

    assert (part.status, part.filled_qty, part.filled_avg_price) == (
        "partially_filled",
        "4",
        "89.5",
    )
    assert again(client, waiting).filled_avg_price == "89.8"


def test_a_late_fill_comes_after_the_end_of_an_order(client, venue):
    waiting = order(client, "limit", qty=10, limit_price=90)
    client.cancel_order_by_id(waiting.id)

    venue.fill(waiting.id, 4)

    assert (again(client, waiting).status, again(client, waiting).filled_qty) == ("canceled", "4")
    assert client.get_open_position("AAPL").qty == "4"
    assert client.get_account().buying_power == "99640"


@pytest.mark.parametrize(
    ("do", "status"), [("reject", "rejected"), ("expire", "expired"), ("cancel", "canceled")]
)
def test_an_operator_ends_an_order(do, status, client, venue):
    waiting = order(client, "limit", limit_price=90)

    getattr(venue, do)(waiting.id)

    assert again(client, waiting).status == status


def test_an_order_that_is_over_cannot_be_ended_again(client, venue):
    done = order(client, qty=1)

    with pytest.raises(ConfigError, match="is filled already"):
        venue.reject(done.id)


def test_orders_can_be_kept_pending_until_they_are_released(client, venue):
    venue.switch(is_accepting=False)
    waiting = order(client, qty=1)

    venue.release(waiting.id)

    assert (waiting.status, again(client, waiting).status) == ("pending_new", "filled")


def test_nothing_trades_by_itself_while_matching_is_off(client, venue):
    venue.switch(is_matching=False)
    resting = order(client, qty=1)

    venue.fill(resting.id, price=99)

    assert (resting.status, again(client, resting).filled_avg_price) == ("new", "99")


def test_a_rejected_order_that_waits_was_never_at_the_market(client, venue):
    venue.switch(is_accepting=False)
    answer = client.submit_order(wish(qty=1))

    venue.reject(answer.id)

    assert again(client, answer).status == "rejected"
