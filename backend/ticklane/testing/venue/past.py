"""What the account was worth before: samples of its equity, for the portfolio history."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ticklane.core.market import DAY, HOUR, MINUTE, SECOND
from ticklane.core.money import exact
from ticklane.testing.venue.refused import malformed

if TYPE_CHECKING:
    from ticklane.testing.venue.exchange import Exchange

_STEPS = {"1Min": MINUTE, "5Min": 5 * MINUTE, "15Min": 15 * MINUTE, "1H": HOUR, "1D": DAY}
_PERIODS = {"D": DAY, "W": 7 * DAY, "M": 30 * DAY, "A": 365 * DAY}


class Past:
    """Equity a minute, as the first price of each minute made it, and the days' last prices."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._minutes: list[int] = []
        self._equity: list[Decimal] = []
        self._day = exchange.now_ns() // DAY
        self._closes: dict[str, Decimal] = {}
        self.last_equity = exchange.starting_cash

    def note(self, at_ns: int) -> None:
        """A price was seen: sample the equity once a minute."""
        minute = at_ns // MINUTE
        if self._minutes and self._minutes[-1] >= minute:
            return
        self._minutes.append(minute)
        self._equity.append(self._exchange.account.equity)

    def close_day(self, at_ns: int) -> None:
        """Before prices of a new day come: those of the old one are its last."""
        if at_ns // DAY > self._day:
            last = self._exchange.venue.last
            self.last_equity = self._exchange.account.equity
            self._closes = {symbol: exact(seen.close) for symbol, seen in last.items()}
            self._day = at_ns // DAY

    def closing_price(self, symbol: str) -> Decimal | None:
        """The last price of the day before."""
        return self._closes.get(symbol)

    def history(self, query: dict[str, str]) -> dict[str, Any]:
        """The answer of `/v2/account/portfolio/history`."""
        now, exchange = self._exchange.now_ns(), self._exchange
        period = _period(query.get("period") or "1M")
        frame = query.get("timeframe") or _usual_frame(period)
        if frame not in _STEPS:
            raise malformed(f"invalid timeframe {frame}")
        step = _STEPS[frame]
        first = max(now - period, exchange.flags.created_ns)
        stamps = list(range(first - first % step, now + 1, step))
        worth = [float(self._equity_at(at + step)) for at in stamps[:-1]]
        worth.append(float(exchange.account.equity))
        base = float(exchange.starting_cash)
        gains = [one - base for one in worth]
        return {
            "timestamp": [at // SECOND for at in stamps],
            "equity": worth,
            "profit_loss": gains,
            "profit_loss_pct": [gain / base if base else 0.0 for gain in gains],
            "base_value": base,
            "base_value_asof": None,
            "timeframe": frame,
            "cashflow": {},
        }

    def _equity_at(self, at_ns: int) -> Decimal:
        place = bisect_right(self._minutes, at_ns // MINUTE)
        return self._equity[place - 1] if place else self._exchange.starting_cash


def _period(text: str) -> int:
    count, unit = text[:-1], text[-1:].upper()
    if not count.isdigit() or unit not in _PERIODS:
        raise malformed(f"invalid period {text}")
    return int(count) * _PERIODS[unit]


def _usual_frame(period: int) -> str:
    if period < 7 * DAY:
        return "1Min"
    return "15Min" if period < 30 * DAY else "1D"
