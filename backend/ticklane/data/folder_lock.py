"""One writer a folder: a lock that the operating system takes back when a process dies."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticklane.core.errors import DataError


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold `.lock` in a folder; raises DataError that names the process which has it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip()
            raise DataError(
                f"the catalog {folder} is being written by {holder or 'another process'}; wait "
                "until it is done."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} ({_command()})".encode(), 0)
        yield
    finally:
        os.close(file)


def _command() -> str:
    # The program and its first word only: further arguments may hold a secret.
    return " ".join([Path(sys.argv[0] or "python").name, *sys.argv[1:2]])
