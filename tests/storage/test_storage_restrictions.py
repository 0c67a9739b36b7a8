"""What a real account needs of the storage: restrictions, account events, reports, terms."""

from decimal import Decimal

import pytest
from storage_builders import START, STATUS, a_fill, an_order, born, moved

from ticklane.core.account_event import AccountEvent
from ticklane.core.errors import StorageError
from ticklane.core.events import (
    AccountBooked,
    EquityMarked,
    FillBooked,
    Reconciled,
    RestrictionChanged,
    RunFunded,
    TickCompleted,
)
from ticklane.core.market import DAY, HOUR
from ticklane.core.order import Refusal
from ticklane.core.trading_state import Restriction, TradingState
from ticklane.storage.halt_file import HaltFile
from ticklane.storage.reader import FIELDS, Reader
from ticklane.storage.service import StorageService

HALT = Restriction("operator_halt", TradingState.HALTED, "a test.", START, is_latched=True)
DOWN = Restriction("stream_down", TradingState.REDUCE_ONLY, "no stream.", START, symbol="AAPL")
FEE = AccountEvent("a1", "CFEE", START, Decimal(0), "BTC/USD", Decimal("-0.00000001"), "crypto")
CASH = AccountEvent("a2", "CSD", START + 1, Decimal("1000.10"))


def is_set(restriction, by="operator"):
    return RestrictionChanged(restriction, True, START, by)


def is_over(restriction, by="operator: fixed"):
    return RestrictionChanged(restriction, False, START, by)


def rows(place):
    with Reader(place) as reader:
        return reader.restrictions()


# --- restrictions ---------------------------------------------------------------------------------


async def test_a_restriction_is_found_as_it_was_set(storage, place):
    await storage.record("r1", [is_set(HALT), is_set(DOWN)])

    assert rows(place) == [HALT, DOWN]


async def test_only_what_is_latched_outlives_the_run(storage, place, resumed):
    await storage.record("r1", [is_set(HALT), is_set(DOWN)])

    recovered = await resumed(storage)

    assert recovered.restrictions == (HALT,)
    assert rows(place) == [HALT]


async def test_another_run_is_as_halted(storage, resumed):
    await storage.record("r1", [is_set(HALT)])

    recovered = await resumed(storage, "another")

    assert (recovered.is_resumed, recovered.restrictions) == (False, (HALT,))


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_what_is_over_is_gone_also_when_it_never_stood_there(storage, place, is_one_batch):
    events = [is_set(HALT), is_set(DOWN), is_over(HALT), is_over(DOWN)]
    for batch in [events] if is_one_batch else [[event] for event in events]:
        await storage.record("r1", batch)

    assert rows(place) == []


async def test_a_renewed_restriction_has_its_new_words(storage, place):
    await storage.record("r1", [is_set(DOWN)])
    await storage.record("r1", [is_set(DOWN._replace(sentence="still."))])

    assert [one.sentence for one in rows(place)] == ["still."]


async def test_it_can_be_set_where_no_run_is(place):
    async with StorageService(place) as storage:
        await storage.record("", [is_set(HALT)])

    assert rows(place) == [HALT]


async def test_who_did_what_and_why_is_kept(storage, place):
    await storage.record("r1", [is_set(HALT)])
    await storage.record("", [is_over(HALT)])

    with Reader(place) as reader:
        first, last = reader.restriction_events()
        assert reader.restriction_events(limit=1) == [last]
    assert tuple(first) == FIELDS["restriction_events"]
    assert (first["run_id"], first["is_set"], first["who"]) == ("r1", True, "operator")
    assert (last["run_id"], last["is_set"], last["who"]) == (None, False, "operator: fixed")


# --- the account ----------------------------------------------------------------------------------


