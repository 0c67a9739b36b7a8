"""Where the venue takes no order through zero: a flip is a close, then an order that opens."""

import asyncio
from decimal import Decimal

import pytest
from desk_builders import DeskBench

from lane_builders import a_feed as a_feed_of
from lane_builders import a_runner, a_strategy, some_bars
from ticklane.brokers.replay import ReplayBroker
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.engine.restoring import restore
from ticklane.interfaces import Cancelling, Replacing
from ticklane.storage.service import StorageService
from ticklane.testing.builders import START

NO_FLIPS = {
    "allow_short": True,
    "instruments": [Instrument(symbol="AAPL", rules=OrderRules(can_flip=False))],
}


@pytest.fixture
def long_of_ten():
    """A desk that holds 10 where no order may go through zero."""
    bench = DeskBench(**NO_FLIPS)
    bench.hold(10)
    return bench


def halves(bench):
    """The two orders that the last wish became."""
    return bench.desk.tape.orders[-2:]


def test_a_flip_is_sent_as_a_close_while_the_rest_waits(long_of_ten):
    bench = long_of_ten

    bench.sell(15)

    first, second = halves(bench)
    assert bench.sent == ["submit sell 10 AAPL market"]
    assert (first.quantity, second.quantity, second.parent_id) == (10, 5, first.id)
    assert (second.status, bench.steps(second)) == ("SENDING", "SENDING")


def test_the_rest_is_sent_once_the_close_has_filled(long_of_ten):
    bench = long_of_ten
    bench.sell(15)
    first, second = halves(bench)

    bench.fill(bench.ack(first), 4)
    after_a_part = bench.sent[1:]
    bench.fill(first, 6)

    assert after_a_part == []
    assert bench.sent[1:] == ["submit sell 5 AAPL market"]
    assert (second.parent_id, bench.held()) == (None, "0")
    bench.fill(bench.ack(second))
    assert (bench.held(), bench.steps(second)) == ("-5", "SENDING SENDING ACKED FILLED")


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED", "REJECTED"])
def test_when_the_close_dies_the_rest_is_never_sent(status, long_of_ten):
    bench = long_of_ten
    bench.sell(15)
    first, second = halves(bench)

    bench.end(bench.ack(first), status)

    assert bench.steps(second) == "SENDING UNKNOWN QUARANTINED NOT_SENT"
    assert second.reason == f"not sent, since {first.id}, which was to close first, is {status}."
    assert (second.reason_code, bench.sent[1:]) == ("not_closed", [])
    assert bench.desk.open["AAPL"] == {}
    assert bench.heard()[-1] == "NOT_SENT"


def test_a_close_that_dies_half_filled_does_not_send_the_rest(long_of_ten):
    bench = long_of_ten
    bench.sell(15)
    first, second = halves(bench)

    bench.fill(bench.ack(first), 6)
    bench.end(first, "CANCELED")

    assert (second.status, bench.held()) == ("NOT_SENT", "4")


@pytest.mark.parametrize("held", [10, -10])
def test_a_flip_goes_either_way(held):
    bench = DeskBench(**NO_FLIPS)
    bench.hold(held)

    (bench.sell if held > 0 else bench.buy)(25)

    assert [one.quantity for one in halves(bench)] == [10, 15]


@pytest.mark.parametrize(
    ("held", "wish"),
    [(10, ("sell", 10)), (10, ("sell", 4)), (10, ("buy", 50)), (0, ("sell", 5))],
    ids=str,
)
def test_an_order_that_does_not_go_through_zero_stays_whole(held, wish):
    bench = DeskBench(**NO_FLIPS)
    if held:
        bench.hold(held)

    order = getattr(bench, wish[0])(wish[1])

    assert (order.quantity, len(bench.sent)) == (wish[1], 1)
    assert bench.desk.tape.orders[-1] is order


def test_where_flips_are_taken_they_stay_whole():
    bench = DeskBench(allow_short=True)
    bench.hold(10)

    bench.sell(15)

    assert bench.sent == ["submit sell 15 AAPL market"]


