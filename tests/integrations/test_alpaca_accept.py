"""An operator accepts what the venue shows: with a reason, in the journal, and for good."""

from decimal import Decimal

import pytest
from alpaca_builders import an_order, at_venue
from test_alpaca_reconcile import Life as BrokerLife
from test_alpaca_reconcile import a_memory
from test_alpaca_run import Life

from ticklane.app.doors import doors_of
from ticklane.core.account_event import AccountEvent
from ticklane.core.errors import BrokerError, ConfigError, TicklaneError
from ticklane.core.order import Fill
from ticklane.integrations.alpaca.acceptance import adjustment
from ticklane.integrations.alpaca.ledger import Ledger
from ticklane.storage.reader import Reader


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
async def life(venue, path):
    """A daemon that holds two shares."""
    async with Life(venue, path) as life:
        for price in (100, 100):
            await life.bar(price, life.filled)
        yield life


def codes(life):
    return [one.code for one in life.runner.trading.restrictions.values()]


def accept(life, what, reason="a transfer"):
    return doors_of(life.runner)["reconcile"](accept=what, reason=reason)


async def test_a_position_that_was_accepted_is_traded_again(venue, life, path):
    venue.hold("AAPL", 1, 100)
    before = await doors_of(life.runner)["reconcile"]()
    halted = codes(life)
    report = await accept(life, "aapl")

    words = "Alpaca holds 3 AAPL, but our fills and events make 2."
    assert (before["differs"], halted) == ([words], ["quantity_differs"])
    assert report["differs"] == []
    assert report["adopted"] == [f"{words} Accepted: a transfer"]
    assert "3 AAPL, of which 1 not ours." in report["found"]
    assert codes(life) == []
    with Reader(path) as reader:
        [row] = reader.account_events()
    assert (row["kind"], row["symbol"], row["quantity"]) == ("ACCEPTED", "AAPL", "1")
    assert row["detail"] == report["adopted"][0]
    assert life.held == 2


async def test_less_than_we_hold_can_be_accepted_too(venue, life):
    venue.hold("AAPL", -1, 100)
    report = await accept(life, "AAPL", "sold by phone")

    assert report["differs"] == []
    assert "1 AAPL, of which -1 not ours." in report["found"]


async def test_cash_that_was_accepted_restricts_no_more(venue, life, path):
    venue.set_account(cash=90_000)
    await doors_of(life.runner)["reconcile"]()
    restricted = codes(life)
    report = await accept(life, "cash")

    assert restricted == ["cash_differs"]
    assert (report["differs"], codes(life)) == ([], [])
    with Reader(path) as reader:
        [row] = reader.account_events()
    assert Decimal(row["amount"]) == -9_800


async def test_what_was_accepted_is_not_found_again_after_a_restart(venue, path):
    async with Life(venue, path) as life:
        venue.hold("AAPL", 1, 100)
        await accept(life, "AAPL")

    async with Life(venue, path) as life:
        report = await doors_of(life.runner)["reconcile"]()

        assert (report["differs"], codes(life)) == ([], [])


async def test_entry_and_marks_are_durable_together(venue, path):
    batches = []
    async with Life(venue, path) as life:
        venue.hold("AAPL", 1, 100)
        record = life.runner.storage.record

        async def watched(run_id, events):
            batches.append([type(one).__name__ for one in events])
            await record(run_id, events)

        life.runner.storage.record = watched
        await accept(life, "AAPL")
        [batch] = [one for one in batches if "AccountBooked" in one]

        assert "VenueMarked" in batch


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        ("AAPL", "so", "AAPL does not differ at Alpaca, so there is nothing to accept."),
        ("cash", "so", "cash does not differ at Alpaca, so there is nothing to accept."),
        ("TSLA", "so", "TSLA does not differ at Alpaca"),
        ("AAPL", " ", "reason is empty; say in a few words why."),
    ],
)
async def test_what_does_not_differ_cannot_be_accepted(venue, path, what, reason, words):
    async with Life(venue, path) as life:
        with pytest.raises(TicklaneError, match=words) as error:
            await accept(life, what, reason)

    assert isinstance(error.value, BrokerError | ConfigError)


async def test_nothing_is_accepted_while_the_account_cannot_be_read(venue, path):
    async with Life(venue, path) as life:
        venue.hold("AAPL", 1, 100)
        venue.fault("GET /v2/positions", "status", status=403, times=None)

        with pytest.raises(BrokerError, match="Alpaca could not be read"):
            await accept(life, "AAPL")


async def test_a_fill_after_it_was_accepted_is_counted_as_ever(venue):
    async with at_venue(venue) as bench:
        venue.hold("AAPL", 1, 100)
        bench.broker.adjust(await bench.broker.accept("AAPL", "a transfer"))
        order = await bench.submit(an_order(2))
        report = await bench.broker.reconcile()
        memory = a_memory(bench, order)

        assert report.differs == []

    async with BrokerLife(venue, **memory) as bench:
        assert bench.report.differs == []


def a_ledger_with_a_coin():
    """One coin bought for 1,000, and its fee of at most 0.003 not posted yet."""
    ledger = Ledger()
    ledger.begin(Decimal(10_000), {})
    terms = (Decimal(1), Decimal(1_000), Decimal(0), 1, "venue", 1)
    ledger.book(Fill("r1-1", "E:1", "s", "BTC/USD", *terms))
    return ledger


def test_what_is_accepted_leaves_room_for_fees_that_are_not_posted_yet():
    ledger = a_ledger_with_a_coin()
    shown = {"BTC/USD": Decimal("0.8975")}
    ledger.accept(adjustment(ledger, "BTC/USD", shown, ledger.cash, "a transfer", 1))
    before = ledger.quantity_differences(shown)

    ledger.book_event(AccountEvent("f1", "CFEE", 2, Decimal(0), "BTC/USD", Decimal("-0.0025"), ""))

    assert (before, ledger.quantity_differences(shown)) == ({}, {})
