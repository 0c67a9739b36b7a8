"""A storm of quotes: many symbols, many quotes a second, for tests of load."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from ticklane.core.market import Quote
from ticklane.testing.venue.market import Event, Market, Trade

_STEP = 0.005  # seconds between two handfuls
_SIZE = 100.0


async def blow(
    market: Market,
    symbols: Sequence[str],
    a_second: float,
    seconds: float | None = None,
    *,
    trade_every: int = 50,
    seed: int = 0,
) -> int:
    """Push so many quotes a second, of each symbol in turn; says how many were pushed.

    Prices walk by a cent or not at all. After every `trade_every` quotes there is a trade, which
    makes minute bars. What the machine is too slow for is caught up with. None: without an end.
    """
    chance, prices = random.Random(seed), [100.0 + row for row in range(len(symbols))]
    loop, pushed = asyncio.get_running_loop(), 0
    begin, is_over = loop.time(), False
    while not is_over:
        spent = loop.time() - begin
        if seconds is not None and spent >= seconds:
            spent, is_over = seconds, True
        due = int(spent * a_second)
        for number in range(pushed, due):
            row = number % len(symbols)
            prices[row] = price = max(1.0, round(prices[row] + chance.choice(_MOVES), 2))
            market.push(*_events(market.now_ns(), symbols[row], price, number, trade_every))
        pushed = due
        await asyncio.sleep(_STEP)
    return pushed


_MOVES = (-0.01, 0.0, 0.01)


def _events(at: int, symbol: str, price: float, number: int, trade_every: int) -> list[Event]:
    quote = Quote(symbol, at, price, price + 0.02, _SIZE, _SIZE)
    is_traded = (number + 1) % trade_every == 0
    return [quote, Trade(symbol, at, price + 0.01)] if is_traded else [quote]
