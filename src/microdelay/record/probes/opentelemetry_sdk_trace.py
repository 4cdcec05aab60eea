"""OpenTelemetry's SDK (opentelemetry-sdk ≥ 1.20): the spans of every provider that the program makes.

Nothing is added to a provider: a processor of ours would stay in it after the recording, and would see neither the
spans that are sampled out nor where a span was started.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import now, state
from microdelay.record.families import otel
from microdelay.record.families.otel_idle import noticed_span, told
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside

BEGUN = "_microdelay_begun"


def install(trace: ModuleType) -> None:
    """Follow each span from its tracer's `start_span` to its `end`."""
    api = sys.modules["opentelemetry.trace"]
    noticed = noticed_span(api.NonRecordingSpan)
    skipped = otel.covered()
    replace(trace.Tracer, "start_span", lambda start: _start(start, api.NonRecordingSpan, noticed, skipped))
    replace(trace.Span, "end", _end)


def _scope_of(tracer: Any) -> str:
    scope = getattr(tracer, "_instrumentation_scope", None) or getattr(tracer, "instrumentation_info", None)
    return str(getattr(scope, "name", ""))


def _start(
    start: Callable[..., Any], idle: type[Any], noticed: type[Any], skipped: frozenset[str]
) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            span = start(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        if not state.on:
            return span
        try:
            scope = _scope_of(self)
            if scope in skipped:
                return span
            name, kind, attributes, start_time = told(args, kwargs)
            if type(span) is idle:  # sampled out
                return noticed(span, scope, name, kind, attributes, start_time)
            setattr(span, BEGUN, otel.begin(sys._getframe(), scope, kind, start_time))
        except Exception as problem:
            stand_aside("OpenTelemetry span", problem)
        return span

    return unnoticed(wrapper, start)


def _end(end: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, end_time: int | None = None) -> Any:
        end_ns = now()
        begun = getattr(self, BEGUN, None)
        try:
            result = end(self, end_time)
        except BaseException as error:
            hide(error)
            raise
        if begun is not None:
            try:
                setattr(self, BEGUN, None)
                otel.finish(begun, self.name, self.attributes, 0, end_ns, end_time, _error(self))
            except Exception as problem:
                stand_aside("OpenTelemetry span", problem)
        return result

    return unnoticed(wrapper, end)


def _error(span: Any) -> str:
    """Give the type of the last exception that a failed span has recorded, or just that it failed."""
    if span.status.status_code.name != "ERROR":
        return ""
    for event in reversed(span.events):
        if event.name == "exception":
            return str((event.attributes or {}).get("exception.type", "error"))
    return "error"
