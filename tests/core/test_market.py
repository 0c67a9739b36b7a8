"""What is observed: bars, quotes, columns of bars, and what a strategy sees of them."""

import copy
import operator
import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.errors import ConfigError, StrategyError
from ticklane.core.market import (
    DAY,
    EPOCH,
    HOUR,
    MINUTE,
    SECOND,
    Bar,
    Bars,
    MarketData,
    Quote,
    Timeframe,
    put_price,
    to_datetime,
    to_ns,
)

OPEN = to_ns(datetime(2024, 1, 2, 14, 30, tzinfo=UTC))
BAR = Bar("AAPL", OPEN, OPEN + MINUTE, 10.0, 12.0, 9.0, 11.0, 500.0)
QUOTE = Quote("AAPL", OPEN, bid=10.0, ask=11.0, bid_size=5.0, ask_size=7.0)


def some_bars(count=10, symbol="AAPL"):
    closes = OPEN + MINUTE * np.arange(1, count + 1, dtype=np.int64)
    prices = np.arange(float(count))
    return Bars(symbol, closes - MINUTE, closes, prices, prices, prices, prices, prices)


# Instants


@given(st.integers(-(10**10), 10**10).map(lambda seconds: EPOCH + timedelta(seconds=seconds)))
def test_an_instant_goes_to_nanoseconds_and_back(instant):
    assert to_datetime(to_ns(instant)) == instant


def test_a_naive_datetime_means_utc():
    assert to_ns(datetime(2024, 1, 2, 14, 30, tzinfo=UTC).replace(tzinfo=None)) == OPEN


# Bars and quotes


@pytest.mark.parametrize(
    "name", ["symbol", "open", "high", "low", "close", "volume", "price", "time", "close_ns"]
)
def test_a_bar_reads_the_same_by_key_and_by_attribute(name):
    assert BAR[name] == getattr(BAR, name)


@pytest.mark.parametrize(
    "name", ["symbol", "bid", "ask", "bid_size", "ask_size", "price", "close", "time"]
)
def test_a_quote_reads_the_same_by_key_and_by_attribute(name):
    assert QUOTE[name] == getattr(QUOTE, name)


def test_the_time_of_a_bar_is_its_close():
    assert BAR.time == datetime(2024, 1, 2, 14, 31, tzinfo=UTC)
    assert BAR.opened_at == datetime(2024, 1, 2, 14, 30, tzinfo=UTC)


def test_the_price_is_the_close_of_a_bar_and_the_mid_of_a_quote():
    assert (BAR["price"], QUOTE["price"], QUOTE["close"]) == (11.0, 10.5, 10.5)
    assert QUOTE.close_ns == OPEN


@pytest.mark.parametrize("seen", [BAR, QUOTE])
@pytest.mark.parametrize("key", ["vwap", "_fields", "count", "Close"])
def test_a_key_that_is_not_there_is_a_key_error(seen, key):
    with pytest.raises(KeyError, match=key):
        seen[key]


@pytest.mark.parametrize("seen", [BAR, QUOTE])
def test_a_bar_or_quote_never_changes(seen):
    with pytest.raises(AttributeError):
        seen.symbol = "IBM"
    with pytest.raises(AttributeError):
        seen.anything = 1
    with pytest.raises(TypeError):
        seen["symbol"] = "IBM"


def test_a_bar_survives_pickling_and_unpacking():
    assert pickle.loads(pickle.dumps(BAR)) == BAR
    assert BAR[0] == "AAPL"
    assert BAR[-1] == 500.0


# MarketData


def test_market_data_is_read_like_a_mapping():
    data = MarketData()
    put_price(data, "AAPL", BAR)
    data.time_ns = OPEN + MINUTE

    assert data["AAPL"]["close"] == 11.0
    assert dict(data.items()) == {"AAPL": BAR}
    assert ("IBM" in data, data.get("IBM"), len(data)) == (False, None, 1)
    assert data.time == BAR.time


