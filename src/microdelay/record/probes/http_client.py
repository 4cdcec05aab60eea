"""`http.client`, and with it `urllib.request` and everything else that is built on it and has no probe of its own."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.activities import local
from microdelay.record.describing.http import Items
from microdelay.record.events import cpu_now, now, state
from microdelay.record.families.http import Client, Pairs, answered, finish, peers, requested, wire
from microdelay.record.families.http_body import Body
from microdelay.record.measure import Details, hide
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside


class _Request:
    """A request that is being made; one that an outer client library times as a whole has none."""

    __slots__ = ("body", "cpu_start", "headers", "method", "start", "url")

    def __init__(self, method: str, url: str) -> None:
        self.start, self.cpu_start = now(), cpu_now()
        self.method, self.url = method, url
        self.body: object = None
        self.headers: list[tuple[bytes, bytes]] = []

    def end(self, response: Any, body: Body | None, error: BaseException | None = None) -> None:
        """Record it."""
        end = now()
        cpu = self.cpu_start, cpu_now()
        finish(self.start, end, cpu, _CLIENT, response, (self,), {}, lambda _: body, error)


def install(client: ModuleType) -> None:
    """Time a request from its first line to the answer's headers, and the reading of a body that is waited for."""
    replace(client.HTTPConnection, "putrequest", _putrequest)
    replace(client.HTTPConnection, "endheaders", _endheaders)
    replace(client.HTTPConnection, "getresponse", _getresponse)
    replace(client.HTTPResponse, "read", _read)
    replace(client.HTTPResponse, "_safe_read", _safe_read)
    replace(client.HTTPResponse, "_close_conn", _close)


def _describe(response: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    begun: _Request = args[0]
    details = requested("http.client", begun.method, begun.url, begun.body)
    if response is not None:
        answered(details, response.status)
    return details


def _headers(response: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pairs, Pairs]:
    begun: _Request = args[0]
    return begun.headers, response.headers.items() if response is not None else ()


_CLIENT = Client(_describe, _headers)


def _putrequest(putrequest: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if state.on and not local.in_http:
            try:
                scheme = "https" if hasattr(self, "_context") else "http"
                full = url if "://" in url else f"{scheme}://{self.host}:{self.port}{url}"
                self._microdelay = _Request(method, full)
            except Exception as problem:
                stand_aside("http.client", problem)
        try:
            return putrequest(self, method, url, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, putrequest)


def _endheaders(endheaders: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, message_body: Any = None, **kwargs: Any) -> Any:
        begun = self.__dict__.get("_microdelay")
        if begun is not None and isinstance(message_body, (bytes, str)):
            begun.body = message_body
        if begun is not None:
            begun.headers = _sent_headers(self)
        try:
            return endheaders(self, message_body, **kwargs)
        except BaseException as error:
            hide(error)
            if self.__dict__.pop("_microdelay", None) is not None:
                begun.end(None, None, error)
            raise

    return unnoticed(wrapper, endheaders)


def _sent_headers(connection: Any) -> list[tuple[bytes, bytes]]:
    """Give the headers that are about to be sent, from the lines behind the request's own."""
    lines = (line.partition(b":") for line in getattr(connection, "_buffer", ())[1:])
    return [(name, value.strip()) for name, _, value in lines]


def _getresponse(getresponse: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = self.__dict__.pop("_microdelay", None)
        connection = self.__dict__.get("sock")
        try:
            response = getresponse(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            if "buffering" in kwargs:
                self._microdelay = begun  # urllib3 1.26 asks again without this argument of Python 2's
            elif begun is not None:
                begun.end(None, None, error)
            raise
        if begun is not None or local.in_http:
            try:
                body = wire.body = _ReadLater(response, now(), _connection(self, connection))
                if begun is not None:
                    begun.end(response, body)
            except Exception as problem:
                stand_aside("http.client", problem)
        return response

    return unnoticed(wrapper, getresponse)


def _connection(owner: Any, sock: Any) -> Items:
    """Tell a connection that this request opened from one that it found, by the socket."""
    known: tuple[Callable[[], Any], Items] | None = owner.__dict__.get("_microdelay_connection")
    if known is not None and known[0]() is sock:
        return known[1]
    new, reused = peers(sock.getpeername() if hasattr(sock, "getpeername") else None)
    try:
        owner._microdelay_connection = weakref.ref(sock), reused
    except TypeError:  # urllib3's pyOpenSSL sockets: nobody knows whether this one was there before
        return new[:-1]
    return new


class _ReadLater(Body):
    """The body of an answer of `http.client`, which the program reads after its request was made, if at all."""

    def __init__(self, response: Any, answered_ns: int, connection: Items) -> None:
        self.response = response
        self.connection = connection
        self.answered_ns = answered_ns

    def belongs_to(self, request: Details, begun_ns: int) -> None:
        """Tell the waits for it apart from others on the same socket; urllib3 reads past `HTTPResponse.read`."""
        super().belongs_to(request, begun_ns)
        response = self.response
        del self.response
        response._microdelay = self
        raw = getattr(getattr(response, "fp", None), "raw", None)
        if raw is not None and hasattr(raw, "__dict__"):
            raw._microdelay = self


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what is read at once as the answer."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        body = getattr(self, "_microdelay", None)  # asking `__dict__` would make one
        if body is None or local.in_http:
            try:
                return read(self, *args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        body.whole = whole = not (args or kwargs or self.isclosed())
        body.touched = body.touched or not whole
        try:
            answer = read(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            if whole:
                body.given(None, type(error).__name__)
            raise
        if whole:
            body.given(answer)
        elif not self.chunked:
            body.keep(answer)
        return answer

    return unnoticed(wrapper, read)


def _safe_read(read: Callable[..., Any]) -> Callable[..., Any]:
    """Look at the pieces of a chunked answer of a language model."""

    def wrapper(self: Any, size: int) -> Any:
        try:
            data = read(self, size)
        except BaseException as error:
            hide(error)
            raise
        body = getattr(self, "_microdelay", None)
        if body is not None and body.head is not None and data != b"\r\n":
            body.keep(data)
        return data

    return unnoticed(wrapper, read)


def _close(close: Callable[..., Any]) -> Callable[..., Any]:
    """Write what is known of a body that was read piece by piece, or was not read to its end."""

    def wrapper(self: Any) -> None:
        body = getattr(self, "_microdelay", None)
        if body is not None and not body.whole and not local.in_http:
            body.finish()
        close(self)

    return unnoticed(wrapper, close)
