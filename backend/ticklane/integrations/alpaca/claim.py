"""One daemon an account on this machine, whichever databases they have."""

from __future__ import annotations

import os
import socket
import struct

from ticklane.core.errors import BrokerError

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of the process that listens


class Claim:
    """Holds an account for this process, by a socket name that the kernel frees with the process.

    Linux keeps such names apart from files, for all users and all folders of the machine. Other
    machines are not seen: there one shared PostgreSQL database is what keeps a second daemon out.
    """

    def __init__(self) -> None:
        self._held: socket.socket | None = None

    def take(self, host: str, number: str) -> None:
        """Hold an account; raises BrokerError naming the process that has it already."""
        name = f"\0ticklane/{host}/{number}"
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(name)
        except OSError:
            held.close()
            raise BrokerError(
                f"the account {number} is traded by another ticklane on this machine"
                f"{_holder(name)}; stop that one first."
            ) from None
        held.listen(1)
        self.drop()
        self._held = held

    def drop(self) -> None:
        """Let it go."""
        if self._held is not None:
            self._held.close()
            self._held = None


def _holder(name: str) -> str:
    """Who listens under this name, as far as it can be told."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.settimeout(1.0)
            asking.connect(name)
            told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return ""
    pid = _CREDENTIALS.unpack(told)[0]
    return " (this very process)" if pid == os.getpid() else f" (process {pid})"
