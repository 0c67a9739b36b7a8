"""What Alpaca would refuse is refused offline, by any broker, with the remedy in the sentence."""

from decimal import Decimal

import pytest

from ticklane.brokers.paper import PaperBroker
from ticklane.core.portfolio import Portfolio
from ticklane.integrations.alpaca.rules import instrument_of
from ticklane.risk.manager import RiskManager
from ticklane.testing.bench import Bench
from ticklane.testing.builders import a_bracket, an_order

STOCK = {
    "class": "us_equity",
    "symbol": "AAPL",
    "status": "active",
    "tradable": True,
    "shortable": True,
    "easy_to_borrow": True,
    "fractionable": True,
}
COIN = {
    "class": "crypto",
    "symbol": "BTC/USD",
    "status": "active",
    "tradable": True,
    "min_order_size": "0.0001",
    "min_trade_increment": "0.0001",
    "price_increment": "1",
}
DAY = {"time_in_force": "day"}


def a_one_sided_bracket():
    order = a_bracket(an_order(1), 110, 90)
    order.legs = order.legs[:1]
    return order


@pytest.mark.parametrize(
    ("asset", "order", "code", "words"),
    [
        (STOCK, an_order("0.5"), "fraction", "time_in_force must be day, not gtc; change it"),
        (STOCK, an_order(0, notional=100), "fraction", "time_in_force must be day"),
        (STOCK, an_order(0, notional="0.5", **DAY), "minimum_notional", "below 1; take more"),
        (
            STOCK,
            an_order("0.5", type="trailing_stop", trail_amount=1, **DAY),
            "fraction",
            "order_type must be limit or market or stop or stop_limit",
        ),
        (STOCK, an_order(1, type="limit", limit_price="10.001"), "tick", "multiple of 0.01"),
        (STOCK, an_order(1, type="limit", limit_price="0.50005"), "tick", "multiple of 0.0001"),
        (STOCK, a_one_sided_bracket(), "protection", "needs take_profit and stop_loss"),
        (
            STOCK,
            a_bracket(an_order(1, time_in_force="ioc"), 110, 90),
            "time_in_force",
            "bracket orders in AAPL take time_in_force day or gtc, not ioc.",
        ),
        ({**STOCK, "fractionable": False}, an_order("0.5", **DAY), "lot", "multiple of 1."),
        ({**STOCK, "tradable": False}, an_order(1), "not_tradable", "choose another"),
        (COIN, an_order(1, symbol="BTC/USD", **DAY), "time_in_force", "gtc, ioc, not day"),
        (COIN, an_order("0.00005", symbol="BTC/USD"), "lot", "multiple of 0.0001"),
        (COIN, a_bracket(an_order(1, symbol="BTC/USD"), 2, 1), "order_class", "simple"),
        (
            COIN,
            an_order(1, symbol="BTC/USD", type="stop", stop_price=5),
            "order_type",
            "limit, market, stop_limit, not stop",
        ),
    ],
)
def test_each_rule_is_a_sentence_with_the_remedy(asset, order, code, words):
    refusal = instrument_of(asset).rules.refusal(order)

    assert refusal is not None
    assert refusal.code == code
    assert words in refusal.sentence
    assert refusal.sentence.endswith(".")


@pytest.mark.parametrize(
    ("asset", "order"),
    [
        (STOCK, an_order("0.5", **DAY)),
        (STOCK, an_order(0, notional=100, **DAY)),
        (STOCK, an_order(1, type="limit", limit_price="0.5001")),
        (STOCK, a_bracket(an_order(1, **DAY), 110, 90)),
        (COIN, an_order("0.0001", symbol="BTC/USD", time_in_force="ioc")),
    ],
)
def test_what_alpaca_takes_passes(asset, order):
    rules = instrument_of(asset).rules

    assert [rules.refusal(one) for one in (order, *order.legs)] == [None] * (1 + len(order.legs))


def test_tick_lot_and_calendar_come_from_the_asset():
    coin, stock = instrument_of(COIN), instrument_of(STOCK)

    assert (coin.symbol, coin.calendar, coin.rules.lot) == ("BTC/USD", "24/7", Decimal("0.0001"))
    assert (stock.calendar, stock.rules.can_flip) == ("XNYS", False)


def test_what_cannot_be_borrowed_is_not_sold_short():
    hard = instrument_of({**STOCK, "easy_to_borrow": False})
    manager = RiskManager(lambda _: hard, allow_short=True)
    portfolio = Portfolio(lambda _: 100.0)
    portfolio.open_book("test", Decimal(1000))

    refusal = manager.refusal(an_order(1, side="sell"), portfolio, {}, 100.0, 0)

    assert refusal is not None
    assert refusal.code == "not_shortable"


async def test_the_paper_broker_refuses_what_live_would():
    bench = Bench(PaperBroker(instruments=[instrument_of(COIN)]))
    bench.symbol = "BTC/USD"
    await bench.open()
    await bench.price(100)

    order = await bench.submit(an_order(1, symbol="BTC/USD", at=bench.now_ns, **DAY))

    assert (bench.journey(order), order.reason_code) == ("REJECTED", "time_in_force")
