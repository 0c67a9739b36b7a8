"""The daemon against a venue that loses, doubles, delays and maims: no order lost, none doubled.

Each seed is a run of its own in virtual time. `SIMULATED_SEEDS=FIRST:COUNT` takes these seeds
instead of the usual ones; `python tests/faults/simulation/simulate.py SEED` tells a seed's story.
"""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from sim_bugs import NewIdAfter404, NoExecutionDedup, NoFsync, NoUniqueIndex, OnlyForgetful
from sim_run import simulate, story
from sim_world import NoBugs

from ticklane.core.market import DAY, SECOND
from ticklane.engine import remembering
from ticklane.integrations.alpaca import strangers

KNOWN = Path(__file__).with_name("known_seeds.txt")
SHORT, WHOLE = (0, 150), (1_000, 10_000)  # first seed and how many
SLICE = 25  # seeds of one test, so that the workers share them


def slices(first, count, size):
    """Seeds in pieces of this size."""
    given = os.environ.get("SIMULATED_SEEDS")
    if given:
        first, count = map(int, given.split(":"))
    last = first + count
    return [range(at, min(at + size, last)) for at in range(first, last, size)]


def known_seeds():
    lines = (line.split("#")[0].split() for line in KNOWN.read_text().splitlines())
    return [int(words[0]) for words in lines if words]


def keep(seed, why):
    """Every later run of the tests takes this seed again."""
    if seed not in known_seeds():
        with suppress(OSError), KNOWN.open("a") as file:
            file.write(f"{seed:<6} {why.splitlines()[0][:80]}\n")


def check(seeds):
    """Run these seeds; the first that fails is told and kept."""
    for seed in seeds:
        world = simulate(seed)
        if world.checks.broken is not None:
            keep(seed, str(world.checks.broken))
            pytest.fail(story(world), pytrace=False)


@pytest.mark.parametrize("seeds", slices(*SHORT, SLICE), ids=lambda seeds: f"{seeds[0]}+")
def test_no_order_is_lost_or_doubled_whatever_goes_wrong(seeds):
    check(seeds)


def test_seeds_that_have_failed_once_pass():
    check(known_seeds())


@pytest.fixture
def short_memory(monkeypatch):
    """Orders are forgotten as soon as they are over, not after days: more than seconds there are
    none in a simulated run."""
    monkeypatch.setattr(remembering, "_KEPT_NS", 0)
    monkeypatch.setattr(remembering, "_LOOK_NS", 2 * SECOND)
    monkeypatch.setattr(remembering, "_BUSY_LOOK_NS", SECOND)
    monkeypatch.setattr(strangers, "_READ_BACK_NS", -2 * DAY)


@pytest.mark.parametrize("seeds", slices(*SHORT, 2 * SLICE), ids=lambda seeds: f"{seeds[0]}+")
def test_what_is_forgotten_at_once_is_neither_lost_nor_doubled(short_memory, monkeypatch, seeds):
    again, followed = [], strangers.Strangers
    follow = followed._follow
    monkeypatch.setattr(followed, "_follow", lambda *found: again.append(found) or follow(*found))
    check(seeds)

    assert len(again) > 100  # so often the database was asked for an order, and had it


@pytest.mark.slow
@pytest.mark.parametrize("seeds", slices(*WHOLE, 10 * SLICE), ids=lambda seeds: f"{seeds[0]}+")
def test_ten_thousand_seeds_lose_and_double_nothing(seeds):
    check(seeds)


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        (NoFsync, "in no row"),
        (NoUniqueIndex, "steps from None, but was"),
        (NewIdAfter404, "in no row"),
        (NoExecutionDedup, "is booked, but the venue has filled"),
    ],
)
def test_a_planted_bug_is_caught(bug, words):
    caught = []
    for seed in range(300):
        broken = simulate(seed, bug()).checks.broken
        if broken is not None:
            caught.append(str(broken))
            if words in caught[-1]:
                break

    assert caught
    assert words in caught[-1]


def test_the_unique_index_ends_a_daemon_that_would_double_orders():
    for seed in range(300):
        broken = simulate(seed, OnlyForgetful()).checks.broken
        if broken is not None:
            break

    assert "the daemon has ended: StorageError" in str(broken)


def outline(world):
    """The trace without the parameters of requests, of which one client sends texts only."""
    without = [[part for part in line if not isinstance(part, dict | None)] for line in world.trace]
    return [line for line in without if line[1] != "log"]


@pytest.mark.parametrize("seed", [3, 19, 33])
def test_requests_by_the_real_client_of_alpaca_py_are_answered_alike(seed):
    class ByRealClient(NoBugs):
        def plan(self, seed):
            plan = super().plan(seed)
            plan.uses_real_client = True
            return plan

    quick, real = simulate(seed), simulate(seed, ByRealClient())

    assert len(real.trace) > 100
    assert outline(real) == outline(quick)


def test_a_seed_is_the_same_run_each_time():
    one, other = simulate(7), simulate(7)

    assert one.trace == other.trace
    assert len(one.trace) > 100
