"""OpenTelemetry's SimpleSpanProcessor: each span is exported when it ends, and its end waits for the collector."""

import requests
import world
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

TRUTH = {
    "findings": {"exports": {"rule": "telemetry-flush", "at": ["step", "render"]}},
    "fixes": {"after_batch": ["exports"]},
}


def tracer(processor):
    provider = TracerProvider()
    provider.add_span_processor(processor(OTLPSpanExporter(world.url("/v1/traces"))))
    return provider.get_tracer("shop")


simple, batch = tracer(SimpleSpanProcessor), tracer(BatchSpanProcessor)
session = requests.Session()


def handle(n, tracer):
    with tracer.start_as_current_span("load"):  # at: step
        value = session.get(world.url(f"/crm/{n}")).json()["value"]
    with tracer.start_as_current_span("render"):  # at: render
        return f"<b>{value}</b>"


def before(n):
    return handle(n, simple)


def after_batch(n):
    return handle(n, batch)


if __name__ == "__main__":
    world.main(globals())
