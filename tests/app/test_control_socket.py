"""The control socket: private, one daemon a database, and an answer to whatever is sent."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from ticklane.app.control_socket import LONGEST_LINE, ControlSocket, ask, socket_path
from ticklane.core.errors import BrokerError, ConfigError, TicklaneError
from ticklane.interfaces import Session


async def status():
    return {"state": "running", "cash": Decimal("100.10"), "drift": float("nan")}


async def echo(**arguments):
    return arguments


async def cancel(order, reason=""):
    return f"cancelled {order} {reason}".strip()


async def refuse():
    raise BrokerError("the venue is closed.")


async def fail():
    raise RuntimeError("a bug")


COMMANDS = {
    "status": status,
    "echo": echo,
    "cancel": cancel,
    "close": refuse,
    "stop": fail,
}


@pytest.fixture
def database(tmp_path):
    return tmp_path / "ticklane.db"


@pytest.fixture
async def daemon(database):
    async with ControlSocket(database, COMMANDS) as door:
        yield door


def asked(*words, **arguments):
    """The client blocks, so it asks from a thread of its own."""
    return asyncio.to_thread(partial(ask, *words, **arguments))


async def said_to(database, *lines):
    """What the socket answers to raw bytes."""
    reader, writer = await asyncio.open_unix_connection(socket_path(database), limit=2**20)
    writer.writelines(lines)
    answers = [json.loads(await reader.readline()) for _ in lines]
    writer.close()
    await writer.wait_closed()
    return answers


def is_there(path):
    return path.exists()


def leave_a_dead_socket(path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))


# Questions and answers


async def test_a_command_is_answered_with_its_result(database, daemon):
    result = await asked(database, "status")

    assert result == {"state": "running", "cash": "100.10", "drift": None}


async def test_arguments_reach_the_command(database, daemon):
    assert await asked(database, "cancel", order="run-1-7") == "cancelled run-1-7"
    assert await asked(database, "cancel", order="7", reason="now") == "cancelled 7 now"


async def test_the_path_may_be_a_text_and_relative(database, daemon, monkeypatch):
    monkeypatch.chdir(database.parent)

    assert await asked(database.name, "echo", a=1) == {"a": 1}


async def test_a_database_behind_a_symbolic_link_is_the_same_database(database, daemon, tmp_path):
    (tmp_path / "current.db").symlink_to(database)

    assert await asked(tmp_path / "current.db", "echo", a=1) == {"a": 1}


async def test_results_become_plain_json(database):
    @dataclass
    class Row:
        at: datetime
        fees: Decimal

    async def rows():
        row = Row(datetime(2026, 3, 2, tzinfo=UTC), Decimal("0.10"))
        return [row, Session(1, 2), (1, True, None, 0.5), Path("x"), {1: float("inf")}]

    async with ControlSocket(database, {"rows": rows}):
        assert await asked(database, "rows") == [
            {"at": "2026-03-02T00:00:00+00:00", "fees": "0.10"},
            {"open_ns": 1, "close_ns": 2},
            [1, True, None, 0.5],
            "x",
            {"1": None},
        ]


async def test_an_answer_may_be_longer_than_a_request(database):
    async def much():
        return ["x" * 1000] * 1000

    async with ControlSocket(database, {"much": much}):
        assert len(await asked(database, "much")) == 1000


async def test_several_requests_may_share_a_connection(database, daemon):
    answers = await said_to(database, b'{"command": "echo"}\n', b'{"command": "echo", "a": 2}\n')

    assert answers == [{"ok": True, "result": {}}, {"ok": True, "result": {"a": 2}}]


# Refusals


async def test_a_refusal_of_ours_is_the_answer(database, daemon):
    with pytest.raises(TicklaneError, match=r"^the venue is closed\.$"):
        await asked(database, "close")


async def test_a_bug_in_a_command_is_answered_and_told_to_the_loop_only(database, daemon):
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))

    with pytest.raises(TicklaneError, match=r"failed inside the daemon; see its log\.$"):
        await asked(database, "stop")

    assert await asked(database, "echo") == {}
    assert [repr(context["exception"]) for context in told] == ["RuntimeError('a bug')"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"hello\n", "the request is not a line of JSON in UTF-8."),
        (b"\xff\xfe\xff\n", "the request is not a line of JSON in UTF-8."),
        (b"[" * 50_000 + b"\n", "the request is not a line of JSON in UTF-8."),
        (b"[1]\n", 'the request has no command; write {"command": "status"}.'),
        (b'{"command": 1}\n', 'the request has no command; write {"command": "status"}.'),
        (
            b'{"command": "sell"}\n',
            "command is 'sell', but the daemon knows status, echo, cancel, close, stop.",
        ),
        (
            b'{"command": "cancel"}\n',
            "command cancel cannot be used so: missing a required argument: 'order'.",
        ),
        (
            b'{"command": "status", "x": 1}\n',
            "command status cannot be used so: got an unexpected keyword argument 'x'.",
        ),
    ],
)
async def test_what_is_no_request_gets_a_sentence(database, daemon, line, sentence):
    assert await said_to(database, line) == [{"ok": False, "error": sentence}]


@pytest.mark.parametrize("size", [LONGEST_LINE, LONGEST_LINE + 1, 5 * LONGEST_LINE])
async def test_a_line_too_long_gets_a_sentence_and_the_next_one_its_answer(database, daemon, size):
    refused, answered = await said_to(database, b"x" * size + b"\n", b'{"command": "echo"}\n')

    said = "is longer than" if size > LONGEST_LINE else "is not a line of JSON"
    assert said in refused["error"]
    assert answered == {"ok": True, "result": {}}


async def test_a_client_that_goes_away_early_disturbs_nobody(database, daemon):
    for line in (b"", b'{"command": "ec', b'{"command": "echo"}\n' * 500):
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.connect(str(socket_path(database)))
            hasty.sendall(line)

    assert await asked(database, "echo") == {}


def test_without_a_daemon_the_client_says_how_to_start_one(database):
    with pytest.raises(ConfigError) as error:
        ask(database, "status")

    assert str(error.value) == (
        f"no daemon is running on {database}; start one with `ticklane run`."
    )


@pytest.mark.parametrize("leftover", [leave_a_dead_socket, Path.touch, Path.mkdir])
def test_what_a_dead_daemon_left_behind_is_no_daemon(database, leftover):
    leftover(socket_path(database))

    with pytest.raises(ConfigError, match="no daemon is running"):
        ask(database, "status")


def test_a_request_too_long_is_not_even_sent(database):
    with pytest.raises(ConfigError, match="the request echo is longer than 65536 bytes"):
        ask(database, "echo", text="x" * LONGEST_LINE)


async def test_a_daemon_that_is_held_up_is_told_from_one_that_is_gone(database):
    is_over = asyncio.Event()

    async with ControlSocket(database, {"status": is_over.wait}):
        with pytest.raises(TicklaneError, match=r"did not answer within 0\.05 s"):
            await asked(database, "status", timeout=0.05)


def test_a_socket_that_nobody_accepts_from_is_held_up_as_well(database):
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(socket_path(database)))
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(str(socket_path(database)))

        with pytest.raises(TicklaneError, match="did not answer within"):
            ask(database, "status", timeout=0.05)
        for client in waiting:
            client.close()


async def test_a_daemon_that_stops_meanwhile_says_so(database):
    has_begun, is_over = asyncio.Event(), asyncio.Event()

    async def wait():
        has_begun.set()
        await is_over.wait()

    async with ControlSocket(database, {"wait": wait}):
        question = asyncio.ensure_future(asked(database, "wait"))
        await has_begun.wait()

    with pytest.raises(TicklaneError, match="the daemon stopped before the command was done"):
        await question


# The place on disk


async def test_the_socket_is_beside_the_database_and_private(database, daemon):
    mode = (database.parent / "ticklane.db.sock").stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_the_socket_is_gone_after_close_which_may_come_twice(database):
    door = ControlSocket(database, COMMANDS)
    await door.close()
    await door.start()
    await door.close()
    await door.close()

    assert list(database.parent.iterdir()) == []


async def test_a_second_daemon_is_refused_and_the_first_goes_on(database, daemon):
    with pytest.raises(ConfigError, match=f"already running on {database}; stop it with"):
        await ControlSocket(database, COMMANDS).start()

    assert await asked(database, "echo") == {}


async def test_a_dead_socket_is_replaced(database):
    leave_a_dead_socket(socket_path(database))

    async with ControlSocket(database, COMMANDS):
        assert await asked(database, "echo") == {}


async def test_a_file_of_that_name_is_kept_and_named(database):
    socket_path(database).write_text("mine")

    with pytest.raises(ConfigError, match=r"cannot be made \(something else has this name\)"):
        await ControlSocket(database, COMMANDS).start()

    assert socket_path(database).read_text() == "mine"


async def test_a_directory_that_is_missing_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be made \(No such file or directory\)"):
        await ControlSocket(tmp_path / "missing" / "x.db", COMMANDS).start()


@pytest.fixture
def deep_database(tmp_path, monkeypatch):
    """A database whose path is longer than a socket's may be, and a place for temporary files."""
    place = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 5)
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        yield place / "ticklane.db"


