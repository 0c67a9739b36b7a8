"""From settings to an Alpaca account: keys, broker, prices; real money on purpose only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ticklane.app.environment import everything, lookup
from ticklane.clock import SystemClock
from ticklane.core.errors import ConfigError
from ticklane.core.market import MINUTE, Timeframe
from ticklane.core.symbols import is_crypto

if TYPE_CHECKING:
    from ticklane.app.settings import Settings
    from ticklane.core.instrument import Instrument
    from ticklane.integrations.alpaca.account import AlpacaAccount
    from ticklane.interfaces import BrokerInterface, Calendar, Clock, Feed

_STOCKS = "XNYS"
_ADDRESSES = {
    "url": "ALPACA_BASE_URL",
    "data_url": "ALPACA_DATA_URL",
    "stream_url": "ALPACA_STREAM_URL",
    "data_stream_url": "ALPACA_DATA_STREAM_URL",
}


def alpaca_account(settings: Settings) -> AlpacaAccount:
    """The account that keys, addresses and settings name. Raises ConfigError."""
    from ticklane.core.secret import Secret
    from ticklane.integrations.alpaca.account import AlpacaAccount

    found = everything()

    def given(name: str) -> str:
        value = lookup(name, found)
        return value.read() if value is not None else ""

    return AlpacaAccount(
        key=Secret(given("ALPACA_API_KEY")),
        secret=Secret(given("ALPACA_API_SECRET")),
        mode=settings.mode,
        account_number=settings.account,
        feed=settings.data_feed,
        **{field: given(name) for field, name in _ADDRESSES.items()},
    )


def uses_alpaca(settings: Settings) -> bool:
    """Whether keys of Alpaca are needed."""
    return settings.broker == "alpaca" or uses_alpacas_prices(settings)


def uses_alpacas_prices(settings: Settings) -> bool:
    """Whether prices come from Alpaca: streamed, or asked for with `alpaca:polling`."""
    return settings.feed in ("alpaca", "alpaca:polling")


def make_alpaca_broker(settings: Settings, symbols: tuple[str, ...]) -> BrokerInterface:
    """The account, traded; `cash`, if it is given, is how much of it may be used."""
    from ticklane.integrations.alpaca.broker import AlpacaBroker
    from ticklane.integrations.alpaca.claim import Claim

    return AlpacaBroker(
        alpaca_account(settings),
        symbols=symbols,
        clock=SystemClock(),
        allow_short=settings.allow_short,
        cash=settings.cash if "cash" in settings.model_fields_set else None,
        extended_hours=settings.extended_hours,
        rearm_protection=settings.rearm_protection,
        claim=Claim(),
    )


def make_alpaca_feed(
    settings: Settings, symbols: tuple[str, ...], calendar: Calendar | None
) -> tuple[Feed, Clock]:
    """Prices as they come, by stream or by asking, in bars of the configured length."""
    from ticklane.data.calendars import calendar_of
    from ticklane.data.polling import PollingFeed
    from ticklane.data.streaming import StreamingFeed
    from ticklane.integrations.alpaca.market_data import AlpacaMarketData

    clock = SystemClock()
    step = Timeframe.parse(settings.timeframe or "1m")
    if calendar is None and not all(map(is_crypto, symbols)):
        calendar = calendar_of(_STOCKS)
    provider = AlpacaMarketData(alpaca_account(settings), calendar=calendar)
    options: dict[str, Any] = {"timeframe": step, "clock": clock, "calendar": calendar}
    if all(map(is_crypto, symbols)):
        options["label"] = provider.crypto.name
    if settings.feed == "alpaca:polling" or step.is_daily:
        return PollingFeed(provider, symbols, **options), clock
    options["source"] = "trades" if step.ns % MINUTE else "bars"
    return StreamingFeed(provider, symbols, quotes=settings.quotes, **options), clock


def check_quotes(settings: Settings) -> None:
    """Refuse quotes where no stream tells them. Raises ConfigError."""
    if not settings.quotes:
        return
    if settings.feed != "alpaca":
        raise ConfigError(
            f'quotes is true, but feed is "{settings.feed}", which has bars only; take '
            'feed = "alpaca", or leave quotes out.'
        )
    if settings.timeframe and Timeframe.parse(settings.timeframe).is_daily:
        raise ConfigError(
            f"quotes is true, but timeframe is {settings.timeframe}, and days are not streamed; "
            "take 1m to 23h, or leave quotes out."
        )


def usual_calendar(settings: Settings, symbols: tuple[str, ...]) -> str | None:
    """When strategies are asked where nobody says: stocks in their sessions, crypto always."""
    is_always_open = any(map(is_crypto, symbols)) if uses_alpacas_prices(settings) else True
    return None if is_always_open else _STOCKS


def alpaca_instruments(settings: Settings, symbols: tuple[str, ...]) -> list[Instrument]:
    """What Alpaca says of these symbols, so that paper refuses what the account would refuse.

    Raises BrokerError for an unknown symbol, and when Alpaca cannot be asked.
    """
    from ticklane.integrations.alpaca.probe import Probe
    from ticklane.integrations.alpaca.rules import instrument_of

    probe = Probe(alpaca_account(settings))
    return [instrument_of(asset) for asset in probe.assets(symbols)]


def check_start(settings: Settings) -> None:
    """Refuse what must not start, before anything is made: wrong modes, missing or odd keys."""
    check_mode(settings)
    check_quotes(settings)
    if uses_alpaca(settings):
        alpaca_account(settings)


def check_mode(settings: Settings) -> None:
    """Refuse real money that is not meant three times over, and a switch that means nothing."""
    if settings.mode == "paper":
        if settings.is_live_confirmed:
            raise ConfigError(
                '--live is given, but mode is "paper"; leave --live out, or write mode = "live" '
                'and account = "..." into the config file if real money is meant.'
            )
        return
    missing = missing_for_live(settings)
    if missing:
        raise ConfigError(
            f'mode is "live", which is real money, but {_listed(missing)} '
            f"{'is' if len(missing) == 1 else 'are'} missing."
        )


def missing_for_live(settings: Settings) -> list[str]:
    """What real money needs besides mode = "live" and keys of a live account, and is not there."""
    needed = {
        "the switch --live": settings.is_live_confirmed,
        'account = "..." with the number of the account': bool(settings.account),
        'broker = "alpaca"': settings.broker == "alpaca",
        'feed = "alpaca"': uses_alpacas_prices(settings),
    }
    return [words for words, is_there in needed.items() if not is_there]


def _listed(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
