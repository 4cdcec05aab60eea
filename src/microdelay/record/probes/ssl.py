"""TLS handshakes of blocking sockets."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.measure import Details, hide, timed
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import TLS


def install(ssl: ModuleType) -> None:
    """Time `SSLSocket.do_handshake`."""
    replace(ssl.SSLSocket, "do_handshake", _handshake)


def _handshake(handshake: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed(handshake, TLS, "tls", _server)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return (handshake if self.gettimeout() == 0 else recorded)(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, handshake)


def _server(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(getattr(args[0], "server_hostname", "") or "")}
