"""Starts the daemon against a venue in another process, kills it, compares, starts it again.

`python alpaca_nursery.py FOLDER SEED KILLS` prints one line of JSON for each process: how it was to
die, whether it was killed, and in what database and venue differed once it had come back.

At the start of each process, when it has reconciled and before its strategy may act, the venue is
held still and every order, every execution, all positions and the cash are compared.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import alpaca.trading.client  # noqa: F401  # imported before the forks
import nursery
from alpaca_books import control, differences
from alpaca_market import SYMBOLS, market_feed

from ticklane.app import build
from ticklane.app.daemon import serve
from ticklane.app.settings import load_settings
from ticklane.clock import SystemClock
from ticklane.core import crash
from ticklane.core.errors import TicklaneError
from ticklane.engine import opening

HERE = Path(__file__).parent
POINTS = (
    *("submit.before_post", "submit.after_post", "fill.told"),
    *("cancel.before_delete", "cancel.after_delete"),
    *("replace.before_patch", "replace.after_patch"),
    *("start.before_recover", "start.after_recover"),
)
COMMITS = ("before commit", "in commit", "after commit")
LIVES_FOR = 0.5  # seconds; who is not dead by then is killed from outside
CATCHES_UP = 15.0  # seconds for the books to be equal while the venue stands still


class Plan(NamedTuple):
    """Where to die: a named point, a commit, or a moment; `number` is the how-many-eth or when."""

    style: str
    number: float
    is_early: bool = False  # count from the start of the process


def draw(rng):
    """A plan: half of them at a named point."""
    roll = rng.random()
    if roll < 0.5:
        point = rng.choice(POINTS)
        return Plan(point, 1 if point.startswith("start") else int(4 ** rng.random()), True)
    if roll < 0.75:
        return Plan(rng.choice(COMMITS), int(25 ** rng.random()), rng.random() < 0.3)
    return Plan("time", rng.uniform(0.0, LIVES_FOR), rng.random() < 0.3)


def settings_of(folder, url):
    """A settings file of the daemon, by the names that Alpaca's users know."""
    os.environ |= {
        "ALPACA_API_KEY": "key",
        "ALPACA_API_SECRET": "secret",
        "ALPACA_BASE_URL": url,
        "ALPACA_STREAM_URL": f"{url.replace('http', 'ws')}/stream",
    }
    trader = HERE / "alpaca_trader.py"
    until_ns = 1 << 62
    (folder / "ticklane.toml").write_text(
        f'broker = "alpaca"\nlimits = "none"\ndata_dir = "{folder}"\n[[strategy]]\n'
        f'strategy = "{trader}:PatientTrader"\nname = "trader"\nsymbols = {list(SYMBOLS)}\n'
        f"seed = 1\nuntil_ns = {until_ns}\n"
    )
    return load_settings(folder / "ticklane.toml")


class Life:
    """One process: armed, compared with the venue, let loose."""

    def __init__(self, plan, url, seed, told):
        self.plan, self.url, self.seed, self.told = plan, url, seed, told
        self.trap = nursery.Trap(nursery.Plan(plan.style, plan.number, plan.is_early))

    def prepare(self):
        """Wrap what is to be killed, and give the daemon the quick market."""
        self.trap.set()
        if self.plan.style in POINTS:
            crash.arm(f"{self.plan.style}:{int(self.plan.number)}")
        clock = SystemClock()
        build.make_feed = lambda _settings, symbols, _calendar: (
            market_feed(symbols, self.seed),
            clock,
        )
        # With bars this short every signal would be stale after a restart: let them be good.
        assert callable(opening.signal_life_ns)
        opening.signal_life_ns = lambda _seconds, _feed: self.seed % 2 * 20_000_000_000 + 10_000_000

    @asynccontextmanager
    async def watch(self, runner):
        """The daemon is up: compare, then let its strategy act."""
        [host] = runner.hosts.values()
        database = load_settings(self.folder / "ticklane.toml").database_path
        await asyncio.to_thread(control, self.url, "switch", is_matching=False)
        found = await self.settled(database)
        self.say("differs", found)
        await asyncio.to_thread(control, self.url, "switch", is_matching=True)
        host.strategy.is_loose = True
        self.trap.is_armed = True
        yield

    async def settled(self, database):
        """What differs in the end, once nothing moves at the venue any more."""
        due = time.monotonic() + CATCHES_UP
        while True:
            found = await asyncio.to_thread(differences, database, self.url)
            if not found or time.monotonic() > due:
                return found
            await asyncio.sleep(0.05)

    def say(self, word, what):
        os.write(self.told, f"{word} {json.dumps(what)}\n".encode())

    def run(self, folder):
        """Be the daemon; never returns."""
        self.folder = folder
        self.prepare()
        try:
            asyncio.run(serve(settings_of(folder, self.url), self.watch))
        except BaseException as error:  # nothing may go on in the fork
            if not isinstance(error, TicklaneError):
                traceback.print_exc()
            self.say("error", str(error))
            os._exit(1)
        self.say("end", True)
        os._exit(0)


def raise_one(folder, url, seed, plan):
    """Start one daemon, let it die as planned, and tell what became of it."""
    hear, told = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(hear)
        Life(plan, url, seed, told).run(folder)
    os.close(told)
    lines = nursery_lines(hear, pid, plan)
    _, status = os.waitpid(pid, 0)
    said = {word: json.loads(rest) for word, _, rest in (one.partition(" ") for one in lines)}
    return {
        "plan": plan,
        "was_killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
        "was_up": "differs" in said,
        "differs": said.get("differs", []),
        "error": said.get("error"),
        "has_ended": "end" in said,
    }


def nursery_lines(hear, pid, plan):
    """What the process says, until it is gone; it is killed when its time is over."""
    import select

    begin, said, due = time.monotonic(), b"", time.monotonic() + nursery.LONGEST
    if plan.style == "time" and plan.is_early:
        due = begin + plan.number
    while True:
        ready, _, _ = select.select([hear], [], [], max(0.0, due - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGTERM if plan.style == "stop" else signal.SIGKILL)
            due = time.monotonic() + nursery.LONGEST
            continue
        more = os.read(hear, 65536)
        if not more:
            os.close(hear)
            return said.decode().splitlines()
        said += more
        if b"differs" in more:
            due = time.monotonic() + (plan.number if plan.style == "time" else LIVES_FOR)


def main(folder, seed, kills):
    """Kill `kills` times, then end it in order and compare a last time."""
    rng = random.Random(seed)
    command = [sys.executable, str(HERE / "alpaca_kill_venue.py"), "1000000", str(seed)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as venue:
        url = venue.stdout.readline().strip()
        done = 0
        while done < kills:
            one = raise_one(folder, url, seed, draw(rng))
            done += one["was_killed"]
            print(json.dumps(one), flush=True)
            if one["error"] or one["differs"] or not one["was_killed"]:
                break
        for plan in (Plan("stop", 0.5), Plan("stop", 0.1)):
            print(json.dumps(raise_one(folder, url, seed, plan)), flush=True)
        venue.stdin.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