async def test_account_events_are_exact_and_booked_once(storage, place, resumed):
    await storage.record("r1", [AccountBooked(FEE), AccountBooked(CASH)])
    await storage.record("r1", [AccountBooked(FEE)])

    assert (await resumed(storage)).account_events == (FEE, CASH)
    with Reader(place) as reader:
        first, second = reader.account_events()
    assert tuple(first) == FIELDS["account_events"]
    assert (first["quantity"], second["amount"]) == ("-0.00000001", "1000.10")


async def test_the_report_of_a_reconciliation_is_kept(storage, place):
    report = {"found": ["100 AAPL"], "adopted": [], "differs": ["cash"]}

    await storage.record("r1", [Reconciled(report, START), Reconciled(report, START + HOUR)])

    with Reader(place) as reader:
        first, second = reader.reconciliations()
    assert tuple(first) == FIELDS["reconciliations"]
    assert (first["id"], second["id"], second["report"]) == (1, 2, report)


async def test_the_cash_that_a_run_began_with_is_found_again(storage, resumed):
    await storage.record("r1", [RunFunded("r1", Decimal("12345.60"))])
    await storage.record("r1", [TickCompleted(START)])

    assert (await resumed(storage)).starting_cash == Decimal("12345.60")


async def test_the_account_before_in_and_at_the_end_of_the_day_is_found(storage, resumed):
    hours = [3 * 24, 27, 26, 24.6, 24.5, 1.1, 1.05, 0.01, 0]  # before the last instant
    marks = [START - round(one * HOUR) for one in hours]
    events = [EquityMarked(at, 100.0 + n, Decimal(1)) for n, at in enumerate(marks)]
    await storage.record("r1", [*events, TickCompleted(START)])

    found = (await resumed(storage)).equity_marks

    assert found == tuple((marks[n], Decimal(f"{100 + n}.0")) for n in (2, 3, 4, 6, 8))


# --- orders ---------------------------------------------------------------------------------------


async def test_an_order_keeps_how_long_its_signal_is_good(storage, resumed):
    order = an_order(1, valid_until_ns=START + 60)

    await storage.record("r1", [born(order), born(an_order(2))])

    assert [one.valid_until_ns for one in (await resumed(storage)).orders] == [START + 60, None]


async def test_orders_that_ended_lately_are_found_but_not_those_never_sent(storage, resumed):
    old, done, denied = (an_order(n) for n in (1, 2, 3))
    done.created_ns += 3 * DAY
    denied.status = STATUS.DENIED
    denied.reason_code, denied.reason = Refusal("malformed", "no.")
    events = [born(one) for one in (old, done, denied)]
    events += [moved(old, STATUS.CANCELED), FillBooked(a_fill(done), None)]
    await storage.record(
        "r1", [*events, moved(done, STATUS.FILLED), TickCompleted(START + 3 * DAY)]
    )

    recovered = await resumed(storage)

    assert [order.id for order in recovered.closed] == ["r1-2"]
    assert recovered.orders == ()


# --- the halt file --------------------------------------------------------------------------------


def test_the_halt_file_says_why_and_since_when(path):
    sign = HaltFile(path)
    assert not sign.is_set()

    sign.set("a test", START)
    sign.set("the second reason does not count", START + 1)

    assert sign.path.name == "runs.db.halt"
    assert HaltFile(path).read() == ("a test", START)
    sign.clear()
    sign.clear()
    assert (sign.is_set(), sign.read()) == (False, ("", None))


@pytest.mark.parametrize(
    ("text", "reason"), [("", ""), ("by hand\n", "by hand"), ('{"reason": 1}', '{"reason": 1}')]
)
def test_a_halt_file_made_by_hand_counts_as_well(path, text, reason):
    sign = HaltFile(path)
    sign.path.write_text(text)

    assert sign.is_set()
    assert sign.read() == (reason, None)


def test_a_halt_file_that_cannot_be_written_is_an_error_in_one_sentence(tmp_path):
    with pytest.raises(StorageError, match=r"halt cannot be written \(No such file or directory\)"):
        HaltFile(tmp_path / "nowhere" / "runs.db").set("a test", START)
