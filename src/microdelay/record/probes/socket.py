"""DNS look-ups and TCP connections of blocking sockets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import state
from microdelay.record.measure import Details, timed
from microdelay.record.patches import replace
from microdelay.spans import CONNECT, DNS


def install(socket: ModuleType) -> None:
    """Time `getaddrinfo` and `socket.connect`."""
    replace(socket, "getaddrinfo", lambda look_up: timed(look_up, DNS, "dns", _name))
    replace(socket.socket, "connect", _connect)


def _connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed(connect, CONNECT, "connect", _address)

    @functools.wraps(connect)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A socket of an event loop returns at once; the loop's own probe times the connection.
        if not state.on or self.gettimeout() == 0:
            return connect(self, *args, **kwargs)
        return recorded(self, *args, **kwargs)

    return wrapper


def _name(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    host = args[0] if args else kwargs.get("host")
    return {"server.address": host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")}


def _address(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    address = args[1] if len(args) > 1 else None
    if isinstance(address, tuple) and len(address) >= 2:
        return {"server.address": str(address[0]), "server.port": int(address[1])}
    return {"server.address": "unix"}
