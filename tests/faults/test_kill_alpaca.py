"""SIGKILL of a daemon that trades at a venue in another process: no order is lost, none doubled."""

import os
import random
from collections import Counter

import pytest
from fault_processes import Nursery

POINTS = {
    *("submit.before_post", "submit.after_post", "fill.told"),
    *("cancel.before_delete", "cancel.after_delete"),
    *("replace.before_patch", "replace.after_patch"),
    *("start.before_recover", "start.after_recover"),
}
KILLS = int(os.environ.get("TESTS_KILLS", "2000"))  # of the slow test
A_CAMPAIGN = 50  # kills at one venue: its ledger is compared at each start, and it grows


class Campaign:
    """One account that is killed again and again, in the background."""

    def __init__(self, folder, kills):
        folder.mkdir()
        self._seed = random.randrange(1_000_000)  # by pytest-randomly's seed
        self._nursery = Nursery(folder, self._seed, kills, program="alpaca_nursery.py")

    def finish(self):
        """Wait for its end."""
        self._nursery.finish()

    def outcomes(self):
        """What became of each process; every one that came up found the books equal."""
        found = self._nursery.outcomes()
        assert [one for one in found if one["differs"]] == [], f"seed {self._seed}"
        assert [one["has_ended"] for one in found[-2:]] == [True, True], f"seed {self._seed}"
        return found


def killed(folder, kills):
    """Two campaigns side by side; how each killed process was to die."""
    pair = [Campaign(folder / f"{kills}-{number}", kills) for number in range(2)]
    for campaign in pair:
        campaign.finish()
    found = [one for campaign in pair for one in campaign.outcomes()]
    return Counter(one["plan"][0] for one in found if one["was_killed"])


def test_a_daemon_that_is_killed_finds_orders_fills_and_money_as_the_venue_has_them(tmp_path):
    assert killed(tmp_path, 5).total() == 10


@pytest.mark.slow
def test_many_kills_at_every_named_point_lose_and_double_nothing(tmp_path):
    counts = Counter()
    for number in range(-(-KILLS // (2 * A_CAMPAIGN))):
        folder = tmp_path / str(number)
        folder.mkdir()
        counts += killed(folder, A_CAMPAIGN)

    assert counts.total() >= KILLS
    assert counts.keys() >= POINTS | {"time"}
    print(dict(counts))
