"""`http.client`, and with it `urllib.request` and everything else that is built on it and has no probe of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.activities import local
from microdelay.record.events import cpu_now, now, state
from microdelay.record.http import answered, requested
from microdelay.record.measure import record
from microdelay.record.patches import replace
from microdelay.spans import HTTP

BODY_FLOOR_NS = 100_000
"""A body that is there already is copied in less."""


def install(client: ModuleType) -> None:
    """Time a request from its first line to the answer's headers, and the reading of a body that is waited for."""
    replace(client.HTTPConnection, "putrequest", _putrequest)
    replace(client.HTTPConnection, "endheaders", _endheaders)
    replace(client.HTTPConnection, "getresponse", _getresponse)
    replace(client.HTTPResponse, "read", _read)


def _putrequest(putrequest: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(putrequest)
    def wrapper(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if state.on and not local.in_http:
            scheme = "https" if type(self).__name__.startswith("HTTPS") else "http"
            full = url if "://" in url else f"{scheme}://{self.host}:{self.port}{url}"
            self._microdelay = (now(), cpu_now(), requested("http.client", method, full))
        return putrequest(self, method, url, *args, **kwargs)

    return wrapper


def _endheaders(endheaders: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(endheaders)
    def wrapper(self: Any, message_body: Any = None, **kwargs: Any) -> Any:
        begun = getattr(self, "_microdelay", None)
        if begun is not None and isinstance(message_body, (bytes, str)):
            begun[2].update(requested("http.client", begun[2]["method"], begun[2]["url"], message_body))
        return endheaders(self, message_body, **kwargs)

    return wrapper


def _getresponse(getresponse: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(getresponse)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = self.__dict__.pop("_microdelay", None)
        if begun is None:
            return getresponse(self, *args, **kwargs)
        start, cpu_start, details = begun
        try:
            response = getresponse(self, *args, **kwargs)
        except BaseException as error:
            record(1, HTTP, "", start, now(), cpu_start, cpu_now(), details, error)
            raise
        details["http.response.status_code"] = response.status
        response._microdelay = details
        record(1, HTTP, "", start, now(), cpu_start, cpu_now(), details)
        return response

    return wrapper


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(read)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        details = self.__dict__.get("_microdelay")
        if details is None or not state.on:
            return read(self, *args, **kwargs)
        cpu_start, start = cpu_now(), now()
        body = read(self, *args, **kwargs)
        end = now()
        if end - start >= BODY_FLOOR_NS or not args:
            answer = {} if args else answered(None, body)
            record(1, HTTP, "", start, end, cpu_start, cpu_now(), {**details, "part": "body", **answer})
        return body

    return wrapper
