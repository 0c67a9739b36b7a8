"""StorageService: what is recorded is found again, exactly, and once."""

import asyncio
import contextlib
import math
import sqlite3
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_builders import (
    START,
    STATUS,
    a_fill,
    a_signal,
    a_trade,
    a_whole_tick,
    an_order,
    born,
    fields_of,
    moved,
)

from ticklane.core.errors import StorageError
from ticklane.core.events import (
    EquityMarked,
    FillBooked,
    RunStarted,
    RunStopped,
    SignalGiven,
    StateSaved,
    StrategyFaulted,
    TickCompleted,
    TradeRevised,
)
from ticklane.core.market import Bar, Quote
from ticklane.core.order import OrderClass, OrderType, Refusal, Side, TimeInForce
from ticklane.interfaces import Recovered
from ticklane.storage.reader import Reader
from ticklane.storage.rows import exact_text, fill_of, fill_row
from ticklane.storage.service import StorageService

NUMBERS = ["0.00000001", "123456789012345678901234567.89", "1E+3", "1.10", "-0.5", "3E-30"]


async def test_a_new_run_begins_empty_and_is_named_r1(place):
    async with StorageService(place) as storage:
        recovered = await storage.begin_run("print", {"cash": 1}, START, fresh=False)

    assert recovered == Recovered("r1", started_ns=START, installation=recovered.installation)
    assert len(recovered.installation) == 6


async def test_an_unfinished_run_is_resumed_and_keeps_the_installation_id(storage, resumed):
    first = await resumed(storage)
    second = await resumed(storage)

    assert (first.run_id, first.is_resumed, first.started_ns) == ("r1", True, START)
    assert second.installation == first.installation


async def test_another_fingerprint_gets_a_run_of_its_own(storage, resumed):
    assert (await resumed(storage, "other")).run_id == "r2"
    assert (await resumed(storage, "print")).run_id == "r1"


async def test_a_finished_run_is_followed_by_a_new_one(storage, resumed):
    await storage.record("r1", [RunStopped("r1", START + 5, "end")])

    recovered = await resumed(storage)

    assert (recovered.run_id, recovered.is_resumed) == ("r2", False)


@pytest.mark.parametrize("reason", ["shutdown", "operator"])
async def test_a_run_that_was_stopped_is_resumed(storage, resumed, reason):
    await storage.record("r1", [RunStarted("r1", START), RunStopped("r1", START + 5, reason)])

    assert (await resumed(storage)).is_resumed


async def test_a_fresh_run_ends_the_unfinished_one_for_good(storage, resumed, place):
    fresh = await resumed(storage, fresh=True)
    after = await resumed(storage)

    assert (fresh.run_id, fresh.is_resumed, after.run_id) == ("r2", False, "r2")
    with Reader(place) as reader:
        assert [run["end_reason"] for run in reader.runs()] == ["fresh", None]


async def test_an_open_order_comes_back_with_every_field(storage, resumed):
    order = an_order(
        quantity="10.50",
        type=OrderType.STOP_LIMIT,
        side=Side.SELL,
        time_in_force=TimeInForce.IOC,
        order_class=OrderClass.OTO,
        client_order_id="tl-abc-1",
        broker_order_id="b-7",
        filled_quantity=Decimal("0.25"),
        notional=Decimal("1000.00"),
        limit_price=Decimal("101.10"),
        stop_price=Decimal("99"),
        trail_amount=Decimal("1.5"),
        trail_percent=Decimal("2"),
        parent_id="r1-0",
        replaces_id="r1-9",
        reason="because",
        reason_code="why",
        tag="crossed up",
        is_cancel_pending=True,
    )
    await storage.record("r1", [born(order)])

    (found,) = (await resumed(storage)).orders

    assert fields_of(found) == fields_of(order)


async def test_only_open_orders_come_back_oldest_first_but_all_are_counted(storage, resumed):
    orders = [an_order(number) for number in range(1, 13)]
    await storage.record("r1", [born(order) for order in orders])
    await storage.record("r1", [moved(order, STATUS.CANCELED) for order in orders[:3]])

    recovered = await resumed(storage)

    assert [order.id for order in recovered.orders] == [f"r1-{n}" for n in range(4, 13)]
    assert recovered.order_count == 12