def test_what_counts_is_the_net_of_the_account():
    bench = DeskBench("One", "Two", **NO_FLIPS)
    bench.hold(10, "One")

    bench.sell(15, "Two")

    first, second = halves(bench)
    assert (first.strategy, first.quantity, second.quantity) == ("Two", 10, 5)


def test_both_halves_have_the_terms_of_the_wish(long_of_ten):
    bench = long_of_ten

    bench.sell(15, order_type="limit", limit_price=101, time_in_force="day", reason="turn")

    for one in halves(bench):
        assert (one.type, one.limit_price, one.time_in_force) == ("limit", 101, "day")
        assert (one.side, one.strategy, one.tag) == ("sell", "Trend", "turn")


def test_the_exits_belong_to_the_half_that_opens(long_of_ten):
    bench = long_of_ten

    first = bench.sell(15, take_profit=90, stop_loss=110)

    [second] = bench.desk.flips.waiting.values()
    assert (first.order_class, first.legs, second.order_class) == ("simple", (), "bracket")
    assert [(leg.quantity, leg.parent_id) for leg in second.legs] == [(5, second.id)] * 2
    bench.fill(bench.ack(first))
    assert bench.desk.outgoing[-1][1].legs == second.legs


def test_an_amount_of_money_is_shared_at_the_last_price(long_of_ten):
    bench = long_of_ten

    bench.sell(notional=1500)

    first, second = halves(bench)
    assert (first.quantity, first.notional) == (10, None)
    assert (second.quantity, second.notional) == (0, 500)


def test_a_refused_flip_is_refused_as_a_whole():
    bench = DeskBench(**{**NO_FLIPS, "allow_short": False})
    bench.book()
    bench.hold(10)

    order = bench.sell(15)

    assert (order.status, order.quantity, bench.sent) == ("DENIED", 15, [])


# --- changes while it waits ---------------------------------------------------------------------


def test_the_waiting_half_may_be_cancelled(long_of_ten):
    bench = long_of_ten
    bench.sell(15)
    first, second = halves(bench)

    bench.want(Cancelling(second))
    bench.fill(bench.ack(first))

    assert bench.sent == ["submit sell 10 AAPL market"]
    assert (second.status, second.reason) == ("NOT_SENT", "cancelled before it was sent.")
    assert (second.is_cancel_pending, bench.held()) == (False, "0")


def test_cancelling_an_exit_of_the_waiting_half_cancels_all_of_it(long_of_ten):
    bench = long_of_ten
    bench.sell(15, take_profit=90, stop_loss=110)
    [second] = bench.desk.flips.waiting.values()

    bench.want(Cancelling(second.legs[0]))

    assert {one.status for one in (second, *second.legs)} == {"NOT_SENT"}


def test_the_waiting_half_cannot_be_replaced(long_of_ten):
    bench = long_of_ten
    bench.sell(15)
    _, second = halves(bench)

    bench.want(Replacing(second, {"quantity": 3}))

    refused = bench.desk.tape.orders[-1]
    assert refused.reason == f"order {second.id} is not sent yet; cancel it instead."
    assert second.status == "SENDING"


def test_a_close_cancels_the_waiting_half_and_counts_the_first(long_of_ten):
    bench = long_of_ten
    bench.sell(15)
    _, second = halves(bench)

    bench.close()

    assert bench.sent == ["submit sell 10 AAPL market"]
    assert second.status == "NOT_SENT"


def test_the_rest_waits_for_the_replacement_of_the_close(long_of_ten):
    bench = long_of_ten
    bench.sell(15, order_type="limit", limit_price=105)
    first, second = halves(bench)
    bench.ack(first)

    bench.want(Replacing(first, {"limit_price": 104}))
    new = bench.desk.tape.orders[-1]
    bench.end(first, "REPLACED")
    bench.fill(bench.ack(new), price=104)

    assert bench.sent[-1] == "submit sell 5 AAPL limit"
    assert second.parent_id is None


