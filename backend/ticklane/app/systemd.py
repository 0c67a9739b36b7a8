"""What a service of Type=notify tells systemd, by the protocol of sd_notify(3), without a library.

Each function takes the environment as a mapping, since only the settings read the real one.
Without a NOTIFY_SOCKET in it, as everywhere but under systemd, they do nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """Send `READY=1`, `WATCHDOG=1`, `STOPPING=1` or several such lines; tells whether it was sent.

    Never raises: a service goes on when its manager does not listen.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address[0] == "@":  # a name in the abstract namespace begins with a zero byte
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)  # the lane must not wait for a manager that is busy
            channel.sendto(state.encode(errors="replace"), address)
    except OSError:
        return False
    return True


def notify_status(text: str, environ: Mapping[str, str]) -> bool:
    """Show one line of text in `systemctl status`."""
    return notify(f"STATUS={' '.join(text.split())}", environ)


def watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """How often to send `WATCHDOG=1`, in seconds: half of what systemd allows; None: never.

    None as well when the watchdog is meant for another process (WATCHDOG_PID).
    """
    allowed, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if process and process != str(os.getpid()):
        return None
    if not allowed.isascii() or not allowed.isdecimal() or int(allowed) == 0:
        return None
    return int(allowed) / 1_000_000 / 2
