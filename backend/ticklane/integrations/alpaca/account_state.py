"""What the account's own state means for trading, and what speaks against trading it at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from ticklane.core.errors import BrokerError
from ticklane.core.money import ZERO
from ticklane.core.trading_state import TradingState
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.client import Reply
from ticklane.integrations.alpaca.convert import read_number
from ticklane.integrations.alpaca.restrictions import Restrictions

_DAY_TRADE_EQUITY: Final = 25_000
_DAY_TRADES: Final = 3
_BLOCKS: Final = {
    "account_blocked": "Alpaca has blocked the account; ask Alpaca's support why",
    "trading_blocked": "Alpaca has blocked trading in the account; ask Alpaca's support why",
    "trade_suspended_by_user": "trading is suspended in the account's own settings; allow it there",
}
CODES: Final = (*_BLOCKS, "account_status", "pattern_day_trader", "day_trades", "no_buying_power")


class Trouble(NamedTuple):
    """One thing that limits trading."""

    code: str
    state: TradingState
    sentence: str


def troubles(account: Mapping[str, Any]) -> Iterator[Trouble]:
    """Everything in an account's state that limits trading."""
    for name, sentence in _BLOCKS.items():
        if account.get(name):
            yield Trouble(name, TradingState.HALTED, f"{sentence}.")
    status = str(account.get("status", "ACTIVE"))
    if status not in ("ACTIVE", "PAPER_ONLY", "ACCOUNT_UPDATED"):
        yield Trouble(
            "account_status", TradingState.HALTED, f"the account is {status}, not ACTIVE."
        )
    yield from _day_trading(account)
    if _amount(account, "buying_power") <= ZERO and account.get("buying_power") is not None:
        yield Trouble(
            "no_buying_power", TradingState.REDUCE_ONLY, "the account has no buying power left."
        )


def _day_trading(account: Mapping[str, Any]) -> Iterator[Trouble]:
    """Until 2026-07 Alpaca told of day trades; an account without these fields has no such rule."""
    if _amount(account, "equity") >= _DAY_TRADE_EQUITY:
        return
    count = int(account.get("daytrade_count") or 0)
    if account.get("pattern_day_trader"):
        yield Trouble(
            "pattern_day_trader",
            TradingState.REDUCE_ONLY,
            "the account is marked as pattern day trader and has less than $25,000, so Alpaca "
            "takes no orders that open positions.",
        )
    elif count >= _DAY_TRADES:
        yield Trouble(
            "day_trades",
            TradingState.REDUCE_ONLY,
            f"the account has made {count} day trades in five days and has less than $25,000; one "
            "more would mark it as pattern day trader.",
        )


def apply(account: Mapping[str, Any], restrictions: Restrictions) -> None:
    """Set and lift restrictions so that they are those of the account now."""
    found = {trouble.code: trouble for trouble in troubles(account)}
    for code in CODES:
        trouble = found.get(code)
        if trouble is None:
            restrictions.lift(code)
        else:
            restrictions.impose(code, trouble.sentence, trouble.state)


def check(account: Mapping[str, Any], meant: AlpacaAccount) -> None:
    """Raise BrokerError for an account that must not be traded, before a run is begun."""
    number = str(account.get("account_number") or "")
    mismatch = meant.mismatch(number)
    if mismatch is not None:
        raise BrokerError(mismatch)
    currency = account.get("currency") or "USD"
    if currency != "USD":
        raise BrokerError(f"account {number} is in {currency}, but only USD accounts are traded.")
    for trouble in troubles(account):
        if trouble.state is TradingState.HALTED:
            raise BrokerError(f"account {number} cannot trade: {trouble.sentence}")


def why_unreachable(reply: Reply, meant: AlpacaAccount) -> str:
    """Why the account could not be read, as one sentence with the remedy."""
    if reply.status in (401, 403):
        return (
            f"Alpaca at {meant.host} refused the keys ({reply.status}); check ALPACA_API_KEY and "
            f"ALPACA_API_SECRET, and that they belong to the {meant.mode} account."
        )
    if reply.status is None:
        return (
            f"Alpaca at {meant.host} cannot be reached ({reply.message}); check the network and "
            "ALPACA_BASE_URL."
        )
    return f"Alpaca at {meant.host} answered {reply.status} ({reply.message}); try again later."


def _amount(account: Mapping[str, Any], name: str) -> Decimal:
    try:
        return read_number(account.get(name) or 0)
    except (ValueError, InvalidOperation):
        return ZERO
