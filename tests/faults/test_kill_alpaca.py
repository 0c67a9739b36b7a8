"""SIGKILL of a daemon that trades at a venue in another process: no order is lost, none doubled."""

import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest
from fault_processes import ENVIRONMENT
from fault_setups import HERE

PROGRAM = HERE / "alpaca_nursery.py"
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
        self.seed = random.randrange(1_000_000)  # by pytest-randomly's seed
        command = [sys.executable, PROGRAM, folder, str(self.seed), str(kills)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True
        )

    def finish(self):
        """Wait for its end."""
        self._out, self._err = self._process.communicate(timeout=900)

    def outcomes(self):
        """What became of each process; every one that came up found the books equal."""
        told = f"seed {self.seed}: {self._err[-2000:]}"
        assert self._process.returncode == 0, told
        found = [json.loads(line) for line in self._out.splitlines()]
        wrong = [one for one in found if one["error"] or one["differs"]]
        assert not wrong, f"{wrong[0]} {told}"
        assert [one["has_ended"] for one in found[-2:]] == [True, True], told
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
