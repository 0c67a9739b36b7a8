"""Messages of the data stream as bytes: msgpack with its own timestamps, or JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgpack  # type: ignore[import-untyped]

from ticklane.core.market import SECOND, Quote
from ticklane.testing.venue.data_rows import Row, bar_row, book_row, is_crypto, quote_row, trade_row
from ticklane.testing.venue.notices import cancellation_row, correction_row, status_row

_LETTER = {
    "bars": "b",
    "updatedBars": "u",
    "dailyBars": "d",
    "quotes": "q",
    "trades": "t",
    "orderbooks": "o",
    "statuses": "s",
    "corrections": "c",
    "cancelErrors": "x",
}
_ROW: dict[str, Callable[..., Row]] = {
    "quotes": quote_row,
    "trades": trade_row,
    "orderbooks": book_row,
    "statuses": status_row,
    "corrections": correction_row,
    "cancelErrors": cancellation_row,
}
_PER_FRAME = 500  # messages: far below the megabyte that clients take


class Msgpack:
    """What alpaca-py asks for with its content type."""

    is_binary = True

    @staticmethod
    def pack(channel: str, event: Any) -> bytes:
        """One message."""
        if channel == "quotes":
            found = _plain_quote(event)
            if found is not None:
                return found
        packed: bytes = msgpack.packb(_message(channel, event, _timestamp))
        return packed

    @staticmethod
    def frames(messages: list[bytes]) -> list[bytes]:
        """Messages as frames, each a list of them."""
        return [
            b"\xdc" + len(part).to_bytes(2, "big") + b"".join(part) for part in _parts(messages)
        ]

    @staticmethod
    def control(message: Row) -> bytes:
        """A frame of one message about the connection."""
        packed: bytes = msgpack.packb([message])
        return packed

    @staticmethod
    def read(data: Any) -> Any:
        """What a client says; raises ValueError."""
        try:
            return msgpack.unpackb(data) if isinstance(data, bytes) else json.loads(data)
        except (msgpack.UnpackException, RecursionError) as error:
            raise ValueError(str(error)) from None


class Json:
    """What other clients get: text."""

    is_binary = False

    @staticmethod
    def pack(channel: str, event: Any) -> bytes:
        """One message."""
        return json.dumps(_message(channel, event), separators=(",", ":")).encode()

    @staticmethod
    def frames(messages: list[bytes]) -> list[bytes]:
        """Messages as frames, each a list of them."""
        return [b"[" + b",".join(part) + b"]" for part in _parts(messages)]

    @staticmethod
    def control(message: Row) -> bytes:
        """A frame of one message about the connection."""
        return json.dumps([message], separators=(",", ":")).encode()

    read = staticmethod(json.loads)


Packing = type[Msgpack] | type[Json]


def _parts(messages: list[bytes]) -> Iterable[list[bytes]]:
    return (messages[row : row + _PER_FRAME] for row in range(0, len(messages), _PER_FRAME))


def _message(channel: str, event: Any, time: Callable[[int], Any] | None = None) -> Row:
    row = _ROW.get(channel, bar_row)
    said = row(event) if time is None else row(event, time)
    return {"T": _LETTER[channel], "S": event.symbol, **said}


def _timestamp(at_ns: int) -> Any:
    return msgpack.Timestamp(*divmod(at_ns, SECOND))


# A stock's quote is what there is most of, so it is not packed field by field: everything but the
# numbers is the same each time. About a fifth of the time of msgpack.packb.

_NUMBERS = struct.Struct(">Q9sd4sI9sd4sI9s")
_AX, _AS = b"\xa2ax\xa1V\xa2ap\xcb", b"\xa2as\xce"
_BX, _BS = b"\xa2bx\xa1V\xa2bp\xcb", b"\xa2bs\xce"
_REST = b"\xa1c\x91\xa1R\xa1z\xa1C"
_LARGEST = 2**32


def _plain_quote(quote: Quote) -> bytes | None:
    """A stock's quote with whole sizes; None for others."""
    _, at_ns, bid, ask, bid_size, ask_size = quote
    bids, asks = int(bid_size), int(ask_size)
    if bids != bid_size or asks != ask_size or not (0 <= bids < _LARGEST > asks >= 0):
        return None
    head = _head(quote.symbol)
    if head is None:
        return None
    seconds, rest = divmod(at_ns, SECOND)
    when = rest << 34 | seconds
    return head + _NUMBERS.pack(when, _AX, ask, _AS, asks, _BX, bid, _BS, bids, _REST)


@lru_cache(maxsize=100_000)
def _head(symbol: str) -> bytes | None:
    """The beginning of a stock's quotes, up to the eight bytes of its timestamp."""
    if is_crypto(symbol):
        return None
    name: bytes = msgpack.packb(symbol)
    return b"\x8b\xa1T\xa1q\xa1S" + name + b"\xa1t\xd7\xff"
