"""Who may ask the data API and the data streams, for what, and how often."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ticklane.testing.venue.data_query import Refusal

_MINUTE = 60  # seconds


@dataclass(slots=True)
class DataAccess:
    """Who may see what, and how often.

    `keys` are those that are known (None: any that are not empty), `has_sip` tells whether SIP is
    subscribed to, and `limit` is how many requests a minute are answered (None: all).
    """

    keys: tuple[str, str] | None = None
    has_sip: bool = False
    limit: int | None = None
    _minute: int = field(default=0, repr=False)
    _count: int = field(default=0, repr=False)

    def knows(self, key: Any, secret: Any) -> bool:
        """Whether these keys are right."""
        if self.keys is not None:
            return (key, secret) == self.keys
        return bool(key) and bool(secret)

    def check(self, headers: Mapping[str, str], is_public: bool = False) -> None:
        """Raise Refusal for wrong keys, and for missing ones unless the data are public."""
        given = keys_of(headers)
        if not any(given):
            if not is_public:
                raise Refusal(401, "unauthorized.")
        elif not self.knows(*given):
            raise Refusal(403, "forbidden.")

    def count(self) -> None:
        """Count a request; raises Refusal for one too many in this minute."""
        minute = int(time.time()) // _MINUTE
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        if self.limit is not None and self._count > self.limit:
            raise Refusal(429, "too many requests.")

    def headers(self) -> dict[str, str]:
        """What every answer tells of the budget."""
        if self.limit is None:
            return {}
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self._count)),
            "X-RateLimit-Reset": str((self._minute + 1) * _MINUTE),
        }


def keys_of(headers: Mapping[str, str]) -> tuple[str, str]:
    """Key and secret of a request, from Alpaca's two headers or from basic authentication."""
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            key, _, secret = base64.b64decode(rest).decode().partition(":")
        except ValueError:
            return "", ""
        return key, secret
    return headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", "")