async def test_a_number_that_was_skipped_is_not_given_out_again(storage, resumed):
    await storage.record("r1", [born(an_order(1)), born(an_order(7))])

    assert (await resumed(storage)).order_count == 7


async def test_legs_hang_on_their_parent_again_the_closed_one_too(storage, resumed):
    entry = an_order(1, order_class=OrderClass.BRACKET)
    stop, target = (an_order(n, parent_id=entry.id, side=Side.SELL) for n in (2, 3))
    entry.legs = (stop, target)
    await storage.record("r1", [born(order) for order in (entry, stop, target)])
    await storage.record("r1", [moved(target, STATUS.CANCELED)])

    recovered = await resumed(storage)

    assert [order.id for order in recovered.orders] == ["r1-1", "r1-2"]
    assert [leg.id for leg in recovered.orders[0].legs] == ["r1-2", "r1-3"]
    assert recovered.orders[0].legs[0] is recovered.orders[1]


async def test_legs_are_found_when_their_parent_is_done(storage, resumed):
    entry, stop = an_order(1), an_order(2, parent_id="r1-1")
    await storage.record("r1", [born(entry), born(stop), moved(entry, STATUS.FILLED)])

    (found,) = (await resumed(storage)).orders

    assert (found.id, found.parent_id) == ("r1-2", "r1-1")


async def test_an_order_that_moves_twice_in_one_record_is_written_as_it_is_last(storage, place):
    order = an_order()
    steps = [born(order), moved(order, STATUS.ACKED)]
    order.filled_quantity = Decimal(10)
    steps.append(moved(order, STATUS.FILLED))

    await storage.record("r1", steps)

    with Reader(place) as reader:
        (found,) = reader.orders()
        assert (found["status"], found["filled_quantity"]) == ("FILLED", "10")
        lines = [(e["from_status"], e["to_status"]) for e in reader.order_events("r1-1")]
    assert lines == [(None, "SENDING"), ("SENDING", "ACKED"), ("ACKED", "FILLED")]


async def test_a_late_fill_opens_a_closed_order_again(storage, resumed):
    order = an_order()
    await storage.record("r1", [born(order), moved(order, STATUS.CANCELED)])
    await storage.record("r1", [moved(order, STATUS.PARTIAL)])

    assert [found.id for found in (await resumed(storage)).orders] == ["r1-1"]


async def test_the_reason_of_a_refusal_is_kept(storage, place):
    order = an_order(status=STATUS.DENIED, quantity="0")
    order.reason_code, order.reason = Refusal("self_cross", "it would cross r1-9.")
    await storage.record("r1", [a_signal(order, *Refusal("self_cross", "no.")), born(order)])

    with Reader(place) as reader:
        assert reader.orders()[0]["reason"] == "it would cross r1-9."
        assert reader.signals()[0]["reason_code"] == "self_cross"


async def test_fills_come_back_in_booking_order_and_equal(storage, resumed):
    order = an_order()
    quote = Quote("AAPL", START, 100.1, 100.3, 5.0, 7.0)
    given_fills = [
        a_fill(order, "x9", "4", "101.10", "0.00000001", detail="open 101.1"),
        a_fill(order, "x1", "-2.50", source=quote, fee_asset="BTC"),
        a_fill(order, "x5", "1", source=None),
    ]
    await storage.record("r1", [born(order), *(FillBooked(f, None) for f in given_fills[:2])])
    await storage.record("r1", [FillBooked(given_fills[2], a_trade())])

    assert list((await resumed(storage)).fills) == given_fills


@pytest.mark.parametrize("text", NUMBERS)
async def test_a_decimal_comes_back_exactly(storage, resumed, text):
    order = an_order(quantity=text, limit_price=Decimal(text))
    fill = a_fill(order, quantity=text, price=text, fee=text)
    await storage.record("r1", [born(order), FillBooked(fill, None)])

    recovered = await resumed(storage)

    assert recovered.orders[0].quantity == recovered.orders[0].limit_price == Decimal(text)
    assert [recovered.fills[0][i] for i in (4, 5, 6)] == [Decimal(text)] * 3


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_any_decimal_is_written_plainly_and_read_back(number):
    text = exact_text(number)

    assert "E" not in text
    assert Decimal(text) == number


