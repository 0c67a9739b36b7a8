"""deploy/install.sh puts everything where the unit looks for it, twice as well as once."""

import stat
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def install(root, *flags):
    """Run install.sh below a directory of our own, without the Python environment."""
    command = ["sh", DEPLOY / "install.sh", "--root", root, "--files-only", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def root(tmp_path):
    """A root with a fresh installation; the space in its name is on purpose."""
    done = install(tmp_path / "the root")
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path / "the root"


def test_a_fresh_install_writes_configuration_unit_and_state(root):
    unit = root / "etc/systemd/system/ticklane.service"

    assert unit.read_bytes() == (DEPLOY / "ticklane.service").read_bytes()
    assert (root / "etc/ticklane/ticklane.toml").read_bytes() == (
        DEPLOY / "ticklane.toml"
    ).read_bytes()
    assert (root / "etc/ticklane/ticklane.env").read_bytes() == b""


def test_only_root_may_read_secrets_and_only_the_daemon_its_state(root):
    assert mode_of(root / "etc/ticklane/ticklane.env") == 0o600
    assert mode_of(root / "etc/ticklane/credentials") == 0o700
    assert mode_of(root / "var/lib/ticklane") == 0o700


def test_a_second_install_keeps_what_the_operator_wrote(root):
    (root / "etc/ticklane/ticklane.toml").write_text("mine")
    (root / "etc/ticklane/ticklane.env").write_text("KEY=mine")
    (root / "etc/systemd/system/ticklane.service").write_text("old")

    done = install(root)

    assert done.returncode == 0
    assert (root / "etc/ticklane/ticklane.toml").read_text() == "mine"
    assert (root / "etc/ticklane/ticklane.env").read_text() == "KEY=mine"
    assert "Type=notify" in (root / "etc/systemd/system/ticklane.service").read_text()


def test_uninstall_removes_program_and_unit_but_no_data(root):
    (root / "var/lib/ticklane/paper.db").write_text("fills")

    done = install(root, "--uninstall")

    assert done.returncode == 0
    assert not (root / "opt/ticklane").exists()
    assert not (root / "etc/systemd/system/ticklane.service").exists()
    assert (root / "etc/ticklane/ticklane.toml").exists()
    assert (root / "var/lib/ticklane/paper.db").read_text() == "fills"


def test_an_unknown_flag_is_refused_in_one_sentence(tmp_path):
    done = install(tmp_path / "root", "--force")

    assert done.returncode == 1
    assert "does not know '--force'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "root/etc").exists()
