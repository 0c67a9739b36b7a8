"""What `ticklane doctor` says about keys, and about the account behind them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ticklane.app.alpaca import alpaca_account, missing_for_live, uses_alpaca
from ticklane.app.doctor import Check, Notice, Problem, check
from ticklane.app.environment import present_keys
from ticklane.core.errors import BrokerError, ConfigError
from ticklane.core.symbols import is_crypto, normal_symbol
from ticklane.core.trading_state import TradingState

if TYPE_CHECKING:
    from ticklane.app.settings import Settings
    from ticklane.integrations.alpaca.probe import Probe

_MOST_SYMBOLS = 50
_DAY = 86_400  # seconds


def examine_account(settings: Settings | None, is_connecting: bool) -> Iterator[Check]:
    """Are there keys; if so, or if they are needed, what do they open."""
    yield check("keys", lambda: _keys(settings))
    if settings is None or not _has_keys():
        return
    server = check("server", lambda: _server(settings))
    yield server
    if is_connecting and server.state != "failed":
        yield from _of_account(settings)


def _of_account(settings: Settings) -> Iterator[Check]:
    """What Alpaca says; where it says nothing, once is enough."""
    from ticklane.integrations.alpaca.probe import Probe

    probe = Probe(alpaca_account(settings))
    try:
        found = probe.trading_account()
    except BrokerError as error:
        yield Check("account", "failed", str(error))
        return
    symbols = _symbols_of(settings)
    yield check("account", lambda: _account(found, settings))
    yield check("exchange", lambda: _exchange(probe))
    if symbols:
        yield check("symbols", lambda: _symbols(probe, symbols))
    for is_coin, name in ((False, "stocks"), (True, "crypto")):
        if not symbols or is_coin in map(is_crypto, symbols):
            yield check(name, partial(_prices, probe, is_coin))


def _keys(settings: Settings | None) -> str:
    places = present_keys()
    words = [
        f"{name} is set ({source})" if source else f"{name} is not set"
        for name, source in places.items()
    ]
    text = ", ".join(words)
    if settings is not None and uses_alpaca(settings) and not all(places.values()):
        raise Problem(f"{text}; put both into .env, the environment or credential files.")
    if any(places.values()) and not all(places.values()):
        raise Notice(f"{text}; Alpaca needs both.")
    return text if any(places.values()) else f"{text} (paper needs none)"


def _has_keys() -> bool:
    try:
        return all(present_keys().values())
    except ConfigError:
        return False


def _server(settings: Settings) -> str:
    account = alpaca_account(settings)
    if account.is_local:
        return f"{account.mode}: orders go to {account.host} on this machine, no account of Alpaca"
    if account.mode == "paper":
        return f"paper: orders go to {account.host}, play money"
    text = f"live: REAL MONEY of account {account.account_number} at {account.host}"
    missing = missing_for_live(settings)
    return f"{text}, but {' and '.join(missing)} missing, so nothing starts" if missing else text


def _account(found: dict[str, Any], settings: Settings) -> str:
    from ticklane.integrations.alpaca.account_state import troubles

    status = str(found.get("status", "")).removeprefix("AccountStatus.")
    text = (
        f"account {found.get('account_number')} is {status}, equity {_money(found, 'equity')}, "
        f"buying power {_money(found, 'buying_power')} {found.get('currency', 'USD')}"
    )
    wrong = list(troubles(found))
    if any(one.state is TradingState.HALTED for one in wrong):
        raise Problem(f"{text}: {' '.join(one.sentence for one in wrong)}")
    if wrong:
        raise Notice(f"{text}: {' '.join(one.sentence for one in wrong)}")
    if settings.allow_short and found.get("shorting_enabled") is False:
        raise Notice(f"{text}; short sales are configured, but the account may not sell short.")
    return text


def _money(found: dict[str, Any], name: str) -> str:
    return f"{Decimal(str(found.get(name) or 0)):,.2f}"


def _exchange(probe: Probe) -> str:
    from ticklane.integrations.alpaca.probe import SKEW_SECONDS

    ahead, uncertain = probe.clock_difference()
    if abs(ahead) - uncertain <= 0.1:
        return "this machine's clock agrees with Alpaca's to 0.1 s"
    difference = f"{abs(ahead):,.1f} s {'behind' if ahead > 0 else 'ahead of'} Alpaca's clock"
    if abs(ahead) - uncertain <= SKEW_SECONDS:
        return f"this machine's clock is {difference}"
    if probe.account.is_local and abs(ahead) > _DAY:
        return f"the server lives in another time ({difference}): it replays recorded prices"
    raise Problem(
        f"this machine's clock is {difference}, and more than {SKEW_SECONDS:.0f} s halt entries; "
        "set it (timedatectl set-ntp true)."
    )


def _symbols_of(settings: Settings) -> list[str]:
    listed = [symbol for block in settings.strategy for symbol in block.symbols]
    return list(dict.fromkeys(map(normal_symbol, listed)))[:_MOST_SYMBOLS]


def _symbols(probe: Probe, symbols: list[str]) -> str:
    wrong = [words for symbol in symbols if (words := probe.complaint(symbol)) is not None]
    if wrong:
        raise Problem(" ".join(wrong))
    return f"{', '.join(symbols)} can be traded"


def _prices(probe: Probe, is_coin: bool) -> str:
    newest = probe.sample_prices(is_coin)
    what = "crypto prices" if is_coin else f"{probe.account.feed.upper()} prices"
    return f"{what} may be read" + (f", the newest is of {newest}" if newest else "")
