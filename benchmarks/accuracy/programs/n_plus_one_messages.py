"""Gives a broker one message after the other, each with its receipt; its instrumentation tells OpenTelemetry."""

import requests
import world
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

TRUTH = {
    "findings": {"messages": {"rule": "n-plus-one", "at": ["publish", "loop"], "verdict": "unknown"}},
    "fixes": {"after_batch": ["messages"]},
    "also": ["serial-calls"],  # the broker's requests, one after the other
}

http = requests.Session()
tracer = TracerProvider().get_tracer("opentelemetry.instrumentation.broker")
TOPIC = {"messaging.system": "broker", "messaging.destination.name": "orders", "messaging.operation.type": "send"}


def send(messages, many):
    told = TOPIC | many
    with tracer.start_as_current_span("send orders", kind=trace.SpanKind.PRODUCER, attributes=told):  # at: publish
        http.post(world.url("/orders"), json={"messages": messages})


def before(n):
    for part in range(6):
        send([{"order": n, "part": part}], {})  # at: loop
    return n


def after_batch(n):
    send([{"order": n, "part": part} for part in range(6)], {"messaging.batch.message_count": 6})
    return n


if __name__ == "__main__":
    world.main(globals())
