"""The equity curve, by hand, against a slow exact one, and in speed."""

import time
from decimal import Decimal

import numpy as np
from analytics_builders import a_fill, a_walk, crossing, curve_of, some_bars
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklane.core.market import MINUTE
from ticklane.core.money import CASH_STEP

CASH = Decimal(1000)


def minutes(curve):
    return (curve.times.astype(np.int64) // MINUTE).tolist()


def test_without_fills_equity_is_the_cash_at_every_close():
    curve = curve_of({"AAA": some_bars(10, 11, 12)}, [], CASH)

    assert minutes(curve) == [1, 2, 3]
    assert curve.times.dtype == np.dtype("datetime64[ns]")
    assert curve.equity.tolist() == [1000, 1000, 1000]
    assert curve.exposed.tolist() == [False, False, False]


def test_a_fill_at_the_open_counts_from_the_tick_that_told_of_it():
    bars = some_bars(10, 12, 11)
    fill = a_fill(5, 10, seen=2, filled=1, fee=1)  # stamped with the close of the first bar

    curve = curve_of({"AAA": bars}, [fill], CASH)

    assert curve.equity.tolist() == [1000, 1000 - 50 - 1 + 5 * 12, 1000 - 51 + 5 * 11]
    assert curve.exposed.tolist() == [False, True, True]


def test_a_short_position_gains_when_the_price_falls():
    bars = some_bars(10, 8, 6, 7)
    fills = [a_fill(-10, 10, seen=2), a_fill(10, 6, seen=4)]

    curve = curve_of({"AAA": bars}, fills, CASH)

    assert curve.equity.tolist() == [1000, 1020, 1040, 1040]
    assert curve.exposed.tolist() == [False, True, True, False]


def test_a_fee_in_the_base_coin_reduces_the_position_and_not_the_cash():
    fill = a_fill(2, 100, seen=1, fee="0.01", fee_asset="AAA")

    curve = curve_of({"AAA": some_bars(100, 200)}, [fill], CASH)

    assert curve.equity.tolist() == [800 + 1.99 * 100, 800 + 1.99 * 200]


def test_symbols_that_close_at_different_times_are_marked_at_their_last_known_close():
    bars = {
        "AAA": some_bars(10, 11, step=2 * MINUTE),  # closes at minutes 2 and 4
        "BBB": some_bars(50, 51, 52, symbol="BBB"),  # at 1, 2 and 3
    }
    fills = [a_fill(1, 50, seen=1, symbol="BBB"), a_fill(3, 10, seen=2)]

    curve = curve_of(bars, fills, CASH)

    assert minutes(curve) == [1, 2, 3, 4]
    assert curve.equity.tolist() == [1000, 1001, 1002, 1005]


def test_a_symbol_without_a_close_yet_is_marked_at_the_price_last_paid():
    bars = {"AAA": some_bars(10, 11, 12), "BBB": some_bars(70, symbol="BBB", first=2)}
    fills = [a_fill(1, 60, seen=1, symbol="BBB"), a_fill(1, 64, seen=2, symbol="BBB")]

    curve = curve_of(bars, fills, CASH)

    assert curve.equity.tolist() == [1000, 1004, 1000 - 124 + 140]


def test_a_symbol_without_any_bars_is_marked_at_the_price_last_paid():
    fills = [a_fill(1, 60, seen=1, symbol="BBB"), a_fill(1, 64, seen=2, symbol="BBB")]

    curve = curve_of({"AAA": some_bars(10, 11)}, fills, CASH)

    assert curve.equity.tolist() == [1000, 1004]


def test_the_curve_begins_after_warm_up_and_ends_where_it_is_told():
    curve = curve_of(
        {"AAA": some_bars(10, 11, 12, 13, 14)},
        [a_fill(1, 12, seen=3)],
        CASH,
        first_ns=3 * MINUTE,
        last_ns=4 * MINUTE,
    )

    assert minutes(curve) == [3, 4]
    assert curve.equity.tolist() == [1000, 1001]


def test_bars_before_the_first_point_still_give_the_last_known_close():
    bars = {"AAA": some_bars(10, 11, 12, 13), "BBB": some_bars(70, 80, symbol="BBB")}

    curve = curve_of(bars, [a_fill(2, 75, seen=3, symbol="BBB")], CASH, first_ns=3 * MINUTE)

    assert curve.equity.tolist() == [1010, 1010]


def test_fills_between_two_closes_count_from_the_later_one():
    early, late = a_fill(1, 10, seen=2), a_fill(1, 20, seen=7)
    bars = some_bars(10, 20, step=5 * MINUTE)

    curve = curve_of({"AAA": bars}, [late, early], CASH)

    assert curve.equity.tolist() == [1000, 1000 - 30 + 40]


def test_a_fill_after_the_last_close_does_not_count():
    curve = curve_of({"AAA": some_bars(10, 11)}, [a_fill(1, 5, seen=3)], CASH)

    assert curve.equity.tolist() == [1000, 1000]
    assert not curve.exposed.any()


def test_strategies_that_hold_opposite_positions_are_not_exposed():
    fills = [a_fill(2, 10, seen=1), a_fill(-2, 10, seen=1, strategy="two")]

    curve = curve_of({"AAA": some_bars(10, 15)}, fills, CASH)

    assert curve.equity.tolist() == [1000, 1000]
    assert curve.exposed.tolist() == [False, False]


def test_no_bars_make_an_empty_curve():
    for bars in ({}, {"AAA": some_bars(10).between(0, 0)}):
        curve = curve_of(bars, [a_fill(1, 10, seen=1)], CASH)

        assert len(curve) == len(curve.equity) == len(curve.exposed) == 0


def test_the_times_cannot_be_written_to_and_leave_the_bars_as_they_are():
    bars = some_bars(10, 11)

    curve = curve_of({"AAA": bars}, [], CASH)

    assert not curve.times.flags.writeable
    assert bars.close_ns.flags.writeable


def test_cash_is_added_up_exactly_to_a_hundred_millionth():
    fills = [
        a_fill("0.1" if i % 2 else "-0.1", "0.3", seen=1, fee="0.00000001") for i in range(9999)
    ]

    curve = curve_of({"AAA": some_bars("0.3")}, fills, CASH)

    exact = CASH - sum((f.quantity * f.price).quantize(CASH_STEP) + f.fee for f in fills)
    held = sum(f.quantity for f in fills)
    assert curve.equity[-1] == float(exact) + float(held) * 0.3


runs = st.lists(
    st.tuples(
        st.sampled_from(["AAA", "BBB"]),
        st.integers(-5, 5).filter(bool),
        st.integers(1, 400),
        st.integers(0, 14),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(runs, st.integers(0, 6), st.integers(1, 8), st.integers(0, 8), st.integers(7, 14))
def test_every_point_equals_a_slow_exact_valuation(made, start, count, first, last):
    bars = {
        "AAA": some_bars(*range(100, 112)),
        "BBB": some_bars(*range(50, 50 + count), symbol="BBB", first=start),
    }
    fills = [
        a_fill(q, p, seen=s, symbol=name, fee="0.5", fee_asset=name if in_coin else None)
        for name, q, p, s, in_coin in made
    ]

    curve = curve_of(bars, fills, CASH, first * MINUTE, last * MINUTE)

    closes = {int(t) for b in bars.values() for t in b.close_ns}
    points = sorted(t for t in closes if first * MINUTE <= t <= last * MINUTE)
    assert curve.times.astype(np.int64).tolist() == points
    expected = [slow_value(bars, fills, point) for point in points]
    assert np.allclose(curve.equity, [float(value) for value, _ in expected], rtol=1e-14)
    assert curve.exposed.tolist() == [is_held for _, is_held in expected]


def slow_value(bars, fills, point):
    cash, held, paid = CASH, {}, {}
    for fill in sorted(fills, key=lambda f: f.seen_ns):
        if fill.seen_ns <= point:
            in_coin = fill.fee if fill.fee_asset else 0
            cash -= fill.quantity * fill.price + (fill.fee - in_coin)
            held[fill.symbol] = held.get(fill.symbol, 0) + fill.quantity - in_coin
            paid[fill.symbol] = fill.price
    for symbol, quantity in held.items():
        known = bars[symbol].close[bars[symbol].close_ns <= point]
        cash += quantity * (Decimal(repr(float(known[-1]))) if len(known) else paid[symbol])
    return cash, any(held.values())


def test_the_last_point_of_a_long_run_is_the_exact_account_to_the_last_digit():
    bars = a_walk(20_000, step=MINUTE)
    fills = crossing(bars, 7)

    curve = curve_of({"AAA": bars}, fills, CASH)

    value, _ = slow_value({"AAA": bars}, fills, int(bars.close_ns[-1]))
    assert abs(curve.equity[-1] - float(value)) < 1e-12 * abs(float(value))


def test_a_million_bars_take_a_fraction_of_a_second():
    bars = a_walk(1_000_000, step=MINUTE)
    fills = crossing(bars, 25)  # 40,000 fills

    began = time.process_time()
    curve = curve_of({"AAA": bars}, fills, CASH)

    assert time.process_time() - began < 1.0  # about 0.2 s; a slip into a Python loop takes more
    assert len(curve) == 1_000_000
