"""A storm of quotes, for tests of load."""

from market_serving import at

from ticklane.core.market import MINUTE
from ticklane.testing.venue.market import Market
from ticklane.testing.venue.storm import blow

SYMBOLS = [f"S{number:03}" for number in range(50)]


async def test_a_storm_gives_each_symbol_its_turn_and_trades_that_make_bars():
    market, quotes = Market(), []
    market.set_time(at("2026-03-02 14:30"))
    market.watch("quotes", quotes.append)

    pushed = await blow(market, SYMBOLS, 20_000, 0.05, trade_every=9)
    market.advance(60)

    assert len(quotes) == pushed == 1_000
    assert [quote.symbol for quote in quotes[:100]] == SYMBOLS * 2
    assert all(0 < quote.bid < quote.ask for quote in quotes)
    traded = len(market.trades("S000", 0, market.now_ns()))
    assert market.last_bar("S000").volume == traded > 0
    assert market.now_ns() == at("2026-03-02 14:30") + MINUTE


async def test_a_trade_comes_after_so_many_quotes_and_not_before():
    market = Market()
    market.set_time(at("2026-03-02 14:30"))

    await blow(market, SYMBOLS, 20_000, 0.02, trade_every=1_000_000)
    await blow(market, SYMBOLS, 20_000, 0.02, trade_every=30)

    traded = [name for name in SYMBOLS if market.trades(name, 0, market.now_ns())]
    assert traded[:2] == ["S009", "S019"]  # of 50 the 30th, the 60th, the 90th...


async def test_the_same_seed_gives_the_same_prices():
    found = []
    for _ in range(2):
        market, prices = Market(), []
        market.set_time(at("2026-03-02 14:30"))
        market.watch("quotes", lambda quote, prices=prices: prices.append(quote))
        await blow(market, SYMBOLS, 20_000, 0.02, seed=7)
        found.append(prices[:100])

    assert found[0] == found[1]
