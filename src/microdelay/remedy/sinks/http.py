"""Any HTTP service that takes a JSON array."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.sink import BusyError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

MAX_RETRY_AFTER_S: Final = 600.0
"""A service that asks for a longer pause is asked again after this one, s: a wrong header must not stop the log."""

MAX_REPLY_BYTES: Final = 65_536
"""Of an answer to a batch no more is read; a longer one costs the connection."""


class HttpSink:
    """POSTs a batch as a JSON array over one kept connection."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        # Imported here and not with the module: 30 ms that only this sink needs.
        import http.client

        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise RemedyError(f"the sink's URL is not valid ({error}): {url!r}") from None
        if not url.isascii() or any(each.isspace() for each in url):
            raise RemedyError(f"the sink's URL has characters that must be percent-encoded: {url!r}")
        classes = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        if parts.scheme not in classes or not parts.hostname:
            raise RemedyError(f"the sink must be an http:// or https:// URL or a function: {url!r}")
        if parts.username is not None:
            raise RemedyError(f"credentials go into headers=, not into the sink's URL: {parts.hostname!r}")
        self._connect: Callable[..., HTTPConnection] = classes[parts.scheme]
        self._host, self._port = parts.hostname, port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", **headers}
        self._connection: HTTPConnection | None = None

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """POST it; `batch_id` goes along as Idempotency-Key, the same at each attempt."""
        kept = self._connection is not None
        body = b"[" + b",".join(batch) + b"]"
        try:
            response = self._post(body, batch_id, timeout_s)
        except ConnectionError:
            if not kept:
                raise
            response = self._post(body, batch_id, timeout_s)  # the service had closed the idle connection
        _judge(response.status, response.reason, response.headers.get("Retry-After"))

    def forget(self) -> None:
        """Let go of the connection without a word on it: the parent still talks over it."""
        self._connection = None

    def _post(self, body: bytes, batch_id: str, timeout_s: float) -> HTTPResponse:
        connection = self._connection or self._connect(self._host, self._port)
        self._connection = None  # kept only if all goes well
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        try:
            connection.request("POST", self._target, body, {**self._headers, "Idempotency-Key": batch_id})
            response = connection.getresponse()
            response.read(MAX_REPLY_BYTES)
        except BaseException:
            connection.close()
            raise
        if response.isclosed():
            self._connection = connection
        else:
            connection.close()
        return response


def _judge(status: int, reason: str, retry_after: str | None) -> None:
    """Return if the batch was taken, raise otherwise."""
    if 200 <= status < 300:
        return
    message = f"the sink answered {status} {reason}"
    if status == 413:
        raise TooLargeError(message)
    if status in (408, 429) or status >= 500:
        raise BusyError(message, _pause_s(retry_after))
    raise RefusedError(message)


def _pause_s(retry_after: str | None) -> float:
    """Seconds that a Retry-After header asks for; 0 without one that makes sense."""
    if not retry_after:
        return 0.0
    try:
        pause = float(retry_after)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            pause = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(pause, 0.0), MAX_RETRY_AFTER_S)
