"""The recorders that a workload runs under: each is begun, and gives what ends it and writes what it still holds.

Each sends what it records nowhere, in the way it would send it: through its own queue and thread.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

End = Callable[[], dict[str, Any]]

unit: Callable[[], AbstractContextManager[Any]] = nullcontext
"""Opens what the recorder needs around one unit of work (Sentry records nothing outside of a transaction)."""


def nothing() -> End:
    """Run bare."""
    return dict


def microdelay(max_overhead: float = 0.05) -> End:
    """Record into a file, as `microdelay.start()` does."""
    import microdelay as recorder

    path = recorder.start(os.path.join(tempfile.mkdtemp(), "workload.mdr"), max_overhead=max_overhead)

    def end() -> dict[str, Any]:
        from microdelay.record.events import state

        recorder.stop()
        return {"dropped": state.dropped, "troubles": state.troubles, "bytes": os.path.getsize(path), "path": path}

    return end


def opentelemetry() -> End:
    """Record with the SDK and its own instrumentation of each library, batched to nowhere."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=1 << 17))
    trace.set_tracer_provider(provider)
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.logging import LoggingInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

    for instrumentor in (AioHttpClientInstrumentor, LoggingInstrumentor, RequestsInstrumentor, SQLite3Instrumentor):
        instrumentor().instrument()

    def end() -> dict[str, Any]:
        provider.shutdown()
        return {}

    return end


def sentry() -> End:
    """Trace everything, in transactions of at most 1,000 spans as Sentry has them, to nowhere."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Nowhere(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            envelope.serialize()  # what its transport does before it sends

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Nowhere, traces_sample_rate=1.0)
    global unit  # noqa: PLW0603
    unit = lambda: sentry_sdk.start_transaction(op="task", name="unit")  # noqa: E731

    def end() -> dict[str, Any]:
        sentry_sdk.flush()
        return {}

    return end


def ddtrace() -> End:
    """Trace with the integrations, to a writer that keeps nothing."""
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    from ddtrace import patch
    from ddtrace.internal.writer import LogWriter
    from ddtrace.trace import tracer

    class Nowhere:
        def write(self, text: str) -> None:
            """Drop it."""

        def flush(self) -> None:
            """Have nothing to flush."""

    tracer._span_aggregator.writer = LogWriter(out=Nowhere())
    patch(sqlite3=True, requests=True, aiohttp=True, logging=True, fastapi=True)

    def end() -> dict[str, Any]:
        tracer.flush()
        return {}

    return end


def serve(app: Any) -> None:
    """Let OpenTelemetry know the service: its instrumentation wants the object, the others have seen the import."""
    from opentelemetry import trace

    if type(trace.get_tracer_provider()).__module__.startswith("opentelemetry.sdk"):
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app)


PEERS: dict[str, Callable[[], End]] = {
    "bare": nothing,
    "microdelay": microdelay,
    "microdelay-whole": partial(microdelay, 1.0),
    "opentelemetry": opentelemetry,
    "sentry": sentry,
    "ddtrace": ddtrace,
}
