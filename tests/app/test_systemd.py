"""systemd: what is sent to it, over a real datagram socket, and when nothing is."""

import os
import socket
import uuid

import pytest

from ticklane.app.systemd import notify, notify_status, watchdog_interval


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket as systemd has it, and the environment it gives to a service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(10)
        name = str(tmp_path / "notify") if request.param == "path" else f"@{uuid.uuid4().hex}"
        listening.bind(name.replace("@", "\0"))
        yield listening, {"NOTIFY_SOCKET": name}


def test_a_state_reaches_the_manager(manager):
    listening, environ = manager

    assert notify("READY=1", environ)

    assert listening.recv(100) == b"READY=1"


def test_a_status_is_one_line_whatever_the_text(manager):
    listening, environ = manager

    notify_status("paper: 3 strategies,\n  last tick 21:00 \u2713", environ)

    assert listening.recv(100).decode() == "STATUS=paper: 3 strategies, last tick 21:00 \u2713"


@pytest.mark.parametrize(
    "environ",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": "relative"}],
)
def test_without_a_manager_nothing_happens(environ):
    assert not notify("READY=1", environ)


def test_a_manager_that_is_gone_is_no_fault_of_the_service(tmp_path):
    assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not notify("READY=1", {"NOTIFY_SOCKET": "/" + "x" * 200})


def test_a_manager_that_does_not_read_holds_nothing_up(manager):
    _, environ = manager

    sent = [notify("WATCHDOG=1", environ) for _ in range(10_000)]

    assert sent[0]
    assert not sent[-1]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": ""}, 0.25),
        *(({"WATCHDOG_USEC": text}, None) for text in ("", "0", "-5", "soon", "1.5", "\u0663")),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time(environ, seconds):
    assert watchdog_interval(environ) == seconds
