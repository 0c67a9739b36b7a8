"""Coins: fees are taken from what is received, and positions are named without the slash."""

from decimal import Decimal

import pytest
from alpaca_builders import an_order, at_venue

COIN = {"symbol": "BTC/USD", "time_in_force": "gtc"}


@pytest.fixture
async def coins(venue):
    venue.price("BTC/USD", 50_000)
    async with at_venue(venue, symbols=["BTC/USD"]) as bench:
        bench.symbol = "BTC/USD"
        yield bench


async def test_a_fill_in_coins_is_told_with_the_fee_that_was_kept_back(coins):
    await coins.submit(an_order("0.5", **COIN))

    [fill] = coins.fills
    assert (fill.quantity, fill.fee_asset) == (Decimal("0.5"), "BTC")
    assert fill.quantity - fill.fee == coins.venue.exchange.held("BTC/USD")


async def test_what_is_left_after_the_fee_can_be_sold(coins):
    for quantity in ("0.5", "0.25"):
        await coins.submit(an_order(quantity, **COIN))
    left = sum(fill.quantity - fill.fee for fill in coins.fills)

    sale = await coins.submit(an_order(left, side="sell", **COIN))

    assert coins.journey(sale) == "ACKED FILLED"
    assert coins.venue.exchange.held("BTC/USD") == 0


async def test_fees_to_come_are_shown_and_make_no_difference(coins):
    await coins.submit(an_order("0.5", **COIN))
    before = await coins.broker.reconcile()
    coins.venue.post_fees()
    after = await coins.broker.reconcile()

    assert before.differs == after.differs == []
    assert "fees of up to 0.0015 BTC/USD that are not posted yet." in before.found
    assert any(line.startswith("CFEE of") for line in after.adopted)


async def test_an_amount_of_money_is_sized_by_the_venue(coins):
    order = await coins.submit(an_order(0, notional=1000, **COIN))

    assert coins.journey(order).endswith("FILLED")
    assert order.quantity == order.filled_quantity == Decimal("0.02")
