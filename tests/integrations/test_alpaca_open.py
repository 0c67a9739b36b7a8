"""What speaks against an account is said in one sentence before a run is begun."""

import pytest
from alpaca_builders import VenueBench, a_broker, an_account, at_venue
from test_alpaca_sending import codes

from ticklane.core.commands import Lift, Restrict
from ticklane.core.errors import BrokerError
from ticklane.integrations.alpaca.broker import AlpacaBroker
from ticklane.interfaces import Recovered
from ticklane.testing.venue import LocalVenue
from ticklane.testing.venue.assets import Asset


async def refusal(broker):
    with pytest.raises(BrokerError) as error:
        await broker.open()
    await broker.disconnect()
    return str(error.value)


async def test_wrong_keys_are_refused():
    async with LocalVenue(keys=("other", "keys")) as venue:
        said = await refusal(a_broker(venue))

    assert "refused the keys (401); check ALPACA_API_KEY" in said


async def test_no_network_is_said(venue):
    account = an_account(venue, url="http://127.0.0.1:9", stream_url="ws://127.0.0.1:9/stream")

    said = await refusal(AlpacaBroker(account, jitter=lambda: 0.0))

    assert said == (
        "Alpaca at 127.0.0.1:9 cannot be reached (connection refused); check the network and "
        "ALPACA_BASE_URL."
    )


async def test_another_account_than_the_one_meant_is_refused(venue):
    account = an_account(venue, account_number="PA9OTHER")

    said = await refusal(AlpacaBroker(account))

    assert said.startswith("the keys belong to account PA0TICKLANE, but the settings say")


@pytest.mark.parametrize("flag", ["account_blocked", "trading_blocked"])
async def test_an_account_that_may_not_trade_is_refused(venue, flag):
    venue.set_account(**{flag: True})

    said = await refusal(a_broker(venue))

    assert said.startswith("account PA0TICKLANE cannot trade: ")


async def test_an_unknown_symbol_is_refused(venue):
    said = await refusal(a_broker(venue, symbols=["NOSUCH"]))

    assert said == "Alpaca does not know the symbol NOSUCH; check how it is written."


async def test_many_symbols_cost_few_requests():
    symbols = [f"T{number}" for number in range(70)]
    async with LocalVenue(assets=[Asset(symbol=symbol) for symbol in symbols]) as venue:
        broker = a_broker(venue, symbols=symbols)
        await broker.open()
        await broker.disconnect()

        assert broker.instrument("T69").symbol == "T69"
        assert len(venue.ledger.requests) < 10


async def test_an_account_is_not_traded_without_a_database(venue):
    broker = a_broker(venue)
    await broker.open()

    with pytest.raises(BrokerError, match="needs a database"):
        await broker.connect(Recovered("r0"), {})
    await broker.disconnect()


async def test_a_symbol_nobody_looked_up_has_no_instrument(bench):
    with pytest.raises(BrokerError, match="symbol TSLA was not looked up at Alpaca"):
        bench.broker.instrument("TSLA")


async def test_a_block_set_later_halts_and_its_end_lifts_it(bench):
    bench.venue.set_account(trading_blocked=True)
    await bench.broker.reconcile()
    halted = codes(bench, Restrict)
    bench.venue.set_account(trading_blocked=False)
    await bench.broker.reconcile()

    assert (halted, codes(bench, Lift)) == (["trading_blocked"], ["trading_blocked"])


async def test_a_clock_that_is_wrong_restricts_until_it_is_right(venue):
    venue.set_skew(60)
    async with at_venue(venue) as bench:
        wrong = codes(bench, Restrict)
        venue.set_skew(0)
        await bench.broker._watch.compare_clocks()

        assert (wrong, codes(bench, Lift)) == (["clock_skew"], ["clock_skew"])


async def test_no_key_is_in_what_is_said_or_shown(bench):
    shown = repr((bench.broker.account, bench.broker.status(), vars(bench.broker)))

    assert "secret'" not in shown
    assert isinstance(bench, VenueBench)
