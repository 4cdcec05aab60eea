"""Flushes the tracer at the end of each request "so that nothing is lost"."""

import requests
import world
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

TRUTH = {
    "findings": {"flush": {"rule": "telemetry-flush", "at": ["flush"]}},
    "fixes": {"after_left_to_the_batch": ["flush"]},
}

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(world.url("/v1/traces"))))
tracer = provider.get_tracer("worker")
session = requests.Session()


def job(n):
    with tracer.start_as_current_span("job") as span:
        span.set_attribute("number", n)
        return session.get(world.url(f"/stock/{n}")).json()["value"]


def before(n):
    value = job(n)
    provider.force_flush()  # at: flush
    return value


def after_left_to_the_batch(n):
    return job(n)


if __name__ == "__main__":
    world.main(globals())
