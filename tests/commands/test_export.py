"""`microdelay export`: to a collector that takes OTLP over HTTP, and into a file."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROGRAM = """
import asyncio, json, os, sqlite3, threading, time, urllib.request
import microdelay

def in_thread():
    time.sleep(0.002)

async def in_task():
    await asyncio.sleep(0.002)

async def tasks():
    with microdelay.span("both", flag=True, share=0.5, count=3):
        await asyncio.gather(in_task(), in_task())

@microdelay.trace
def turn(number):
    urllib.request.urlopen(os.environ["SERVICE"] + "/x").read()
    try:
        sqlite3.connect(":memory:").execute("SELECT nothing FROM nowhere")
    except sqlite3.OperationalError:
        pass
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    asyncio.run(tasks())

time.sleep(0.002)
turn(1)
turn(2)
"""


class _Collector(BaseHTTPRequestHandler):
    """Takes what it is sent, unless its path says otherwise."""

    taken: list[tuple[str, str, ExportTraceServiceRequest]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = ExportTraceServiceResponse()
        if self.path.startswith("/full"):
            answer.partial_success.rejected_spans = 7
            answer.partial_success.error_message = "no room"
        status = 404 if self.path.startswith("/missing") else 200
        text = b"<html>" if self.path.startswith("/page") else answer.SerializeToString()
        self.taken.append((self.path, self.headers.get("api-key", ""), ExportTraceServiceRequest.FromString(body)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, str, ExportTraceServiceRequest]]]]:
    taken: list[tuple[str, str, ExportTraceServiceRequest]] = []
    handler = type("Collector", (_Collector,), {"taken": taken})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", taken
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, service: str) -> Path:
    """Record the program once."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "turns.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "microdelay", "run", "--no-report", "-o", "turns.mdr", "turns.py"]
    run(command, cwd=folder, env={"SERVICE": service}, check=True)
    return folder / "turns.mdr"


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def attributes(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def is_one_line(done: CompletedProcess[str], *parts: str) -> bool:
    return done.returncode == 2 and done.stderr.count("\n") == 1 and all(part in done.stderr for part in parts)


def test_a_collector_gets_every_trace_with_its_tree_and_code(microdelay, collector, file):
    address, taken = collector
    done = microdelay("export", file, "--otlp", address)
    assert done.returncode == 0, done.stderr
    ((path, _, request),) = taken
    assert path == "/v1/traces"
    spans = spans_of(request)
    assert f"{len(spans)} spans of 2 traces" in done.stdout
    tops = [span for span in spans if span.name == "turn"]
    assert len({span.trace_id for span in tops}) == 2
    assert not any(span.parent_span_id for span in tops)
    ids = {span.span_id: span for span in spans}
    assert len(ids) == len(spans)
    for top in tops:
        tree = [span for span in spans if span.trace_id == top.trace_id and span is not top]
        assert tree
        for span in tree:
            outer = ids[span.parent_span_id]
            assert outer.trace_id == top.trace_id
            assert outer.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        (both,) = (span for span in tree if span.name == "both")
        assert {attributes(both)[key] for key in ("flag", "share", "count")} == {True, 0.5, 3}
        pauses = [span for span in tree if span.name == "asyncio.sleep"]
        assert [ids[span.parent_span_id].name for span in pauses] == ["both", "both"]
        (http,) = (span for span in tree if span.kind == Span.SPAN_KIND_CLIENT and span.name == "GET /x"
                   and attributes(span).get("part") is None)  # fmt: skip
        known = attributes(http)
        assert str(known["code.file.path"]).endswith("turns.py")
        assert (known["code.function.name"], known["code.line.number"]) == (
            "turn", 1 + PROGRAM.splitlines().index('    urllib.request.urlopen(os.environ["SERVICE"] + "/x").read()'),
        )  # fmt: skip
        (query,) = (span for span in tree if attributes(span)["microdelay.kind"] == "db")
        assert (query.status.code, attributes(query)["error.type"]) == (2, "OperationalError")
    outside = [span for span in spans if span.trace_id not in {top.trace_id for top in tops}]
    assert "time.sleep" in {span.name for span in outside}


def test_exporting_twice_says_the_same(microdelay, collector, file, tmp_path):
    address, taken = collector
    for number in (1, 2):
        assert microdelay("export", file, "--otlp", f"{address}/v1/traces", "-o", f"{number}.jsonl").returncode == 0
    assert taken[0][2] == taken[1][2]
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


def test_a_file_holds_otlp_json(microdelay, file, tmp_path):
    assert microdelay("export", file, "-o", "turns.jsonl").returncode == 0
    (line,) = (tmp_path / "turns.jsonl").read_text().splitlines()
    (resource,) = json.loads(line)["resourceSpans"]
    told = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
    assert told["service.name"] == {"stringValue": "turns"}
    (scope,) = resource["scopeSpans"]
    top = next(span for span in scope["spans"] if span["name"] == "turn")
    assert (len(bytes.fromhex(top["traceId"])), len(bytes.fromhex(top["spanId"]))) == (16, 8)
    assert "parentSpanId" not in top
    assert int(top["endTimeUnixNano"]) - int(top["startTimeUnixNano"]) >= 20_000_000
    assert {span["kind"] for span in scope["spans"]} >= {1, 3}


def test_headers_of_the_environment_are_sent(microdelay, collector, file):
    address, taken = collector
    settings = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20key,other=x"}
    assert microdelay("export", file, "--otlp", address, env=settings).returncode == 0
    assert taken[0][1] == "a key"


def test_what_a_collector_does_not_take_is_one_line(microdelay, collector, file, tmp_path):
    address, _ = collector
    assert is_one_line(microdelay("export", file, "--otlp", f"{address}/missing"), "404")
    assert is_one_line(microdelay("export", file, "--otlp", f"{address}/page"), "does not answer as a collector")
    full = microdelay("export", file, "--otlp", f"{address}/full", "-o", "cut.jsonl")
    assert is_one_line(full, "did not take 7 spans", "no room")
    assert not (tmp_path / "cut.jsonl").exists()
    assert is_one_line(microdelay("export", file, "--otlp", "http://127.0.0.1:9"), "Connection refused")


def test_what_cannot_be_done_is_one_line(microdelay, file):
    assert is_one_line(microdelay("export", file), "--otlp", "-o")
    assert is_one_line(microdelay("export", file, "--otlp", "127.0.0.1:4318"), "http://")
    assert is_one_line(microdelay("export", file, "-o", file), "the recording itself")
    assert is_one_line(microdelay("export", file, "-o", "/no/such/folder/x"), "cannot write")
    assert is_one_line(microdelay("export", "missing.mdr", "-o", "x"), "no such file")


def test_a_missing_extra_says_how_to_install_it(file):
    script = (
        "import sys; sys.modules['opentelemetry.proto'] = None; from microdelay.__main__ import main;"
        f"sys.exit(main(['export', {str(file)!r}, '-o', 'x.jsonl']))"
    )
    done = run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert is_one_line(done, 'pip install "microdelay[otlp]"')
