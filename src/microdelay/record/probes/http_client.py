"""`http.client`, and with it `urllib.request` and everything else that is built on it and has no probe of its own."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.activities import local
from microdelay.record.events import cpu_now, now, state
from microdelay.record.http import answered, is_telling, requested
from microdelay.record.measure import Details, hide, record
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import HTTP

BODY_FLOOR_NS = 100_000
"""A body that is there already is copied in less."""


class _Request:
    """A request that is being made; an outer client library times it as a whole where `recorded` is false."""

    __slots__ = ("cpu_start", "details", "recorded", "start")

    def __init__(self, details: Details, recorded: bool) -> None:
        self.start, self.cpu_start = now(), cpu_now()
        self.details = details
        self.recorded = recorded

    def end(self, error: BaseException | None = None) -> None:
        """Record it, as seen from the wrapper that calls this."""
        if self.recorded:
            cpu = self.cpu_start, cpu_now()
            record(HTTP, "", self.start, now(), cpu=cpu, details=self.details, error=error, depth=2)


def install(client: ModuleType) -> None:
    """Time a request from its first line to the answer's headers, and the reading of a body that is waited for."""
    replace(client.HTTPConnection, "putrequest", _putrequest)
    replace(client.HTTPConnection, "putheader", _putheader)
    replace(client.HTTPConnection, "endheaders", _endheaders)
    replace(client.HTTPConnection, "getresponse", _getresponse)
    replace(client.HTTPResponse, "read", _read)


def _putrequest(putrequest: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if state.on:
            try:
                scheme = "https" if hasattr(self, "_context") else "http"
                full = url if "://" in url else f"{scheme}://{self.host}:{self.port}{url}"
                self._microdelay = _Request(requested("http.client", method, full), not local.in_http)
            except Exception as problem:
                stand_aside("http.client", problem)
        try:
            return putrequest(self, method, url, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, putrequest)


def _putheader(putheader: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, header: Any, *values: Any) -> Any:
        begun = self.__dict__.get("_microdelay")
        if begun is not None and begun.recorded and isinstance(header, str) and is_telling(header):
            begun.details.setdefault("headers", []).extend(value for value in values if isinstance(value, (str, bytes)))
        try:
            return putheader(self, header, *values)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, putheader)


def _endheaders(endheaders: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, message_body: Any = None, **kwargs: Any) -> Any:
        begun = self.__dict__.get("_microdelay")
        if begun is not None and begun.recorded and isinstance(message_body, (bytes, str)):
            known = begun.details
            begun.details = known | requested("http.client", known["method"], known["url"], message_body)
        try:
            return endheaders(self, message_body, **kwargs)
        except BaseException as error:
            hide(error)
            if self.__dict__.pop("_microdelay", None) is not None:
                begun.end(error)
            raise

    return unnoticed(wrapper, endheaders)


def _getresponse(getresponse: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = self.__dict__.pop("_microdelay", None)
        try:
            response = getresponse(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            if begun is not None:
                begun.end(error)
            raise
        if begun is not None:
            begun.details |= answered(response.status, None, response.headers)
            begun.end()
            _follow_body(response, begun.details)
        return response

    return unnoticed(wrapper, getresponse)


def _follow_body(response: Any, details: Details) -> None:
    """Have the waits for the body told apart from others on the same socket; urllib3 reads past `HTTPResponse.read`."""
    response._microdelay = details
    raw = getattr(getattr(response, "fp", None), "raw", None)
    if raw is not None and hasattr(raw, "__dict__"):
        raw._microdelay = details


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        details = self.__dict__.get("_microdelay")
        within, local.in_http = local.in_http, True
        cpu_start, start = cpu_now(), now()
        try:
            body = read(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            local.in_http = within
        end = now()
        if details is not None and not within and (end - start >= BODY_FLOOR_NS or not args):
            answer = {} if args else answered(None, body)
            cpu = cpu_start, cpu_now()
            record(HTTP, "", start, end, cpu=cpu, details={**details, "part": "body", **answer})
        return body

    return unnoticed(wrapper, read)
