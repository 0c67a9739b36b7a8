"""A local venue that speaks Alpaca's API: `LocalVenue` serves it on loopback, with faults on order.

The real alpaca-py clients and streams work against it by their `url_override`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklane.testing.venue.faults import Fault
    from ticklane.testing.venue.server import LocalVenue

__all__ = ["Fault", "LocalVenue"]

_HOMES = {"Fault": "faults", "LocalVenue": "server"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
