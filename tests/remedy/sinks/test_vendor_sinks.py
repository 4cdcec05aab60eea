"""Loki, Elasticsearch, Splunk and Datadog: what is sent to them, and what becomes of records by their answers."""

from __future__ import annotations

import json

import pytest

from microdelay import LogBuffer
from microdelay.remedy.record_batch import Batch
from microdelay.remedy.sinks import (
    DatadogSink,
    ElasticsearchSink,
    LokiSink,
    PartlyRefusedError,
    RefusedError,
    SplunkSink,
)

# -- Loki


def test_records_are_in_the_stream_of_their_labels_sorted_by_time(http):
    records = [
        b'{"time":%.6f,"message":"%d","level":"%b","user":{"id":7},"a-b":"c"}' % (20.5 - number, number, level)
        for number, level in enumerate([b"INFO", b"ERROR", b"INFO"])
    ]
    LokiSink(http.url, {"app": "agent"}, tenant="team").send(Batch(records, "f" * 32, range(1000, 1003)), "b", 5)
    [request] = http.requests
    assert (request.path, request.headers["X-Scope-OrgID"]) == ("/loki/api/v1/push", "team")
    metadata = {"user": '{"id":7}', "a_b": "c"}
    assert json.loads(request.body) == {
        "streams": [
            {
                "stream": {"app": "agent", "level": "INFO"},
                "values": [["18500000002", "2", metadata], ["20500000000", "0", metadata]],
            },
            {"stream": {"app": "agent", "level": "ERROR"}, "values": [["19500000001", "1", metadata]]},
        ]
    }


def test_a_line_may_be_the_records_json(http, make_batch):
    LokiSink(http.url, {"app": "agent"}, structured_metadata=False, label_fields=()).send(make_batch("ü"), "b", 5)
    [stream] = json.loads(http.requests[0].body)["streams"]
    [[_, line]] = stream["values"]
    assert json.loads(line)["message"] == "ü"


def test_equal_records_of_one_moment_stay_two_and_a_repetition_is_the_same(http, make_batch):
    sink = LokiSink(http.url, {"app": "agent"})
    for _ in range(2):
        sink.send(make_batch("same", "same"), "b", 5)
    [first, again] = [json.loads(request.body)["streams"][0]["values"] for request in http.requests]
    assert first == again
    assert len({time for time, *_ in first}) == 2


def test_numbers_of_any_size_arrive_as_they_are(http):
    with LogBuffer(LokiSink(http.url, {"app": "agent"})) as buffer:
        buffer.log("one", huge=[10**30])
    [stream] = json.loads(http.requests[0].body)["streams"]
    assert stream["values"][0][2] == {"huge": f"[{10**30}]"}


# -- Elasticsearch


class Index:
    """An index that creates documents by id, and has an answer of its own for some messages."""

    def __init__(self, answers: dict[str, list[int]]) -> None:
        self.answers = answers
        self.documents: dict[str, dict] = {}

    def __call__(self, request):
        lines = [json.loads(line) for line in request.body.splitlines()]
        items = [self.create(action["create"], source) for action, source in zip(lines[::2], lines[1::2], strict=True)]
        errors = any(item["create"]["status"] >= 300 for item in items)
        return 200, {"Retry-After": "0.01"}, json.dumps({"errors": errors, "items": items}).encode()

    def create(self, action, source):
        planned = self.answers.get(source["message"], [])
        status = planned.pop(0) if planned else 409 if action["_id"] in self.documents else 201
        if status == 201:
            self.documents[action["_id"]] = source
        error = {"error": {"type": "some_exception", "reason": f"because {status}"}} if status >= 300 else {}
        return {"create": {"_index": action["_index"], "status": status, **error}}


def test_documents_are_created_by_the_records_ids_and_items_are_judged_one_by_one(http):
    http.accept = index = Index({"busy": [429, 503], "bad": [400], "locked": [403]})
    with LogBuffer(ElasticsearchSink(http.url, "logs", api_key="k3y"), max_backoff=0.01) as buffer:
        for message in ("one", "busy", "bad", "locked", "two"):
            buffer.log(message)
    taken = sorted(source["message"] for source in index.documents.values())
    assert [message for message in taken if "missing" not in message] == ["busy", "locked", "one", "two"]
    assert buffer.stats().lost == {"set aside": 1}
    assert "400 some_exception: because 400" in str(buffer.stats().set_aside)
    assert http.requests[0].headers["Authorization"] == "ApiKey k3y"
    assert http.requests[0].path.startswith("/_bulk?filter_path=errors,")
    assert all(source["@timestamp"].startswith("20") for source in index.documents.values())


