"""deploy/venv.sh finds a Python that is new enough, with or without python3-venv."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

VENV_SH = Path(__file__).parents[2] / "deploy" / "venv.sh"


def create(directory, path="", **environment):
    """Run `venv.sh create`; path goes before the PATH."""
    env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", **environment}
    command = ["sh", VENV_SH, "create", directory]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def a_python(directory, script):
    """An executable python3 of our own, found before all others."""
    directory.mkdir()
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    return directory


def test_a_python_that_is_too_old_is_refused_in_one_sentence(tmp_path):
    old = a_python(tmp_path / "old", "exit 1")

    done = create(tmp_path / "venv", PYTHON=str(old / "python3"))

    assert done.returncode == 1
    assert done.stderr.endswith("not a usable Python 3.11 or newer: name another one.\n")
    assert not (tmp_path / "venv").exists()


def test_without_python3_venv_the_environment_is_made_all_the_same(tmp_path):
    with_pip = sys.executable if find_spec("pip") else sys._base_executable
    python = f"exec '{with_pip}' \"$@\""
    no_ensurepip = '[ "$2" = venv ] && [ "$3" != --without-pip ] && exit 1'
    debian = a_python(tmp_path / "debian", f"{no_ensurepip}\n{python}")

    done = create(tmp_path / "a venv", path=str(debian))

    assert (done.returncode, done.stderr) == (0, "")
    version = subprocess.run(
        [tmp_path / "a venv/bin/python", "-V"], capture_output=True, check=True
    )
    assert version.stdout.startswith(b"Python 3.")


def test_an_environment_that_works_is_left_alone(tmp_path):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "venv/mine").touch()

    assert create(tmp_path / "venv").returncode == 0
    assert (tmp_path / "venv/mine").exists()
