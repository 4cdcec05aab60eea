"""What the probes of WSGI servers and frameworks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

from microdelay.record.events import state
from microdelay.record.families.serving import Request, status_of
from microdelay.record.measure import hide
from microdelay.record.patches import unnoticed
from microdelay.record.trouble import stand_aside

KEY = "microdelay.request"
"""Where an environment has its request; WSGI lets every layer add to it, under names with a dot."""


def recorded(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the `__call__` of a class of WSGI applications, so that each request is one span."""

    def wrapper(self: Any, environ: Any, start_response: Any) -> Any:
        try:
            if not state.on or KEY in environ:
                return call(self, environ, start_response)
            return _answer(call, self, environ, start_response)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, call)


def _answer(call: Callable[..., Any], application: Any, environ: Any, start_response: Any) -> Any:
    asked = environ.get("REQUEST_METHOD"), environ.get("wsgi.url_scheme"), environ.get("PATH_INFO")
    request = environ[KEY] = Request(*asked, in_thread=True)

    def responding(status: Any, *args: Any, **kwargs: Any) -> Any:
        request.status = status_of(str(status)[:3])
        _find_route(request, environ)
        try:
            return start_response(status, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    try:
        body = call(application, environ, responding)
    except BaseException as error:
        hide(error)
        request.finish(error)
        raise
    return _followed(body, request)


def _find_route(request: Request, environ: Any) -> None:
    """Take the route that Flask has chosen from werkzeug's request, before that is taken out again."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is not None and not request.route:
        request.route = str(getattr(rule, "rule", ""))


def _followed(body: Any, request: Request) -> Any:
    """End the request when the server has sent all of `body` and closes it; a whole body in a list is there already.

    Servers ask what class a body is of, so it is followed by its `close`, which they all call.
    """
    if isinstance(body, GeneratorType):
        return Body(body, request)
    if not isinstance(body, (list, tuple, bytes)):
        try:
            body.close = _closing(getattr(body, "close", None), request)
        except (AttributeError, TypeError) as problem:
            stand_aside("end of a WSGI body", problem)
        else:
            return body
    request.finish()
    return body


def _closing(close: Callable[[], Any] | None, request: Request) -> Callable[[], Any]:
    def wrapper() -> Any:
        try:
            return close() if close is not None else None
        except BaseException as error:
            hide(error)
            raise
        finally:
            if not request.ended:
                request.finish()
                request.ended = request.start

    return wrapper


class Body:
    """The chunks of a generator, as they are."""

    def __init__(self, chunks: Any, request: Request) -> None:
        self.__wrapped__ = chunks
        self.close = _closing(chunks.close, request)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self.__wrapped__)
        except BaseException as error:
            hide(error)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)


class Application:
    """A WSGI application of any kind, recorded."""

    def __init__(self, application: Any) -> None:
        self.__wrapped__ = application

    def _call(self, environ: Any, start_response: Any) -> Any:
        try:
            return self.__wrapped__(environ, start_response)
        except BaseException as error:
            hide(error)
            raise

    __call__ = recorded(_call)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)
