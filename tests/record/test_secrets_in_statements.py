"""Of a statement that only OpenTelemetry tells of, no value is kept, whatever its language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.record.test_secrets import contents

from microdelay.traces import Recording

PROGRAM = r"""
    import time
    from opentelemetry import trace

    tracer = trace.get_tracer("mine")

    def ask(system, statement):
        with tracer.start_as_current_span("ask", attributes={"db.system": system, "db.statement": statement}):
            time.sleep(0.001)

    ask("mysql", "SELECT a FROM t WHERE b = 'it\\'s secretone' AND c = \"secrettwo\" # secretthree")
    ask("redis", "SET secretfour secretfive")
    ask("mongodb", "find {name: secretsix}")
    ask("elasticsearch", '{"query": {"match": {"name": "secretseven"}}}')
    ask("neo4j", 'MATCH (n {name: "secreteight"}) RETURN n')
    ask("memcached", "get secretnine")
    ask("postgresql", "SELECT a FROM t WHERE b = 'secretten'")
"""


def test_no_value_of_any_language_is_kept(recording: Callable[..., Recording]) -> None:
    made = recording(PROGRAM)
    names = [span.name for span in made.spans if span.kind == "db"]
    assert names == ["SELECT t", "SET", "FIND", "ELASTICSEARCH", "MATCH", "GET", "SELECT t"]
    assert b"secret" not in contents(Path(made.path)).lower().replace(b"test_secrets", b"")