def test_a_document_that_is_there_already_was_taken(http, make_batch):
    http.accept = index = Index({})
    sink = ElasticsearchSink(http.url)
    for _ in range(2):
        sink.send(make_batch("one", "two"), "b", 5)
    assert list(index.documents) == ["f" * 32 + "-0", "f" * 32 + "-1"]


def test_the_time_is_a_date_to_the_microsecond_and_a_timestamp_of_the_records_own_stays(http, make_batch):
    http.accept = index = Index({})
    own = b'{"message":"own","@timestamp":5}'
    ElasticsearchSink(http.url).send(make_batch("one", own, b'{"message":"@timestamp","time":1}'), "b", 5)
    times = [source["@timestamp"] for source in index.documents.values()]
    assert times == ["2026-11-23T13:55:05.120287+00:00", 5, "1970-01-01T00:00:01.000000+00:00"]


def test_what_is_no_answer_of_a_bulk_api_is_an_outage(http, make_batch):
    for reply in (b"<html>", b"[]", b'{"errors":true,"items":[]}', b'{"errors":true}'):
        http.accept = lambda request, reply=reply: (200, {}, reply)
        with pytest.raises(ConnectionError):
            ElasticsearchSink(http.url).send(make_batch("one"), "b", 5)


# -- Splunk


def test_a_record_is_an_event_with_its_id(http, make_batch):
    SplunkSink(http.url, "t0ken", index="main", source="agent", host="here").send(make_batch("one"), "b", 5)
    [request] = http.requests
    assert (request.path, request.headers["Authorization"]) == ("/services/collector/event", "Splunk t0ken")
    assert json.loads(request.body) == {
        "time": 1795442105.120287,
        "index": "main",
        "source": "agent",
        "sourcetype": "_json",
        "host": "here",
        "fields": {"record_id": "f" * 32 + "-0"},
        "event": {"time": 1795442105.120287, "message": "one", "level": "INFO"},
    }


def test_only_the_event_that_is_not_valid_is_refused(http, make_batch):
    http.faults.append((400, {}, b'{"text":"Invalid data format","code":6,"invalid-event-number":1}'))
    with pytest.raises(PartlyRefusedError) as caught:
        SplunkSink(http.url, "t").send(make_batch("one", "two", "three"), "b", 5)
    assert (list(caught.value.refused), list(caught.value.retry)) == ([1], [0, 2])


@pytest.mark.parametrize("reply", [b'{"text":"Incorrect index","code":7}', b'{"invalid-event-number":9}', b"[]", b"no"])
def test_a_refusal_that_names_no_event_is_the_batchs(http, make_batch, reply):
    http.faults.append((400, {}, reply))
    with pytest.raises(RefusedError):
        SplunkSink(http.url, "t").send(make_batch("one"), "b", 5)


# -- Datadog


def test_a_record_is_an_item_with_the_reserved_attributes(http, make_batch):
    sink = DatadogSink("k3y", url=http.url, service="agent", tags="env:test", host="here")
    sink.send(make_batch("one"), "b", 5)
    [request] = http.requests
    assert (request.path, request.headers["DD-API-KEY"]) == ("/api/v2/logs", "k3y")
    assert json.loads(request.body) == [
        {
            "service": "agent",
            "ddsource": "python",
            "ddtags": "env:test",
            "hostname": "here",
            "timestamp": 1795442105120,
            "record_id": "f" * 32 + "-0",
            "time": 1795442105.120287,
            "message": "one",
            "level": "INFO",
        }
    ]


def test_a_batch_goes_in_requests_of_the_intakes_size(http, make_batch):
    sink = DatadogSink("k", url=http.url)
    sink.send(make_batch(*map(str, range(2500))), "b", 20)
    assert [len(json.loads(request.body)) for request in http.requests] == [1000, 1000, 500]
    http.requests.clear()
    sink.send(make_batch(*["x" * 900_000] * 12), "b", 20)
    assert all(len(request.body) <= 5_000_000 for request in http.requests)
    assert sum(len(json.loads(request.body)) for request in http.requests) == 12


def test_requests_that_were_taken_are_not_sent_again(http, make_batch):
    http.faults.extend([(202, {}, b"{}"), (429, {"Retry-After": "4"}, b"")])
    with pytest.raises(PartlyRefusedError) as caught:
        DatadogSink("k", url=http.url).send(make_batch(*map(str, range(2500))), "b", 20)
    assert (list(caught.value.retry), caught.value.pause_s) == (list(range(1000, 2500)), 4)
