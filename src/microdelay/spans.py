"""Span: one timed wait or piece of work, the record that every stage shares.

Names follow the OpenTelemetry semantic conventions where they have one. Time is `int` nanoseconds on one monotonic
clock (`time.perf_counter_ns`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from microdelay.span_model import Place as Place  # noqa: PLC0414  # known by this name, too
    from microdelay.span_model import Span as Span  # noqa: PLC0414

HTTP: Final = "http"  # a request to another service, until its body is read
LLM: Final = "llm"  # one that asks a language model
DNS: Final = "dns"  # a name being resolved
CONNECT: Final = "connect"  # a connection being made: TCP, or a database's with its login
TLS: Final = "tls"  # a TLS handshake
POOL: Final = "pool"  # waiting for a pool to give a connection
DB: Final = "db"  # a statement or command sent to a database or cache, or its rows fetched
SLEEP: Final = "sleep"  # a pause that the program asked for
LOG: Final = "log"  # a log record handed to a handler
TELEMETRY: Final = "telemetry"  # spans, metrics or logs exported or flushed
JOIN: Final = "join"  # waiting for a thread, task or future of this program
LOCK: Final = "lock"  # waiting for a lock, condition, semaphore, event or barrier
QUEUE: Final = "queue"  # waiting for an item, or for room, in a queue
PROCESS: Final = "process"  # waiting for another process
FILE: Final = "file"  # a file read, written or synchronised
UNKNOWN: Final = "unknown"  # a wait that no probe knows, seen by the sampler at the user's line
CODEC: Final = "codec"  # bytes made from objects, objects from bytes, or either from a hash, a tokenizer, a compressor
SETUP: Final = "setup"  # a client, an SSL context or the like being constructed
IMPORT: Final = "import"  # a module being imported
GC: Final = "gc"  # the garbage collector at work
AGENT: Final = "agent"  # an agent's turn, as its framework says
TOOL: Final = "tool"  # a tool that an agent's framework executes
SERVER: Final = "server"  # a request that this program answers
INTERNAL: Final = "internal"  # a piece of the program named by hand or by a remedy
TRACE: Final = "trace"  # one execution of the user's unit of work, marked by hand

WAITS: Final = frozenset({
    HTTP, LLM, DNS, CONNECT, TLS, POOL, DB, SLEEP, LOG, TELEMETRY, JOIN, LOCK, QUEUE, PROCESS, FILE, UNKNOWN,
})  # fmt: skip
"""Kinds during which the program does little but wait for something outside the running code."""

WORK: Final = frozenset({CODEC, SETUP, IMPORT, GC})
"""Kinds during which it computes, at a place that has a name."""

CONNECTING: Final = frozenset({DNS, CONNECT, TLS})
"""Kinds that a kept connection would not pay again."""

REQUESTS: Final = frozenset({HTTP, LLM})
"""Kinds that are a request to another service."""


def __getattr__(name: str) -> object:
    """Load what only the readers of recordings need on first use: dataclasses take 8 ms to import."""
    if name not in ("Place", "Span"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from microdelay import span_model

    return getattr(span_model, name)
