"""OtlpSink: what a collector reads of it, by opentelemetry-proto, and what its answers mean."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from microdelay import LogBuffer
from microdelay.remedy.sinks import BusyError, OtlpSink, PartlyRefusedError, RefusedError

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def read(request) -> ExportLogsServiceRequest:
    """The request, whichever encoding it has; ids in JSON are hexadecimal, protobuf's own mapping wants base64."""
    if request.headers["Content-Type"] == "application/x-protobuf":
        return ExportLogsServiceRequest.FromString(request.body)
    tree = json.loads(request.body)
    for scope in tree["resourceLogs"][0]["scopeLogs"]:
        for record in scope["logRecords"]:
            assert record.pop("traceId", TRACE_ID) == TRACE_ID
            assert record.pop("spanId", SPAN_ID) == SPAN_ID
    return json_format.ParseDict(tree, ExportLogsServiceRequest())


def plain(value):
    """An AnyValue as Python has it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: plain(each.value) for each in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_record_is_a_log_record_of_opentelemetry(http, encoding):
    fields = {"text": "ü", "number": 7, "huge": 2**70, "half": 0.5, "yes": True, "nothing": None}
    nested = {"list": [1, [2]], "object": {"a": {"b": "c"}}}
    with LogBuffer(OtlpSink(http.url, encoding=encoding, resource={"service.name": "agent"})) as buffer:
        buffer.log("order shipped", level="WARNING", logger="shop", trace_id=TRACE_ID, span_id=SPAN_ID)
        buffer.log("fields", trace_id="none", **fields, **nested)
    assert http.requests[0].path == "/v1/logs"
    [resource] = read(http.requests[0]).resource_logs
    assert {each.key: plain(each.value) for each in resource.resource.attributes} == {"service.name": "agent"}
    first, second = resource.scope_logs
    assert (first.scope.name, second.scope.name) == ("shop", "microdelay")
    [record] = first.log_records
    assert record.body.string_value == "order shipped"
    assert (record.severity_text, record.severity_number) == ("WARNING", 13)
    assert record.time_unix_nano > 1_700_000_000_000_000_000
    assert record.time_unix_nano % 1000 == 0
    if encoding == "protobuf":
        assert (record.trace_id.hex(), record.span_id.hex()) == (TRACE_ID, SPAN_ID)
    [uid] = [each.value.string_value for each in record.attributes if each.key == "log.record.uid"]
    assert uid
    attributes = {each.key: plain(each.value) for each in second.log_records[0].attributes}
    assert attributes.pop("log.record.uid") != uid
    assert attributes == {**fields, **nested, "huge": str(2**70), "trace_id": "none"}


def test_the_resource_comes_from_the_environment_too(http, make_batch, monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,team=a%20b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "agent")
    OtlpSink(http.url, resource={"extra": 1}).send(make_batch("one"), "b", 5)
    [resource] = read(http.requests[0]).resource_logs
    attributes = {each.key: plain(each.value) for each in resource.resource.attributes}
    assert attributes == {"service.name": "agent", "team": "a b", "extra": 1}


@pytest.mark.parametrize(
    ("status", "error"), [(429, BusyError), (502, BusyError), (503, BusyError), (504, BusyError), (401, BusyError)]
)
def test_answers_that_the_specification_calls_retryable_are_tried_again(http, make_batch, status, error):
    http.faults.append((status, {"Retry-After": "3"}, b""))
    with pytest.raises(error) as caught:
        OtlpSink(http.url).send(make_batch("one"), "b", 5)
    assert caught.value.pause_s == 3


@pytest.mark.parametrize("status", [400, 500, 501, 505])
def test_other_answers_are_not(http, make_batch, status):
    http.faults.append((status, {}, b""))
    with pytest.raises(RefusedError):
        OtlpSink(http.url).send(make_batch("one"), "b", 5)


def partly(encoding: str, rejected: int) -> bytes:
    if encoding == "json":
        return json.dumps({"partialSuccess": {"rejectedLogRecords": str(rejected), "errorMessage": "too old"}}).encode()
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message="too old")
    return ExportLogsServiceResponse(partial_success=partial).SerializeToString()


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_batch_that_was_taken_in_part_is_not_sent_again_and_what_was_refused_is_counted(
    http, make_batch, encoding, capsys
):
    http.accept = lambda request: (200, {}, partly(encoding, 2))
    sink = OtlpSink(http.url, encoding=encoding)
    for _ in range(2):
        sink.send(make_batch("one", "two", "three"), "b", 5)
    assert sink.rejected == 4
    assert capsys.readouterr().err.count("too old") == 1


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_batch_of_which_nothing_was_taken_is_refused(http, make_batch, encoding):
    http.accept = lambda request: (200, {}, partly(encoding, 2))
    with pytest.raises(PartlyRefusedError) as caught:
        OtlpSink(http.url, encoding=encoding).send(make_batch("one", "two"), "b", 5)
    assert (caught.value.refused, list(caught.value.retry)) == ({0: "too old", 1: "too old"}, [])


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_an_answer_without_a_meaning_counts_by_its_status(http, make_batch, encoding):
    http.accept = lambda request: (200, {}, b"<html>ok</html>")
    OtlpSink(http.url, encoding=encoding).send(make_batch("one"), "b", 5)


def test_a_missing_library_is_said_with_the_command_that_installs_it(run_script):
    result = run_script(
        """
        import sys
        sys.modules["opentelemetry.proto.collector.logs.v1.logs_service_pb2"] = None
        from microdelay.errors import RemedyError
        from microdelay.remedy.sinks import OtlpSink
        OtlpSink("http://127.0.0.1", encoding="json")
        try:
            OtlpSink("http://127.0.0.1")
        except RemedyError as error:
            print(error)
        """
    )
    assert 'pip install "microdelay[otlp]"' in result.stdout
