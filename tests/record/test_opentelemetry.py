"""Spans made through OpenTelemetry's API: with and without a provider, none twice, and the program as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.spans import Span
from microdelay.traces import Recording, read

Record = Callable[..., Recording]

API_ONLY = """
import asyncio, os, sqlite3, sys, time
from opentelemetry import context, propagate, trace
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanKind, Status, StatusCode

tracer = trace.get_tracer("shop.code")
URL = "http://user:word@pay.example:81/users/8127343?token=secret-one"

def work():
    with tracer.start_as_current_span("work", attributes={"note": "secret-two"}) as span:
        span.set_attribute("user.email", "secret-three")
        print(isinstance(span, NonRecordingSpan), span.is_recording(), span.get_span_context().is_valid)
        print(trace.get_current_span() is INVALID_SPAN, repr(span) == repr(INVALID_SPAN), type(span).__name__)
        headers = {}
        propagate.inject(headers)
        print(headers)
        with tracer.start_as_current_span(
            "any", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET", "url.full": URL}
        ):
            time.sleep(0.01)
        db = {"db.system": "mysql", "db.statement": "SELECT name FROM people WHERE mail = 'secret-four'"}
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes=db):
            time.sleep(0.002)

def fail():
    try:
        with tracer.start_as_current_span("fails"):
            raise KeyError("secret-five")
    except KeyError:
        with tracer.start_as_current_span("after a failure"):
            pass
    span = tracer.start_span("told to have failed")
    span.set_status(Status(StatusCode.ERROR, "secret-six"))
    span.end()
    span.end()

@tracer.start_as_current_span("decorated")
def decorated():
    return 1

async def hand_over():
    span = tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"})
    span.set_attribute("gen_ai.prompt", "secret-seven")
    span.set_attributes({"gen_ai.usage.input_tokens": 12})
    async def finish():
        await asyncio.sleep(0.005)
        span.end()
    await asyncio.create_task(finish())

def remote():
    carrier = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    token = context.attach(propagate.extract(carrier))
    with tracer.start_as_current_span("answer", kind=SpanKind.SERVER, attributes={"http.method": "GET"}) as span:
        sent = {}
        propagate.inject(sent)
        print(sent == carrier, span.get_span_context().is_remote)
    context.detach(token)

def long_ago():
    begun = time.time_ns()
    time.sleep(0.01)
    tracer.start_span("told times", start_time=begun).end(begun + 5_000_000)

work()
fail()
print(decorated())
asyncio.run(hand_over())
remote()
long_ago()
trace.get_tracer("opentelemetry.instrumentation.requests").start_span("left out").end()
tracer.start_span("never ended")
with tracer.start_as_current_span("execute_tool weather"):
    trace.get_current_span().set_attribute("gen_ai.operation.name", "execute_tool")
"""

SECRETS = [f"secret-{word}" for word in ("one", "two", "three", "four", "five", "six", "seven")] + ["8127343", "word@"]

WITH_SDK = """
import json, os, sqlite3, sys, time
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

early = trace.get_tracer("early")
with early.start_as_current_span("before the provider"):
    pass

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

class Lines(SpanExporter):
    def export(self, spans):
        for span in spans:
            kept = {key: span.attributes[key] for key in span.attributes if "port" not in key and "url" not in key}
            print("exported", span.name, span.kind.name, kept, span.status.status_code.name, span.parent is None)
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Lines()))
trace.set_tracer_provider(provider)
print(trace.get_tracer_provider() is provider, len(provider._active_span_processor._span_processors))
RequestsInstrumentor().instrument()
SQLite3Instrumentor().instrument()

def serve():
    with early.start_as_current_span("serve", attributes={"gen_ai.operation.name": "invoke_agent"}) as span:
        print(type(span).__name__)
        requests.get(os.environ["SERVICE"] + "/x")
        cursor = sqlite3.connect(":memory:").cursor()
        cursor.execute("SELECT 1")
        try:
            with early.start_as_current_span("fails"):
                raise LookupError("hidden")
        except LookupError:
            pass

serve()
other = TracerProvider(sampler=ALWAYS_OFF)
with other.get_tracer("quiet").start_as_current_span("sampled out", attributes={"tool.name": "t"}) as span:
    print(type(span).__name__, span.is_recording(), trace.get_current_span().is_recording())
    print(trace.get_current_span().get_span_context() == span.get_span_context())
provider.shutdown()
"""

IN_A_FRAMEWORK = """
import time
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

trace.set_tracer_provider(TracerProvider())
Agent.instrument_all()
agent = Agent(TestModel(), name="helper")

@agent.tool_plain
def look_up(key: int) -> int:
    time.sleep(0.05)
    return key

