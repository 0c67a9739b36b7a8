"""Requests: the real alpaca-py client, off the event loop, with time-outs and without retries."""

from __future__ import annotations

import asyncio
import json
import threading
import warnings
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import requests
from requests.adapters import HTTPAdapter

from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.probe import why_unanswered

if TYPE_CHECKING:
    from alpaca.trading.client import TradingClient

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
AT_MOST_SECONDS: Final = 20.0  # for a whole request: a read time-out begins anew with each byte
_WRITERS, _READERS = 6, 4  # orders have threads of their own, so no slow read holds them up
_NO_HEADERS: Mapping[str, str] = {}


class Reply(NamedTuple):
    """What came back: a status with a body, or, with status None, nothing that can be trusted."""

    status: int | None
    body: Any = None
    headers: Mapping[str, str] = _NO_HEADERS
    error: str = ""  # why there is no status, without address and keys

    @property
    def is_ok(self) -> bool:
        """True for a whole answer that says yes."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def code(self) -> int | None:
        """The venue's own error code: only its own refusals have one."""
        code = self.body.get("code") if isinstance(self.body, Mapping) else None
        return code if isinstance(code, int) and not isinstance(code, bool) else None

    @property
    def message(self) -> str:
        """The venue's words, or what went wrong."""
        said = self.body.get("message") if isinstance(self.body, Mapping) else None
        return str(said) if said else self.error or f"status {self.status}"


class Requests(Protocol):
    """How a request reaches the venue; a simulation of faults brings its own."""

    async def send(self, verb: str, path: str, data: Mapping[str, Any] | None = None) -> Reply:
        """Send one request, once, and wait for what comes back; never raises for a bad answer."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...


class _Session(requests.Session):
    """A session with time-outs that remembers, for each thread, its last response."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.local()

    def request(self, *args: Any, **named: Any) -> requests.Response:
        self.seen.response = None
        named.setdefault("timeout", (CONNECT_SECONDS, READ_SECONDS))
        self.seen.response = response = super().request(*args, **named)
        return response


def make_client(account: AlpacaAccount) -> TradingClient:
    """alpaca-py's client with time-outs, and with its own retries (also of POST) switched off."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="websockets.legacy is deprecated")
        from alpaca.trading.client import TradingClient

    client = TradingClient(
        account.key.reveal(),
        account.secret.reveal(),
        paper=account.mode == "paper",
        raw_data=True,
        url_override=account.url,
    )
    client._retry, client._retry_codes = 0, []  # 0 and [] as arguments give the defaults back
    session = _Session()
    session.trust_env = not account.is_local  # a proxy has no business between us and ourselves
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_WRITERS + _READERS))
    client._session = session
    return client


def ask(client: TradingClient, verb: str, path: str, data: Mapping[str, Any] | None) -> Reply:
    """One request by the client, in this thread; whatever happens becomes a Reply."""
    from alpaca.common.exceptions import APIError

    call: Callable[..., Any] = getattr(client, verb.lower())
    try:
        body = call(path, dict(data) if data is not None else None)
    except APIError:
        return _reply(client._session, lambda response: _read(response.text))
    except requests.RequestException as error:
        return Reply(None, error=why_unanswered(error))
    except ValueError:
        return Reply(None, error="the answer was cut off or is no JSON")
    return _reply(client._session, lambda _: body)


def _reply(session: Any, body: Callable[[requests.Response], Any]) -> Reply:
    response: requests.Response = session.seen.response
    return Reply(response.status_code, body(response), response.headers)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Threads:
    """A few daemon threads: a request that hangs must not keep the process from ending."""

    def __init__(self, count: int, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._count, self._name = count, name
        self._threads: list[threading.Thread] = []

    async def run(self, call: Callable[[], Any]) -> Any:
        """Run it in one of the threads and wait for the result."""
        if not self._threads:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((loop, future, call))
        return await future

    def close(self) -> None:
        """No more jobs; a thread that hangs ends with its request."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads = []

    def _start(self) -> None:
        for number in range(self._count):
            named = f"{self._name}-{number}"
            self._threads.append(threading.Thread(target=self._work, name=named, daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, call = job
            result = call()
            try:
                loop.call_soon_threadsafe(_settle, future, result)
            except RuntimeError:  # the loop has ended meanwhile: nobody waits any more
                return


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


class PooledRequests:
    """Requests of the real client in threads, orders apart from reads."""

    def __init__(self, account: AlpacaAccount) -> None:
        self._client = make_client(account)
        self._writers, self._readers = Threads(_WRITERS, "orders"), Threads(_READERS, "reads")

    async def send(self, verb: str, path: str, data: Mapping[str, Any] | None = None) -> Reply:
        """See Requests.send."""
        threads = self._readers if verb == "GET" else self._writers
        try:
            async with asyncio.timeout(AT_MOST_SECONDS):
                reply: Reply = await threads.run(lambda: ask(self._client, verb, path, data))
        except TimeoutError:
            return Reply(None, error=f"no answer within {AT_MOST_SECONDS:g} s")
        return reply

    def close(self) -> None:
        """See Requests.close."""
        self._writers.close()
        self._readers.close()
        self._client._session.close()


class LateRequests:
    """Requests that are made when the first one is sent: alpaca-py takes a second to import."""

    def __init__(self, make: Callable[[], Requests]) -> None:
        self._make = make

    async def send(self, verb: str, path: str, data: Mapping[str, Any] | None = None) -> Reply:
        """See Requests.send."""
        return await self._make().send(verb, path, data)

    def close(self) -> None:
        """See Requests.close."""
        self._make().close()
