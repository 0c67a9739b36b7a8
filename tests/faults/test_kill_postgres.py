"""The kill proof on PostgreSQL: its journal equals that of a run left in peace on SQLite."""

import pytest
from fault_processes import Campaign
from fault_setups import SETUPS, write_bars, write_setup
from test_kill import Peace

from postgres_server import ON_SERVER, Schema

pytestmark = ON_SERVER


def kill(name, tmp_path, bars, kills):
    """Run one campaign on the server; returns how often a running lane was killed."""
    reference = Peace(name, tmp_path / "peace", bars)
    with Schema() as schema:
        settings = write_setup(name, tmp_path / "killed", bars, database_url=schema.url)
        campaign = Campaign(settings, kills)
        campaign.finish()
        return campaign.lane_kills(reference.journal, reference.account)


def test_a_run_on_a_server_that_is_killed_again_and_again_ends_like_one_left_in_peace(tmp_path):
    bars = write_bars(tmp_path / "bars", 250)

    assert kill("partial fills and schedules", tmp_path, bars, 5) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", SETUPS)
def test_many_kills_on_a_server_change_nothing(name, tmp_path):
    bars = write_bars(tmp_path / "bars", 800)

    assert kill(name, tmp_path, bars, 30) >= 20