print(agent.run_sync("hello").output)
"""


def named(made: Recording, name: str) -> Span:
    (span,) = (span for span in made.spans if span.name == name)
    return span


@pytest.fixture(scope="module")
def kept() -> dict[str, object]:
    return {}


@pytest.fixture
def api_only(kept: dict[str, object], recording: Record, tmp_path: Path) -> Recording:
    """Record the program without a provider, once."""
    if "api" not in kept:
        kept["api"] = recording(API_ONLY)
        kept["bytes"] = (tmp_path / "program.mdr").read_bytes()
    made = kept["api"]
    assert isinstance(made, Recording)
    return made


def test_spans_without_a_provider_are_recorded_with_kind_and_place(api_only: Recording) -> None:
    work = named(api_only, "work")
    assert (work.kind, work.attributes["otel.scope.name"], work.site and work.site.function) == (
        "internal", "shop.code", "work",
    )  # fmt: skip
    request = named(api_only, "GET /users/{}")
    assert (request.kind, request.attributes["server.address"], request.attributes["server.port"]) == (
        "http", "pay.example", 81,
    )  # fmt: skip
    assert request.duration_ns >= 10_000_000
    assert api_only.parents[request.id] == work.id
    query = named(api_only, "SELECT people")
    assert (query.kind, query.attributes["db.query.text"]) == ("db", "SELECT name FROM people WHERE mail = ?")
    assert named(api_only, "decorated").kind == "internal"
    assert named(api_only, "GET").kind == "server"
    assert named(api_only, "execute_tool weather").kind == "tool"
    assert api_only.done["troubles"] == {}


def test_attributes_that_nobody_knows_are_dropped_and_counted(api_only: Recording) -> None:
    assert named(api_only, "work").attributes["otel.dropped_attributes_count"] == 2
    for span in api_only.spans:
        assert not any(secret in str(span) for secret in SECRETS)


def test_errors_are_of_the_span_in_which_they_were_raised(api_only: Recording) -> None:
    assert named(api_only, "fails").error == "KeyError"
    assert named(api_only, "after a failure").error == ""
    assert named(api_only, "told to have failed").error == "error"


def test_a_span_belongs_to_the_task_that_started_it(api_only: Recording) -> None:
    chat = named(api_only, "chat")
    assert (chat.kind, chat.attributes["gen_ai.request.model"]) == ("llm", "m-1")
    assert chat.attributes["gen_ai.usage.input_tokens"] == 12
    assert api_only.activities[chat.activity].name == "hand_over"
    assert chat.duration_ns >= 5_000_000


def test_times_that_the_program_gives_are_put_on_our_clock(api_only: Recording) -> None:
    told = named(api_only, "told times")
    pause = max((span for span in api_only.spans if span.kind == "sleep"), key=lambda span: span.start_ns)
    assert told.duration_ns == 5_000_000
    assert named(api_only, "GET").end_ns - 1_000_000 <= told.start_ns <= pause.end_ns


def test_instrumentations_of_what_a_probe_times_are_left_out(api_only: Recording) -> None:
    assert not any(span.name in ("left out", "never ended") for span in api_only.spans)


def test_a_program_without_a_provider_does_what_it_did(
    plainly: Callable[..., object], recorded: Callable[..., object], program: Callable[..., Path]
) -> None:
    path = program(API_ONLY)
    assert recorded(path) == plainly(path)


def test_a_providers_spans_are_recorded_once_and_exported_as_before(
    plainly: Callable[..., object],
    recorded: Callable[..., object],
    program: Callable[..., Path],
    service: str,
    tmp_path: Path,
) -> None:
    path = program(WITH_SDK)
    alone = plainly(path, SERVICE=service)
    assert alone[0] == 0, alone  # type: ignore[index]
    assert recorded(path, SERVICE=service) == alone
    made = read(tmp_path / "program.mdr")
    assert made.done["troubles"] == {}
    agent = named(made, "serve")
    assert (agent.kind, agent.site and agent.site.function) == ("agent", "serve")
    assert named(made, "before the provider").kind == "internal"
    assert named(made, "sampled out").attributes["otel.scope.name"] == "quiet"
    assert named(made, "fails").error == "LookupError"
    whole = [span for span in made.spans if "part" not in span.attributes]
    assert [span.attributes.get("client") for span in whole if span.kind == "http"] == ["requests"]
    assert [span.name for span in whole if span.kind == "db"] == ["SELECT"]


def test_what_a_framework_says_beside_our_probe_is_one_span(recording: Record) -> None:
    made = recording(IN_A_FRAMEWORK)
    kinds = [span.kind for span in made.spans]
    assert (kinds.count("agent"), kinds.count("tool")) == (1, 1)
    assert all(span.attributes["otel.scope.name"] == "pydantic-ai" for span in made.spans if span.kind == "llm")
    assert kinds.count("llm") == 2


def test_an_operation_made_of_what_the_program_handles_is_not_kept(recording: Callable[..., Recording]) -> None:
    made = recording(
        """
        from opentelemetry import trace
        tracer = trace.get_tracer("mine")
        given = ("HGET", "orders"), ("get token-4711", "key:secret-4711"), ("secret-4711", "x y")
        for operation, collection in given:
            with tracer.start_as_current_span("one", kind=trace.SpanKind.CLIENT) as span:
                span.set_attributes(
                    {"db.system": "redis", "db.operation": operation, "db.collection.name": collection}
                )
        """
    )
    spans = [span for span in made.spans if span.kind == "db"]
    assert len(spans) == 3
    assert spans[0].name == "HGET orders"
    assert "4711" not in str([(span.name, span.attributes) for span in spans])
