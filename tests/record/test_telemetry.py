"""Tracing SDKs: exports and flushes on the program's own path are seen, those of their own threads are not."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.traces import Recording

Record = Callable[..., Recording]


def test_opentelemetry(recording: Record) -> None:
    made = recording(
        """
        import time
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
        class Slow(SpanExporter):
            def export(self, spans): time.sleep(0.002)
        class Reader(InMemoryMetricReader):
            def force_flush(self, timeout_millis=0): time.sleep(0.002)
        def simple():
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(Slow()))
            with provider.get_tracer("x").start_as_current_span("secret"): pass
        def batched():
            provider = TracerProvider()
            processor = BatchSpanProcessor(Slow())
            provider.add_span_processor(processor)
            tracer = provider.get_tracer("x")
            with tracer.start_as_current_span("secret"): pass
            provider.force_flush()
            with tracer.start_as_current_span("secret"): pass
            processor.force_flush()
            with tracer.start_as_current_span("secret"): pass
            provider.shutdown()
        def metrics():
            provider = MeterProvider([Reader()])
            provider.force_flush()
        simple(); batched(); metrics()
        """
    )
    found = [(span.name, span.site.line) for span in made.spans if span.kind == "telemetry" and span.site]
    assert found[0] == ("SimpleSpanProcessor.on_end", 15)
    assert {("TracerProvider.force_flush", 22), ("BatchSpanProcessor.force_flush", 24)} <= set(found)
    assert {("TracerProvider.shutdown", 26), ("MeterProvider.force_flush", 29)} <= set(found)
    assert len([name for name, line in found if line in (15, 22, 24, 26, 29)]) == 5
    assert "secret" not in str([(span.name, span.attributes) for span in made.spans if span.kind == "telemetry"])


def test_sentry_and_langsmith(recording: Record) -> None:
    made = recording(
        """
        import os, sentry_sdk, langsmith
        def sentry():
            where = os.environ["SERVICE"].replace("//", "//key@") + "/1"
            sentry_sdk.init(where, default_integrations=False, auto_enabling_integrations=False)
            sentry_sdk.capture_message("secret")
            sentry_sdk.flush()
        def smith():
            client = langsmith.Client(os.environ["SERVICE"], api_key="secret", info={})
            run = "00000000-0000-4000-8000-000000000000"
            order = f"20260101T000000000000Z{run}"
            client.create_run("secret", {"a": "secret"}, "chain", id=run, trace_id=run, dotted_order=order)
            client.flush()
        sentry(); smith()
        """
    )
    found = [(span.name, span.site.function) for span in made.spans if span.kind == "telemetry" and span.site]
    assert ("_Client.flush", "sentry") in found
    assert ("Client.flush", "smith") in found
