"""Cancels our open orders from any thread, without the event loop: for a kill switch while a
strategy holds up the lane."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from ticklane.core.errors import BrokerError
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.client import ask, make_client
from ticklane.integrations.alpaca.tracks import Tracks

_ROUNDS: Final = 20
_PAUSE_SECONDS: Final = 0.25
_OPEN: Final = "/orders?" + urlencode({"status": "open", "limit": 500, "nested": "false"})


def cancel_ours(account: AlpacaAccount, tracks: Tracks) -> int:
    """Ask for every open order of ours to be cancelled until the venue lists none.

    What becomes of them the lane hears from the venue as usual. Returns how many there were;
    raises BrokerError when the venue does not say which are open.
    """
    client = make_client(account)
    known, found = set(tracks.by_broker_id), set[str]()
    for _ in range(_ROUNDS):
        reply = ask(client, "GET", _OPEN, None)
        if not reply.is_ok or not isinstance(reply.body, list):
            raise BrokerError(f"Alpaca did not say which orders are open: {reply.message}")
        ours = [str(one["id"]) for one in reply.body if _is_ours(one, known, tracks.prefix)]
        if not ours:
            return len(found)
        found.update(ours)
        for order_id in ours:
            ask(client, "DELETE", f"/orders/{order_id}", None)
        time.sleep(_PAUSE_SECONDS)
    raise BrokerError(f"{len(ours)} of our orders are still open at Alpaca.")


def _is_ours(order: Mapping[str, Any], known: set[str], prefix: str) -> bool:
    """By the venue's id where we know it (legs have no id of ours), else by our prefix."""
    name = str(order.get("client_order_id") or "")
    return str(order["id"]) in known or bool(prefix and name.startswith(prefix))
