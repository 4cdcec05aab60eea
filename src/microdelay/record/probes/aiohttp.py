"""aiohttp's client, ≥ 3.10."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.describing.http import Items
from microdelay.record.events import now, state
from microdelay.record.families.http import Client, Pairs, answered, outermost_async, peers, requested, together
from microdelay.record.families.http_body import Body
from microdelay.record.families.http_pool import waited
from microdelay.record.families.setup import constructing
from microdelay.record.measure import Details, hide, timed_async
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import DNS

_SENT = "_microdelay_sent"
_BODY = "_microdelay_body"
_PEER = "_microdelay_peer"
"""What is kept on the protocol of a connection: it belongs to one request at a time."""


def install(aiohttp: ModuleType) -> None:
    """Time a request up to the answer's headers, the waits for its body, for a connection, and for a name."""
    client = Client(_describe, _headers)
    replace(aiohttp.ClientSession, "_request", lambda request: outermost_async(request, client, _body_of))
    replace(aiohttp.ClientSession, "__init__", constructing("aiohttp.ClientSession"))
    replace(aiohttp.client_reqrep.ClientRequest, "send", _send)
    replace(aiohttp.ClientResponse, "read", _read)
    replace(aiohttp.ClientResponse, "release", _done)
    replace(aiohttp.ClientResponse, "close", _done)
    replace(aiohttp.streams.StreamReader, "_wait", _wait)
    replace(aiohttp.streams.StreamReader, "_read_nowait_chunk", _taken)
    if hasattr(aiohttp.BaseConnector, "_wait_for_available_connection"):
        replace(aiohttp.BaseConnector, "_wait_for_available_connection", _wait_for_connection)
    else:
        replace(aiohttp.BaseConnector, "connect", _connect)
    replace(aiohttp.resolver.AsyncResolver, "resolve", lambda resolve: timed_async(resolve, DNS, "dns", _name))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    _, method, url = args[:3]
    if result is None:
        return requested("aiohttp", method, url)
    protocol = result._protocol
    known = protocol.__dict__ if protocol is not None else {}
    details = requested("aiohttp", method, result.request_info.url, known.pop(_SENT, None))
    answered(details, result.status)
    if protocol is None:
        return details
    peer = known.get(_PEER)
    if peer is None:
        peer, known[_PEER] = _connected(protocol)
    details["connection"] = peer
    body = known[_BODY] = Body(0)
    setattr(result, _BODY, body)  # asking for its `__dict__` would make one
    return details


def _headers(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pairs, Pairs]:
    headers = kwargs.get("headers")
    sent = list(headers.items()) if headers and hasattr(headers, "items") else ()
    if result is None:
        return sent, ()
    return sent, together(each._raw_headers or () for each in (*(result._history or ()), result))


def _connected(protocol: Any) -> tuple[Items, Items]:
    return peers(protocol.transport.get_extra_info("peername") if protocol.transport is not None else None)


def _body_of(response: Any) -> Body | None:
    body: Body | None = getattr(response, _BODY, None)
    return body


def _send(send: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what is sent, as it was made of the program's objects; not a coroutine function, to cost less than one."""

    def wrapper(self: Any, conn: Any) -> Any:
        try:
            sent = getattr(self.body, "_value", None)
            if sent is not None and state.on:
                conn.protocol.__dict__[_SENT] = sent
        except Exception as problem:
            stand_aside("aiohttp body", problem)
        return send(self, conn)

    return unnoticed(wrapper, send)


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any) -> Any:
        body = None if self._body is not None else getattr(self, _BODY, None)
        if body is None:
            try:
                return await read(self)
            except BaseException as error:
                hide(error)
                raise
        body.whole = True
        try:
            answer = await read(self)
        except BaseException as error:
            hide(error)
            body.given(None, type(error).__name__)
            raise
        body.given(answer)
        return answer

    return unnoticed(wrapper, read)


def _done(end: Callable[..., Any]) -> Callable[..., Any]:
    """Write what is known of a body that was read piece by piece, or was not read to its end."""

    def wrapper(self: Any) -> Any:
        body = getattr(self, _BODY, None)
        if body is not None and not body.whole:
            body.finish()
        return end(self)

    return unnoticed(wrapper, end)


def _wait(wait: Callable[..., Any]) -> Callable[..., Any]:
    """Time the waits for more of a body; what is there already is read without one."""

    async def wrapper(self: Any, *args: Any) -> None:
        body = getattr(self._protocol, _BODY, None)
        start = now()
        try:
            await wait(self, *args)
        except BaseException as error:
            hide(error)
            if body is not None:
                body.waited(start, now())
            raise
        if body is not None:
            body.waited(start, now())
            if self._eof and not body.whole and not self._buffer:
                body.finish()

    return unnoticed(wrapper, wait)


def _taken(read: Callable[..., Any]) -> Callable[..., Any]:
    """Look at the pieces of an answer that are read one by one."""

    def wrapper(self: Any, n: int) -> Any:
        data = read(self, n)
        body = getattr(self._protocol, _BODY, None)
        if body is not None and not body.whole:
            body.touched = True
            body.keep(data)
        return data

    return unnoticed(wrapper, read)


def _wait_for_connection(wait: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any, key: Any, *args: Any, **kwargs: Any) -> Any:
        start = now()
        try:
            result = await wait(self, key, *args, **kwargs)
        except BaseException as error:
            hide(error)
            waited(start, key.host, key.port, error)
            raise
        waited(start, key.host, key.port)
        return result

    return unnoticed(wrapper, wait)


class _Queued:
    """A trace as `TraceConfig` gives, by which aiohttp < 3.11 tells that it waits; to all else it does not listen."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.start = 0

    async def send_connection_queued_start(self) -> None:
        self.start = now()

    async def send_connection_queued_end(self) -> None:
        waited(self.start, self.key.host, self.key.port)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _ignored


async def _ignored(*args: Any, **kwargs: Any) -> None:
    return None


def _connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, req: Any, traces: Any, timeout: Any) -> Any:
        try:
            key = req.connection_key
            if state.on and (self._available_connections(key) <= 0 or key in self._waiters):
                traces = [*traces, _Queued(key)]
        except Exception as problem:
            stand_aside("aiohttp pool", problem)
        return connect(self, req, traces=traces, timeout=timeout)

    return unnoticed(wrapper, connect)


def _name(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(args[1])} if len(args) > 1 else {}
