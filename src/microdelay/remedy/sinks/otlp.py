"""OpenTelemetry's own protocol: OTLP over HTTP, as protobuf or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, Unpack, cast
from urllib.parse import unquote

from microdelay.errors import RemedyError
from microdelay.remedy.process_end import say
from microdelay.remedy.sinks import otlp_logs
from microdelay.remedy.sinks.extras import require
from microdelay.remedy.sinks.http_answer import judge
from microdelay.remedy.sinks.http_post import HttpOptions, HttpPost
from microdelay.remedy.sinks.records import as_batch, decode, json_text
from microdelay.remedy.sinks.sink import PartlyRefusedError

RETRIED: Final = frozenset({429, 502, 503, 504})
"""The only answers after which a batch may be sent again (OTLP specification, "Failures"); 500 is none of them."""

UNNAMED_SERVICE: Final = "unknown_service:python"
"""What the specification prescribes for a resource without `service.name`."""

MESSAGES: Final = "opentelemetry.proto.collector.logs.v1.logs_service_pb2"


class OtlpSink:
    """POSTs batches to the logs service of an OpenTelemetry collector, or of whoever speaks OTLP.

    `url` is the endpoint; without a path it is that of `/v1/logs`. `encoding` is "protobuf", which needs the extra
    `otlp`, or "json". `resource` describes the program; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME count where it
    says nothing. `logger` is the scope of a record, `level` its severity, `trace_id` and `span_id` its own; the other
    fields are attributes, and the record's id is `log.record.uid`.

    Of a batch that was taken in part the service does not say which records it refused, and forbids to send it again:
    they are counted in `rejected`, and said on stderr the first time.

    Raises `RemedyError` for a URL or an option that cannot work, and for a missing opentelemetry-proto.
    """

    takes_several_at_once = True

    def __init__(
        self,
        url: str,
        *,
        encoding: Literal["protobuf", "json"] = "protobuf",
        resource: Mapping[str, object] | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        if encoding not in ("protobuf", "json"):
            raise RemedyError(f"encoding must be 'protobuf' or 'json', not {encoding!r}")
        self._wire: _Wire = _Protobuf() if encoding == "protobuf" else _Json()
        self._http = HttpPost(url, "/v1/logs", **options)
        self._resource = {**resource_of_environment(), **(resource or {})}
        self.rejected = 0

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """POST it. Raises `BusyError`, `TooLargeError` or `RefusedError` by the answer's status."""
        ids = as_batch(batch, batch_id).ids
        body = self._wire.encode(list(zip(ids, map(decode, batch), strict=True)), self._resource)
        answer = self._http.post(body, timeout_s, {"Content-Type": self._wire.content_type})
        judge(answer, RETRIED.__contains__)
        rejected, reason = self._wire.rejected(answer.body)
        if rejected >= len(batch):
            raise PartlyRefusedError(dict.fromkeys(range(len(batch)), reason))
        if rejected > 0:
            if not self.rejected:
                say(f"the sink took a batch of {len(batch)} records but for {rejected}: {reason}")
            self.rejected += rejected

    def forget(self) -> None:
        """Let go of the connection, which is the parent's."""
        self._http.forget()


class _Wire(Protocol):
    content_type: str

    def encode(self, records: list[tuple[str, dict[str, object]]], resource: Mapping[str, object]) -> bytes: ...

    def rejected(self, reply: bytes) -> tuple[int, str]: ...


class _Json:
    content_type = "application/json"

    def encode(self, records: list[tuple[str, dict[str, object]]], resource: Mapping[str, object]) -> bytes:
        return json_text(otlp_logs.request(records, resource, "microdelay", otlp_logs.JSON))

    def rejected(self, reply: bytes) -> tuple[int, str]:
        try:
            partial = json.loads(reply)["partialSuccess"]
            return int(partial["rejectedLogRecords"]), str(partial.get("errorMessage"))
        except (ValueError, LookupError, TypeError):  # nothing was refused
            return 0, ""


class _Protobuf:
    content_type = "application/x-protobuf"

    def __init__(self) -> None:
        messages = require(MESSAGES, "otlp", "OtlpSink")
        self._request, self._response = messages.ExportLogsServiceRequest, messages.ExportLogsServiceResponse

    def encode(self, records: list[tuple[str, dict[str, object]]], resource: Mapping[str, object]) -> bytes:
        tree = otlp_logs.request(records, resource, "microdelay", otlp_logs.PROTOBUF)
        return cast(bytes, self._request(**tree).SerializeToString())

    def rejected(self, reply: bytes) -> tuple[int, str]:
        from google.protobuf.message import DecodeError

        try:
            partial = self._response.FromString(reply).partial_success
        except DecodeError:  # a proxy's page, say: the status counts
            return 0, ""
        return partial.rejected_log_records, partial.error_message


def resource_of_environment() -> dict[str, object]:
    """What OTEL_RESOURCE_ATTRIBUTES (`key=value,…`, percent-encoded) and OTEL_SERVICE_NAME say."""
    pairs = (each.partition("=") for each in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    resource: dict[str, object] = {"service.name": UNNAMED_SERVICE}
    resource.update({key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals})
    name = os.environ.get("OTEL_SERVICE_NAME")
    return {**resource, "service.name": name} if name else resource
