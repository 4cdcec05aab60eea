"""What the probes of HTTP clients share: which facts are taken, and one span a request however many layers deep.

A request is a span until the answer's headers are there: until its first byte. What the program waits for after that
is the body's (`http_body.py`).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from microdelay.record import activities, redact
from microdelay.record.activities import local
from microdelay.record.describing import describe as describing
from microdelay.record.describing.http import http
from microdelay.record.events import cpu_now, now, state
from microdelay.record.families.http_body import ASKED_BYTES, Body
from microdelay.record.measure import NO_CPU, Cpu, Describe, Details, hide, record
from microdelay.record.patches import unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import HTTP

Pairs = Iterable[tuple[Any, Any]]
"""Names and values of headers, both text or both bytes."""

_COMMON_HEADERS = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding",
    "user-agent",
})  # fmt: skip

_SDK_HEADERS = "x-stainless-"
"""Begin the names in which the SDKs of OpenAI and Anthropic tell what they run on."""

_ATTEMPT_HEADER = "x-stainless-retry-count"

_TELLING_HEADERS = frozenset({"etag", "link", "location", "set-cookie", "www-authenticate"})
"""Of an answer: those whose values a later request may need."""

MAX_HEADERS = 20
"""Telling headers kept of one request or answer."""

MODEL_PATHS = (
    "/completions", "/responses", "/embeddings", "/messages", "/api/chat", "/api/generate", "/api/embed",
    ":generateContent", ":streamGenerateContent", ":embedContent", ":batchEmbedContents",
)  # fmt: skip
"""How the paths end under which language models are asked: OpenAI's and those made like it, Anthropic's, Ollama's,
Google's."""

describing.by_kind[HTTP] = http

APART_NS = 1_000_000
"""From here on the wait for a body that a client reads by itself is told apart from that for the headers: less is
often the client's own work."""


class _Wire(threading.local):
    body: Body | None = None  # of the answer that this thread got last


wire = _Wire()

requesting: set[int] = set()
"""Tasks in which a client library is timed: another that it stands on is not."""


def requested(client: str, method: object, url: object, body: object = None, headers: Pairs = ()) -> Details:
    """Give the raw facts of a request; the writer fingerprints and redacts them.

    `open` stays until the request has been written: as long, facts of the answer can be added.
    """
    if type(url).__name__ != "URL":  # those are made text by the writer, and do not change
        url = _text(url)[: redact.MAX_TEXT]
    details: Details = {"client": client, "method": method, "url": url, "open": True}
    if body:
        data = body.encode("utf-8", "replace") if isinstance(body, str) else body
        if isinstance(data, (bytes, bytearray)):
            _sent(details, bytes(data), str(url))
    for name, value in headers:
        lower = _lower(name)
        if lower in _COMMON_HEADERS:
            continue
        if not lower.startswith(_SDK_HEADERS):
            details.setdefault("headers", []).append(value)
        elif lower == _ATTEMPT_HEADER:
            details["attempt"] = value
    return details


@functools.lru_cache(1024, typed=True)
def _lower(name: str | bytes) -> str:
    """Give the name of a header in small letters; names come again and again."""
    return _text(name).lower()


def _sent(details: Details, data: bytes, url: str) -> None:
    size = len(data)
    details["http.request.body.size"] = size
    details["body"] = data[: redact.TOKEN_BYTES]
    if data[:1] == b"{" and url.partition("?")[0].endswith(MODEL_PATHS):
        details["asked"] = data if size <= ASKED_BYTES else data[: ASKED_BYTES // 2] + data[-ASKED_BYTES // 2 :]
    if size > redact.TOKEN_BYTES:
        details["body_fingerprint"] = redact.body(data)


def answered(details: Details, status: object, headers: Pairs, history: Sequence[Pairs] = ()) -> None:
    """Add the raw facts of an answer; `history` are the headers of those that redirected to it."""
    if isinstance(status, int):
        details["http.response.status_code"] = int(status)
    for each in (*history, headers) if history else (headers,):
        for name, value in each:
            lower = _lower(name)
            if lower in _TELLING_HEADERS:
                told = details.setdefault("answer_headers", [])
                if len(told) < MAX_HEADERS:
                    told.append((lower, _cut(value)))


def peers(address: object) -> tuple[Details, Details]:
    """Give what is said of a connection to `address` that is new, and of the same one when it is used again."""
    peer: Details = {}
    if isinstance(address, tuple):
        peer = {"network.peer.address": str(address[0]), "network.peer.port": int(address[1])}
    return peer | {"microdelay.connection": "new"}, peer | {"microdelay.connection": "reused"}


def _cut(value: object) -> str:
    return _text(value)[: redact.TOKEN_BYTES]


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _no_body(result: Any) -> None:
    return None


def _last_body(result: Any) -> Body | None:
    body, wire.body = wire.body, None
    return body


def outermost(function: Callable[..., Any], describe: Describe) -> Callable[..., Any]:
    """Time `function` as an HTTP request unless a client library around it does already.

    `describe` gives the details with what is known of the answer, also its body where that has been read by then.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if local.in_http or not state.on:
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        local.in_http = True
        wire.body = None
        cpu_start, start = cpu_now(), now()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end = now()
            hide(error)
            local.in_http = False
            finish(start, end, (cpu_start, cpu_now()), describe, None, args, kwargs, _no_body, error)
            raise
        end = now()
        local.in_http = False
        finish(start, end, (cpu_start, cpu_now()), describe, result, args, kwargs, _last_body, None)
        return result

    return unnoticed(wrapper, function)


def outermost_async(
    function: Callable[..., Any], describe: Describe, body_of: Callable[[Any], Body | None]
) -> Callable[..., Any]:
    """Time a coroutine function likewise; what it stands on is not timed in the same task."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        task = activities.current_task() if state.on else 0
        if task in requesting or not state.on:
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        if task:
            requesting.add(task)
        start = now()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            end = now()
            hide(error)
            requesting.discard(task)
            finish(start, end, NO_CPU, describe, None, args, kwargs, _no_body, error)
            raise
        end = now()
        requesting.discard(task)
        finish(start, end, NO_CPU, describe, result, args, kwargs, body_of, None)
        return result

    return unnoticed(wrapper, function)


def finish(
    start: int,
    end: int,
    cpu: Cpu,
    describe: Describe,
    result: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    body_of: Callable[[Any], Body | None],
    error: BaseException | None,
) -> None:
    """Record a request until its answer's headers, and what was read of the body by the time that it returned."""
    if not state.on:
        return
    details: Details = {}
    headers_at = end
    try:
        details = describe(result, args, kwargs)
        body = body_of(result)
        if body is not None:
            body.belongs_to(details, start)
            if body.connection:
                details["connection"] = body.connection
            if start < body.answered_ns <= end - APART_NS and "answer" in details:
                headers_at = body.answered_ns
    except Exception as problem:
        stand_aside("describe http", problem)
    if headers_at == end:
        record(HTTP, "", start, end, cpu, details, error, 2)
        return
    record(HTTP, "", start, headers_at, cpu, details, error, 2)
    record(HTTP, "", headers_at, end, NO_CPU, {"request": details, "part": "body"}, error, 2)
