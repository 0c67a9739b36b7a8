"""The risk manager: the house's own rules, then the limits, each bound to what it is for."""

from decimal import Decimal

import pytest

from ticklane.core.errors import ConfigError
from ticklane.core.instrument import Instrument, OrderRules
from ticklane.core.order import Refusal
from ticklane.core.portfolio import Portfolio
from ticklane.risk.manager import RiskManager, checked_rules, reduces, unsold
from ticklane.risk.rules import read_limits
from ticklane.testing.builders import START, a_bracket, a_fill, a_pair, an_order

LAST = 100.0


def a_portfolio(cash=1000, **held):
    """Books of this cash that hold so much, bought for nothing: `a_portfolio(One=5, Two=0)`."""
    portfolio = Portfolio(lambda symbol: LAST)
    for name, quantity in (held or {"One": 0}).items():
        book = portfolio.open_book(name, Decimal(cash))
        if quantity:
            book.apply(a_fill(quantity, 0, order=an_order(strategy=name)))
    return portfolio


def a_manager(*rules, allow_short=False, **order_rules):
    instrument = Instrument(symbol="AAPL", rules=OrderRules(**order_rules))
    return RiskManager(lambda symbol: instrument, allow_short, rules)


def an_order_of_one(quantity=1, **terms):
    return an_order(quantity, strategy="One", **terms)


def code(manager, order, portfolio=None, *working):
    """The code of the refusal, or None."""
    open_orders = {one.id: one for head in working for one in (head, *head.legs)}
    books = portfolio or a_portfolio()
    refusal = manager.refusal(order, books, open_orders, LAST, START)
    return refusal and refusal.code


class Limit:
    """A limit that keeps the situations it was asked about, and may refuse."""

    def __init__(self, name, refuses=False):
        self.name, self.refuses, self.seen = name, refuses, []

    def refusal(self, order, situation):
        self.seen.append(situation)
        return Refusal(self.name, "no.") if self.refuses else None


# --- what reduces -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "quantity", "held", "answer"),
    [
        ("sell", 5, 10, True),
        ("sell", 10, 10, True),
        ("sell", 11, 10, False),
        ("buy", 5, 10, False),
        ("buy", 10, -10, True),
        ("buy", 11, -10, False),
        ("sell", 5, -10, False),
        ("buy", 5, 0, False),
    ],
)
def test_an_order_reduces_what_it_only_makes_smaller(side, quantity, held, answer):
    assert reduces(an_order(quantity, side=side), Decimal(held)) is answer


def test_an_amount_of_money_is_not_taken_for_a_reduction():
    assert not reduces(an_order(side="sell", notional=10), Decimal(10))


# --- what is left to sell -----------------------------------------------------------------------

SALE = {"side": "sell", "type": "limit", "limit_price": 120}


def left(*working):
    portfolio = a_portfolio(One=10)
    open_orders = {one.id: one for head in working for one in (head, *head.legs)}
    return unsold("AAPL", portfolio.books["One"], open_orders, LAST)


def test_open_sales_of_the_strategy_count_with_what_is_left_of_them():
    part = an_order_of_one(4, **SALE, filled_quantity=1)

    assert left(part, an_order(4, strategy="Two", **SALE), an_order_of_one(5)) == 7


def test_a_pair_of_exits_counts_once():
    assert left(a_pair(6, 120, 80, strategy="One")) == 4


def test_exits_of_an_entry_do_not_count():
    assert left(a_bracket(an_order_of_one(5), 120, 80)) == 10


def test_a_sale_about_to_be_cancelled_does_not_count():
    assert left(an_order_of_one(4, **SALE, is_cancel_pending=True)) == 10


def test_a_sale_of_an_amount_counts_at_the_last_price():
    assert left(an_order_of_one(side="sell", notional=300)) == 7


# --- the house's own rules ----------------------------------------------------------------------


def test_the_rules_of_the_instrument_bind_an_order_and_its_legs():
    manager = a_manager(tick=Decimal(1))
    entry = a_bracket(an_order_of_one(), take_profit="110.5")

    assert code(manager, entry) == "tick"
    assert code(manager, a_bracket(an_order_of_one(), take_profit=110)) is None


