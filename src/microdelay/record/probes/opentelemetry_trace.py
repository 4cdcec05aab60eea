"""OpenTelemetry's API (opentelemetry-api ≥ 1.20) where the program has no provider of its own: then we are it.

Without a provider a tracer gives spans that do nothing. Here they note their start and end besides, and are otherwise
what they were: their context stays invalid, so no header goes out that would not have gone out; `is_recording()` stays
false, so instrumentations do nothing that they would not have done (one writes comments into SQL statements); and the
context that becomes current holds the span that it would have held.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from microdelay.record.events import now, state
from microdelay.record.families import otel
from microdelay.record.measure import hide
from microdelay.record.patches import replace, replace_in_all, unnoticed
from microdelay.record.trouble import stand_aside

SCOPE = "_microdelay_scope"
"""Where a tracer that does nothing keeps whose it is."""

STARTING = 8
"""Arguments that `start_span` and `start_as_current_span` share; the latter has `end_on_exit` besides."""


def install(trace: ModuleType) -> None:
    """Follow the spans of tracers without a provider."""
    noticed = noticed_span(trace.NonRecordingSpan)
    skipped = otel.covered()
    replace(trace.ProxyTracer, "__init__", _named)
    replace(trace.NoOpTracer, "start_span", lambda start: _start(start, noticed, skipped))
    inner = getattr(trace.NoOpTracer.start_as_current_span, "__wrapped__", None)
    if inner is not None and "use_span" not in inner.__code__.co_names:  # before 1.40: it asks no `start_span`
        replace(trace.NoOpTracer, "start_as_current_span", _entered)
    key = trace.propagation._SPAN_KEY
    owners = sys.modules["opentelemetry.context"], trace.propagation
    replace_in_all(owners, "set_value", lambda set_value: _as_before(set_value, noticed, key))


def _named(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        try:
            setattr(self._noop_tracer, SCOPE, str(args[0] if args else kwargs["instrumenting_module_name"]))
        except Exception as problem:
            stand_aside("OpenTelemetry tracer", problem)

    return unnoticed(wrapper, init)


def _as_before(set_value: Callable[..., Any], noticed: type[Any], span_key: str) -> Callable[..., Any]:
    def wrapper(key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if type(value) is noticed and key == span_key:
            value = value.idle
        return set_value(key, value, *args, **kwargs)

    return unnoticed(wrapper, set_value)


def _start(start: Callable[..., Any], noticed: type[Any], skipped: frozenset[str]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            span = start(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        if not state.on:
            return span
        try:
            scope = str(getattr(self, SCOPE, ""))
            if scope not in skipped:
                return noticed(span, scope, *told(args, kwargs))
        except Exception as problem:
            stand_aside("OpenTelemetry span", problem)
        return span

    return unnoticed(wrapper, start)


def _entered(start: Callable[..., Any]) -> Callable[..., Any]:
    def span_of(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        ends = kwargs.pop("end_on_exit", True)
        span = self.start_span(*args[:STARTING], **kwargs)
        try:
            yield span
        finally:
            if ends:
                span.end()

    unnoticed(span_of, start)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = start(self, *args, **kwargs)
        return type(made)(span_of, (self, *args), kwargs)  # contextlib's, also a decorator

    return unnoticed(wrapper, start)


def told(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Give name, kind, attributes and start time from the arguments of `start_span`."""
    given = dict(zip(("name", "context", "kind", "attributes", "links", "start_time"), args, strict=False)) | kwargs
    return given.get("name"), given.get("kind"), given.get("attributes"), given.get("start_time")


@functools.cache
def noticed_span(idle_span: type[Any]) -> type[Any]:
    """Make a class of spans that do nothing but note what they are."""

    class Noticed(idle_span):  # type: ignore[misc]
        def __init__(self, idle: Any, scope: str, name: Any, kind: Any, attributes: Any, start_time: Any) -> None:
            super().__init__(idle.get_span_context())
            self.idle = idle
            self._name = name
            self._attributes, self._others = otel.kept(attributes)
            self._error = ""
            self._begun: otel.Begun | None = otel.begin(sys._getframe(1), scope, kind, start_time)

        def set_attribute(self, key: str, value: Any) -> None:
            self.set_attributes({key: value})

        def set_attributes(self, attributes: Any) -> None:
            try:
                kept, others = otel.kept(attributes)
                self._attributes |= kept
                self._others += others
            except Exception as problem:
                stand_aside("OpenTelemetry attribute", problem)

        def update_name(self, name: str) -> None:
            self._name = name

        def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
            self._error = type(exception).__name__

        def set_status(self, status: Any, description: str | None = None) -> None:
            code = getattr(status, "status_code", status)
            if getattr(code, "name", "") == "ERROR":
                self._error = self._error or "error"

        def end(self, end_time: int | None = None) -> None:
            end_ns = now()
            begun, self._begun = self._begun, None
            if begun is None:
                return
            try:
                error = otel.raised(begun) or self._error
                otel.finish(begun, self._name, self._attributes, self._others, end_ns, end_time, error)
            except Exception as problem:
                stand_aside("OpenTelemetry span", problem)

    Noticed.__name__ = idle_span.__name__
    Noticed.__qualname__ = idle_span.__qualname__
    Noticed.__module__ = idle_span.__module__
    return Noticed
