"""Spans are exported when the request ends (slow), or by a thread that batches them (near)."""

import json
import sys
import urllib.request
from collections.abc import Sequence

import requests
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()


class ToCollector(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        body = json.dumps([span.name for span in spans]).encode()
        urllib.request.urlopen(f"{service}/v1/traces?ms=8", body).read()
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor((SimpleSpanProcessor if mode == "slow" else BatchSpanProcessor)(ToCollector()))
tracer = trace.get_tracer("shop", tracer_provider=provider)


@microdelay.trace
def handle(number: int) -> None:
    with tracer.start_as_current_span("handle"):  # found
        session.get(f"{service}/order/{number}?ms=10")


for number in range(8):
    handle(number)
