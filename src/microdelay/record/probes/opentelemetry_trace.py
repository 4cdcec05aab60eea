"""OpenTelemetry's API (opentelemetry-api ≥ 1.20) where the program has no provider of its own: then we are it.

Without a provider a tracer gives spans that do nothing. Here they note their start and end besides, and are otherwise
what they were: their context stays invalid, so no header goes out that would not have gone out; `is_recording()` stays
false, so instrumentations do nothing that they would not have done (one writes comments into SQL statements); and the
context that becomes current holds the span that it would have held.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from microdelay.record.events import state
from microdelay.record.families import otel
from microdelay.record.families.otel_idle import noticed_span, told
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
