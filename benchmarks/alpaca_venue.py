"""The local venue in a process of its own, steered by lines of JSON.

`VenueProcess` is the client. `python alpaca_venue.py '{"cash": 100000}'` is the process: it prints
its address and then answers each line `{"do": ..., ...}` of its standard input by one line.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
KEYS = ("PKBENCH", "benchsecret")
NOT_LIMITED = 1_000_000  # requests a minute
MINUTE_NS = 60_000_000_000
_ANSWER_SECONDS = 5.0


class VenueProcess:
    """Starts the process, ends it, and asks it for things."""

    def __init__(self, **options: Any) -> None:
        given = {"rate_limit": NOT_LIMITED, "keys": KEYS, "control": True, **options}
        pipe = subprocess.PIPE
        path = os.pathsep.join([str(HERE.parent / "backend"), str(HERE)])
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "alpaca_venue.py"), json.dumps(given)],
            stdin=pipe,
            stdout=pipe,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._turn = threading.Lock()
        self.url = self._line()
        self.pid = self._process.pid

    def ask(self, do: str, **given: Any) -> Any:
        """Have something done, and wait for what comes of it."""
        assert self._process.stdin is not None
        with self._turn:
            self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self._process.stdin.flush()
            return self._line()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the venue has ended.")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"the venue could not: {answer['error']}")
        return answer

    def environment(self) -> dict[str, str]:
        """What a daemon needs to know to find it."""
        return {
            "ALPACA_API_KEY": KEYS[0],
            "ALPACA_API_SECRET": KEYS[1],
            "ALPACA_BASE_URL": self.url,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Desk:
    """What the process can be asked to do, all but `do_` being its name."""

    def __init__(self, venue: Any) -> None:
        self.venue, self.market = venue, venue.market
        self.bars: set[tuple[str, int]] = set()  # told by the stream: symbol and opening
        self.posted = asyncio.Event()
        self.posted_at = 0.0
        self._storm: Any = None
        venue.do(lambda: self.market.watch("bars", lambda bar: self.bars.add(bar[:2])))
        self._note_posts(venue._gate)

    def _note_posts(self, gate: Any) -> None:
        """When the body of a POST of an order has come."""
        note = gate._note

        def noting(method: str, scope: Any, body: bytes) -> Any:
            if method == "POST" and scope["path"] == "/v2/orders":
                self.posted_at = time.monotonic()
                self.posted.set()
            return note(method, scope, body)

        gate._note = noting

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.venue._loop)

    def do_call(self, name: str, **given: Any) -> Any:
        """A method of the venue."""
        made = getattr(self.venue, name)(**given)
        return made if isinstance(made, int | float | str | None) else None

    def do_rate(self, limit: int) -> None:
        """So many requests a minute from now on, and none counted yet."""
        self.venue.rate.limit, self.venue.rate._count = limit, 0

    def do_counts(self) -> dict[str, Any]:
        """How much of what there is."""
        exchange, ledger = self.venue.exchange, self.venue.ledger
        return {
            "orders": len(exchange.orders),
            "open": sum(one.is_open for one in exchange.orders.values()),
            "executions": len(ledger.executions),
            "positions": sum(bool(q) for q in exchange.account.positions.values()),
            "rss_mb": rss_mb(),
        }

    def do_bars(self) -> list[tuple[str, int]]:
        """Symbol and opening of every bar that was told."""
        return self.venue.do(lambda: sorted(self.bars))

    def do_requests(self) -> dict[str, int]:
        """The requests since the last time this was asked, by method and path."""
        found = Counter(f"{one['method']} {one['path']}" for one in self.venue.ledger.requests)
        self.venue.do(self.venue.ledger._requests.clear)
        return dict(found)

    def do_prices(self, prices: dict[str, float]) -> None:
        """What these symbols cost, by quotes: a trade would make a minute bar."""
        for symbol, price in prices.items():
            self.venue.quote(symbol, price, price)

    def do_await_counts(self, orders: int, executions: int, seconds: float) -> bool:
        """Wait until there are so many of them; False when it takes longer."""
        exchange, ledger = self.venue.exchange, self.venue.ledger
        try:
            self.venue.wait_for(
                lambda: len(exchange.orders) >= orders and len(ledger.executions) >= executions,
                seconds,
            )
        except TimeoutError:
            return False
        return True

    def do_posted_at(self) -> float:
        """When the newest POST of an order came, by the clock that all processes share."""
        return self.posted_at

    def do_sessions(self) -> dict[str, int]:
        """How many clients listen."""
        return {
            "prices": len(self.venue.data_streams.sessions),
            "trades": self.venue.trade_streams.listeners,
        }

    def do_await_listeners(self, seconds: float) -> bool:
        """Wait until somebody listens to prices and to trade updates."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.do_sessions()
            if found["prices"] and found["trades"]:
                return True
            time.sleep(0.05)
        return False

    # --- bars, one at a time -----------------------------------------------------------------

    def do_beats(self, symbol: str, count: int, gap: float) -> list[float]:
        """Tell bars of a minute that ends now, and wait for the order that each is answered by.

        Seconds from the telling to the arrival of the POST; -1 where none came.
        """
        found: list[float] = self._run(self._beats(symbol, count, gap)).result()
        return found

    async def _beats(self, symbol: str, count: int, gap: float) -> list[float]:
        found = []
        for number in range(count):
            await asyncio.sleep(gap * (0.5 + (number * 7919 % 1000) / 1000))
            self.posted.clear()
            begin = time.monotonic()
            self.tell_bar(symbol, 100.0 + number % 3 / 100, self.market.now_ns())
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self.posted.wait()
                found.append(self.posted_at - begin)
            except TimeoutError:
                found.append(-1.0)
        return found

    def tell_bar(self, symbol: str, price: float, now_ns: int) -> None:
        """A bar of the last sixty seconds, straight into the stream: no minute has to pass."""
        from ticklane.core.market import Bar

        bar = Bar(symbol, now_ns - MINUTE_NS, now_ns, price, price, price, price, 1000.0)
        self.market._shout("bars", bar)

    def do_tell_bars(self, symbols: list[str], price: float) -> None:
        """One bar of each symbol, all at once."""
        now_ns = self.market.now_ns()
        self.venue.do(lambda: [self.tell_bar(symbol, price, now_ns) for symbol in symbols])

    # --- storms ------------------------------------------------------------------------------

    def do_storm(self, **given: Any) -> None:
        """Begin a storm of quotes."""
        from ticklane.testing.venue.storm import blow

        self._storm = self._run(blow(self.market, **given))

    def do_storm_end(self, seconds: float) -> int:
        """Wait for its end; how many quotes it was."""
        pushed: int = self._storm.result(seconds)
        return pushed

    def do_storm_is_over(self) -> bool:
        """Whether it has ended."""
        return bool(self._storm.done())


def rss_mb() -> float:
    """The memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Serve until the standard input ends."""
    from ticklane.testing.venue import LocalVenue

    given = json.loads(sys.argv[1])
    given["keys"] = tuple(given["keys"]) if given["keys"] else None
    with LocalVenue(**given) as venue:
        desk = Desk(venue)
        print(json.dumps(venue.url), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                answer = getattr(desk, f"do_{asked.pop('do')}")(**asked)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
