"""`ticklane venue`: an Alpaca-compatible paper exchange on this machine."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticklane.cli.options import Config, symbols_in
from ticklane.core.errors import ConfigError

if TYPE_CHECKING:
    from ticklane.interfaces import Feed
    from ticklane.testing.venue import LocalVenue

_PANEL = "Trade"
_LOOPBACK = ("127.0.0.1", "localhost")

Symbols = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Which symbols have prices (default: all of the feed)."),
]
FeedName = Annotated[
    str | None,
    typer.Option("--feed", metavar="FEED", help="simulated, sample:AAPL or replay:PATH."),
]
Speed = Annotated[str | None, typer.Option(metavar="N", help="So many times faster than recorded.")]
Port = Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="0: any free one.")]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="Where it listens.")]
Cash = Annotated[str, typer.Option(metavar="AMOUNT", help="What the account begins with.")]
Market = Annotated[
    str | None,
    typer.Option(
        "--calendar", metavar="NAME", help="Hours of stocks, such as XNYS (default: always open)."
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Holds KEY:SECRET, the only ones let in (default: any)."),
]
Limit = Annotated[int, typer.Option(metavar="N", min=0, help="Requests a minute, 0: any number.")]
Multiplier = Annotated[int, typer.Option(min=1, max=4, help="Buying power on margin.")]
Shorting = Annotated[bool, typer.Option("--allow-short", help="The account may go short.")]
Sip = Annotated[bool, typer.Option("--sip", help="The account has subscribed to SIP data.")]
WithControl = Annotated[
    bool, typer.Option("--control", help="Open the control side: prices, fills, faults, ledger.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the addresses as one line of JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=_PANEL)(venue)


def venue(
    feed: FeedName = None,
    symbols: Symbols = None,
    speed: Speed = None,
    port: Port = 8765,
    host: Host = "127.0.0.1",
    cash: Cash = "100000",
    calendar: Market = None,
    keys: Keys = None,
    rate_limit: Limit = 200,
    multiplier: Multiplier = 1,
    allow_short: Shorting = False,
    sip: Sip = False,
    control: WithControl = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Serve an Alpaca-compatible paper exchange for any program, until Ctrl-C or SIGTERM.

    Point alpaca-py at it with url_override. Without a feed prices come from the control side.
    """
    from ticklane.testing.venue import LocalVenue

    if control and host not in _LOOPBACK:
        raise ConfigError(f"host is {host}, but --control is for this machine only: 127.0.0.1.")
    local = LocalVenue(
        cash,
        feed=_feed(config, feed, symbols, speed),
        keys=_pair(keys),
        host=host,
        port=port,
        calendar=calendar,
        control=control,
        rate_limit=rate_limit or None,
        multiplier=multiplier,
        allow_short=allow_short,
        has_sip=sip,
    )
    _serve(local, as_json)


def _pair(keys: Path | None) -> tuple[str, str] | None:
    """The keys in a file: on the command line every user of the machine could read them."""
    if keys is None:
        return None
    key, _, secret = keys.read_text().strip().partition(":")
    if not key or not secret:
        raise ConfigError(f"the file {keys} must hold KEY:SECRET, both not empty.")
    return key, secret


def _feed(
    config: Path | None, name: str | None, symbols: list[str] | None, speed: str | None
) -> Feed | None:
    if name is None:
        return None
    from ticklane.app.build import feed_symbols, make_feed
    from ticklane.app.settings import load_settings

    settings = load_settings(config, feed=name, speed=speed)
    wanted = symbols_in(symbols) or feed_symbols(settings)
    return make_feed(settings, tuple(wanted), None)[0]


def _serve(local: LocalVenue, as_json: bool) -> None:
    """Until a signal comes, or the server ends by itself."""
    is_over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    with local:
        print(json.dumps(addresses(local)) if as_json else greeting(local), flush=True)
        while not is_over.wait(0.5) and local.is_serving:
            pass


def addresses(local: LocalVenue) -> dict[str, Any]:
    """Where everything is."""
    return {
        "url": local.url,
        "data_url": local.url,
        "stream_url": local.stream_url,
        "data_stream_url": local.data_stream_url("iex"),
        "crypto_stream_url": local.crypto_stream_url,
        "control_url": local.control_url if local.has_control else None,
        "account_number": local.exchange.flags.account_number,
    }


def greeting(local: LocalVenue) -> str:
    """How to point a program at it."""
    keys = "any key and secret" if local.keys is None else "the key and secret you gave"
    lines = [
        f"Alpaca-compatible paper exchange at {local.url} (simulated, no real orders; {keys}).",
        "",
        f'  TradingClient("key", "secret", url_override="{local.url}")',
        f'  TradingStream("key", "secret", url_override="{local.stream_url}")',
        f'  StockHistoricalDataClient("key", "secret", url_override="{local.url}")',
        f'  StockDataStream("key", "secret", url_override="{local.data_stream_url()}")',
        f'  CryptoDataStream("key", "secret", url_override="{local.crypto_stream_url}")',
        "",
        "For ticklane and for programs that read the environment:",
        f"  ALPACA_BASE_URL={local.url} ALPACA_DATA_URL={local.url}",
        f"  ALPACA_STREAM_URL={local.stream_url} ALPACA_DATA_STREAM_URL={local.data_stream_url()}",
    ]
    if local.has_control:
        example = """'{"symbol": "AAPL", "price": 101.5}'"""
        lines += ["", f"  curl -X POST {local.control_url}/price -d {example}"]
    return "\n".join([*lines, "", "Ctrl-C ends it."])