def test_a_bar_with_a_gap_in_its_numbers_comes_back_with_the_gap():
    bar = Bar("AAPL", 1, 2, 1.0, 1.0, 1.0, 1.0, math.nan)

    found = fill_of(fill_row(a_fill(an_order(), source=bar), "r1", 1))

    assert found.source[:7] == bar[:7]
    assert math.isnan(found.source.volume)


async def test_state_cursor_and_venue_marks_are_the_last_ones(storage, resumed):
    await storage.record(
        "r1",
        [
            StateSaved("Trend", START, '{"count": 1}'),
            StateSaved("Trend", START, '{"count": 2}'),
            StateSaved("Hold", START, "{}"),
            TickCompleted(START + 1, {"trail": ["101.5"]}),
            TickCompleted(START + 2),
        ],
    )
    await storage.record("r1", [StateSaved("Trend", START + 3, '{"count": 3}')])

    recovered = await resumed(storage)

    assert recovered.states == {"Trend": '{"count": 3}', "Hold": "{}"}
    assert (recovered.cursor_ns, recovered.venue_marks) == (START + 2, {"trail": ["101.5"]})


async def test_the_last_equity_at_an_instant_counts(storage, place):
    await storage.record("r1", [EquityMarked(START, 1.0, Decimal("0.10"))])
    await storage.record("r1", [EquityMarked(START, 2.5, Decimal("0.20"))])

    with Reader(place) as reader:
        times, equity = reader.equity()
        assert (times.tolist(), equity.tolist()) == ([START], [2.5])
        assert reader.equity_rows()[0]["cash"] == "0.20"


async def test_a_malformed_wish_and_a_fault_are_rows_in_signals(storage, place):
    wish = SignalGiven("Trend", START, None, "{'x': 1}", None, "malformed", "no symbol.")
    await storage.record(
        "r1",
        [
            wish,
            StrategyFaulted("Trend", START, "ValueError: 1", is_parked=False),
            StrategyFaulted("Trend", START, "ValueError: 2", is_parked=True),
        ],
    )

    with Reader(place) as reader:
        found = [(s["reason_code"], s["reason"], s["symbol"]) for s in reader.signals()]
    assert found == [
        ("malformed", "no symbol.", None),
        ("strategy_fault", "ValueError: 1", None),
        ("strategy_parked", "ValueError: 2", None),
    ]


async def test_a_fill_is_never_booked_twice_and_the_whole_record_is_refused(storage, resumed):
    order = an_order()
    await storage.record("r1", [born(order), FillBooked(a_fill(order), None)])

    with pytest.raises(StorageError, match="an execution id of it is booked already"):
        await storage.record("r1", [TickCompleted(START + 9), FillBooked(a_fill(order), None)])

    recovered = await resumed(storage)
    assert (len(recovered.fills), recovered.cursor_ns) == (1, None)


async def test_an_order_is_never_made_twice(storage):
    await storage.record("r1", [born(an_order())])

    with pytest.raises(StorageError, match="an order id or client order id is there already"):
        await storage.record("r1", [born(an_order())])


async def test_a_step_of_an_order_that_was_never_recorded_is_refused(storage):
    with pytest.raises(StorageError, match="never recorded"):
        await storage.record("r1", [moved(an_order(), STATUS.ACKED)])


async def test_a_run_that_was_never_begun_is_refused(storage):
    for event in (TickCompleted(START), born(an_order()), EquityMarked(START, 1.0, Decimal(1))):
        with pytest.raises(StorageError, match="never recorded; nothing of it was written"):
            await storage.record("r7", [event])


async def test_after_a_refused_record_the_next_one_goes_on_as_if_nothing_was(storage, resumed):
    await storage.record("r1", a_whole_tick(1))
    with pytest.raises(StorageError):
        await storage.record("r1", a_whole_tick(1))
    await storage.record("r1", a_whole_tick(2))

    recovered = await resumed(storage)

    assert recovered.order_count == len(recovered.fills) == 2