async def test_a_path_too_long_for_a_socket_works_from_both_sides(deep_database):
    async with ControlSocket(deep_database, COMMANDS):
        home = Path(os.readlink(socket_path(deep_database))).parent

        assert await asked(deep_database, "echo", a=1) == {"a": 1}
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        with pytest.raises(ConfigError, match="already running"):
            await ControlSocket(deep_database, COMMANDS).start()

    assert not is_there(home)
    assert list(deep_database.parent.iterdir()) == []


async def test_a_dead_link_is_replaced_and_its_home_removed(deep_database):
    home = Path(tempfile.mkdtemp(prefix="ticklane-"))
    leave_a_dead_socket(home / "control.sock")
    socket_path(deep_database).symlink_to(home / "control.sock")
    with pytest.raises(ConfigError, match="no daemon is running"):
        ask(deep_database, "status")

    async with ControlSocket(deep_database, COMMANDS):
        assert await asked(deep_database, "echo") == {}

    assert not is_there(home)


async def test_a_link_to_somebody_elses_file_costs_the_link_only(deep_database, tmp_path):
    (tmp_path / "precious").write_text("mine")
    socket_path(deep_database).symlink_to(tmp_path / "precious")

    async with ControlSocket(deep_database, COMMANDS):
        assert await asked(deep_database, "echo") == {}

    assert (tmp_path / "precious").read_text() == "mine"


def test_the_client_needs_no_asyncio():
    code = "import sys, ticklane.app.control_socket; assert 'asyncio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
