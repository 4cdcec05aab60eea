"""A recording as OpenTelemetry's protocol (OTLP) has it: requests of spans, and each as a line of JSON.

Ids follow from the recording alone, so sending it twice says nothing new. Source: https://opentelemetry.io/docs/specs/otlp
and the semantic conventions for `code.*`. Needs opentelemetry-proto, the extra `otlp`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from microdelay import __version__
from microdelay.spans import DB, HTTP, LLM, QUEUE, SERVER, Place, Span
from microdelay.traces.model import Recording, Trace

SPANS_PER_REQUEST: Final = 2000
"""Some 0.8 MB; collectors take 4 MB or more."""

_KINDS = {
    HTTP: OtlpSpan.SPAN_KIND_CLIENT,
    LLM: OtlpSpan.SPAN_KIND_CLIENT,
    DB: OtlpSpan.SPAN_KIND_CLIENT,
    QUEUE: OtlpSpan.SPAN_KIND_CONSUMER,
    SERVER: OtlpSpan.SPAN_KIND_SERVER,
}

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """One span that is to be written: where it belongs, and what it says."""

    trace: bytes
    id: bytes
    parent: bytes
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    error: str = ""


def requests(recording: Recording, traces: Sequence[Trace]) -> Iterator[ExportTraceServiceRequest]:
    """Give the spans of a recording as requests to a collector, each of `SPANS_PER_REQUEST` at most.

    Each trace is one with a span of its own at the top; what belongs to none is a trace for each thread or task.
    """
    waiting: list[_Piece] = []
    for piece in _pieces(recording, traces):
        waiting.append(piece)
        if len(waiting) == SPANS_PER_REQUEST:
            yield _request(recording, waiting)
            waiting = []
    if waiting:
        yield _request(recording, waiting)


def count(request: ExportTraceServiceRequest) -> int:
    """Give the number of spans in a request."""
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def json_line(request: ExportTraceServiceRequest) -> str:
    """Give a request as one line of OTLP JSON: enumerations as numbers, ids in hexadecimal digits."""
    value = MessageToDict(request, use_integers_for_enums=True)
    for resource in value["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[key] = base64.b64decode(span[key]).hex()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _pieces(recording: Recording, traces: Sequence[Trace]) -> Iterator[_Piece]:
    written: set[int] = set()
    for trace in traces:
        trace_id = _id(recording, 16, "trace", trace.id)
        top = _id(recording, 8, "trace", trace.id)
        members = {span.id for span in trace.spans} - written
        written |= members
        if trace.root is None:
            code = _code(_first_place(recording, trace))
            yield _Piece(
                trace_id, top, b"", trace.name, OtlpSpan.SPAN_KIND_INTERNAL, trace.start_ns, trace.end_ns, code
            )
        else:
            written.add(trace.root.id)
            top = _id(recording, 8, "span", trace.root.id)
            yield _piece(recording, trace.root, trace_id, b"")
        for span in trace.spans:
            if span.id in members:
                parents = (outer.id for outer in recording.surroundings(span) if outer.id in members)
                parent = next(parents, 0)
                yield _piece(recording, span, trace_id, _id(recording, 8, "span", parent) if parent else top)
    for span in recording.spans:
        if span.id not in written:
            parent = recording.parents[span.id]
            trace_id = _id(recording, 16, "activity", span.activity)
            inside = parent and parent not in written
            yield _piece(recording, span, trace_id, _id(recording, 8, "span", parent) if inside else b"")


def _piece(recording: Recording, span: Span, trace: bytes, parent: bytes) -> _Piece:
    attributes: dict[str, Value] = dict(span.attributes) | _code(span.site)
    attributes["microdelay.kind"] = span.kind
    owner = recording.activities.get(span.activity)
    if owner is not None:
        attributes[f"microdelay.{owner.kind}.name"] = owner.name
    if span.cpu_ns >= 0:
        attributes["microdelay.cpu_ns"] = span.cpu_ns
    if span.error:
        attributes["error.type"] = span.error
    kind = _KINDS.get(span.kind, OtlpSpan.SPAN_KIND_INTERNAL)
    key = _id(recording, 8, "span", span.id)
    name = span.name or span.kind
    return _Piece(trace, key, parent, name, kind, span.start_ns, span.end_ns, attributes, span.error)


def _first_place(recording: Recording, trace: Trace) -> Place | None:
    call = recording.invocations.get(trace.invocation)
    return Place(call.file, call.line, call.function) if call is not None else None


def _code(place: Place | None) -> dict[str, Value]:
    if place is None:
        return {}
    code: dict[str, Value] = {
        "code.file.path": place.file, "code.line.number": place.line, "code.function.name": place.function,
    }  # fmt: skip
    return code | ({"code.column.number": place.column} if place.column >= 0 else {})


def _id(recording: Recording, size: int, what: str, number: int) -> bytes:
    origin = f"{recording.meta.get('start_unix_ns', 0)} {recording.meta.get('pid', 0)} {what} {number}"
    return blake2b(origin.encode(), digest_size=size).digest()


def _request(recording: Recording, pieces: Sequence[_Piece]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(_key_values(_resource(recording)))
    scope = resource.scope_spans.add()
    scope.scope.name = "microdelay"
    scope.scope.version = __version__
    shift = int(recording.meta.get("start_unix_ns", 0)) - int(recording.meta.get("start_ns", 0))
    for piece in pieces:
        span = scope.spans.add(
            trace_id=piece.trace,
            span_id=piece.id,
            parent_span_id=piece.parent,
            name=piece.name,
            kind=piece.kind,
            start_time_unix_nano=max(0, piece.start_ns + shift),
            end_time_unix_nano=max(0, piece.end_ns + shift),
        )
        span.attributes.extend(_key_values(piece.attributes))
        if piece.error:
            span.status.code = Status.STATUS_CODE_ERROR
    return request


def _resource(recording: Recording) -> dict[str, Value]:
    command = next(iter(recording.meta.get("command") or ["program"]))
    found: dict[str, Value] = {"service.name": os.path.splitext(os.path.basename(str(command)))[0] or "program"}
    for key, known in (("process.pid", "pid"), ("process.runtime.version", "python")):
        if known in recording.meta:
            found[key] = recording.meta[known]
    return found


def _key_values(attributes: Mapping[str, Value]) -> Iterator[KeyValue]:
    for key, value in attributes.items():
        yield KeyValue(key=key, value=_value(value))


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=str(value))