# --- a restart ----------------------------------------------------------------------------------


def test_a_restart_does_not_send_the_waiting_half_before_its_time(long_of_ten):
    bench = long_of_ten
    bench.sell(15)
    first, second = halves(bench)
    bench.ack(first)

    again = bench.restarted()
    before = again.sent
    again.fill(again.desk.orders[first.id])

    assert (before, again.sent) == ([], ["submit sell 5 AAPL market"])
    assert again.desk.outgoing[-1][1].id == second.id


def test_a_restart_sends_a_close_that_was_perhaps_not_sent_alone(long_of_ten):
    bench = long_of_ten
    bench.sell(15)

    again = bench.restarted()

    assert again.sent == ["submit sell 10 AAPL market"]
    assert again.desk.outgoing[0][1].legs == ()


def test_a_restart_sends_the_half_that_was_free_to_go(long_of_ten):
    bench = long_of_ten
    bench.sell(15, take_profit=90, stop_loss=110)
    first = bench.desk.orders["r1-2"]
    bench.fill(bench.ack(first))

    again = bench.restarted()

    assert again.sent == ["submit sell 5 AAPL market"]
    assert len(again.desk.outgoing[0][1].legs) == 2


def test_a_close_that_dies_after_a_restart_ends_the_rest(long_of_ten):
    bench = long_of_ten
    bench.sell(15, take_profit=90, stop_loss=110)
    first = bench.ack(bench.desk.orders["r1-2"])

    again = bench.restarted()
    again.end(again.desk.orders[first.id], "CANCELED")

    waited = [one for one in again.desk.orders.values() if one.id != first.id]
    assert {one.status for one in waited} == {"NOT_SENT"}
    assert len(waited) == 3


@pytest.mark.parametrize("has_closed", [False, True], ids=["waiting", "free to go"])
async def test_a_database_keeps_who_waits_for_whom(has_closed, long_of_ten, tmp_path):
    bench = long_of_ten
    bench.sell(15, take_profit=90, stop_loss=110)
    first = bench.ack(bench.desk.orders["r1-2"])
    if has_closed:
        bench.fill(first)
    async with StorageService(tmp_path / "runs.db") as storage:
        await storage.begin_run("print", {}, START)
        await storage.record("r1", bench.desk.events)
    async with StorageService(tmp_path / "runs.db") as storage:
        recovered = await storage.begin_run("print", {}, START)

    again = DeskBench(**NO_FLIPS)
    restore(again.desk, recovered)

    assert again.sent == (["submit sell 5 AAPL market"] if has_closed else [])
    if not has_closed:
        again.fill(again.desk.orders[first.id])
    assert again.sent == ["submit sell 5 AAPL market"]
    assert [leg.quantity for leg in again.desk.outgoing[0][1].legs] == [5, 5]
    assert recovered.order_count == 5


# --- through the whole lane ---------------------------------------------------------------------


def test_through_the_lane_the_second_half_fills_a_bar_after_the_first():
    def on_tick(self, data):
        held = self.portfolio.position("AAPL").quantity
        if self.orders() or held < 0:
            return None
        return self.sell("AAPL", 15) if held else self.buy("AAPL", 10)

    broker = ReplayBroker(10_000, **NO_FLIPS)
    bars = some_bars(5, closes=[100, 101, 102, 103, 104])
    runner = a_runner(a_strategy(on_tick), broker=broker, feed=a_feed_of(bars))

    asyncio.run(runner.replay())

    filled = [(fill.quantity, fill.price) for fill in runner._tape.fills]
    assert filled == [(10, 100), (-10, 101), (-5, 102)]
    assert broker.positions["AAPL"] == Decimal(-5)


def test_of_a_flip_only_what_opens_grows_too_old_to_be_sent(long_of_ten):
    bench = long_of_ten
    bench.desk.valid_until = lambda strategy, at_ns: at_ns + 60

    bench.sell(15)

    first, second = halves(bench)
    assert (first.valid_until_ns, second.valid_until_ns) == (None, bench.now_ns + 60)
