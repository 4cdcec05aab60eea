"""DNS look-ups and TCP connections of blocking sockets."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.activities import local
from microdelay.record.events import now
from microdelay.record.measure import Details, hide, timed
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import CONNECT, DNS


def install(socket: ModuleType) -> None:
    """Time `getaddrinfo`, `socket.connect`, and reads from sockets that http.client marked."""
    replace(socket, "getaddrinfo", lambda look_up: timed(look_up, DNS, "dns", _name))
    replace(socket.socket, "connect", _connect)
    replace(socket.SocketIO, "readinto", _readinto)


def _connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed(connect, CONNECT, "connect", _address)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A socket of an event loop returns at once; the loop's own probe times the connection.
        try:
            return (connect if self.gettimeout() == 0 else recorded)(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, connect)


def _readinto(readinto: Callable[..., Any]) -> Callable[..., Any]:
    """Time the arrival of an HTTP answer's body."""

    def wrapper(self: Any, buffer: Any) -> Any:
        body: Any = getattr(self, "_microdelay", None)
        is_timed = body is not None and not local.in_http
        start = now() if is_timed else 0
        try:
            return readinto(self, buffer)
        except BaseException as error:
            hide(error)
            raise
        finally:
            if is_timed:
                body.waited(start, now())

    return unnoticed(wrapper, readinto)


def _name(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    host = args[0] if args else kwargs.get("host")
    return {"server.address": host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")}


def _address(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    address = args[1] if len(args) > 1 else None
    if isinstance(address, tuple) and len(address) >= 2:
        return {"server.address": str(address[0]), "server.port": int(address[1])}
    return {"server.address": "unix"}
