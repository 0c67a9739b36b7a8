"""uvicorn's two protocols, which also hand their connection to the application: faults break it."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINE = "ticklane.line"  # where the connection stands in a scope


class HttpLine(HttpToolsProtocol):
    """HTTP, with the connection in the scope."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[LINE] = self.transport


class SocketLine(WebSocketsSansIOProtocol):
    """WebSocket, with the connection in the scope."""

    async def run_asgi(self) -> None:
        """A client has asked for a WebSocket."""
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[LINE] = self.transport
        await super().run_asgi()
