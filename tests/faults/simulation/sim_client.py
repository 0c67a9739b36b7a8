"""Requests by the real client of alpaca-py over wires that are simulated.

The client is synchronous. It runs in a greenlet (SQLAlchemy's own way), so that the simulation
goes on in the same thread while the client waits for its answer.
"""

from __future__ import annotations

import json
from functools import cache
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from sqlalchemy.util import await_only, greenlet_spawn

from ticklane.integrations.alpaca.account import AlpacaAccount
from ticklane.integrations.alpaca.client import ask, make_client

ACCOUNT = AlpacaAccount(key="PKSIMULATED", secret="simulated", url="http://127.0.0.1:9")


class _Wires(BaseAdapter):
    """What a session sends goes to `carry`, and comes back as a response or an error."""

    carry = None

    def send(self, request, **_):
        path = urlsplit(request.url)
        data = dict(parse_qsl(path.query)) if request.method == "GET" else None
        if request.body:
            data = json.loads(request.body)
        outcome = await_only(self.carry(request.method, path.path.removeprefix("/v2"), data))
        if outcome.status is None:
            raise getattr(requests.exceptions, outcome.error)(outcome.error, request=request)
        return _response(request, outcome)

    def close(self):
        pass


def _response(request, outcome):
    made = requests.Response()
    made.status_code, made._content = outcome.status, outcome.body
    made.headers, made.url, made.request = (
        CaseInsensitiveDict(outcome.headers),
        request.url,
        request,
    )
    made.encoding = "utf-8"
    return made


@cache
def _idle():
    """Clients that nobody uses: each request under way has one to itself, as a thread has."""
    return []


async def ask_by_client(carry, verb, path, data):
    """One request by the real client; a Reply, whatever happens."""
    client = _idle().pop() if _idle() else make_client(ACCOUNT)
    wires = _Wires()
    wires.carry = carry
    for scheme in ("https://", "http://"):
        client._session.mount(scheme, wires)
    try:
        return await greenlet_spawn(ask, client, verb, path, data)
    finally:
        _idle().append(client)