@pytest.mark.parametrize(
    "change",
    [
        lambda data: operator.setitem(data, "AAPL", 1),
        lambda data: operator.delitem(data, "AAPL"),
        lambda data: operator.ior(data, {"IBM": 1}),
        lambda data: data.update(IBM=1),
        lambda data: data.pop("AAPL"),
        lambda data: data.popitem(),
        lambda data: data.setdefault("IBM", 1),
        lambda data: data.clear(),
    ],
)
def test_market_data_cannot_be_changed(change):
    data = MarketData()
    put_price(data, "AAPL", BAR)

    with pytest.raises(StrategyError, match="market_data is read-only"):
        change(data)

    assert dict(data) == {"AAPL": BAR}


@pytest.mark.parametrize("duplicate", [dict, MarketData.copy, copy.copy, copy.deepcopy])
def test_a_copy_of_market_data_is_a_dict_of_ones_own(duplicate):
    data = MarketData()
    put_price(data, "AAPL", BAR)

    mine = duplicate(data)
    mine["IBM"] = 1

    assert mine == {"AAPL": BAR, "IBM": 1}
    assert "IBM" not in data


# Timeframe


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1s", SECOND),
        ("15m", 15 * MINUTE),
        ("1h", HOUR),
        (" 1 d ", DAY),
        ("4H", 4 * HOUR),
        (timedelta(minutes=5), 5 * MINUTE),
        (Timeframe(MINUTE), MINUTE),
    ],
)
def test_a_timeframe_is_read_from_text_or_a_timedelta(text, length):
    assert Timeframe.parse(text).ns == length


@pytest.mark.parametrize(
    "value",
    [
        *("", "m", "0m", "-5m", "1.5h", "5", "1w", "1M", "1month", "5 sheep", "1m 2m", None, 60),
        *(timedelta(0), timedelta(seconds=-1)),
    ],
)
def test_what_is_no_timeframe_is_refused_in_one_sentence(value):
    with pytest.raises(ConfigError, match=r"^timeframe is .* such as 1m, 1h or 1d\.$"):
        Timeframe.parse(value)


@pytest.mark.parametrize("text", ["1s", "90s", "1m", "90m", "1h", "36h", "1d", "7d"])
def test_a_timeframe_writes_itself_as_it_is_read(text):
    assert str(Timeframe.parse(text)) == text


def test_a_timeframe_knows_whether_it_is_daily():
    assert Timeframe.parse("1d").is_daily
    assert not Timeframe.parse("23h").is_daily


# Bars


def test_columns_become_bars_and_bars_columns():
    bars = some_bars(3)

    again = Bars.of("AAPL", bars.rows())

    assert [bar.close for bar in bars.rows()] == [0.0, 1.0, 2.0]
    assert all(
        np.array_equal(one, two) for one, two in zip(bars.columns(), again.columns(), strict=True)
    )
    assert [column.dtype for column in again.columns()] == [np.int64] * 2 + [np.float64] * 5
    assert len(Bars.of("AAPL", [])) == 0


def test_the_time_of_columns_is_the_close_in_utc():
    assert some_bars(2).time[0] == np.datetime64("2024-01-02T14:31:00", "ns")


@pytest.mark.parametrize(
    ("count", "until", "closes"),
    [
        (3, OPEN + 5 * MINUTE, [2.0, 3.0, 4.0]),
        (3, OPEN + 5 * MINUTE + 1, [2.0, 3.0, 4.0]),
        (3, OPEN + 5 * MINUTE - 1, [1.0, 2.0, 3.0]),
        (99, OPEN + 2 * MINUTE, [0.0, 1.0]),
        (1, OPEN, []),
        (0, OPEN + 5 * MINUTE, []),
        (-2, OPEN + 5 * MINUTE, []),
    ],
)
def test_the_last_bars_end_at_the_instant_and_are_never_padded(count, until, closes):
    last = some_bars().last(count, until)

    assert last.close.tolist() == closes
    assert last.symbol == "AAPL"


def test_the_last_bars_reach_nothing_later():
    bars = some_bars()
    last = bars.last(2, OPEN + 5 * MINUTE)

    for mine, theirs in zip(last.columns(), bars.columns(), strict=True):
        assert mine.base is None
        assert not np.shares_memory(mine, theirs)
        assert memoryview(mine).nbytes == 16
        with pytest.raises(ValueError, match="read-only"):
            mine[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        last.time[0] = np.datetime64(0, "ns")


def test_the_columns_of_bars_cannot_be_exchanged():
    with pytest.raises(AttributeError):
        some_bars().close = None
