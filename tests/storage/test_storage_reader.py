"""Reader: plain dicts with the public names, beside a daemon or without one."""

import os
import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from storage_builders import (
    START,
    STATUS,
    a_fill,
    a_signal,
    a_trade,
    an_order,
    born,
    moved,
    somebody_else,
)

from ticklane.core.errors import StorageError
from ticklane.core.events import EquityMarked, FillBooked, RunStopped, StateSaved, TickCompleted
from ticklane.core.market import SECOND
from ticklane.core.order import public
from ticklane.storage.reader import FIELDS, Reader
from ticklane.storage.service import StorageService


@pytest.fixture
async def written(storage, place):
    """Two strategies, three orders, three fills; the storage stays open beside the reader."""
    first, second, third = an_order(1), an_order(2, strategy="Hold", symbol="IBM"), an_order(3)
    events = [
        a_signal(first),
        *(born(order) for order in (first, second, third)),
        FillBooked(a_fill(first, "x1", "10", "100"), None),
        FillBooked(a_fill(second, "x2", "5", "20.10"), None),
        moved(first, STATUS.FILLED),
        FillBooked(a_fill(third, "x3", "-4", "110", "0.25"), a_trade()),
        EquityMarked(START, 100_000.5, Decimal("98000.10")),
        EquityMarked(START + SECOND, 100_001.0, Decimal("98000.10")),
        StateSaved("Trend", START, '{"count": 2}'),
        TickCompleted(START + SECOND),
    ]
    await storage.record("r1", events)
    with Reader(place) as reader:
        yield reader


def test_orders_have_the_public_fields(written):
    found = written.orders()

    assert [order["id"] for order in found] == ["r1-1", "r1-2", "r1-3"]
    expected = an_order(1, status=STATUS.FILLED)
    assert found[0] == public(expected)
    assert tuple(found[0]) == FIELDS["orders"]


def test_orders_are_chosen_by_state_strategy_symbol_and_number(written):
    def ids(**terms):
        return [order["id"] for order in written.orders(**terms)]

    assert ids(open_only=True) == ["r1-2", "r1-3"]
    assert ids(strategy="Hold") == ids(symbol="IBM") == ["r1-2"]
    assert ids(limit=2) == ["r1-2", "r1-3"]
    assert ids(strategy="nobody") == ids(limit=0) == []


def test_fills_say_why_they_have_their_price(written):
    fill = written.fills(limit=1)[0]

    assert tuple(fill) == FIELDS["fills"]
    assert (fill["quantity"], fill["price"], fill["fee"]) == ("-4", "110", "0.25")
    assert fill["filled_at"] == "2023-11-14T22:13:24+00:00"
    assert (fill["rule"], fill["source"]["close"]) == ("market_open", 101.25)


def test_fills_of_gives_core_values(written):
    assert [fill.execution_id for fill in written.fills_of("r1")] == ["x1", "x2", "x3"]
    assert written.fills_of()[0] == a_fill(an_order(1), "x1", "10", "100")


def test_positions_add_up_from_the_fills(written):
    assert written.positions("r1") == [
        {
            "strategy": "Hold",
            "symbol": "IBM",
            "quantity": "5",
            "average_price": "20.1",
            "realised_profit": "0",
        },
        {
            "strategy": "Trend",
            "symbol": "AAPL",
            "quantity": "6",
            "average_price": "100",
            "realised_profit": "40",
        },
    ]


async def test_flat_positions_can_be_left_out(storage, written):
    order = an_order(4)
    await storage.record("r1", [born(order), FillBooked(a_fill(order, "x4", "-6", "99"), None)])

    assert [p["symbol"] for p in written.positions(open_only=True)] == ["IBM"]
    assert [p["quantity"] for p in written.positions()] == ["5", "0"]


def test_trades_and_equity_are_exact(written):
    (trade,) = written.trades(strategy="Trend", symbol="AAPL")
    times, equity = written.equity("r1")

    assert tuple(trade) == FIELDS["trades"]
    assert (trade["profit"], trade["fees"], trade["side"]) == ("12.34567891", "0.5", "buy")
    assert Decimal(trade["entry_price"]) == Decimal(100) / 3
    assert (times.tolist(), equity.tolist()) == ([START, START + SECOND], [100_000.5, 100_001.0])
    assert (times.dtype, equity.dtype) == ("int64", "float64")


def test_signals_and_state_are_shown(written):
    (signal,) = written.signals()

    assert tuple(signal) == FIELDS["signals"]
    assert (signal["signal"], signal["wish"], signal["order_id"]) == ("BUY", "BUY 10 AAPL", "r1-1")
    assert written.state() == {"Trend": {"count": 2}}


async def test_runs_say_what_they_hold(storage, written):
    await storage.begin_run("other", {}, START + 9)
    await storage.record("r2", [RunStopped("r2", START + 60 * SECOND, "end")])

    first, second = written.runs()

    assert tuple(first) == FIELDS["runs"]
    assert (first["orders"], first["fills"], first["trades"]) == (3, 3, 1)
    assert (first["config"], first["resumed"], first["ended_at"]) == ({"cash": 100_000}, 0, None)
    assert (second["end_reason"], second["ended_at"]) == ("end", "2023-11-14T22:14:20+00:00")


async def test_without_a_run_the_newest_is_meant_even_the_eleventh(storage, place):
    for number in range(10):
        await storage.begin_run(f"other {number}", {}, START)
    await storage.record("r11", [born(an_order(1, run="r11"))])

    with Reader(place) as reader:
        assert reader.newest_run() == "r11"
        assert [order["id"] for order in reader.orders()] == ["r11-1"]
        assert reader.orders("r1") == []


async def test_an_unknown_run_is_named_with_the_known_ones(storage, place):
    with Reader(place) as reader, pytest.raises(StorageError, match="no run 'r9'; the runs are r1"):
        reader.orders("r9")


async def test_a_database_without_runs_has_empty_answers(place):
    async with StorageService(place):
        with Reader(place) as reader:
            assert reader.newest_run() is None
            assert reader.runs() == reader.orders() == reader.positions() == []
            assert len(reader.equity()[0]) == 0
            with pytest.raises(StorageError, match="it has no runs yet"):
                reader.trades("r1")


def test_a_database_that_does_not_exist_is_not_made(path):
    with pytest.raises(StorageError, match="does not exist yet; start a run first"):
        Reader(path)

    assert not path.exists()


def test_an_empty_file_has_nothing_to_read(path):
    path.touch()

    with pytest.raises(StorageError, match="is empty; start a run first"):
        Reader(path)


async def test_a_copy_in_a_folder_that_may_not_be_written_can_be_read(
    storage, path, unwritable_folder
):
    await storage.close()
    unwritable_folder.chmod(0o755)
    copy = Path(shutil.copy(path, unwritable_folder / "copy.db"))
    unwritable_folder.chmod(0o555)

    with somebody_else(), Reader(copy) as reader:
        assert reader.newest_run() == "r1"

    assert list(unwritable_folder.iterdir()) == [copy]


async def test_a_file_that_may_not_be_read_is_named(storage, path, unwritable_folder):
    await storage.close()
    unwritable_folder.chmod(0o755)
    copy = Path(shutil.copy(path, unwritable_folder / "copy.db"))
    os.chmod(copy, 0o000)

    with somebody_else(), pytest.raises(StorageError, match="cannot be read"):
        Reader(copy)


async def test_a_reader_cannot_write(storage, path):
    with Reader(path) as reader, pytest.raises(StorageError, match="is read-only"):
        reader._fetch("DELETE FROM runs")

    assert os.access(path, os.W_OK)
