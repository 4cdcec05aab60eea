"""Spans that the program makes through OpenTelemetry's API, as spans of ours: what its two probes share.

Their times are read from our clock, unless the program gives times of its own. Of their attributes those are taken that
`KEPT` names; the writer redacts them (see `describing/otel.py`). One that a probe of ours times anyway is left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

from microdelay.record import redact
from microdelay.record.activities import is_known, waited
from microdelay.record.calls import Site
from microdelay.record.describing import describe as describing
from microdelay.record.describing.otel import otel
from microdelay.record.events import Label, now, push_span, state
from microdelay.record.imports import watched

KEPT = frozenset({
    "code.function.name",
    "db.collection.name", "db.name", "db.operation", "db.operation.batch.size", "db.operation.name", "db.query.text",
    "db.response.returned_rows", "db.statement", "db.system", "db.system.name",
    "error.type",
    "gen_ai.agent.name", "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model",
    "gen_ai.response.model", "gen_ai.system", "gen_ai.tool.name", "gen_ai.usage.completion_tokens",
    "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.prompt_tokens",
    "http.method", "http.request.body.size", "http.request.method", "http.response.body.size",
    "http.response.status_code", "http.route", "http.status_code", "http.target", "http.url",
    "llm.model_name", "llm.provider", "llm.token_count.completion", "llm.token_count.prompt",
    "messaging.batch.message_count", "messaging.destination.name", "messaging.operation", "messaging.operation.name",
    "messaging.operation.type", "messaging.system",
    "net.peer.name", "net.peer.port",
    "openinference.span.kind",
    "rpc.method", "rpc.service", "rpc.system", "rpc.system.name",
    "server.address", "server.port",
    "tool.name", "traceloop.entity.name", "traceloop.span.kind",
    "url.full", "url.path", "url.scheme",
})  # fmt: skip
"""Attributes of the semantic conventions, old and new, and of OpenInference and Traceloop, that tell what a span is."""

PROBES = {
    "aiohttp_client": "aiohttp",
    "aiohttp_server": "aiohttp_web",
    "asyncpg": "asyncpg",
    "django": "django_core_handlers",
    "fastapi": "starlette_applications",
    "flask": "flask_app",
    "httpx": "httpx",
    "psycopg": "psycopg",
    "redis": "redis",
    "requests": "requests",
    "sqlite3": "sqlite3",
    "starlette": "starlette_applications",
    "urllib": "http_client",
    "urllib3": "urllib3",
}
"""Instrumentations of OpenTelemetry whose spans mean what spans of a probe of ours mean, and the start of its name."""

_SCOPE = "opentelemetry.instrumentation."
_LABEL = Label("otel", "")
describing.by_kind[_LABEL.kind] = otel


class Begun:
    """What is known of a span at its start."""

    __slots__ = ("activity", "handled", "kind", "scope", "site", "start_ns", "start_time")

    def __init__(self, scope: str, kind: str, start_ns: int, start_time: int | None, activity: int, site: Site) -> None:
        self.scope = scope
        self.kind = kind
        self.start_ns = start_ns
        self.start_time = start_time
        self.activity = activity
        self.site = site
        self.handled = id(sys.exc_info()[1])  # an exception that has nothing to do with this span


def covered() -> frozenset[str]:
    """Give the instrumentation scopes whose spans would be counted twice."""
    probes = watched().values()
    return frozenset(
        _SCOPE + scope
        for scope, start in PROBES.items()
        if any(probe == start or probe.startswith(start + "_") for probe in probes)
    )


def begin(frame: FrameType, scope: str, kind: Any, start_time: int | None) -> Begun:
    """Note the start of a span that code below `frame` makes; `start_time` is in Unix nanoseconds."""
    start_ns = now()
    activity, site = waited(frame, start_ns)
    return Begun(scope, getattr(kind, "name", ""), start_ns, start_time, activity, site)


def finish(
    begun: Begun,
    name: object,
    attributes: Mapping[str, Any] | None,
    others: int,
    end_ns: int,
    end_time: int | None,
    error: str,
) -> None:
    """Queue a span that has ended, at `end_ns` or at `end_time` in Unix nanoseconds.

    `others` attributes were dropped before.
    """
    if not state.on or not is_known(begun.activity):  # begun in an earlier recording
        return
    start_ns = begun.start_ns
    if begun.start_time is not None or end_time is not None:
        from_unix_ns = now() - time.time_ns()
        start_ns = start_ns if begun.start_time is None else begun.start_time + from_unix_ns
        end_ns = end_ns if end_time is None else end_time + from_unix_ns
    details, dropped = kept(attributes)
    dropped += others
    details["otel.name"] = str(name)[: redact.MAX_TEXT]
    details["otel.scope.name"] = begun.scope
    details["otel.span.kind"] = begun.kind
    if dropped:
        details["otel.dropped_attributes_count"] = dropped
    failure = error or str(details.get("error.type") or "")
    push_span((
        _LABEL, start_ns, max(start_ns, end_ns), begun.activity, begun.site,
        (details, -1, -1, failure.rpartition(".")[2]),
    ))  # fmt: skip


def kept(attributes: Mapping[str, Any] | None) -> tuple[dict[str, Any], int]:
    """Give the attributes that may be looked at, texts bounded, and the number of the others."""
    if not attributes:
        return {}, 0
    found: dict[str, Any] = {}
    for key in KEPT.intersection(attributes):
        value = attributes[key]
        if isinstance(value, str):
            found[key] = value[: redact.MAX_TEXT]
        elif isinstance(value, (int, float)):
            found[key] = value
    return found, len(attributes) - len(found)


def raised(begun: Begun) -> str:
    """Give the type of the exception that goes through the code that ends a span, "" where none does."""
    kind, error, _ = sys.exc_info()
    return "" if kind is None or id(error) == begun.handled else kind.__name__
