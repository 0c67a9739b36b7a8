"""One daemon a database: a lock that the operating system takes back when a process dies."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from ticklane.core.errors import DatabaseInUse, StorageError


class InstanceLock:
    """Holds `<database>.lock`, in which stand the process id and the command of the holder.

    The file stays after the release: removing it would let two processes lock two files of the
    same name. A kill -9 releases the lock as well.
    """

    def __init__(self, database: Path) -> None:
        self.database = database
        self.path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock at once; raises DatabaseInUse naming the process that has it."""
        if self._file is not None:
            return
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip()
            os.close(file)
            raise DatabaseInUse(
                f"the database {self.database} is in use by {_process(holder)}; stop that "
                "process or choose another database."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()} {command()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Let another process have the database."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(
                f"the lock file {self.path} cannot be written ({error.strerror}); change the "
                "permissions of its folder or choose another database."
            ) from None


def command() -> str:
    # The program and its first word only: further arguments may hold a secret.
    return " ".join([Path(sys.argv[0] or "python").name, *sys.argv[1:2]])


def _process(holder: str) -> str:
    number, _, command = holder.partition(" ")
    return f"process {number} ({command})" if command else "another process"
