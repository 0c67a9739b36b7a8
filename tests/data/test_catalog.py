"""The local catalog: what is fetched stays, only what is missing is fetched, no file is half."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest
from catalog_builders import ONE_MINUTE, Shelf, bars_at
from data_builders import at, one_sentence
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.errors import BrokerError, DataError
from ticklane.core.market import DAY, HOUR, MINUTE, Timeframe
from ticklane.data.catalog import BarCatalog, Series
from ticklane.data.download import download
from ticklane.data.ranges import merged, missing

JANUARY, FEBRUARY, MARCH = at(2024, 1, 1), at(2024, 2, 1), at(2024, 3, 1)
NOW = at(2024, 6, 1)
AAPL = Series("AAPL", ONE_MINUTE, "raw-iex")
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@pytest.fixture
def catalog(tmp_path):
    return BarCatalog(tmp_path / "catalog")


def two_months(symbol="AAPL"):
    """An hour of bars in January and one in February."""
    opens = [*range(JANUARY, JANUARY + HOUR, MINUTE), *range(FEBRUARY, FEBRUARY + HOUR, MINUTE)]
    return bars_at(symbol, opens)


async def fetched(catalog, shelf, start=JANUARY, end=MARCH, symbols=("AAPL",), **options):
    given = {"now_ns": NOW, "variant": lambda _: "raw-iex", **options}
    return await download(catalog, shelf, symbols, ONE_MINUTE, start, end, **given)


# Spans


@given(SPANS)
def test_merged_spans_hold_the_same_instants(spans):
    covered = {at for start, end in spans for at in range(start, end)}

    found = merged(spans)

    assert {at for start, end in found for at in range(start, end)} == covered
    assert all(one[1] < other[0] for one, other in pairwise(found))


@given(SPANS, st.integers(0, 60), st.integers(0, 60))
def test_what_is_missing_is_what_no_span_covers(spans, start, end):
    covered = {at for first, last in spans for at in range(first, last)}

    found = missing(spans, start, end)

    assert [at for first, last in found for at in range(first, last)] == [
        at for at in range(start, end) if at not in covered
    ]


# Download


async def test_what_is_downloaded_can_be_read(catalog):
    (done,) = await fetched(catalog, Shelf(two_months()))

    bars = catalog.bars("AAPL")["AAPL"]

    assert (done.bars, done.is_complete) == (120, True)
    assert bars.open_ns.tolist() == two_months().open_ns.tolist()
    assert bars.close.tolist() == two_months().close.tolist()
    assert {path.name for path in catalog.root.rglob("*.parquet")} == {
        "2024-01.parquet",
        "2024-02.parquet",
    }


async def test_a_second_download_asks_for_nothing(catalog):
    shelf = Shelf(two_months())
    await fetched(catalog, shelf)
    shelf.asked.clear()

    (done,) = await fetched(catalog, shelf)

    assert shelf.asked == []
    assert done.total_spans == 0


async def test_only_what_is_missing_is_fetched(catalog):
    shelf = Shelf(two_months())
    await fetched(catalog, shelf, end=FEBRUARY)
    shelf.asked.clear()

    await fetched(catalog, shelf, start=JANUARY - DAY, end=FEBRUARY + DAY)

    assert [(start, end) for _, start, end in shelf.asked] == [
        (JANUARY - DAY, JANUARY + MINUTE),
        (FEBRUARY, FEBRUARY + DAY + MINUTE),
    ]


async def test_a_download_that_breaks_off_goes_on_where_it_was(catalog):
    shelf = Shelf(two_months())
    shelf.fails_after = 1
    with pytest.raises(BrokerError, match="cannot be reached"):
        await fetched(catalog, shelf)
    shelf.fails_after, shelf.asked = None, []

    await fetched(catalog, shelf)

    assert [start for _, start, _ in shelf.asked] == [FEBRUARY]
    assert len(catalog.bars("AAPL")["AAPL"]) == 120


async def test_a_bar_that_is_not_over_is_left_for_the_next_time(catalog):
    shelf = Shelf(two_months())

    (early,) = await fetched(catalog, shelf, now_ns=JANUARY + 10 * MINUTE)
    (later,) = await fetched(catalog, shelf)

    assert early.bars == 8  # closed, and two minutes old
    assert early.bars + later.bars == 120
    assert len(catalog.bars("AAPL")["AAPL"]) == 120


async def test_a_symbol_without_bars_leaves_nothing_behind(catalog):
    await fetched(catalog, Shelf(), symbols=("AAPPL",))

    assert catalog.series() == []
    assert not (catalog.root / "AAPPL").exists()


async def test_bars_with_impossible_prices_are_left_out_and_counted(catalog):
    wrong = two_months()
    wrong.low[3], wrong.close[5], wrong.open[7] = -1.0, float("nan"), 1e9

    (done,) = await fetched(catalog, Shelf(wrong))

    assert done.dropped == 3
    assert len(catalog.bars("AAPL")["AAPL"]) == 117


async def test_kinds_of_prices_are_never_mixed(catalog):
    shelf = Shelf(two_months())
    await fetched(catalog, shelf)
    await fetched(catalog, shelf, variant=lambda _: "all-sip")

    with pytest.raises(DataError, match=r"several kinds.*AAPL@1m-all-sip, AAPL@1m-raw-iex"):
        catalog.bars("AAPL")
    assert len(catalog.bars("AAPL@1m-all-sip")["AAPL"]) == 120


async def test_both_spellings_of_a_pair_are_one_series(catalog):
    await fetched(catalog, Shelf(two_months("BTC/USD")), symbols=("BTCUSD", "BTC/USD"))

    assert [str(one) for one in catalog.series()] == ["BTC/USD@1m-raw-iex"]
    assert list(catalog.bars("btcusd")) == ["BTC/USD"]


async def test_daily_bars_are_kept_by_the_year(catalog):
    days = bars_at("AAPL", [JANUARY + n * DAY + 5 * HOUR for n in range(3)], step=DAY)

    await download(catalog, Shelf(days), ["AAPL"], Timeframe(DAY), JANUARY, MARCH, now_ns=NOW)

    assert [path.name for path in catalog.root.rglob("*.parquet")] == ["2024.parquet"]
    assert len(catalog.bars("AAPL", timeframe="1d")["AAPL"]) == 3


# Files


def test_a_bar_that_comes_again_takes_the_place_of_the_old_one(catalog):
    with catalog.writing():
        catalog.add(AAPL, bars_at("AAPL", [JANUARY, JANUARY + MINUTE]), (JANUARY, FEBRUARY))
        catalog.add(AAPL, bars_at("AAPL", [JANUARY + MINUTE], 200.0), (JANUARY, FEBRUARY))

    assert catalog.bars("AAPL")["AAPL"].close.tolist() == [100.0, 200.0]


def test_a_write_that_fails_leaves_the_old_file(catalog, monkeypatch):
    catalog.add(AAPL, bars_at("AAPL", [JANUARY]), (JANUARY, JANUARY + HOUR))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        catalog.add(AAPL, bars_at("AAPL", [JANUARY + MINUTE]), (JANUARY, FEBRUARY))

    assert len(catalog.bars("AAPL")["AAPL"]) == 1
    assert catalog.covered(AAPL) == [(JANUARY, JANUARY + HOUR)]
    assert [path for path in catalog.root.rglob(".*") if path.is_file()] == []


def test_one_process_writes_and_the_other_is_told_which(catalog):
    program = (
        "import sys; from ticklane.data.catalog import BarCatalog\n"
        "with BarCatalog(sys.argv[1]).writing():\n"
        "    print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(catalog.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as other:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(DataError, match=f"process {other.pid} ") as caught, catalog.writing():
            pass
        one_sentence(caught.value)
        other.stdin.close()

    with catalog.writing():
        pass


def test_a_catalog_without_the_symbol_says_how_to_fetch_it(catalog):
    with pytest.raises(DataError, match="ticklane download MSFT --from"):
        catalog.bars("MSFT")


def test_a_file_that_is_not_parquet_is_named(catalog):
    catalog.add(AAPL, bars_at("AAPL", [JANUARY]), (JANUARY, FEBRUARY))
    next(catalog.root.rglob("*.parquet")).write_bytes(b"half a fi")

    with pytest.raises(DataError, match="cannot be read"):
        catalog.bars("AAPL")


def test_spans_that_cannot_be_read_are_fetched_again(catalog):
    catalog.add(AAPL, bars_at("AAPL", [JANUARY]), (JANUARY, FEBRUARY))
    next(catalog.root.rglob("covered.json")).write_text("[[1,")

    assert catalog.missing(AAPL, JANUARY, FEBRUARY) == [(JANUARY, FEBRUARY)]
