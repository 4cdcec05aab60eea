"""anyio's TLS, which httpx's async client stands on: the handshake is its own, not the event loop's."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.measure import Details, timed_async
from microdelay.record.patches import replace
from microdelay.spans import TLS


def install(tls: ModuleType) -> None:
    """Time `TLSStream.wrap`."""
    replace(tls.TLSStream, "wrap", _wrapped)


def _wrapped(wrap: Callable[..., Any]) -> Any:
    return classmethod(timed_async(wrap.__func__, TLS, "tls", _server))  # type: ignore[attr-defined]


def _server(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(kwargs.get("hostname") or "")}
