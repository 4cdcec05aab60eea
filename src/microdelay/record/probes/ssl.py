"""TLS handshakes of blocking sockets, and the making of TLS contexts."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families.setup import constructing
from microdelay.record.measure import Details, hide, timed
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import TLS


def install(ssl: ModuleType) -> None:
    """Time `SSLSocket.do_handshake`, and what reads certificates: 10 to 60 ms of processor time each time."""
    replace(ssl.SSLSocket, "do_handshake", _handshake)
    replace(ssl, "create_default_context", constructing("ssl.create_default_context"))
    for name in ("load_verify_locations", "load_default_certs", "set_default_verify_paths"):
        replace(ssl.SSLContext, name, constructing(f"SSLContext.{name}", reads_certificates=True))


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
