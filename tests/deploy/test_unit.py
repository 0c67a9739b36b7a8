"""The systemd unit: says when it is ready, is watched, may touch little, and knows no secret."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "ticklane.service"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def settings():
    """Key -> every value it is given, in order."""
    found = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("Restart", "on-failure"),
        ("KillSignal", "SIGTERM"),
        ("TimeoutStopSec", "10"),
        ("User", "ticklane"),
        ("StateDirectory", "ticklane"),
        ("EnvironmentFile", "-/etc/ticklane/ticklane.env"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ],
)
def test_the_unit_sets(settings, key, value):
    assert settings[key] == [value]


def test_a_hung_daemon_is_restarted(settings):
    assert 10 <= int(settings["WatchdogSec"][0]) <= 60


def test_no_secret_stands_in_the_command_or_the_unit(settings):
    assert settings["ExecStart"] == [
        "/opt/ticklane/venv/bin/ticklane run --config /etc/ticklane/ticklane.toml"
    ]
    names = [value.split("=")[0] for value in settings["Environment"]]
    assert not [n for n in names if any(word in n for word in ("KEY", "SECRET", "TOKEN"))]


@needs_systemd
def test_systemd_rates_the_exposure_at_most_2_5():
    command = [
        "systemd-analyze",
        "security",
        "--no-pager",
        "--offline=true",
        "--threshold=25",
        UNIT,
    ]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout.splitlines()[-1]


@needs_systemd
def test_systemd_finds_nothing_to_say_once_the_program_is_installed(tmp_path):
    program = tmp_path / "ticklane"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    staged = tmp_path / "ticklane.service"
    staged.write_text(UNIT.read_text().replace("/opt/ticklane/venv/bin/ticklane", str(program)))

    done = subprocess.run(
        ["systemd-analyze", "verify", staged],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
