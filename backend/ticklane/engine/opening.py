"""What is settled before a run begins: how it is told from others, and who has which cash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.money import CASH_STEP
from ticklane.engine.host import StrategyHost
from ticklane.interfaces import BrokerInterface, Feed, in_words


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
            "cash": str(broker.starting_cash),
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
    """A short text that two runs share only when their configs are equal."""
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def share_cash(total: Decimal, wanted: Mapping[str, Decimal | None]) -> dict[str, Decimal]:
    """Each strategy's part of the account: what it asked for, the rest in equal parts.

    Raises ConfigError when they ask for more than there is.
    """
    asked = {name: cash for name, cash in wanted.items() if cash is not None}
    rest = total - sum(asked.values())
    others = [name for name in wanted if name not in asked]
    if rest < 0 or any(cash <= 0 for cash in asked.values()) or (others and rest <= 0):
        raise ConfigError(
            f"cash of the strategies adds up to {sum(asked.values())}, but the account has {total}."
        )
    shares = dict(asked)
    for name in others:
        shares[name] = (rest / len(others)).quantize(CASH_STEP, ROUND_DOWN)
    if others:
        shares[others[0]] += rest - sum(shares[name] for name in others)
    return {name: shares[name] for name in wanted}
