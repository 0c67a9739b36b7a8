"""The feed of a simulated run, and a strategy that uses every kind of order."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from ticklane.core.market import SECOND, Bars, Tick, Timeframe
from ticklane.core.order import OrderStatus, OrderType
from ticklane.interfaces import StrategyInterface

SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
BAR_SECONDS = 10
_STEP = BAR_SECONDS * SECOND


class SimFeed:
    """Bars that close every ten seconds of virtual time at the venue's prices of that moment."""

    symbols = SYMBOLS
    timeframe = Timeframe(_STEP)
    label = "SIMULATED"

    def __init__(self, world):
        self._world = world
        self.start_ns = None

    def history(self, symbol, count, until_ns):
        bars = [bar for bar in self._world.bars[symbol] if bar.close_ns <= until_ns]
        chosen = bars if count is None else bars[max(0, len(bars) - count) :]
        return Bars.of(symbol, chosen) if chosen else _NO_BARS[symbol]

    async def stream(self, after_ns):
        """What was missed at once, then each bar when it closes."""
        taken = 0
        while True:
            ticks = self._world.ticks
            while taken < len(ticks):
                tick = ticks[taken]
                taken += 1
                if after_ns is None or tick.time_ns > after_ns:
                    yield tick
            await self._world.next_tick()


def tick_of(bars):
    """A tick of bars that close at one instant."""
    return Tick(bars[0].close_ns, tuple(bar.symbol for bar in bars), tuple(bars))


def _no_bars(symbol):
    instants, prices = np.array([], np.int64), np.array([], np.float64)
    return Bars(symbol, instants, instants, *[prices] * 5)


_NO_BARS = {symbol: _no_bars(symbol) for symbol in SYMBOLS}


class Trader(StrategyInterface):
    """Throws a die over (seed, instant, symbol) and does what it says, until `until_ns`."""

    def on_start(self):
        self.state["starts"] = self.state.get("starts", 0) + 1

    def on_tick(self, market_data):
        if market_data.time_ns >= self.config["until_ns"]:
            return None
        wishes = []
        for symbol in market_data.updated:
            text = f"{self.config['seed']} {market_data.time_ns} {symbol}"
            number = self.number = crc32(text.encode())
            action = _ACTIONS[number % len(_ACTIONS)]
            wish = action(self, symbol, market_data[symbol].close)
            if wish is not None:
                self.state["asked"] = self.state.get("asked", 0) + 1
                wishes.append(wish)
        return wishes

    def on_fill(self, fill):
        self.state["fills"] = count = self.state.get("fills", 0) + 1
        if count % 7 == 0 and fill.quantity > 0 and not self.is_over(fill.seen_ns):
            return self.buy(fill.symbol, 1 if "/" not in fill.symbol else "0.01")
        return None

    def on_order(self, order):
        name = str(order.status)
        self.state[name] = self.state.get(name, 0) + 1
        is_third = order.status is OrderStatus.REJECTED and self.state[name] % 3 == 0
        if is_third and not self.is_over(order.created_ns):
            return self.close(order.symbol)
        return None

    def is_over(self, at_ns):
        return at_ns >= self.config["until_ns"]

    # --- what the die may say -------------------------------------------------------------------

    def size(self, symbol):
        number = self.number // 64 % 9 + 1
        return f"{number / 100}" if "/" in symbol else number

    def term(self, symbol):
        return "gtc" if "/" in symbol or self.number // 1024 % 2 else "day"

    def near(self, symbol, price, percent):
        return round(price * (1 + percent / 100), 2)

    def nothing(self, symbol, price):
        return None

    def enter(self, symbol, price):
        return {
            "symbol": symbol,
            "signal": "BUY",
            "quantity": self.size(symbol),
            **self.now(symbol),
        }

    def now(self, symbol):
        return {"time_in_force": self.term(symbol)}

    def leave(self, symbol, price):
        return {"symbol": symbol, "signal": "CLOSE", **self.now(symbol)}

    def leave_half(self, symbol, price):
        return {"symbol": symbol, "signal": "CLOSE", "fraction": 0.5, **self.now(symbol)}

    def offer(self, symbol, price):
        """Sells, whatever is held: through zero, where the account may be short."""
        if not self.config["shorts"] and not self.portfolio.position(symbol).quantity:
            return None
        wish = {**self.enter(symbol, price), "signal": "SELL"}
        if self.number // 256 % 2:
            above = self.near(symbol, price, 0.05)
            wish |= {"order_type": "limit", "limit_price": above}
        return wish

    def limit(self, symbol, price):
        percent = (-0.3, -0.05, 0.1)[self.number // 512 % 3]
        return {
            **self.enter(symbol, price),
            "order_type": "limit",
            "limit_price": self.near(symbol, price, percent),
        }

    def stop_limit(self, symbol, price):
        return {
            **self.enter(symbol, price),
            "order_type": "stop_limit",
            "stop_price": self.near(symbol, price, 0.1),
            "limit_price": self.near(symbol, price, 0.4),
        }

    def trailing_exit(self, symbol, price):
        held = int(self.portfolio.position(symbol).quantity)
        if held <= 0 or "/" in symbol or self.orders(symbol):
            return None
        return {
            "symbol": symbol,
            "signal": "SELL",
            "quantity": held,
            "order_type": "trailing_stop",
            "trail_percent": 0.3,
            "time_in_force": "gtc",
        }

    def bracket(self, symbol, price):
        if "/" in symbol:
            return self.limit(symbol, price)
        return {
            **self.enter(symbol, price),
            "time_in_force": "gtc",
            "take_profit": self.near(symbol, price, 0.4),
            "stop_loss": self.near(symbol, price, -0.4),
        }

    def guarded_close(self, symbol, price):
        if "/" in symbol:
            return self.leave(symbol, price)
        return {
            "symbol": symbol,
            "signal": "CLOSE",
            "take_profit": self.near(symbol, price, 0.3),
            "stop_loss": self.near(symbol, price, -0.3),
            "time_in_force": "gtc",
        }

    def money(self, symbol, price):
        sum_ = 100 + self.number // 64 % 400
        term = "gtc" if "/" in symbol else "day"
        return {"symbol": symbol, "signal": "BUY", "notional": sum_, "time_in_force": term}

    def drop(self, symbol, price):
        for order in self.orders(symbol)[:2]:
            self.cancel(order)

    def move(self, symbol, price):
        for order in self.orders(symbol)[:2]:
            if order.type is OrderType.LIMIT and order.limit_price is not None:
                sign = -0.1 if order.side == "buy" else 0.1
                self.replace(order, limit_price=self.near(symbol, price, sign))
            elif order.type is OrderType.STOP:
                self.replace(order, stop_price=self.near(symbol, price, -0.5))


_ACTIONS = (
    *(Trader.nothing,) * 4,
    *(Trader.enter,) * 3,
    Trader.leave,
    Trader.leave_half,
    *(Trader.limit,) * 3,
    *(Trader.offer,) * 2,
    Trader.stop_limit,
    Trader.trailing_exit,
    *(Trader.bracket,) * 2,
    Trader.guarded_close,
    Trader.money,
    *(Trader.drop,) * 2,
    *(Trader.move,) * 4,
)
