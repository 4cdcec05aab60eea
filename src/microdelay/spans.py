"""Span: one timed wait or piece of work, the record that every stage shares.

Names follow the OpenTelemetry semantic conventions where they have one. Time is `int` nanoseconds on one monotonic
clock (`time.perf_counter_ns`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

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

CONTAINERS: Final = frozenset({AGENT, TOOL, SERVER, INTERNAL, TRACE})
"""Kinds that only name what stands inside them: their own time is that of the code around the waits."""

CONNECTING: Final = frozenset({DNS, CONNECT, TLS})
"""Kinds that a kept connection would not pay again."""

REQUESTS: Final = frozenset({HTTP, LLM})
"""Kinds that are a request to another service."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in source code: absolute `file`, `line` .. `end_line` (1-based), `column` .. `end_column` (0-based)."""

    file: str
    line: int
    function: str
    end_line: int = 0
    column: int = -1
    end_column: int = -1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Span:
    """One timed wait or piece of work, as it stands in a recording.

    `site` is the innermost place in the user's own code, `invocation` the call of the user's function that it stands
    in, `activity` the thread or task that ran it (ids within one recording; 0 is unknown). `input` and `output` are
    keyed fingerprints of what went in and came out (0 is unknown), `sent` and `received` those of the single values in
    them that came out of an answer before they went into a request (0 in `received`: its values were looked at).
    `cpu_ns` is the thread's processor time inside the span, `cpu_start_ns` its reading at the start (-1 where it was
    not read).
    """

    id: int
    kind: str
    name: str
    start_ns: int
    end_ns: int
    activity: int = 0
    invocation: int = 0
    site: Place | None = None
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    input: int = 0
    output: int = 0
    sent: frozenset[int] = frozenset()
    received: frozenset[int] = frozenset()
    cpu_start_ns: int = -1
    cpu_ns: int = -1
    error: str = ""

    @property
    def duration_ns(self) -> int:
        """How long it took."""
        return self.end_ns - self.start_ns