@pytest.mark.parametrize(("allow_short", "answer"), [(False, "short_not_allowed"), (True, None)])
def test_short_sales_need_permission(allow_short, answer):
    assert code(a_manager(allow_short=allow_short), an_order_of_one(side="sell")) == answer


def test_a_sale_of_an_amount_is_judged_at_the_last_price():
    books = a_portfolio(One=5)

    assert code(a_manager(), an_order_of_one(side="sell", notional=500), books) is None
    assert code(a_manager(), an_order_of_one(side="sell", notional=501), books) is not None


def test_an_exit_may_be_met_by_no_order_of_ours():
    books = a_portfolio(One=5)
    pair = a_pair(5, 99, 80, strategy="One")

    assert code(a_manager(), an_order_of_one(), books, pair) == "self_cross"


# --- own cash -----------------------------------------------------------------------------------


def test_one_book_may_ask_for_more_than_it_has_and_two_may_not():
    order = an_order_of_one(11)

    assert code(a_manager(), order, a_portfolio(One=0)) is None
    assert code(a_manager(), order, a_portfolio(One=0, Two=0)) == "insufficient_cash"


@pytest.mark.parametrize(
    ("terms", "answer"),
    [
        ({"quantity": 10}, None),
        ({"quantity": 11, "type": "limit", "limit_price": 90}, None),
        ({"quantity": 9, "type": "stop", "stop_price": 120}, "insufficient_cash"),
        ({"notional": 1000}, None),
        ({"notional": 1001}, "insufficient_cash"),
    ],
    ids=str,
)
def test_a_buy_costs_its_own_price(terms, answer):
    assert code(a_manager(), an_order_of_one(**terms), a_portfolio(One=0, Two=0)) == answer


def test_open_buys_of_the_strategy_keep_their_cash():
    books = a_portfolio(One=0, Two=0)
    waiting = {"type": "limit", "limit_price": 90}
    own, others = an_order_of_one(10, **waiting), an_order(10, strategy="Two", **waiting)

    assert code(a_manager(), an_order_of_one(2), books, own) == "insufficient_cash"
    assert code(a_manager(), an_order_of_one(2), books, others) is None


def test_a_sale_and_a_cover_need_no_cash():
    manager = a_manager(allow_short=True)

    assert code(manager, an_order_of_one(50, side="sell"), a_portfolio(One=0, Two=0)) is None
    assert code(manager, an_order_of_one(50), a_portfolio(One=-50, Two=0)) is None


# --- limits -------------------------------------------------------------------------------------


def test_limits_are_asked_in_order_until_one_refuses():
    first, second, third = Limit("first"), Limit("second", refuses=True), Limit("third")

    assert code(a_manager(first, second, third), an_order_of_one()) == "second"
    assert [len(limit.seen) for limit in (first, second, third)] == [1, 1, 0]


def test_a_limit_sees_the_situation():
    limit, portfolio = Limit("limit"), a_portfolio(One=0)
    waiting = an_order_of_one(type="limit", limit_price=90)

    code(a_manager(limit), an_order_of_one(), portfolio, waiting)

    [seen] = limit.seen
    assert (seen.portfolio, seen.book) == (portfolio, portfolio.books["One"])
    assert (seen.open_orders, seen.last_price, seen.at_ns) == ({waiting.id: waiting}, LAST, START)


def test_a_limit_is_not_asked_about_what_is_refused_already_or_reduces():
    limit = Limit("limit", refuses=True)

    assert code(a_manager(limit), an_order_of_one(side="sell")) == "short_not_allowed"
    assert code(a_manager(limit), an_order_of_one(5, side="sell"), a_portfolio(One=5)) is None
    assert limit.seen == []


@pytest.mark.parametrize("limits", ["safe", 5, [5], {"profile": "safe"}, [Limit], None])
def test_limits_are_a_list_of_rules(limits):
    with pytest.raises(ConfigError, match=r"^limits is .*, but must be a list of rules, .*safe.$"):
        checked_rules(limits)


def test_the_rules_of_a_profile_are_limits():
    rules = read_limits("safe")

    assert checked_rules(iter(rules)) == rules
