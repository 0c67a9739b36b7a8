"""Requests for market data: in threads, with time-outs, a rate budget and repeated reads."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ticklane.clock import SystemClock
from ticklane.core.errors import BrokerError, DataError
from ticklane.core.market import SECOND
from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.probe import why_unanswered
from ticklane.interfaces import Clock

if TYPE_CHECKING:
    from requests import Response

Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[Any]]
_log = logging.getLogger("ticklane.data")
_ATTEMPTS = 5
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
_LONGEST_RESET = 90.0  # no header makes us wait longer
_TIME_LIMITS = (5.0, 15.0)  # connect, read
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_THREADS = 4


class DataRequests:
    """GETs of one of alpaca-py's historical clients, one page a call.

    alpaca-py blocks, has no time-out, and sleeps in its own retries: so it runs in threads (at most
    four at once), its session gets a time-out, its retries are off, and reads are repeated here.
    """

    def __init__(
        self,
        account: AlpacaAccount,
        kind: str,
        *,
        clock: Clock | None = None,
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._account, self._kind = account, kind
        self._clock, self._sleep, self._chance = clock or SystemClock(), sleep, chance
        self._seats = asyncio.Semaphore(_THREADS)
        self._client: Any = None
        self._remaining, self._reset_ns = 1, 0

    async def get(self, path: str, parameters: Json) -> Json:
        """One answer; raises BrokerError or DataError with one sentence."""
        given = {name: value for name, value in parameters.items() if value is not None}
        for attempt in range(1, _ATTEMPTS + 1):
            await self._await_budget()
            try:
                return await self._once(path, given)
            except Exception as error:
                if attempt == _ATTEMPTS or not _is_passing(error):
                    raise _in_words(error, self._account) from None
                wait = self._wait_after(error, attempt)
                _log.info("Alpaca's data: %s; again in %.1f s", _short(error), wait)
                await self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def now_ns(self) -> int:
        """What time it is for whoever asks for the last so many days."""
        return self._clock.now_ns()

    async def close(self) -> None:
        """Let connections go; what is under way is not waited for."""
        if self._client is not None:
            self._client._session.close()
            self._client = None

    async def _once(self, path: str, parameters: Json) -> Json:
        if self._client is None:
            self._client = _make_client(self._account, self._kind, self._note)
        async with self._seats:
            answer = await _in_thread(lambda: self._client.get(path, parameters), self._kind)
        if not isinstance(answer, dict):
            raise ValueError("an answer without a body")
        return answer

    def _note(self, response: Response, *_: Any, **__: Any) -> None:
        """Read the rate budget, which stands in every answer; called in a thread."""
        headers = response.headers
        try:
            self._remaining = int(headers["X-RateLimit-Remaining"])
            self._reset_ns = int(headers["X-RateLimit-Reset"]) * SECOND
        except (KeyError, ValueError):
            self._remaining = 1

    async def _await_budget(self) -> None:
        if self._remaining <= 0:
            wait = self._until_reset()
            self._remaining = 1
            if wait > 0:
                await self._sleep(wait)

    def _until_reset(self) -> float:
        seconds = (self._reset_ns - self._clock.now_ns()) / SECOND
        return min(max(seconds, 0.0), _LONGEST_RESET)

    def _wait_after(self, error: Exception, attempt: int) -> float:
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (attempt - 1))
        wait: float = longest * (0.5 + self._chance() / 2)
        if _status(error) == 429:
            return max(wait, self._until_reset() + self._chance())
        return wait


async def _in_thread(call: Callable[[], Any], name: str) -> Any:
    """Run a blocking call in a thread that nobody waits for when the process ends.

    The threads of an executor are waited for, so that a server that hangs would hold Ctrl-C up.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.done():  # the caller is gone
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def work() -> None:
        value, failed = None, None
        try:
            value = call()
        except BaseException as error:
            failed = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, value, failed)

    threading.Thread(target=work, name=f"ticklane-{name}", daemon=True).start()
    return await done


def _make_client(account: AlpacaAccount, kind: str, note: Callable[..., None]) -> Any:
    from requests.adapters import HTTPAdapter

    class TimeLimited(HTTPAdapter):
        def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
            options["timeout"] = options.get("timeout") or _TIME_LIMITS
            return super().send(request, **options)

    with warnings.catch_warnings():
        # alpaca-py 0.44 imports websockets.legacy, which websockets calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
    make = StockHistoricalDataClient if kind == "stocks" else CryptoHistoricalDataClient
    client: Any = make(
        account.key.reveal(),
        account.secret.reveal(),
        raw_data=True,
        url_override=account.data_url,
    )
    client._retry, client._retry_codes = 0, []  # the constructor takes 0 and [] for "not given"
    for scheme in ("https://", "http://"):
        client._session.mount(scheme, TimeLimited(pool_maxsize=_THREADS))
    client._session.hooks["response"].append(note)
    return client


def _status(error: Exception) -> int | None:
    """The HTTP status of alpaca-py's APIError."""
    status: int | None = getattr(error, "status_code", None)
    return status


def _is_passing(error: Exception) -> bool:
    """Whether the same request may do better later."""
    from requests.exceptions import RequestException

    if isinstance(error, RequestException | ValueError):  # half a body is no JSON
        return True
    return _status(error) in _AGAIN


def _short(error: Exception) -> str:
    from requests.exceptions import RequestException

    if isinstance(error, RequestException):
        return why_unanswered(error)
    status = _status(error)
    return f"status {status}" if status is not None else type(error).__name__


def _message(error: Exception) -> str:
    """What Alpaca says, without the braces."""
    try:
        said = json.loads(str(error))["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(str(said).split()).rstrip(".")[:200]


def _in_words(error: Exception, account: AlpacaAccount) -> BrokerError | DataError:
    """One sentence a user can act on; no keys and no address with a query in it."""
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import RequestException, Timeout

    host = account.data_url.partition("://")[2]
    if isinstance(error, Timeout):
        return BrokerError(f"{host} did not answer in time; check the network, or try later.")
    if isinstance(error, NoConnection):
        return BrokerError(f"{host} cannot be reached; check the network and ALPACA_DATA_URL.")
    if isinstance(error, RequestException | ValueError):
        return BrokerError(f"{host} gave an answer that cannot be read; try later.")
    status, said = _status(error), _message(error)
    if status is None:
        raise error
    if "subscription" in said.lower():
        return BrokerError(
            "this account has no subscription for these SIP prices of Alpaca (without one they "
            'are free when older than 15 minutes); take data_feed = "iex", or an earlier end.'
        )
    if status in (401, 403):
        return BrokerError(
            f"Alpaca refused the keys (status {status}); check ALPACA_API_KEY and "
            "ALPACA_API_SECRET."
        )
    if status in (400, 404, 422):
        return DataError(f"Alpaca refused the request: {said or f'status {status}'}.")
    if status == 429:
        return BrokerError("Alpaca's limit of requests a minute is used up; try in a minute.")
    return BrokerError(f"{host} is in trouble (status {status}); try later.")
