"""History that grows bar by bar, instants, and short bars joined into longer ones."""

import numpy as np
import pytest
from catalog_builders import bars_at
from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.market import MINUTE, SECOND, Bars, Timeframe
from ticklane.core.prints import Amendment, Print
from ticklane.core.resample import joined
from ticklane.data.instants import Instants
from ticklane.data.joining import BarJoiner, PrintJoiner
from ticklane.data.live_history import BarHistory

FIVE = Timeframe(5 * MINUTE)
ALL = 1 << 62


def rows(minutes, symbol="AAA"):
    return list(bars_at(symbol, [n * MINUTE for n in minutes]).rows())


def opens(history, count=None):
    return [at // MINUTE for at in history.last(count, ALL).open_ns.tolist()]


@given(st.permutations(range(40)))
def test_bars_stand_in_order_however_they_come(order):
    history, bars = BarHistory("AAA"), rows(range(40))

    outcomes = [history.put(bars[number])[0] for number in order]

    assert opens(history) == list(range(40))
    assert list(history.last(None, ALL).rows()) == bars
    assert set(outcomes) <= {"new", "late"}


def test_the_oldest_are_let_go_and_the_newest_stay():
    history = BarHistory("AAA", keep=300)

    for bar in rows(range(5_000)):
        history.put(bar)
        assert len(history) <= 1_024

    assert opens(history, 300) == list(range(4_700, 5_000))


def test_a_bar_that_comes_again_is_the_same_or_a_correction():
    history, (bar,) = BarHistory("AAA"), rows([7])

    assert history.put(bar) == ("new", None)
    assert history.put(bar) == ("same", bar)
    assert history.put(bar._replace(close=99.5)) == ("corrected", bar)
    assert history.last(1, ALL).close.tolist() == [99.5]


def test_history_cannot_be_changed_by_who_reads_it():
    history = BarHistory("AAA")
    history.put(rows([1])[0])

    bars = history.last(1, ALL)

    assert not bars.close.flags.writeable
    assert bars.close.base is None


@given(st.sets(st.integers(0, 200), min_size=1))
def test_joining_one_by_one_is_joining_at_once(minutes):
    bars, joiner = rows(sorted(minutes)), BarJoiner(FIVE)

    made = [made for bar in bars for made in joiner.add(bar)] + joiner.due(1_000 * MINUTE)

    at_once = joined(Bars.of("AAA", bars), FIVE)
    assert [bar[1:-1] for bar in made] == [bar[1:-1] for bar in at_once.rows()]
    assert [bar.volume for bar in made] == pytest.approx(at_once.volume.tolist())


@given(st.sets(st.integers(0, 200), min_size=1))
def test_joined_bars_hold_all_of_their_parts(minutes):
    bars = Bars.of("AAA", rows(sorted(minutes)))

    longer = joined(bars, FIVE)

    assert longer.volume.sum() == pytest.approx(bars.volume.sum())
    assert longer.high.max() == bars.high.max()
    assert longer.low.min() == bars.low.min()
    assert (longer.open[0], longer.close[-1]) == (bars.open[0], bars.close[-1])
    assert (np.diff(longer.open_ns) > 0).all()


def test_a_trade_that_comes_after_its_bar_is_counted():
    joiner = PrintJoiner(Timeframe(MINUTE))
    joiner.add("AAA", 10, 5.0, 1.0)
    (bar,) = joiner.due(2 * MINUTE)

    assert joiner.add("AAA", MINUTE - 1, 6.0, 1.0) == []
    assert (bar.close, joiner.late) == (5.0, 1)


prices = st.integers(1, 9).map(float)
prints = st.lists(st.tuples(st.integers(0, 59), prices), min_size=1, max_size=30)


def bars_of_prints(tape, changed=(), step=10):
    """All bars made of a tape, those made again at the end of it."""
    joiner, found = PrintJoiner(Timeframe(step * SECOND)), []
    for number, (second, price) in enumerate(sorted(tape)):
        found += joiner.add("AAA", second * SECOND, price, 1.0, str(number))
    for amendment in changed:
        bar, is_known = joiner.amend("AAA", amendment)
        assert is_known
        found += [bar] if bar is not None else []
    return {bar.open_ns: bar for bar in (*found, *joiner.due(MINUTE * 2))}


@given(prints, st.data())
def test_a_corrected_trade_leaves_the_bars_as_if_it_had_been_right_at_once(tape, data):
    tape = sorted(tape)
    row = data.draw(st.integers(0, len(tape) - 1))
    price = data.draw(prices)
    wrong, right = Print("AAA", 0, tape[row][1], 1.0, str(row)), Print("AAA", 0, price, 1.0, "new")
    mended = [*tape[:row], (tape[row][0], price), *tape[row + 1 :]]

    found = bars_of_prints(tape, [Amendment(wrong, right)])

    joiner, expected = PrintJoiner(Timeframe(10 * SECOND)), []
    for number, (second, paid) in enumerate(mended):
        expected += joiner.add("AAA", second * SECOND, paid, 1.0, str(number))
    expected += joiner.due(MINUTE * 2)
    assert found == {bar.open_ns: bar for bar in expected}


def test_a_bar_whose_only_trade_is_cancelled_stands_as_it_was_told():
    joiner = PrintJoiner(Timeframe(SECOND))
    joiner.add("AAA", 10, 5.0, 1.0, "1")
    joiner.due(MINUTE)

    assert joiner.amend("AAA", Amendment(Print("AAA", 10, 5.0, 1.0, "1"), None)) == (None, False)


def test_the_only_trade_of_an_open_bar_may_be_cancelled():
    joiner = PrintJoiner(Timeframe(MINUTE))
    joiner.add("AAA", 10, 5.0, 1.0, "1")

    assert joiner.amend("AAA", Amendment(Print("AAA", 10, 5.0, 1.0, "1"), None)) == (None, True)
    assert joiner.due(5 * MINUTE) == []
    joiner.add("AAA", 20, 7.0, 1.0, "2")
    assert [bar.open for bar in joiner.due(5 * MINUTE)] == [7.0]


def test_a_bar_of_which_trades_are_forgotten_is_not_made_again():
    joiner = PrintJoiner(Timeframe(MINUTE))
    for number in range(30_000):
        joiner.add("AAA", number, 5.0, 1.0, str(number))

    late = Print("AAA", 0, 5.0, 1.0, "29999")
    assert joiner.amend("AAA", Amendment(late, None)) == (None, False)
    assert joiner.due(5 * MINUTE)[0].volume == 30_000


def test_an_overtaken_bar_is_not_told():
    instants = Instants(["AAA"], 0, lambda *_: True)
    first, second = rows([0, 1])

    assert instants.add(second)
    assert [tick.time_ns for tick in instants.due(ALL)] == [2 * MINUTE]
    assert not instants.add(first)
    assert instants.due(ALL) == []
    assert instants.overtaken == 1
