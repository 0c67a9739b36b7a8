"""Strategies that use every kind of order and whose every decision can be told again.

What they do depends only on the bars, their indicators, their book, their orders and their `state`,
and their words (`reason`, which is journalled) repeat much of it: whatever a restart forgets shows.
"""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from zlib import crc32

from ticklane.core.order import OrderStatus, OrderType
from ticklane.indicators import EMA, SMA
from ticklane.interfaces import StrategyInterface


def rounded(price):
    return round(price, 4)


class Counting(StrategyInterface):
    """Counts in `state` what it is told."""

    def count(self, what):
        number = self.state[what] = self.state.get(what, 0) + 1
        return number

    def on_fill(self, fill):
        self.count(f"fills of {fill.symbol}")

    def on_order(self, order):
        self.count(order.status.value)


class Dice(Counting):
    """Throws a die over (seed, instant, symbol) and does what it says, of everything there is."""

    warmup = 20

    def on_start(self):
        self.averages = {
            symbol: (
                self.indicator(SMA, 10, symbol=symbol),
                self.indicator(EMA, 30, symbol=symbol),
            )
            for symbol in self.symbols
        }
        self.actions = [
            *[self.nothing] * 6,
            self.market,
            self.notional,
            self.unsized,
            self.fraction,
            self.limit,
            self.stop,
            self.stop_limit,
            self.trailing,
            self.bracket,
            self.limit_bracket,
            self.one_triggers_other,
            self.guarded_close,
            self.close_all,
            self.close_part,
            self.move_orders,
            self.drop_orders,
            self.at_once,
            self.enter_and_leave,
            self.nonsense,
        ]

    def roll(self, market_data, *words):
        text = " ".join(map(str, (self.config.get("seed", 0), market_data.time_ns, *words)))
        return crc32(text.encode())

    def on_tick(self, market_data):
        wishes = []
        for symbol, bar in market_data.items():  # in the order in which they appear
            if symbol in market_data.updated:
                self.number = self.roll(market_data, symbol)
                action = self.actions[self.number % len(self.actions)]
                wishes.extend(action(symbol, bar) or ())
        return wishes

    def words(self, symbol):
        """A reason that tells what the decision was made from."""
        simple, exponential = (average.value for average in self.averages[symbol])
        book = self.portfolio
        return (
            f"{simple!r} {exponential!r} {book.cash} {book.account.equity:f} "
            f"{list(self.state.items())[-3:]}"
        )

    def wish(self, symbol, signal, **terms):
        return {"symbol": symbol, "signal": signal, "reason": self.words(symbol), **terms}

    def size(self):
        return self.number // 64 % 60 + 1

    def side(self, symbol):
        """Sells where there is something to sell (or shorts), half of the time."""
        if self.config.get("shorts") and self.number // 1024 % 4 == 0:
            return "SELL"
        held = self.portfolio.position(symbol).quantity
        return "SELL" if held > self.size() and self.number // 128 % 2 else "BUY"

    # --- what the die may say ------------------------------------------------------------------

    def nothing(self, symbol, bar):
        return None

    def market(self, symbol, bar):
        return [self.wish(symbol, self.side(symbol), quantity=self.size())]

    def notional(self, symbol, bar):
        return [self.wish(symbol, "BUY", notional=self.size() * 53)]

    def unsized(self, symbol, bar):
        return [self.wish(symbol, self.side(symbol))]

    def fraction(self, symbol, bar):
        return [self.wish(symbol, self.side(symbol), fraction="0.05")]

    def limit(self, symbol, bar):
        side = self.side(symbol)
        price = rounded(bar.close * (0.985 if side == "BUY" else 1.015))
        term = "gtc" if self.number // 256 % 2 else "day"
        terms = {"order_type": "limit", "limit_price": price, "time_in_force": term}
        return [self.wish(symbol, side, quantity=self.size(), **terms)]

    def stop(self, symbol, bar):
        side = self.side(symbol)
        price = rounded(bar.close * (1.01 if side == "BUY" else 0.99))
        terms = {"order_type": "stop", "stop_price": price, "time_in_force": "gtc"}
        return [self.wish(symbol, side, quantity=self.size(), **terms)]

    def stop_limit(self, symbol, bar):
        side = self.side(symbol)
        sign = 1 if side == "BUY" else -1
        terms = {
            "order_type": "stop_limit",
            "stop_price": rounded(bar.close * (1 + 0.01 * sign)),
            "limit_price": rounded(bar.close * (1 + 0.004 * sign)),
            "time_in_force": "gtc",
        }
        return [self.wish(symbol, side, quantity=self.size(), **terms)]

    def trailing(self, symbol, bar):
        side = self.side(symbol)
        trail = {"trail_percent": 3} if self.number // 256 % 2 else {"trail_amount": 1.5}
        terms = {"order_type": "trailing_stop", "time_in_force": "gtc", **trail}
        return [self.wish(symbol, side, quantity=self.size(), **terms)]

    def bracket(self, symbol, bar):
        terms = {"take_profit": rounded(bar.close * 1.04), "stop_loss": rounded(bar.close * 0.97)}
        return [self.wish(symbol, "BUY", quantity=self.size() * 40, **terms)]

    def limit_bracket(self, symbol, bar):
        price = rounded(bar.close * 0.99)
        terms = {
            "order_type": "limit",
            "limit_price": price,
            "take_profit": rounded(price * 1.03),
            "stop_loss": rounded(price * 0.96),
            "time_in_force": "gtc",
        }
        return [self.wish(symbol, "BUY", quantity=self.size() * 40, **terms)]

    def one_triggers_other(self, symbol, bar):
        terms = {"stop_loss": rounded(bar.close * 0.95)}
        return [self.wish(symbol, "BUY", quantity=self.size(), **terms)]

    def guarded_close(self, symbol, bar):
        """A pair of exits of which one cancels the other."""
        terms = {"take_profit": rounded(bar.close * 1.02), "stop_loss": rounded(bar.close * 0.98)}
        return [self.wish(symbol, "CLOSE", **terms)]

    def close_all(self, symbol, bar):
        return [self.wish(symbol, "CLOSE")]

    def close_part(self, symbol, bar):
        return [self.wish(symbol, "CLOSE", fraction=0.5)]

    def at_once(self, symbol, bar):
        term = "fok" if self.number // 256 % 2 else "ioc"
        terms = {"order_type": "limit", "limit_price": rounded(bar.close), "time_in_force": term}
        return [self.wish(symbol, "BUY", quantity=self.size() * 200, **terms)]

    def enter_and_leave(self, symbol, bar):
        """The order is cancelled by the close before it was ever sent."""
        price = rounded(bar.close * 0.9)
        terms = {"order_type": "limit", "limit_price": price, "time_in_force": "gtc"}
        return [
            self.wish(symbol, "BUY", quantity=self.size(), **terms),
            self.wish(symbol, "CLOSE"),
        ]

    def nonsense(self, symbol, bar):
        return [self.wish(symbol, "BUY", quantity=-self.size())]

    def move_orders(self, symbol, bar):
        """Replace resting orders, nearer to the market."""
        for order in self.orders()[:3]:
            if order.order_class.value != "simple" and self.number // 512 % 2:
                continue
            if order.limit_price is not None and order.type is OrderType.LIMIT:
                self.replace(order, limit_price=self.between(order.limit_price, bar))
            elif order.type is OrderType.STOP:
                self.replace(order, stop_price=self.between(order.stop_price, bar))
            elif order.trail_percent is not None:
                self.replace(order, trail_percent=Decimal("2.5"))

    def between(self, price, bar):
        return round((price * 3 + Decimal(repr(bar.close))) / 4, 3)

    def drop_orders(self, symbol, bar):
        for order in self.orders()[self.number // 64 % 2 :: 2]:
            self.cancel(order)


class Answering(Dice):
    """Answers its fills and the fate of its orders with further orders."""

    def on_fill(self, fill):
        number = self.count(f"fills of {fill.symbol}")
        if fill.quantity > 0 and number % 3 == 0 and fill.rule == "market_at_open":
            terms = {"order_type": "trailing_stop", "trail_percent": 4, "time_in_force": "gtc"}
            return [self.wish(fill.symbol, "SELL", quantity=fill.quantity, **terms)]
        return None

    def on_order(self, order):
        number = self.count(order.status.value)
        if order.status is OrderStatus.ACKED and order.type is OrderType.LIMIT and number % 5 == 0:
            self.replace(order, limit_price=round(order.limit_price * Decimal("0.995"), 4))
        elif order.status is OrderStatus.ACKED and number % 11 == 0:
            self.cancel(order)
        elif order.status is OrderStatus.EXPIRED and number % 3 == 0:
            self.buy(order.symbol, notional=300, reason=self.words(order.symbol))
        elif order.status is OrderStatus.REPLACED and number % 2 == 0:
            self.buy(order.symbol, 1, reason=self.words(order.symbol))


class Weekly(Counting):
    """Buys for a sum at its rare instants; tells which symbols were new."""

    warmup = 5

    def on_tick(self, market_data):
        number = self.count("ticks")
        text = f"{number} {market_data.time} {market_data.updated} {list(market_data)}"
        symbol = self.symbols[number % len(self.symbols)]
        if number % 7 == 0:
            return self.close(symbol, reason=text)
        return self.buy(symbol, notional=900 + number % 5, reason=text)


class Plain(StrategyInterface):
    """Needs no bookkeeping, so the lane calls it directly; tells all that it sees, in order."""

    def on_tick(self, market_data):
        seen = {symbol: bar.close for symbol, bar in market_data.items()}
        number = crc32(repr(seen).encode())
        symbol = market_data.updated[number % len(market_data.updated)]
        return {
            "symbol": symbol,
            "signal": ("BUY", "BUY", "CLOSE", "HOLD")[number // 8 % 4],
            "quantity": number // 64 % 9 + 1,
            "reason": f"{seen} {market_data.updated}",
        }


class Faulty(Counting):
    """Fails now and then, sometimes three times in a row."""

    def on_tick(self, market_data):
        day = market_data.time_ns // 86_400_000_000_000
        if day % 97 < self.config.get("in_a_row", 2):
            raise ValueError(f"day {day}")
        if day % 23 == 0:
            self.buy(self.symbols[0], 1, reason=f"day {day} {self.count('buys')}")


class Blocking(StrategyInterface):
    """Buys at its first tick; the first process never comes back from the fifth one."""

    def on_tick(self, market_data):
        number = self.state["ticks"] = self.state.get("ticks", 0) + 1
        marker = Path(self.config["marker"])
        if number == 5 and not marker.exists():
            marker.touch()
            print("blocked", flush=True)
            time.sleep(60)
        return self.buy(self.symbols[0], 10) if number == 1 else None


class Resting(StrategyInterface):
    """Leaves limit orders far below the market and counts its starts."""

    def on_start(self):
        self.state["starts"] = self.state.get("starts", 0) + 1

    def on_tick(self, market_data):
        number = self.state["ticks"] = self.state.get("ticks", 0) + 1
        if number in (1, 11, 101):
            terms = {"order_type": "limit", "limit_price": 0.01, "time_in_force": "gtc"}
            return self.buy(self.symbols[0], 10, **terms)
        return None
