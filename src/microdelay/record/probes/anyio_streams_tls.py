"""anyio's TLS, which httpx's async client stands on: the handshake is its own, not the event loop's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.measure import Details, timed_async
from microdelay.record.patches import of_class, replace
from microdelay.spans import TLS


def install(tls: ModuleType) -> None:
    """Time `TLSStream.wrap`."""
    replace(tls.TLSStream, "wrap", of_class(lambda wrap: timed_async(wrap, TLS, "tls", _server)))


def _server(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(kwargs.get("hostname") or "")}
