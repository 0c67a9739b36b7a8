"""The door to a running daemon: a Unix socket beside its database, one line of JSON each way.

A request is `{"command": "status", ...arguments}`, the answer `{"ok": true, "result": ...}` or
`{"ok": false, "error": "one sentence"}`. The client needs neither asyncio nor the daemon's modules.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticklane.core.errors import ConfigError, TicklaneError

if TYPE_CHECKING:
    import asyncio

Command = Callable[..., Awaitable[Any]]

LONGEST_LINE = 64 * 1024
_LONGEST_ANSWER = 64 * 1024 * 1024
_LONGEST_PATH = 103  # bytes a socket's address may hold on BSD and macOS; Linux knows 107
_PROBE_SECONDS = 1.0
_HOME = "ticklane-"


class NoDaemon(ConfigError):
    """There is no daemon to ask."""


def socket_path(database: Path | str) -> Path:
    """Where the socket of a database is found: beside it, its name and `.sock`.

    Where that is longer than a socket's address may be, it is a symbolic link to a socket in a
    private directory among the temporary files.
    """
    path = Path(database).resolve()
    return path.with_name(path.name + ".sock")


class ControlSocket:
    """The daemon's side: answers each request by the command of that name.

    `async with ControlSocket(database, commands):`; the arguments of a request become keyword
    arguments of the command. A TicklaneError becomes the answer's error; any other exception is
    answered, too, and goes to the event loop's exception handler, never into the daemon. Two
    daemons that start at once are kept apart by the database's lock, which comes first.
    """

    def __init__(self, database: Path | str, commands: Mapping[str, Command]) -> None:
        self._path = socket_path(database)
        self._database = database
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to answer; raises ConfigError when another daemon does, or nobody can here."""
        import asyncio

        listening = _listen(self._path, self._database)
        self._server = await asyncio.start_unix_server(
            self._welcome, sock=listening, limit=LONGEST_LINE
        )

    async def close(self) -> None:
        """Stop answering, let go of everybody, and remove the socket."""
        import asyncio

        if self._server is None:
            return
        self._server.close()
        self._server = None
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        with contextlib.suppress(OSError):  # the next start removes it as well
            _remove(self._path)

    async def __aenter__(self) -> ControlSocket:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncio

        conversation = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._farewell)

    def _farewell(self, conversation: asyncio.Task[None]) -> None:
        self._conversations.discard(conversation)
        fault = None if conversation.cancelled() else conversation.exception()
        if fault is not None:
            conversation.get_loop().call_exception_handler(
                {"message": "a command of the control socket failed", "exception": fault}
            )

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):  # the client went away: nobody to tell
                while await self._answer_next(reader, writer):
                    await writer.drain()
        finally:
            writer.close()

    async def _answer_next(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        import asyncio

        line = await _read_line(reader)
        if line is not None and not line.strip():
            return line != b""  # an empty line is nothing, no line is the end
        answer = _error("the command failed inside the daemon; see its log.")
        try:
            answer = await self._answer(line)
        except asyncio.CancelledError:
            answer = _error("the daemon stopped before the command was done.")
            raise
        finally:
            writer.write(answer)
        return True

    async def _answer(self, line: bytes | None) -> bytes:
        if line is None:
            return _error(f"the request is longer than {LONGEST_LINE} bytes.")
        try:
            name, arguments = _read_request(line)
            command = self._command(name, arguments)
            return _line({"ok": True, "result": await command(**arguments)})
        except TicklaneError as error:
            return _error(str(error))

    def _command(self, name: str, arguments: dict[str, Any]) -> Command:
        command = self._commands.get(name)
        if command is None:
            known = ", ".join(self._commands)
            raise ConfigError(f"command is {name!r}, but the daemon knows {known}.")
        try:
            signature(command).bind(**arguments)
        except TypeError as error:
            raise ConfigError(f"command {name} cannot be used so: {error}.") from None
        return command


async def _read_line(reader: asyncio.StreamReader) -> bytes | None:
    """The next line, None for one too long (read to its end, so that the next is found)."""
    import asyncio

    is_too_long = False
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            line = end.partial
        except asyncio.LimitOverrunError as over:
            await reader.readexactly(over.consumed)
            is_too_long = True
            continue
        return None if is_too_long else line


def ask(database: Path | str, command: str, /, timeout: float = 5.0, **arguments: Any) -> Any:
    """Ask the daemon that runs on a database; returns the result of the command.

    Blocks for `timeout` seconds at most. Raises ConfigError when no daemon runs there or it is
    another user's, TicklaneError with the daemon's own sentence when it refuses.
    """
    request = _line({"command": command, **arguments})
    if len(request) > LONGEST_LINE:
        raise ConfigError(f"the request {command} is longer than {LONGEST_LINE} bytes.")
    try:
        answer = json.loads(_exchange(database, request, time.monotonic() + timeout))
    except (TimeoutError, BlockingIOError):  # the latter: its queue of clients is full
        raise TicklaneError(
            f"the daemon on {database} did not answer within {timeout:g} s; "
            "a strategy may be holding it up, see its log."
        ) from None
    except (ValueError, ConnectionError):
        raise TicklaneError(
            f"the daemon on {database} went away before it answered; see its log."
        ) from None
    if not answer["ok"]:
        raise TicklaneError(answer["error"])
    return answer["result"]


def _exchange(database: Path | str, request: bytes, deadline: float) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            connection.connect(_address(socket_path(database)))
        except PermissionError:
            raise ConfigError(
                f"the daemon on {database} belongs to another user; ask it as that user."
            ) from None
        except (TimeoutError, BlockingIOError):
            raise
        except OSError:
            raise NoDaemon(
                f"no daemon is running on {database}; start one with `ticklane run`."
            ) from None
        connection.sendall(request)
        return _receive(connection, deadline)


def _receive(connection: socket.socket, deadline: float) -> bytes:
    parts, size = [], 0
    while size < _LONGEST_ANSWER:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(65536)
        parts.append(part)
        size += len(part)
        if not part or part.endswith(b"\n"):
            break
    return b"".join(parts)


# The place on disk


def _address(path: Path) -> str:
    """What to connect to: the path, or what its link says where the path is too long."""
    return str(path) if _fits(path) else os.readlink(path)


def _fits(path: Path | str) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_PATH


def _listen(path: Path, database: Path | str) -> socket.socket:
    if _is_answered(path):
        raise ConfigError(
            f"a daemon is already running on {database}; stop it with `ticklane stop`."
        )
    try:
        _remove(path)
        return _bind(path) if _fits(path) else _bind_elsewhere(path)
    except OSError as error:
        raise ConfigError(
            f"the control socket {path} cannot be made ({error.strerror or error}); "
            "choose another place for the database."
        ) from None


def _bind_elsewhere(path: Path) -> socket.socket:
    home = Path(tempfile.mkdtemp(prefix=_HOME))  # its mode is 0700
    try:
        listening = _bind(home / "control.sock")
    except OSError:
        home.rmdir()
        raise
    path.symlink_to(home / "control.sock")
    return listening


def _bind(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # so that it is private from its first instant
    try:
        listening.bind(str(path))
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    listening.listen()
    return listening


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(_address(path))
        except (TimeoutError, PermissionError, BlockingIOError):
            return True  # somebody is there: too busy, or somebody else's
        except OSError:
            return False
        return True


def _remove(path: Path) -> None:
    """Remove a socket that nobody answers, or the link to it and its home; nothing else."""
    if path.is_symlink():
        target = Path(os.readlink(path))
        if target.parent.name.startswith(_HOME):
            _remove(target)
            with contextlib.suppress(OSError):  # gone, or not empty and so not ours
                target.parent.rmdir()
        path.unlink(missing_ok=True)
    elif path.is_socket():
        path.unlink(missing_ok=True)
    elif path.exists():
        raise OSError("something else has this name")


# The language


def _read_request(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError("the request is not a line of JSON in UTF-8.") from None
    if not isinstance(request, dict) or not isinstance(request.get("command"), str):
        raise ConfigError('the request has no command; write {"command": "status"}.')
    return request.pop("command"), request


def _error(sentence: str) -> bytes:
    return _line({"ok": False, "error": sentence})


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(_plain(message), allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    """JSON values: instants in ISO 8601, money as text, undefined numbers as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, Iterable) else str(value)
