"""Account activities: fills, and what the broker books besides (fees, dividends, transfers)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ticklane.core.market import to_datetime
from ticklane.testing.venue.refused import malformed

FILL = "FILL"
PAGE = 100  # Alpaca's largest page


class Activities:
    """All activities of the account, oldest first, with ids that sort by time."""

    def __init__(self, account_id: str, new_id: Callable[[], str]) -> None:
        self._account_id, self._new_id = account_id, new_id
        self._rows: list[tuple[int, dict[str, Any]]] = []
        self.is_reporting = True  # False: orders show that they fill, but no execution is told

    def add(self, kind: str, at_ns: int, **fields: Any) -> dict[str, Any]:
        """Write one down; its id begins with its instant, as Alpaca's do."""
        stamp = to_datetime(at_ns).strftime("%Y%m%d%H%M%S") + f"{at_ns // 1_000_000 % 1000:03d}"
        row = {
            "id": f"{stamp}::{self._new_id()}",
            "account_id": self._account_id,
            "activity_type": kind,
            **fields,
        }
        self._rows.append((at_ns, row))
        return row

    def page(
        self,
        kinds: Iterable[str] = (),
        *,
        after_ns: int | None = None,
        until_ns: int | None = None,
        is_ascending: bool = False,
        size: int = PAGE,
        token: str | None = None,
    ) -> list[dict[str, Any]]:
        """One page; `token` is the id of the last activity of the page before."""
        wanted = set(kinds)
        rows = [
            row
            for at_ns, row in sorted(self._rows, key=lambda pair: pair[0])
            if (not wanted or row["activity_type"] in wanted)
            and (self.is_reporting or row["activity_type"] != FILL)
            and (after_ns is None or at_ns > after_ns)
            and (until_ns is None or at_ns < until_ns)
        ]
        if not is_ascending:
            rows.reverse()
        if token:
            places = [place for place, row in enumerate(rows) if row["id"] == token]
            if not places:
                raise malformed("invalid page_token")
            rows = rows[places[0] + 1 :]
        return rows[: max(1, min(size, PAGE))]
