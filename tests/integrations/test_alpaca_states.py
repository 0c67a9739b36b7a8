"""The account's own state in words, and what it does to trading."""

import pytest

from ticklane.integrations.alpaca.account_state import troubles

ACTIVE = {"status": "ACTIVE", "equity": "10000", "buying_power": "5000", "account_number": "PA1"}


@pytest.mark.parametrize(
    ("fields", "code", "state"),
    [
        ({"account_blocked": True}, "account_blocked", "HALTED"),
        ({"trading_blocked": True}, "trading_blocked", "HALTED"),
        ({"trade_suspended_by_user": True}, "trade_suspended_by_user", "HALTED"),
        ({"status": "ACCOUNT_CLOSED"}, "account_status", "HALTED"),
        ({"pattern_day_trader": True}, "pattern_day_trader", "REDUCE_ONLY"),
        ({"daytrade_count": 3}, "day_trades", "REDUCE_ONLY"),
        ({"buying_power": "0"}, "no_buying_power", "REDUCE_ONLY"),
    ],
)
def test_each_block_is_a_sentence_and_a_state(fields, code, state):
    [trouble] = troubles({**ACTIVE, **fields})

    assert (trouble.code, trouble.state) == (code, state)
    assert trouble.sentence.endswith(".")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"daytrade_count": 2},
        {"pattern_day_trader": True, "equity": "25000"},
        {"daytrade_count": None, "pattern_day_trader": None, "buying_power": None},
    ],
)
def test_an_account_in_order_has_no_troubles(fields):
    assert list(troubles({**ACTIVE, **fields})) == []
