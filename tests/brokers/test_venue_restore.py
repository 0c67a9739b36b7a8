"""A venue rebuilt after a crash goes on exactly as the one that never stopped.

Random markets and orders, families included. At a random moment a second venue is built from what
a journal would hold: the fills, the open orders as a desk knows them, and the marks of the last
tick as JSON. From then on both must say the same, word for word.
"""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_histories import FLAT, Run, steps, venues

from ticklane.brokers.paper import PaperBroker
from ticklane.core.costs import VolumeShareSlippage
from ticklane.core.market import HOUR
from ticklane.interfaces import Recovered
from ticklane.testing.builders import START, a_bar, a_fill, a_tick, an_order

# --- the promise --------------------------------------------------------------------------------


def play(examples, is_random=False):
    """Let Hypothesis find a history whose crash makes a difference."""

    @settings(
        max_examples=examples,
        derandomize=not is_random,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(venues, st.lists(steps, max_size=25), st.lists(steps, max_size=12))
    def run(venue, before, after):
        asyncio.run(crash_between(venue, before, after))

    run()


def test_a_restored_venue_goes_on_as_if_nothing_had_happened():
    play(examples=200)


@pytest.mark.slow
def test_a_restored_venue_goes_on_as_if_nothing_had_happened_many_times():
    play(examples=4_000, is_random=True)


def comparable(venue, steps):
    """A history whose reservations a restart can know.

    With short sales an order reserves less while another one closes the position. What is taken
    after the last tick reserves anew after a restart, without those that were cancelled meanwhile.
    """
    kept, has_new_order = [], False
    for step in steps:
        if venue.get("allow_short") and has_new_order and step[0] in ("cancel", "replace"):
            continue
        has_new_order = step[0] == "order" or (has_new_order and step[0] not in ("tick", "quote"))
        kept.append(step)
    return kept


async def crash_between(venue, before, after):
    first = Run(venue)
    await first.bench.open()
    for step in (FLAT, *comparable(venue, before)):
        await first.take(step)
    second = await first.twin()
    known = len(first.bench.updates)
    for step in after:
        await first.take(step)
        await second.take(step)
        assert second.bench.updates == first.bench.updates[known:]
    assert second.bench.broker.venue.account.cash == first.bench.broker.venue.account.cash
    assert second.bench.broker.positions == first.bench.broker.positions
    assert second.bench.broker.venue.marks() == first.bench.broker.venue.marks()


# --- what random histories do not show ----------------------------------------------------------


async def test_orders_keep_their_place_in_the_queue():
    first = Run({"slippage": VolumeShareSlippage(cap=1, impact=0)})
    await first.bench.open()
    await first.take(("tick", {"AAPL": (100, 100, 100, 100, 1000)}))
    later, earlier = an_order(5, id="o2"), an_order(5, id="o1", at=START)
    first.bench.orders = {one.id: one for one in (earlier, later)}
    await first.bench.submit(later, earlier)  # made in another order than sent
    await first.take(("tick", {"IBM": (100, 100, 100, 100, 1000)}))

    second = await first.twin()
    await second.take(("tick", {"AAPL": (100, 100, 100, 100, 6)}))

    assert [(fill.order_id, fill.quantity) for fill in second.bench.fills] == [("o2", 5), ("o1", 1)]


async def test_orders_sent_before_the_first_tick_are_found_again():
    broker = PaperBroker()
    order = an_order(2, id="o1", status="ACKED")
    recovered = Recovered("r0", is_resumed=True, started_ns=START, orders=(order,))

    await broker.connect(recovered, {"AAPL": a_bar(100, at=START - HOUR)})
    said = broker.observe(a_tick(open=101))

    assert [update.fill.price for update in said] == [101]


async def test_a_new_run_restores_nothing():
    broker = PaperBroker()

    await broker.connect(Recovered("r0"), {})

    assert (broker.cash, broker.positions, broker.venue.marks()) == (100_000, {}, {})


async def test_the_books_of_the_account_are_rebuilt_from_the_fills():
    broker = PaperBroker(1000)
    fills = (a_fill(2, 100, 1), a_fill(-1, 120), a_fill(1, 50, "0.01", fee_asset="AAPL"))

    await broker.connect(Recovered("r0", is_resumed=True, cursor_ns=START, fills=fills), {})

    assert broker.cash == 1000 - 201 + 120 - 50
    assert broker.positions == {"AAPL": Decimal("1.99")}
