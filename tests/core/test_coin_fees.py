"""Fees in the base coin: they reduce the position, never the cash, and trades know of them."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ticklane.core.portfolio import Book
from ticklane.testing.builders import a_fill, an_order

COIN = an_order(symbol="BTC")


def a_book(*fills, cash=1000):
    """A book with these fills (quantity, price, fee in coins), and the trades they closed."""
    book = Book("Trend", Decimal(cash))
    made = [a_fill(*one, order=COIN, fee_asset="BTC") for one in fills]
    return book, [trade for fill in made if (trade := book.apply(fill)) is not None]


def test_a_buy_brings_what_is_left_of_it_and_costs_the_whole():
    book, _ = a_book((1, 100, "0.01"))

    position = book.positions["BTC"]
    assert (position.quantity, position.cost, book.cash) == (Decimal("0.99"), 99, 900)
    assert (position.average_price, book.fees) == (100, 1)


def test_a_trade_counts_the_coins_kept_back_among_its_fees():
    book, [trade] = a_book((1, 100, "0.01"), ("-0.99", 110, 0))

    assert (trade.quantity, trade.entry_price, trade.exit_price) == (Decimal("0.99"), 100, 110)
    assert (trade.fees, trade.profit) == (1, Decimal("8.9"))
    assert book.cash - 1000 == trade.profit


def test_an_open_trade_counts_them_as_well():
    book, _ = a_book((1, 100, "0.01"))

    trade = book.positions["BTC"].open_trade(Decimal(110))

    assert (trade.fees, trade.profit) == (1, Decimal("8.9"))


def test_a_cover_that_brings_too_little_leaves_the_rest_of_the_short_open():
    book, closed = a_book((-1, 100, 0), (1, 90, "0.01"))

    position = book.positions["BTC"]
    trade = position.open_trade(Decimal(90))
    assert (closed, position.quantity, position.cost) == ([], Decimal("-0.01"), -1)
    assert (trade.side, trade.quantity, trade.fees, trade.profit) == (
        "sell",
        1,
        Decimal("0.9"),
        Decimal("9.1"),
    )


def test_a_sale_of_everything_with_its_fee_on_top_is_short_of_the_fee():
    book, [trade] = a_book((1, 100, 0), (-1, 110, "0.01"))

    position = book.positions["BTC"]
    assert (trade.quantity, trade.exit_price) == (1, 110)
    assert (position.quantity, position.cost) == (Decimal("-0.01"), Decimal("-1.1"))
    assert trade.profit + position.open_trade(Decimal(110)).profit == 10 - Decimal("1.1")


numbers = st.integers(1, 10**9).map(lambda n: Decimal(n) / 10**6)


@given(
    st.lists(
        st.tuples(
            numbers.flatmap(lambda n: st.sampled_from([n, -n])),
            numbers,
            st.integers(0, 500).map(lambda n: Decimal(n) / 10**5),
            st.sampled_from([None, "BTC"]),
        ),
        max_size=12,
    )
)
def test_the_books_add_up_whatever_the_fees_are_paid_in(rows):
    book, in_cash, coins, traded, profit = Book("Trend", Decimal(1000)), 0, 0, 0, 0

    for quantity, price, share, asset in rows:
        fee = (abs(quantity) * share * (1 if asset else price)).quantize(Decimal("1e-8"))
        fill = a_fill(quantity, price, fee, order=COIN, fee_asset=asset)
        trade = book.apply(fill)
        profit += trade.profit if trade is not None else 0
        traded += (quantity * price).quantize(Decimal("1e-8"))
        in_cash += 0 if asset else fee
        coins += quantity - (fee if asset else 0)

    cost = sum(one.cost for one in book.positions.values())
    realised = sum(one.realised_profit for one in book.positions.values())
    assert book.cash + cost == 1000 + realised - book.fees
    assert book.cash == 1000 - traded - in_cash
    assert book.quantity("BTC") == coins
    if coins:
        closing = book.apply(a_fill(-coins, 7, order=COIN))
        assert profit + closing.profit == book.cash - 1000
