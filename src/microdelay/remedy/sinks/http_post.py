"""POST over a kept connection: what all sinks that speak HTTP share."""

from __future__ import annotations

import codecs
import http.client
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection
from time import monotonic
from typing import Final, TypedDict
from urllib.parse import SplitResult, unquote, urlsplit

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.compression import Compression, compressor
from microdelay.remedy.sinks.http_answer import Answer
from microdelay.remedy.sinks.http_deadline import TimedResponse

MAX_REPLY_BYTES: Final = 4 * 1024 * 1024
"""Of an answer to a batch no more is read; a longer one costs the connection. Bulk services answer for each record."""


# Python imports it for the first connection: a process that forks in that moment has a child whose import never ends.
codecs.lookup("idna")


class HttpOptions(TypedDict, total=False):
    """Options of every sink that speaks HTTP.

    `headers` go with each request. `auth` is a user's name and password, or a token that goes as `Bearer`.
    `compression` is of bodies, and the service must understand it. `proxy` is the http:// URL of one, which may have
    credentials; environment variables are not looked at. `tls` says whom to trust and who one is.
    """

    headers: Mapping[str, str] | None
    auth: tuple[str, str] | str | None
    compression: Compression | None
    proxy: str | None
    tls: ssl.SSLContext | None


class _OfThread(threading.local):
    """What two threads cannot use at once."""

    def __init__(self, compression: Compression | None) -> None:
        self.compress = compressor(compression)
        self.kept: HTTPConnection | None = None


class HttpPost:
    """POSTs bodies to one URL, over a connection that is kept for each thread."""

    def __init__(
        self,
        url: str,
        default_path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | str | None = None,
        compression: Compression | None = None,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = _checked(url, "the sink's URL")
        if parts.username is not None:
            raise RemedyError(
                f"credentials go into headers= or auth=, not into the sink's URL: {parts.hostname or ''!r}"
            )
        path = default_path if parts.path in ("", "/") else parts.path
        self._parts = parts
        self._target = path + (f"?{parts.query}" if parts.query else "")
        self._headers = {**_authorization(auth), **(headers or {})}
        if compression:
            self._headers["Content-Encoding"] = compression
        for name, value in self._headers.items():
            _check_header(name, value)
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._proxy = _checked(proxy, "proxy", ("http",)) if proxy else None
        self._compression = compression
        self._own = _OfThread(compression)

    def post(self, body: bytes, timeout_s: float, headers: Mapping[str, str]) -> Answer:
        """POST it and read the answer, in at most about `timeout_s` seconds (a name's look-up has its own time)."""
        own = self._own
        if own.compress is not None:
            body = own.compress(body)
        deadline = monotonic() + timeout_s
        kept, own.kept = own.kept, None  # kept again only if all goes well
        if kept is None:
            return self._exchange(self._connect(), body, deadline, headers)
        try:
            return self._exchange(kept, body, deadline, headers)
        except ConnectionError:  # the service had closed the idle connection
            return self._exchange(self._connect(), body, deadline, headers)

    def forget(self) -> None:
        """Let go of the connection without a word on it: the parent still talks over it."""
        self._own = _OfThread(self._compression)

    def _exchange(self, connection: HTTPConnection, body: bytes, deadline: float, headers: Mapping[str, str]) -> Answer:
        connection.timeout = max(deadline - monotonic(), 0.001)
        connection.response_class = partial(TimedResponse, deadline)  # type: ignore[assignment]
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(max(deadline - monotonic(), 0.001))
            with suppress(BrokenPipeError, ConnectionResetError):  # a service may answer before it has read all: 413
                connection.request("POST", self._target, body, {**self._headers, **headers})
            response = connection.getresponse()
            reply = response.read(MAX_REPLY_BYTES)
            if response.length and len(reply) < MAX_REPLY_BYTES:
                raise ConnectionError(f"the sink's answer broke off, {response.length} bytes before its end")
        except BaseException:
            connection.close()
            raise
        if response.isclosed():
            self._own.kept = connection
        else:
            connection.close()
        return Answer(response.status, response.reason, response.headers.get("Retry-After"), reply)

    def _connect(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._proxy is None:
            return self._open(host, port)
        connection = self._open(self._proxy.hostname or "", self._proxy.port or 8080)
        user = self._proxy.username
        credentials = _authorization((unquote(user), unquote(self._proxy.password or "")) if user is not None else None)
        connection.set_tunnel(host, port, {f"Proxy-{name}": value for name, value in credentials.items()})
        return connection

    def _open(self, host: str, port: int | None) -> HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, context=self._tls)
        return HTTPConnection(host, port)


def _checked(url: str, what: str, schemes: tuple[str, ...] = ("http", "https")) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise RemedyError(f"{what} is not valid ({error}): {url!r}") from None
    if not url.isascii() or any(each.isspace() for each in url):
        raise RemedyError(f"{what} has characters that must be percent-encoded: {url!r}")
    if parts.scheme not in schemes or not parts.hostname:
        raise RemedyError(f"{what} must start with {' or '.join(f'{each}://' for each in schemes)}: {url!r}")
    return parts


def _authorization(auth: tuple[str, str] | str | None) -> dict[str, str]:
    if auth is None:
        return {}
    if isinstance(auth, str):
        return {"Authorization": f"Bearer {auth}"}
    return {"Authorization": "Basic " + b64encode(":".join(auth).encode()).decode()}


def _check_header(name: str, value: str) -> None:
    """Raise `RemedyError` for what http.client would refuse at each request; the value may be a secret."""
    if not isinstance(value, str) or not value.isprintable() or not value.isascii():
        raise RemedyError(f"the header {name!r} must be printable ASCII text")
