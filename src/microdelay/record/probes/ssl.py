"""TLS handshakes of blocking sockets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import state
from microdelay.record.measure import Details, timed
from microdelay.record.patches import replace
from microdelay.spans import TLS


def install(ssl: ModuleType) -> None:
    """Time `SSLSocket.do_handshake`."""
    replace(ssl.SSLSocket, "do_handshake", _handshake)


def _handshake(handshake: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed(handshake, TLS, "tls", _server)

    @functools.wraps(handshake)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not state.on or self.gettimeout() == 0:
            return handshake(self, *args, **kwargs)
        return recorded(self, *args, **kwargs)

    return wrapper


def _server(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(getattr(args[0], "server_hostname", "") or "")}
