"""OpenTelemetry's spans that do nothing, without a provider or sampled out by one: here they note what they are."""

from __future__ import annotations

import functools
import sys
from typing import Any

from microdelay.record.events import now
from microdelay.record.families import otel
from microdelay.record.trouble import stand_aside


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
