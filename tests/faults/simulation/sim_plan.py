"""What goes wrong in a simulated run, and when: drawn from its seed and from nothing else."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

REQUEST_FAULTS = (
    "slow_answer",  # 1 to 12 s; the client waits for 10
    "lost_request",
    "lost_answer",
    "drop_before",
    "drop_after",
    "late_request",  # the client hears of a broken line, the venue of a request, some time later
    "double",
    "status_before",  # 500, 502, 503 or 504, nothing is done
    "status_after",  # the same, but it was done
    "rate_limited",
    "half_body",
    "wrong_body",  # no JSON
    "strange_body",  # JSON, but of something else
    "empty_body",
)
FRAME_FAULTS = (
    "lost",
    "late",
    "double",
    "reorder",
    "mute",
    "freeze",
    "drop",
    "drop_after",
    "half",
    "wrong",
)
VENUE_ACTS = (
    "fill_part",
    "fill",
    "cancel",
    "expire",
    "reject",
    "late_fill",
    "done_for_day",
    "fee",
    "dividend",
    "foreign_order",
)
STATUSES = (500, 502, 503, 504)
HOUR = 3600.0
_SLOWNESS = (("is_cancelling", 0.15), ("is_accepting", 0.08), ("is_replacing", 0.12))
_SILENCE = 0.15  # how many seeds have a time in which orders fill without executions


class Window(NamedTuple):
    """A time in which something is the matter all the while."""

    kind: str  # down, auth, storm
    begin: float
    end: float

    def holds(self, at):
        return self.begin <= at < self.end


class Plan:
    """The seed's own mixture: most seeds have a few kinds of faults, often; some have all."""

    def __init__(self, seed):
        rng = Random(f"plan {seed}")
        self.seed = seed
        self.requests, self.frames, self.acts = (
            Random(f"{name} {seed}") for name in ("requests", "frames", "acts")
        )
        self.trade_seconds = rng.choice((40.0, 80.0, 120.0, 200.0))
        self.request_rate, self.request_kinds = _mixture(rng, REQUEST_FAULTS, _REQUEST_RATES)
        self.spares_reads = rng.random() < 0.4  # what changes something is struck the harder
        if self.spares_reads:
            self.request_rate = max(self.request_rate, rng.choice((0.3, 0.6)))
        self.frame_rate, self.frame_kinds = _mixture(rng, FRAME_FAULTS, _FRAME_RATES)
        self.act_rate, self.act_kinds = _mixture(rng, VENUE_ACTS, _ACT_RATES)
        self.late_range = rng.choice(((0.0, 1.0), (0.0, 15.0), (5.0, 60.0), (20.0, 450.0)))
        # The product looks for five minutes; where nothing is that late, one shows as much.
        self.give_up_seconds = 300.0 if self.late_range[1] > 60.0 else 61.0
        self.holds_dead_sockets = rng.random() < 0.3
        self.windows = self._windows(rng)
        self.crash_times = _some_times(rng, self.trade_seconds, (0, 0, 0, 1, 1, 2))
        self.crash_points = sorted(
            rng.randrange(1, 150) for _ in range(rng.choice((0, 0, 1, 1, 3)))
        )
        self.down_seconds = rng.choice((0.05, 1.0, 5.0, 45.0))
        self.clock_steps = self._clock_steps(rng)
        self.operator = self._operator(rng)
        self.restarts_at_last = rng.random() < 0.4
        self.allow_short = rng.random() < 0.2
        self.uses_real_client = seed % 20 == 0
        self.slow_venue = self._slow_venue(Random(f"slow {seed}"))
        self.quiet_at = max([self.trade_seconds, *(one.end for one in self.windows)]) + 1.0

    def _windows(self, rng):
        found = []
        if rng.random() < 0.02:
            begin = rng.uniform(5.0, self.trade_seconds)
            found.append(Window("down", begin, begin + HOUR))
        for kind, chance in (("down", 0.12), ("auth", 0.12), ("storm", 0.15), ("muted", 0.08)):
            if rng.random() < chance:
                begin = rng.uniform(0.0, self.trade_seconds)
                found.append(Window(kind, begin, begin + rng.choice((2.0, 15.0, 70.0))))
        return found

    def _slow_venue(self, rng):
        """Windows in which the venue keeps new orders, cancels, replacements or news waiting."""
        found = []
        for kind, chance in _SLOWNESS:
            if rng.random() < chance:
                begin = rng.uniform(0.0, self.trade_seconds)
                found.append(Window(kind, begin, begin + rng.choice((4.0, 12.0, 40.0))))
        if rng.random() < _SILENCE:
            begin = rng.uniform(0.0, self.trade_seconds)
            end = begin + rng.choice((9.0, 20.0, 60.0, 150.0))
            found.append(Window("is_reporting", begin, end))
        return found

    def _clock_steps(self, rng):
        """Instants and by how many seconds the machine's clock is wrong from then on."""
        if rng.random() > 0.12:
            return []
        begin = rng.uniform(0.0, self.trade_seconds)
        step = rng.choice((-3600.0, -30.0, -1.0, 1.5, 45.0, 3600.0))
        return [(begin, step), (begin + rng.choice((5.0, 30.0, 90.0)), 0.0)]

    def _operator(self, rng):
        if rng.random() > 0.2:
            return []
        begin = rng.uniform(5.0, self.trade_seconds)
        first = rng.choice(("halt", "halt", "flatten", "pause"))
        after = {"halt": "release", "flatten": None, "pause": "resume"}[first]
        found = [(begin, first)]
        if first == "halt" and rng.random() < 0.3:
            found.append((begin + 3.0, "flatten"))
        if after:
            found.append((begin + rng.choice((4.0, 20.0)), after))
        return found

    # --- what strikes ---------------------------------------------------------------------------

    def is_on(self, kind, at):
        """Whether a window of this kind is open."""
        return any(one.kind == kind and one.holds(at) for one in self.windows)

    def request_fault(self, at, verb):
        """What happens to this request; None as a rule."""
        if at >= self.quiet_at or (self.spares_reads and verb == "GET"):
            return None
        if self.is_on("storm", at) and self.requests.random() < 0.7:
            return self.requests.choice(REQUEST_FAULTS)
        if self.requests.random() < self.request_rate:
            return self.requests.choice(self.request_kinds)
        return None

    def frame_fault(self, at):
        """What happens to this frame of the trade stream; None as a rule."""
        if at >= self.quiet_at:
            return None
        if self.is_on("muted", at):
            return "lost"
        if self.frames.random() < self.frame_rate:
            return self.frames.choice(self.frame_kinds)
        return None

    def act(self):
        """What the venue does by itself at this beat; None as a rule."""
        if self.acts.random() < self.act_rate:
            return self.acts.choice(self.act_kinds)
        return None


_REQUEST_RATES = (0.0, 0.03, 0.1, 0.25, 0.5)
_FRAME_RATES = (0.0, 0.0, 0.02, 0.06, 0.2)
_ACT_RATES = (0.0, 0.1, 0.2, 0.4)


def _mixture(rng, kinds, rates):
    rate = rng.choice(rates)
    count = rng.choice((1, 2, 4, len(kinds)))
    return rate, rng.sample(kinds, count)


def _some_times(rng, until, counts):
    return sorted(rng.uniform(0.0, until) for _ in range(rng.choice(counts)))
