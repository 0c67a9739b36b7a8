"""Starts the daemon in a new process, kills it somewhere, starts it again, until the run ends.

`python nursery.py CONFIG SEED KILLS` prints one line of JSON for each process: how it was to die,
whether its lane was running, how it ended, and how the account stood if it came to the end.
`python nursery.py CONFIG each STYLE` begins run after run, kills the n-th one at its n-th event,
lets it end in a second process, and so goes through all events of one run.

The libraries are imported once and each daemon is a fork, so that a start takes 0.1 s instead of 1.
Nothing of a fork survives it, so whatever the next one knows comes from the database.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import random
import select
import signal
import sys
import time
import traceback
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

import pandas  # noqa: F401  # read by the feed: imported before the forks
from apscheduler.triggers import cron  # noqa: F401

from ticklane.app.daemon import serve
from ticklane.app.settings import load_settings
from ticklane.brokers.paper import PaperBroker
from ticklane.core.errors import TicklaneError
from ticklane.engine import messages
from ticklane.storage import database, migrate, postgres  # noqa: F401
from ticklane.storage.reading import open_reading

LONGEST = 60.0  # seconds until a daemon that does not end by itself counts as hanging


class Plan(NamedTuple):
    """Where to kill: `style` and the number of the event, or the seconds after the lane is up.

    Two further styles do not kill: "stop" is a SIGTERM after so many seconds, "never" is nothing.
    """

    style: str
    number: float
    is_early: bool = False  # count from the start of the process, not of the lane
    is_eager: bool = False  # make everything durable at once, as a lane does that is not busy


BY_TIME = {"time": signal.SIGKILL, "stop": signal.SIGTERM}
STYLES = ("time", "before commit", "in commit", "after commit", "before send", "after send")


def draw(rng):
    """A plan of any style, more often an early one; a lane makes about a commit a millisecond."""
    style = rng.choice(STYLES)
    if style == "time":
        return Plan(style, rng.uniform(0.0, 0.08), rng.random() < 0.1, rng.random() < 0.5)
    return Plan(style, int(80 ** rng.random()), rng.random() < 0.1, rng.random() < 0.5)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Trap:
    """Counts the events of a style and kills its own process at the right one."""

    def __init__(self, plan):
        self.plan = plan
        self.left = int(plan.number) if plan.style not in BY_TIME else -1
        self.is_armed = plan.is_early

    def springs(self, *styles):
        if self.plan.style not in styles or not self.is_armed:
            return False
        self.left -= 1
        return self.left == 0

    def set(self):
        """Wrap what writes the journal and what sends orders."""
        transact = database._transact

        def transacting(connection, writes):
            if self.springs("before commit"):
                die()
            if self.springs("in commit"):
                connection.set_trace_callback(self._count_down(len(writes) + 2))
            transact(connection, writes)
            if self.springs("after commit"):
                die()

        database._transact = transacting
        self._set_on_server()
        for verb in ("submit", "cancel", "replace"):
            setattr(PaperBroker, verb, self._sending(getattr(PaperBroker, verb)))

    def _set_on_server(self):
        """The same for PostgreSQL, whose commit is an exchange with the server."""
        transact = postgres.PostgresDatabase._transact

        async def transacting(database, writes):
            if self.springs("before commit"):
                die()
            if self.springs("in commit"):
                moment = random.Random(self.plan.number).uniform(0.0, 0.002)
                asyncio.get_running_loop().call_later(moment, die)
            await transact(database, writes)
            if self.springs("after commit"):
                die()

        postgres.PostgresDatabase._transact = transacting

    def _count_down(self, statements):
        left = random.Random(self.plan.number).randint(1, statements)

        def traced(_statement):
            nonlocal left
            left -= 1
            if left == 0:
                die()

        return traced

    def _sending(self, send):
        async def sending(broker, *orders):
            if self.springs("before send"):
                die()
            await send(broker, *orders)
            if self.springs("after send"):
                die()

        return sending


def run_daemon(settings, plan, told):
    """Be a daemon; never returns."""
    trap = Trap(plan)
    trap.set()
    if plan.is_eager:
        messages._FLUSH_EVENTS = 0

    @asynccontextmanager
    async def watch(_runner):
        os.write(told, b"lane\n")
        trap.is_armed = True
        yield

    try:
        runner = asyncio.run(serve(settings, watch))
    except BaseException as error:  # nothing may go on in the fork
        if not isinstance(error, TicklaneError):
            traceback.print_exc()
        os.write(told, f"error {error}\n".encode())
        os._exit(1)
    os.write(told, b"end " + json.dumps(account_of(runner)).encode() + b"\n")
    os._exit(0)


def account_of(runner):
    """Cash and positions by every book there is."""
    books = {
        name: {"cash": str(book.cash), "fees": str(book.fees)}
        | {symbol: str(held.quantity) for symbol, held in sorted(book.positions.items())}
        for name, book in runner.portfolio.books.items()
    }
    venue = {symbol: str(held) for symbol, held in sorted(runner.broker.positions.items())}
    return {
        "books": books,
        "venue": {"cash": str(runner.broker.cash), **venue},
        "working": sorted(runner.broker.venue.marks().items()),
        "ended_by": runner.ended_by,
    }


class Outcome(NamedTuple):
    """What became of one process."""

    plan: Plan
    was_killed: bool
    had_lane: bool
    error: str | None
    account: dict | None


def raise_one(settings, plan):
    """Start one daemon, kill it as planned, and wait for its end."""
    hear, told = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(hear)
        run_daemon(settings, plan, told)
    os.close(told)
    lines, due = b"", (time.monotonic() + LONGEST, signal.SIGKILL, b"error it hangs\n")
    if plan.style in BY_TIME and plan.is_early:
        due = (time.monotonic() + plan.number, BY_TIME[plan.style], b"")
    while True:
        ready, _, _ = select.select([hear], [], [], max(0.0, due[0] - time.monotonic()))
        if not ready:
            os.kill(pid, due[1])
            lines += due[2]
            due = (time.monotonic() + LONGEST, signal.SIGKILL, b"error it hangs\n")
            continue
        more = os.read(hear, 65536)
        if not more:
            break
        if plan.style in BY_TIME and not plan.is_early and b"lane" in more:
            due = (time.monotonic() + plan.number, BY_TIME[plan.style], b"")
        lines += more
    os.close(hear)
    _, status = os.waitpid(pid, 0)
    return outcome(plan, lines.decode().splitlines(), status)


def outcome(plan, lines, status):
    told = dict(line.partition(" ")[::2] for line in lines)
    was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    account = json.loads(told["end"]) if "end" in told else None
    error = told.get("error")
    if error is None and not was_killed and status:
        error = f"it ended with the status {status}"
    return Outcome(plan, was_killed and account is None, "lane" in told, error, account)


def is_over(place):
    """True when the run has ended: who is killed after that leaves nothing to go on with."""
    if isinstance(place, Path) and not place.exists():
        return False
    with closing(open_reading(place)) as reading:
        if "runs" not in reading.tables():
            return False
        return reading.fetch("SELECT count(ended_ns) FROM runs")[0][0] > 0


def main(config, seed, kills):
    """Kill `kills` times, then let it come to its end, or end it where the market has none."""
    settings = load_settings(config)
    last = Plan("stop", 0.2) if settings.feed == "simulated" else Plan("never", 0)
    rng = random.Random(seed)
    done = 0
    while True:
        plan = draw(rng) if done < kills else last
        one = raise_one(settings, plan)
        done += one.was_killed
        print(json.dumps(one._asdict()), flush=True)
        if one.error is not None or one.account is not None or is_over(settings.store):
            return


def each(config, style):
    """A run of its own for each event of a style, in a database with its number."""
    for number in itertools.count(1):
        database_path = Path(config).with_name(f"{number}.db")
        settings = load_settings(config, database=database_path)
        first = raise_one(settings, Plan(style, number, is_eager=True))
        print(json.dumps(first._asdict()), flush=True)
        if not first.was_killed:
            return
        if not is_over(database_path):
            print(json.dumps(raise_one(settings, Plan("never", 0))._asdict()), flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    if sys.argv[2] == "each":
        each(sys.argv[1], sys.argv[3])
    else:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