async def test_a_cancelled_record_is_there_wholly_or_not_at_all(storage, resumed):
    await storage.record("r1", a_whole_tick(1))
    task = asyncio.create_task(storage.record("r1", a_whole_tick(2)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await storage.record("r1", a_whole_tick(3))

    recovered = await resumed(storage)

    assert recovered.order_count == len(recovered.fills) == len(recovered.orders)


async def test_records_at_the_same_time_take_turns(storage, resumed):
    ticks = (storage.record("r1", a_whole_tick(number)) for number in range(1, 21))
    await asyncio.gather(*ticks)

    recovered = await resumed(storage)

    assert recovered.order_count == len(recovered.fills) == 20


async def test_words_that_are_no_unicode_do_not_stop_the_record(storage, place):
    order = an_order(tag="caf\u00e9 \ud800", symbol="\udfff")
    await storage.record("r1", [a_signal(order, "x", "\ud800"), born(order)])

    with Reader(place) as reader:
        assert reader.orders()[0]["tag"] == "caf\u00e9 ?"
        assert (reader.signals()[0]["reason"], reader.signals()[0]["symbol"]) == ("?", "?")


async def test_a_cancelled_close_closes_all_the_same(place):
    storage = StorageService(place)
    await storage.open()
    task = asyncio.create_task(storage.close())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await storage.close()

    async with StorageService(place):
        pass


async def test_marks_that_are_no_json_are_refused(storage):
    with pytest.raises(StorageError, match=r"marks\(\) must hold JSON values only"):
        await storage.record("r1", [TickCompleted(START, {"trail": Decimal(1)})])


async def test_a_config_of_any_python_values_is_kept_for_people(place):
    async with StorageService(place) as storage:
        await storage.begin_run("a", {"cash": Decimal("1.5"), "when": {1}}, START, False)
        await storage.begin_run("b", {(1, 2): "a key that JSON does not know"}, START, False)

    with Reader(place) as reader:
        configs = [run["config"] for run in reader.runs()]
    assert configs[0] == {"cash": "1.5", "when": "{1}"}
    assert "a key" in configs[1]


async def test_nothing_to_record_writes_nothing(storage, path):
    before = path.with_name("runs.db-wal").stat().st_size

    await storage.record("r1", [])
    await storage.record("r1", [RunStarted("r1", START)])

    assert path.with_name("runs.db-wal").stat().st_size == before


async def test_open_and_close_may_be_called_again(path):
    storage = StorageService(f"sqlite+aiosqlite:///{path}")
    await storage.close()
    await storage.open()
    await storage.open()
    await storage.close()
    await storage.close()

    await storage.begin_run("print", {}, START)
    await storage.close()


async def test_a_closed_storage_says_so(place):
    storage = StorageService(place)

    with pytest.raises(StorageError, match=r"is not open; call open\(\) or begin_run\(\) first"):
        await storage.record("r1", [])


async def test_the_file_is_safe_and_checked(storage, path):
    async with storage._database.transaction() as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 50,
    }
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_cancelled_begin_spoils_nothing(storage, resumed):
    for turns in range(40):
        if turns % 2:
            await storage.close()
        task = asyncio.create_task(storage.begin_run("print", {}, START))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    await storage.begin_run("print", {}, START)
    await storage.record("r1", a_whole_tick(1))

    assert (await resumed(storage)).order_count == 1


@pytest.mark.parametrize("is_at_once", [True, False])
async def test_a_trade_that_was_told_with_an_inferred_price_is_revised(storage, place, is_at_once):
    order, told, other = an_order(), a_trade(START + 1), a_trade(START + 2)
    first, second = told._replace(profit=Decimal(7)), told._replace(profit=Decimal(8))
    events = [
        [born(order), FillBooked(a_fill(order), told), FillBooked(a_fill(order, "x2"), other)],
        [TradeRevised(told, first), TradeRevised(first, second)],
    ]
    for batch in [events[0] + events[1]] if is_at_once else events:
        await storage.record("r1", batch)
    await storage.close()

    with Reader(place) as reader:
        assert [row["profit"] for row in reader.trades()] == ["8", "12.34567891"]
