"""What is settled before a run begins: how it is told from others, and who has which cash."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.money import CASH_STEP
from ticklane.core.portfolio import Portfolio
from ticklane.core.words import in_words
from ticklane.engine.adoption import open_orphan_book
from ticklane.engine.host import StrategyHost
from ticklane.interfaces import BrokerInterface, Calendar, Feed, Recovered, StrategyInterface


def checked_calendar(calendar: Any) -> Calendar | None:
    """Take an object for a calendar; raises ConfigError for what is none, such as a bare name."""
    if calendar is None or hasattr(calendar, "session"):
        found: Calendar | None = calendar
        return found
    wanted = "a Calendar here" if isinstance(calendar, str) else "a Calendar or the name of one"
    raise ConfigError(f"calendar is {calendar!r}, but must be {wanted}.")


def run_config(
    broker: BrokerInterface,
    feed: Feed,
    hosts: Iterable[StrategyHost],
    shares: Mapping[str, Decimal | None],
) -> dict[str, Any]:
    """Everything that makes a run this run and no other, as JSON values."""
    return {
        "broker": {
            "name": broker.name,
            **broker.conditions(),
        },
        "feed": {
            "label": feed.label,
            "symbols": list(feed.symbols),
            "timeframe": str(feed.timeframe),
        },
        "strategies": [
            {
                "class": type(host.strategy).__qualname__,
                "schedule": host.status.schedule,
                "cash": str(shares[host.name]),
                "config": {key: in_words(v) for key, v in host.strategy.config.items()},
            }
            for host in hosts
        ],
    }


def fingerprint(config: Mapping[str, Any]) -> str:
    """A short text that two runs share only when their configs are equal, but for the limits.

    Whoever loosens a limit shall not lose the books of what is held.
    """
    same = {key: value for key, value in config.items() if key != "limits"}
    text = json.dumps(same, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def share_cash(total: Decimal, wanted: Mapping[str, Decimal | None]) -> dict[str, Decimal]:
    """Each strategy's part of the account: what it asked for, the rest in equal parts.

    Raises ConfigError when they ask for more than there is.
    """
    asked = {name: cash for name, cash in wanted.items() if cash is not None}
    rest = total - sum(asked.values())
    others = [name for name in wanted if name not in asked]
    if rest < 0 or (others and rest <= 0):
        raise ConfigError(
            f"cash of the strategies adds up to {sum(asked.values())}, but the account has {total}."
        )
    shares = dict(asked)
    for name in others:
        shares[name] = (rest / len(others)).quantize(CASH_STEP, ROUND_DOWN)
    if others:
        shares[others[0]] += rest - sum(shares[name] for name in others)
    return {name: shares[name] for name in wanted}


async def open_feed(feed: Feed, since_ns: int | None) -> None:
    """Let a feed that needs the net load its history; raises DataError or BrokerError."""
    opening = getattr(feed, "open", None)
    if opening is not None:
        await opening(since_ns)


async def close_feed(feed: Feed | None) -> None:
    """Let it go, also where nothing was ever streamed."""
    closing = getattr(feed, "close", None)
    if closing is not None:
        await closing()


def check_symbols(hosts: Iterable[StrategyHost], feed: Feed) -> None:
    """Raise ConfigError when a strategy wants what the feed does not have."""
    for host in hosts:
        for symbol in sorted(host.symbols - set(feed.symbols)):
            raise ConfigError(
                f"{host.name} wants {symbol}, but the feed has only {', '.join(feed.symbols)}."
            )


def takes_reason(strategy: StrategyInterface) -> bool:
    """Whether a strategy's `on_stop` wants to be told why."""
    return bool(inspect.signature(strategy.on_stop).parameters)


def signal_life_ns(seconds: float, feed: Feed) -> int:
    """How long an order may still be sent: until the next bar, but not longer than `seconds`."""
    return min(int(seconds * 1e9), int(feed.timeframe.ns))


def open_books(
    portfolio: Portfolio, cash: Decimal, shares: Mapping[str, Decimal | None], recovered: Recovered
) -> None:
    """A book for each strategy, and one for orders that belong to none, where there are such."""
    for name, share in share_cash(cash, shares).items():
        portfolio.open_book(name, share)
    open_orphan_book(portfolio, (*recovered.orders, *recovered.closed, *recovered.fills))
